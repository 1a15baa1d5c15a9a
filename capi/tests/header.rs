//! The committed header is what cbindgen writes of the sources.
#![allow(clippy::expect_used, reason = "tests")]

use std::path::Path;

#[test]
fn the_header_is_that_of_the_sources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).expect("a configuration");
    let builder = cbindgen::Builder::new().with_config(config).with_src(folder.join("src/lib.rs"));
    let mut header = Vec::new();
    builder.generate().expect("a header").write(&mut header);
    let header = String::from_utf8(header).expect("UTF-8");
    let path = folder.join("include/infomark.h");
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, header).expect("a written header");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        header == committed,
        "include/infomark.h is not that of the sources: run `UPDATE_HEADER=1 cargo test -p infomark-capi --test header`"
    );
}

#[test]
fn the_number_of_the_interface_is_the_same_everywhere() {
    let abi = infomark_c::INFOMARK_ABI_VERSION;
    let build = include_str!("../build.rs");
    assert!(build.contains(&format!("const ABI: u32 = {abi};")), "build.rs");
    assert!(include_str!("../install").contains(&format!("\nabi={abi}\n")), "install");
}
