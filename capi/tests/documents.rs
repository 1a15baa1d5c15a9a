//! The programs that the guide prints are those that are compiled and run.
#![allow(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::Path;

#[test]
fn the_guide_prints_the_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(guide) = fs::read_to_string(folder.join("../docs/embedding.md")) else {
        // Of the packed crate there is no guide.
        return;
    };
    for name in ["landmarks.rs", "landmarks.c", "landmarks.cpp"] {
        let program = fs::read_to_string(folder.join("examples").join(name)).expect("an example");
        assert!(guide.contains(program.trim_end()), "docs/embedding.md has another {name}");
    }
}
