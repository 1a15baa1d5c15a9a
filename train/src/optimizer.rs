//! The optimiser: AdamW.
//!
//! burn puts what it reads of an optimiser's record on its default device. That is a GPU in programs that are built for one, whether or not
//! there is one. So the record is read on the CPU here; the next step moves it to where the gradients are.

use burn::optim::{
    AdamW, AdamWConfig, AdamWState, LearningRate, ModuleOptimizer, Optimizer, RecordState, StateSink,
    StateSource,
};
use burn::tensor::{Device, Tensor};

/// The optimiser of a training, without any moments yet.
pub(crate) fn optimizer(weight_decay: f32) -> ModuleOptimizer {
    Adam(AdamWConfig::new().with_weight_decay(weight_decay).build()).into()
}

#[derive(Clone)]
struct Adam(AdamW);

/// Moments of a tensor's gradients.
#[derive(Clone)]
struct Moments<const D: usize>(AdamWState<D>);

impl<const D: usize> RecordState for Moments<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.0.state_flatten(prefix, out);
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, _: &Device) -> Option<Self> {
        AdamWState::state_unflatten(prefix, src, &Device::flex()).map(Self)
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = Moments<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Moments<D>>,
    ) -> (Tensor<D>, Option<Moments<D>>) {
        let (tensor, state) = self.0.step(rate, tensor, grad, state.map(|moments| moments.0));
        (tensor, state.map(Moments))
    }

    fn to_device<const D: usize>(state: Moments<D>, device: &Device) -> Moments<D> {
        Moments(<AdamW as Optimizer>::to_device(state.0, device))
    }
}
