//! Where the network is computed: on the CPU or, with the feature `wgpu` and only where it is asked for, on a GPU.

use burn::tensor::Device;

use super::{CPU, ComputeOn};
use crate::TrainError;

/// What computes the network and its gradients.
#[derive(Clone)]
pub(crate) struct Network {
    device: Device,
    name: String,
}

impl Network {
    /// What is wanted.
    ///
    /// # Errors
    /// [`TrainError::Wgpu`] when a GPU is wanted and can't be had.
    pub(crate) fn open(wanted: ComputeOn) -> Result<Self, TrainError> {
        if wanted == ComputeOn::Wgpu {
            return Self::gpu().map_err(|reason| TrainError::Wgpu { reason });
        }
        Ok(Self { device: here(), name: CPU.into() })
    }

    #[cfg(not(feature = "wgpu"))]
    fn gpu() -> Result<Self, String> {
        Err("this was built without the feature wgpu".into())
    }

    /// The GPU that burn's runtime takes by default. A process sets it up once.
    #[cfg(feature = "wgpu")]
    fn gpu() -> Result<Self, String> {
        use burn::tensor::wgpu::WgpuInitError;
        use std::sync::{Mutex, PoisonError};

        static OPENED: Mutex<Option<Network>> = Mutex::new(None);
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = &*opened {
            return Ok(network.clone());
        }
        let (device, setup) = Device::wgpu_options().init_with_setup().map_err(|error| match error {
            WgpuInitError::AdapterUnavailable { message, .. } => {
                // What follows is all that is known of the adapters that are of another kind.
                let message = message.split(", adapters").next().unwrap_or_default();
                format!("no adapter is found ({message})")
            }
            error => error.to_string(),
        })?;
        let name = format!("wgpu device {} ({})", setup.adapter.get_info().name, setup.backend);
        Ok(opened.insert(Self { device: device.autodiff(), name }).clone())
    }

    /// A device that tracks gradients.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// "CPU" or "wgpu device NAME (INTERFACE)".
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The CPU, with gradients.
pub(crate) fn here() -> Device {
    Device::flex().autodiff()
}
