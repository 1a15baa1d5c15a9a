//! Images dropped on the page: copied to the review's folder.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use infomark_infer::{ReadLimits, decode_levels, sha256};
use serde_json::{Value, json};

use super::images::{self, ADDED};
use super::refusal::Refusal;
use super::{App, lock};
use crate::output;

/// Maximum length of an image file, in bytes: a longer one with 16 bits would exceed the memory limit of [`ReadLimits`].
pub(super) const LONGEST: usize = 128 << 20;
/// Maximum length of a name, in bytes, to which a number can be added within the limits of file systems.
const LONGEST_NAME: usize = 200;

/// Adds an image. Content that exists already is not added again; an image with an existing name gets a number.
pub(super) fn add(app: &App, name: &str, bytes: &[u8]) -> Result<Value, Refusal> {
    let name = clean(name)?;
    decode_levels(bytes, &name, &ReadLimits::default())
        .map_err(|error| Refusal::new(422, error.to_string()))?;
    let hash = sha256(bytes);
    let same = lock(&app.images).all.iter().find(|known| known.sha256.as_ref() == Some(&hash)).cloned();
    if let Some(known) = same {
        return Ok(json!({ "id": known.id, "name": known.name, "is_new": false }));
    }
    let taken = put(app, &name, bytes)?;
    images::list(app)?;
    let known = lock(&app.images).by_name(&taken).cloned();
    let Some(known) = known else {
        let _ = std::fs::remove_file(app.session.join(ADDED).join(&taken));
        return Err(Refusal::new(
            422,
            format!("{name}: give it the ending of its format, such as .png, .tif, .dcm or .nii.gz"),
        ));
    };
    images::look_at(app, known.clone());
    Ok(json!({ "id": known.id, "name": known.name, "is_new": true }))
}

/// Writes a file under its name or, if that exists, the next free one.
fn put(app: &App, name: &str, bytes: &[u8]) -> Result<String, Refusal> {
    let folder = app.session.join(ADDED);
    output::make_folder(&folder)?;
    let shown = output::shown(&folder.join(name));
    // Hidden until complete.
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .tempfile_in(&folder)
        .with_context(|| format!("{shown}: can't be written"))?;
    let written = file.write_all(bytes).and_then(|()| file.as_file().sync_all());
    written.map_err(|error| {
        Refusal::new(507, format!("{shown}: can't be written ({error}); the image is not taken"))
    })?;
    let (stem, ending) = parts(name);
    let numbered = (2..10_000).map(|number| format!("{stem}-{number}{ending}"));
    for name in std::iter::once(name.to_owned()).chain(numbered) {
        if lock(&app.images).all.iter().any(|known| known.name.eq_ignore_ascii_case(&name)) {
            continue;
        }
        match file.persist_noclobber(folder.join(&name)) {
            Ok(_) => return Ok(name),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => file = error.file,
            Err(error) => {
                return Err(anyhow::Error::from(error.error)
                    .context(format!("{shown}: can't be written"))
                    .into());
            }
        }
    }
    Err(Refusal::bad(format!("{name}: too many images have this name; give it another")))
}

/// Stem and extension of a name.
fn parts(name: &str) -> (&str, &str) {
    let packed = name.len().checked_sub(".nii.gz".len());
    let at = packed.filter(|&at| name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(".nii.gz")));
    let at = at.or_else(|| name.rfind('.')).filter(|&at| at > 0).unwrap_or(name.len());
    name.split_at_checked(at).unwrap_or((name, ""))
}

/// A name that is valid on every system: invalid characters become underscores.
fn clean(name: &str) -> Result<String, Refusal> {
    let refused = || {
        Refusal::bad(format!(
            "an image's name has 1 to {LONGEST_NAME} bytes and does not begin with a dot; rename it"
        ))
    };
    let suits = |c: char| !(c.is_control() || "/\\:*?\"<>|".contains(c));
    let clean: String = name.chars().map(|c| if suits(c) { c } else { '_' }).collect();
    let clean = clean.trim().trim_end_matches('.');
    let whole = Path::new(clean).file_name().is_some_and(|name| name == clean);
    if clean.starts_with('.') || clean.len() > LONGEST_NAME || !whole {
        return Err(refused());
    }
    Ok(clean.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_lead_nowhere_else() {
        for (name, expected) in [
            ("a.png", Some("a.png")),
            ("../../etc/passwd", None),
            ("a/../b.png", Some("a_.._b.png")),
            ("/etc/x.png", Some("_etc_x.png")),
            ("C:\\x.png", Some("C__x.png")),
            ("x\0y\n.png", Some("x_y_.png")),
            (" \u{e4} b.dcm ", Some("\u{e4} b.dcm")),
            ("", None),
            (".", None),
            ("..", None),
            (".hidden.png", None),
        ] {
            assert_eq!(clean(name).ok().as_deref(), expected, "{name}");
        }
        assert!(clean(&"x".repeat(300)).is_err());
        assert_eq!(parts("a.NII.gz"), ("a", ".NII.gz"));
        assert_eq!((parts("b.c.png"), parts("IM0001")), (("b.c", ".png"), ("IM0001", "")));
    }
}
