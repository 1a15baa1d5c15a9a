//! Files of the model `ceph` but for its templates, which are a crate of their own as a crate has at most 10 MB. Read them with `infomark-models`.

#![no_std]
#![forbid(unsafe_code)]

/// The encoder, ONNX.
pub static ENCODER: &[u8] = include_bytes!("../ceph.onnx");
/// The landmark network, ONNX.
pub static LANDMARK_NET: &[u8] = include_bytes!("../ceph-landmarks.onnx");
/// The errors of the templates together.
pub static CALIBRATION: &[u8] = include_bytes!("../ceph.calibration.json");
