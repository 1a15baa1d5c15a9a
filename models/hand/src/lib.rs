//! Files of the model `hand`. Read them with `infomark-models`.

#![no_std]
#![forbid(unsafe_code)]

/// The encoder, ONNX.
pub static ENCODER: &[u8] = include_bytes!("../hand.onnx");
/// Template files, which are matched together.
pub static TEMPLATES: &[&[u8]] = &[
    include_bytes!("../6435.template"),
    include_bytes!("../4299.template"),
    include_bytes!("../6456.template"),
    include_bytes!("../4221.template"),
    include_bytes!("../4216.template"),
];
