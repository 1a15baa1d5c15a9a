//! `docs/cuda.md` has the suite's tolerances, and every kernel with what it moves.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

#[test]
fn the_documented_tolerances_are_the_tested_ones() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = fs::read_to_string(here.join("tests/suite/tolerance.rs"))?;
    // Only a checkout has the document.
    let Ok(document) = fs::read_to_string(here.join("../docs/cuda.md")) else { return Ok(()) };
    let mut found = 0;
    for line in code.lines() {
        let Some((name, rest)) = line.strip_prefix("pub(crate) const ").and_then(|l| l.split_once(':'))
        else {
            continue;
        };
        let value = rest.split('=').nth(1).unwrap_or_default().trim_matches([' ', ';']);
        let row = document.lines().find(|row| row.contains(&format!("`{name}`")));
        assert!(row.is_some_and(|row| row.contains(&format!("| {value}"))), "{name} = {value}: {row:?}");
        found += 1;
    }
    assert_eq!(found, 8);
    Ok(())
}

#[test]
fn every_kernel_is_in_the_documented_table() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Only a checkout has the document.
    let Ok(document) = fs::read_to_string(here.join("../docs/cuda.md")) else { return Ok(()) };
    let mut kernels = BTreeSet::new();
    for entry in fs::read_dir(here.join("kernels"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "ptx") {
            let text = fs::read_to_string(path)?;
            kernels
                .extend(text.split(".entry ").skip(1).filter_map(|e| Some(e.split_once('(')?.0.to_owned())));
        }
    }
    assert_eq!(kernels.len(), 26, "{kernels:?}");
    for kernel in kernels {
        let name =
            ["_f32", "_bf16", "_u8"].iter().fold(kernel.as_str(), |name, end| name.trim_end_matches(end));
        let named =
            |row: &&str| row.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{name}`")));
        assert!(document.lines().any(|row| row.starts_with('|') && named(&row)), "{kernel}");
    }
    Ok(())
}
