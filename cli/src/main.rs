//! The infomark command line.
fn main() {}
