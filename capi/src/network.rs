//! Landmark networks, which need no template.

use std::ffi::{CString, c_char};

use infomark_infer::{LandmarkNet, Located, ModelError};

use crate::encoder::model_status;
use crate::entry::entry;
use crate::handle::{Kind, c_text, close, held, open};
use crate::image::infomark_image;
use crate::matcher::{check_room, copy, infomark_find_options, name_of};
use crate::memory::{Memory, place, text};
use crate::plane::infomark_point;
use crate::status::{Result, failure, infomark_status};

/// A landmark network: from images to landmarks.
pub struct infomark_network {
    _opaque: [u8; 0],
}

pub(crate) struct HeldNetwork {
    network: LandmarkNet,
    names: Vec<CString>,
}

impl Kind for infomark_network {
    type Held = HeldNetwork;
    const MARK: u64 = u64::from_be_bytes(*b"im_netwk");
    const NAME: &'static str = "network";
}

/// A landmark located by a landmark network.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct infomark_located {
    /// Position in pixels of the original image; always within the image.
    pub at: infomark_point,
    /// Probability of the heat map around the position, 0 to 1: the network's own estimate, not the fraction of correct points.
    pub probability: f64,
}

/// Loads a landmark network: an ONNX file written by `infomark train-landmarks` or `infomark self-train`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_network_load(
    path: *const c_char,
    out: *mut *mut infomark_network,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let path = unsafe { text("path", path) }?;
        unsafe { place("out", out) }?;
        unsafe { give(LandmarkNet::load(path), out) }
    })
}

/// infomark_network_load for a file in memory; name is its name in messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_network_from_bytes(
    bytes: *const u8,
    len: usize,
    name: *const c_char,
    out: *mut *mut infomark_network,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let name = unsafe { text("name", name) }?;
        let bytes = unsafe { Memory::default().read("bytes", bytes, len) }?;
        unsafe { place("out", out) }?;
        unsafe { give(LandmarkNet::from_bytes(bytes, name), out) }
    })
}

/// # Safety
/// The crate's terms.
unsafe fn give(
    network: std::result::Result<LandmarkNet, ModelError>,
    out: *mut *mut infomark_network,
) -> Result<()> {
    let network = network.map_err(failed)?;
    let names = network.description().landmarks.iter().map(|name| c_text(name)).collect::<Result<_>>()?;
    // SAFETY: the caller's terms.
    unsafe { open(HeldNetwork { network, names }, out) }
}

fn failed(error: ModelError) -> crate::status::Failure {
    failure(model_status(&error), error)
}

/// Number of landmarks of a network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_network_count(
    network: *const infomark_network,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let network = unsafe { held(network) }?;
        unsafe { place("count", count) }?.set(network.names.len());
        Ok(())
    })
}

/// The name of a landmark. The text belongs to the network and is freed with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_network_name(
    network: *const infomark_network,
    index: usize,
    name: *mut *const c_char,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let network = unsafe { held(network) }?;
        let to = unsafe { place("name", name) }?;
        to.set(name_of(&network.names, index)?);
        Ok(())
    })
}

/// Finds the landmarks in an image, as infomark_matcher_find does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_network_find(
    network: *const infomark_network,
    image: *const infomark_image,
    options: *const infomark_find_options,
    found: *mut infomark_located,
    capacity: usize,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let HeldNetwork { network, names } = unsafe { held(network) }?;
        let image = unsafe { held(image) }?;
        let options: infomark_find_options = unsafe { crate::options::options(options) }?;
        unsafe { check_room(names.len(), found, capacity, count) }?;
        let all = network.find_until(image, options.deadline()?).map_err(failed)?;
        let of = |located: &Located| infomark_located {
            at: infomark_point { x: located.at.x, y: located.at.y },
            probability: located.probability,
        };
        unsafe { copy(&all, of, found) }
    })
}

/// Closes a network and sets the pointer to null; null is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_network_close(network: *mut *mut infomark_network) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(network) })
}
