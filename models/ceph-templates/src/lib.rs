//! Templates of the model `ceph`. Read them with `infomark-models`.

#![no_std]
#![forbid(unsafe_code)]

/// Template files, which are matched together.
pub static TEMPLATES: &[&[u8]] = &[
    include_bytes!("../024.template"),
    include_bytes!("../126.template"),
    include_bytes!("../029.template"),
    include_bytes!("../045.template"),
    include_bytes!("../091.template"),
];
