//! Unsupported formats, recognised by their first bytes, each with what to do.

/// Advice for most pictures.
pub(super) const TO_PNG: &str = "convert it to grey PNG, e.g. with `magick IN -colorspace Gray OUT.png`";

/// Name of a file's format, and what to do; `None` where its first bytes do not tell.
pub(super) fn format(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const TO_NIFTI: &str = "convert it to NIfTI (.nii.gz), e.g. with 3D Slicer or SimpleITK";
    const UNPACK: &str = "unpack it, and name the images in it";
    let has = |offset: usize, bytes: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(bytes));
    let brand = || start.get(8..12).filter(|_| has(4, b"ftyp"));
    Some(match start {
        [b'G', b'I', b'F', b'8', ..] => ("a GIF file", TO_PNG),
        [b'R', b'I', b'F', b'F', ..] if has(8, b"WEBP") => ("a WebP file", TO_PNG),
        [0xFF, 0x0A, ..] => ("a JPEG XL code stream", TO_PNG),
        [0xFF, 0x4F, 0xFF, 0x51, ..] => ("a JPEG 2000 code stream", TO_PNG),
        _ if has(0, b"\0\0\0\x0CJXL ") => ("a JPEG XL file", TO_PNG),
        _ if has(0, b"\0\0\0\x0CjP  ") => ("a JPEG 2000 file (JP2)", TO_PNG),
        _ if matches!(brand(), Some(b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1")) => {
            ("a HEIC file", "convert it to grey PNG, e.g. with `heif-convert IN OUT.png`")
        }
        _ if matches!(brand(), Some(b"avif" | b"avis")) => ("an AVIF file", TO_PNG),
        [b'8', b'B', b'P', b'S', ..] => ("a Photoshop file", TO_PNG),
        [0x76, 0x2F, 0x31, 0x01, ..] => ("an OpenEXR file", TO_PNG),
        _ if has(0, b"%PDF") => ("a PDF document", "extract its images, e.g. with `pdfimages -png IN OUT`"),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => ("a ZIP archive", UNPACK),
        _ if has(0, b"7z\xBC\xAF\x27\x1C") => ("a 7z archive", UNPACK),
        _ if has(0, b"Rar!") => ("a RAR archive", UNPACK),
        _ if has(257, b"ustar") => ("a tar archive", UNPACK),
        _ if has(0, b"\x89HDF") => ("an HDF5 file, as of MINC 2", TO_NIFTI),
        _ if has(0, b"NRRD0") => ("an NRRD file", TO_NIFTI),
        _ if is_meta_image(start) => ("a MetaImage header (.mha, .mhd)", TO_NIFTI),
        _ if has(344, b"ni1\0") || has(4, b"ni2\0") => (
            "the header of a NIfTI pair (.hdr, .img)",
            "join the pair to one file (.nii.gz), e.g. with 3D Slicer",
        ),
        _ if is_analyze(start) => ("the header of an Analyze 7.5 pair (.hdr, .img)", TO_NIFTI),
        _ if has(0, b"\x93NUMPY") => ("a NumPy array", "write it as grey PNG, e.g. with `imageio.imwrite`"),
        [b'<', ..] if has(1, b"!DOCTYPE") || has(1, b"?xml") || has(1, b"html") || has(1, b"svg") => {
            ("HTML, XML or SVG", "save the image itself, not the page that shows it")
        }
        _ => return None,
    })
}

/// Whether a text has `Key = value` lines and starts with a key of MetaImage headers.
fn is_meta_image(start: &[u8]) -> bool {
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    [&b"ObjectType ="[..], b"NDims ="].iter().any(|key| line.starts_with(key))
}

/// Whether bytes start with the header length 348, in either byte order, and a number of dimensions from 1 to 7.
fn is_analyze(start: &[u8]) -> bool {
    let dimensions = start.get(40..42).and_then(|pair| <[u8; 2]>::try_from(pair).ok());
    let count = match start.first_chunk::<4>() {
        Some([0x5C, 1, 0, 0]) => dimensions.map(u16::from_le_bytes),
        Some([0, 0, 1, 0x5C]) => dimensions.map(u16::from_be_bytes),
        _ => None,
    };
    count.is_some_and(|count| (1..=7).contains(&count))
}
