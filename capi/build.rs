//! Gives the shared library the name that programs look for: `libinfomark`, with the ABI's number.

fn main() {
    // As ABI_VERSION in src/lib.rs; a test compares them.
    const ABI: u32 = 1;
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    match system.as_str() {
        "linux" | "freebsd" | "android" => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libinfomark.so.{ABI}");
        }
        "macos" => println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libinfomark.{ABI}.dylib"),
        _ => {}
    }
}
