//! DICOM objects without an image, by SOP class (PS3.4, B.5; PS3.6, annex A).

/// An object of any other class.
pub(super) const NO_PIXEL_DATA: &str = "an object without pixel data";

/// Name of a class without an image.
pub(super) fn without_image(sop_class: &str) -> Option<&'static str> {
    let storage = sop_class.strip_prefix("1.2.840.10008.5.1.4.1.1.");
    Some(match (sop_class, storage) {
        ("1.2.840.10008.1.3.10", _) => "DICOMDIR, an index of other files",
        (_, Some("88.59")) => "Key Object Selection Document",
        (_, Some("88.67" | "88.68" | "88.73" | "88.74" | "88.75" | "88.76")) => {
            "Radiation Dose Structured Report"
        }
        (_, Some("88.50" | "88.65" | "88.69")) => "Computer-Aided Detection Structured Report",
        (_, Some(class)) if class.starts_with("88.") => "Structured Report",
        (_, Some(class)) if class.starts_with("11.") => "Presentation State",
        (_, Some("104.1")) => "Encapsulated PDF",
        (_, Some("104.2")) => "Encapsulated CDA document",
        (_, Some("104.3" | "104.4" | "104.5")) => "Encapsulated 3D model",
        (_, Some("481.3")) => "RT Structure Set",
        (_, Some("481.5" | "481.8")) => "RT Plan",
        (_, Some("481.4" | "481.6" | "481.7" | "481.9")) => "RT Treatment Record",
        (_, Some("66")) => "Raw Data",
        (_, Some("66.1" | "66.3")) => "Spatial Registration",
        (_, Some("66.2")) => "Spatial Fiducials",
        (_, Some("66.5")) => "Surface Segmentation",
        (_, Some("66.6")) => "Tractography Results",
        (_, Some("67")) => "Real World Value Mapping",
        (_, Some(class)) if class.starts_with("9.") => "Waveform",
        (_, Some(class)) if class.starts_with("78.") => "Ophthalmic Measurements",
        ("1.2.840.10008.5.1.4.38.1", _) => "Hanging Protocol",
        ("1.2.840.10008.5.1.4.39.1", _) => "Color Palette",
        ("1.2.840.10008.5.1.4.43.1" | "1.2.840.10008.5.1.4.44.1" | "1.2.840.10008.5.1.4.45.1", _) => {
            "Implant Template"
        }
        _ => return None,
    })
}
