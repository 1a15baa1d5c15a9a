//! The tolerances in `docs/cuda.md` are the suite's.

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
