//! Files of the model `chest`. Read them with `infomark-models`.

#![no_std]
#![forbid(unsafe_code)]

/// The encoder, ONNX.
pub static ENCODER: &[u8] = include_bytes!("../chest.onnx");
/// Template files, which are matched together.
pub static TEMPLATES: &[&[u8]] = &[
    include_bytes!("../JPCNN086.template"),
    include_bytes!("../JPCNN023.template"),
    include_bytes!("../JPCLN035.template"),
];
/// The landmark network, ONNX.
pub static LANDMARK_NET: &[u8] = include_bytes!("../chest-landmarks.onnx");
/// The errors of the templates together.
pub static CALIBRATION: &[u8] = include_bytes!("../chest.calibration.json");
