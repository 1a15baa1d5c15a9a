//! Transfer syntaxes (PS3.5, annex A).

use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};

use super::Problem;

/// Encoding of the pixels.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Syntax {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
    /// Uncompressed, but in fragments.
    Fragments,
    Rle,
    /// JPEG and JPEG-LS.
    Jpeg(Loss),
    Jpeg2000(Loss),
    /// Missing: uncompressed, if the pixel data have that length. The first element determines the VR encoding.
    NotStated,
}

/// Whether compression may change values, and so exceed the stored bits.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Loss {
    None,
    Allowed,
}

impl Syntax {
    pub(super) fn of(uid: Option<&str>) -> Result<Syntax, Problem> {
        let Some(uid) = uid else { return Ok(Syntax::NotStated) };
        Ok(match uid {
            "1.2.840.10008.1.2" => Syntax::ImplicitLittle,
            "1.2.840.10008.1.2.1" => Syntax::ExplicitLittle,
            "1.2.840.10008.1.2.2" => Syntax::ExplicitBig,
            "1.2.840.10008.1.2.1.98" => Syntax::Fragments,
            "1.2.840.10008.1.2.5" => Syntax::Rle,
            "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" | "1.2.840.10008.1.2.4.80" => {
                Syntax::Jpeg(Loss::None)
            }
            "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51" | "1.2.840.10008.1.2.4.81" => {
                Syntax::Jpeg(Loss::Allowed)
            }
            "1.2.840.10008.1.2.4.90" => Syntax::Jpeg2000(Loss::None),
            "1.2.840.10008.1.2.4.91" => Syntax::Jpeg2000(Loss::Allowed),
            _ => return Err(Problem::Syntax(named(uid))),
        })
    }

    /// Memory of decoding besides the file and the pixels, in bytes per pixel: stored values, unless used directly from the
    /// file, and the data they are decoded from.
    pub(super) fn working_bytes(self) -> usize {
        let stored = size_of::<u16>();
        match self {
            Syntax::ImplicitLittle | Syntax::ExplicitLittle | Syntax::NotStated => 0,
            // The reordered bytes.
            Syntax::ExplicitBig => stored + 2,
            Syntax::Fragments | Syntax::Rle => stored + 3,
            // Coefficients are freed before pixels are allocated.
            Syntax::Jpeg(_) => stored,
            Syntax::Jpeg2000(_) => stored + 20,
        }
    }

    pub(super) fn is_big_endian(self) -> bool {
        self == Syntax::ExplicitBig
    }
}

/// A transfer syntax for messages: its name and UID, if it is valid.
fn named(uid: &str) -> String {
    let is_uid = !uid.is_empty() && uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match TransferSyntaxRegistry.get(uid) {
        Some(syntax) => format!("{} ({uid})", syntax.name()),
        None if is_uid => format!("a transfer syntax that is not known ({uid})"),
        None => "a transfer syntax that is not known".to_owned(),
    }
}
