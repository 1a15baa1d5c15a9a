//! No public function of the core is left out of the proofs.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

#[test]
fn the_proofs_call_every_public_function() -> std::io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let every = fs::read_to_string(here.join("link-nostd/src/every.rs"))?;
    let mut files = Vec::new();
    sources(&here.join("../core/src"), &mut files)?;
    let mut functions = 0;
    for file in files {
        // Behind a feature that the proofs, being without an allocator, can't have.
        if file.ends_with("interop.rs") {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        for line in text.lines() {
            let line = line.trim_start();
            let Some(rest) = line.strip_prefix("pub fn ").or_else(|| line.strip_prefix("pub const fn "))
            else {
                continue;
            };
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            functions += 1;
            assert!(
                every.contains(&format!("{name}(")) || every.contains(&format!("{name}::<")),
                "{name} of {} is not called in every.rs",
                file.display()
            );
        }
    }
    assert!(functions > 60, "only {functions} functions were found");
    Ok(())
}
