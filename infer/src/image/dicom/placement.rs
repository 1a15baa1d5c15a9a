//! Placement of an image by ITK's DICOM reader, GDCM.
//!
//! The element with the pixel size is chosen by the SOP class, not by the elements present: gdcm::ImageHelper and
//! itk::GDCMImageIO of ITK 5.4. `tests/expectations` holds their results for files of every class.

use dicom_core::Tag;

use super::elements::{Elements, Value, tag};
use crate::{ItkGeometry, Placement, Unplaced};

type Vector = [f64; 3];

/// ITK's default where a file states no size.
const ASSUMED_MM: f64 = 1.0;
/// GDCM's default orientation where a file has no valid one.
const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
const NUCLEAR_MEDICINE: &str = "20";
const RT_DOSE: &str = "481.2";
const OPHTHALMIC_TOMOGRAPHY: &str = "77.1.5.4";

/// GDCM's source of the pixel size.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// An element of the image, with Spacing Between Slices for the third dimension.
    Slice(Tag),
    /// An element of the image; the slice is of 1 mm.
    Picture(Tag),
    /// Pixel Spacing, else Nominal Scanned Pixel Spacing; as [`Self::Slice`].
    SecondaryCapture,
    /// Pixel Spacing read by ITK itself: zeros are not replaced.
    PixelSpacingOfItk,
    /// The functional groups of multi-frame objects, with the placement of the frame.
    Groups,
    /// The default.
    Assumed,
}

/// The source of a class, given as the part of its UID after [`STORAGE`], or its whole UID; `None` for classes that are not
/// images for GDCM.
fn source(class: &str) -> Option<Source> {
    Some(match class {
        // CR, digital X-ray, mammography, intra-oral, angiography, fluoroscopy.
        "1" | "1.1" | "1.1.1" | "1.2" | "1.2.1" | "1.3" | "1.3.1" | "12.1" | "12.2" | "12.3" => {
            Source::Slice(tag::IMAGER_PIXEL_SPACING)
        }
        // Mammography CR of Fuji.
        "1.2.392.200036.9125.1.1.4" => Source::Picture(tag::IMAGER_PIXEL_SPACING),
        // CT, MR (of GE, too), ultrasound volumes, nuclear medicine, PET, RT dose.
        "2" | "4" | "6.2" | NUCLEAR_MEDICINE | "128" | RT_DOSE | "1.2.840.113619.4.2" => {
            Source::Slice(tag::PIXEL_SPACING)
        }
        // Microscopy, photography, MR of Philips.
        "77.1.2" | "77.1.4" | "1.3.46.670589.5.0.10" => Source::Picture(tag::PIXEL_SPACING),
        "481.1" => Source::Slice(tag::IMAGE_PLANE_PIXEL_SPACING),
        "7" => Source::SecondaryCapture,
        // Hard copies in colour.
        "1.2.840.10008.5.1.1.30" => Source::Picture(tag::NOMINAL_SCANNED_PIXEL_SPACING),
        // Ultrasound, video endoscopy, grey hard copies, models of GE and Philips.
        "3"
        | "3.1"
        | "6"
        | "6.1"
        | "77.1.1.1"
        | "1.2.840.10008.5.1.1.29"
        | "1.2.840.113619.4.26"
        | "1.2.840.113543.6.6.1.3.10002" => Source::PixelSpacingOfItk,
        // Enhanced CT and MR, multi-frame secondary capture, 3D X-ray, breast tomosynthesis and projections, intravascular OCT,
        // segmentations, PET.
        "2.1"
        | "2.2"
        | "4.1"
        | "4.3"
        | "4.4"
        | "7.1"
        | "7.2"
        | "7.3"
        | "7.4"
        | "13.1.1"
        | "13.1.2"
        | "13.1.3"
        | "13.1.4"
        | "13.1.5"
        | "14.1"
        | "14.2"
        | "66.4"
        | OPHTHALMIC_TOMOGRAPHY
        | "128.1"
        | "130" => Source::Groups,
        // Older nuclear medicine, enhanced XA, endoscopy, videos, ophthalmic photography, whole slides, CR of Fuji.
        "5"
        | "12.1.1"
        | "77.1.1"
        | "77.1.2.1"
        | "77.1.4.1"
        | "77.1.5.1"
        | "77.1.5.2"
        | "77.1.6"
        | "1.2.392.200036.9125.1.1.2" => Source::Assumed,
        _ => return None,
    })
}

fn class_of_uid(uid: &str) -> &str {
    uid.strip_prefix(STORAGE).unwrap_or(uid)
}

/// GDCM's class of a file without a SOP class, by its modality.
fn class_of_modality(modality: &str) -> &'static str {
    match modality {
        "CR" => "1",
        "DX" => "1.1",
        "MG" => "1.2.1",
        "XA" => "12.1",
        "RF" => "12.2",
        "CT" => "2",
        "MR" => "4",
        "US" => "6.1",
        "NM" => NUCLEAR_MEDICINE,
        "PT" => "128",
        "RTIMAGE" => "481.1",
        _ => "7",
    }
}

/// ITK's placement of the image.
pub(super) fn placement(elements: &Elements<'_>) -> Placement {
    let modality = || class_of_modality(elements.get(tag::MODALITY).map_or("", |value| value.text()));
    let class = elements.sop_class().map_or_else(modality, class_of_uid);
    // A file of unknown class is read if the meta group names a known one.
    let of_meta = || elements.storage().and_then(|uid| source(class_of_uid(uid))).map(|_| Source::Assumed);
    let source = source(class).or_else(of_meta);
    let source = source.ok_or(Unplaced::Unreadable("DICOM of a SOP class that GDCM does not know"))?;
    let [x, y, normal] = axes(orientation(elements, class, source)?);
    let direction = [0, 1, 2].map(|row| [x[row], y[row], normal[row]]);
    let (x_mm, y_mm) = pixel_size(elements, source)?;
    let spacing = [x_mm, y_mm, thickness(elements, class, source)?];
    ItkGeometry::new(origin(elements, class, source)?, spacing, direction)
}

/// Pixel size in millimetres across and down.
fn pixel_size(elements: &Elements<'_>, source: Source) -> Result<(f64, f64), Unplaced> {
    let stated = |tag| elements.get(tag).map(|value| (tag, value));
    let (tag, value) = match source {
        Source::Slice(tag) | Source::Picture(tag) => (tag, elements.get(tag)),
        Source::PixelSpacingOfItk => (tag::PIXEL_SPACING, elements.get(tag::PIXEL_SPACING)),
        Source::SecondaryCapture => {
            let found = stated(tag::PIXEL_SPACING).or_else(|| stated(tag::NOMINAL_SCANNED_PIXEL_SPACING));
            found.map_or((tag::PIXEL_SPACING, None), |(tag, value)| (tag, Some(value)))
        }
        Source::Groups => (tag::PIXEL_SPACING, measures(elements)?),
        Source::Assumed => return Ok((ASSUMED_MM, ASSUMED_MM)),
    };
    let Some(numbers) = value.map(|value| numbers(value, tag)).transpose()?.flatten() else {
        return Ok((ASSUMED_MM, ASSUMED_MM));
    };
    let replaces_zeros = !matches!(source, Source::PixelSpacingOfItk | Source::Groups);
    let size = |mm: f64| if mm == 0.0 && replaces_zeros { ASSUMED_MM } else { mm };
    match *numbers.as_slice() {
        // The row spacing comes first.
        [down, across, ..] => Ok((size(across), size(down))),
        [both] if replaces_zeros => Ok((size(both), size(both))),
        _ => Err(Unplaced::NotNumbers(tag::name(tag))),
    }
}

/// Pixel Spacing of the functional groups, which GDCM uses if the frame has a group.
fn measures<'a>(elements: &Elements<'a>) -> Result<Option<Value<'a>>, Unplaced> {
    let Some(spacing) = in_groups(elements, tag::PIXEL_MEASURES, tag::PIXEL_SPACING) else { return Ok(None) };
    let in_group = in_groups(elements, tag::PLANE_ORIENTATION, tag::IMAGE_ORIENTATION);
    if in_group.is_none() && of_image(elements)?.is_none() {
        return Err(Unplaced::Unreadable("DICOM whose functional groups have no orientation"));
    }
    match elements.items(tag::PER_FRAME_GROUPS) {
        None | Some(0) => Ok(None),
        Some(1) => Ok(Some(spacing)),
        Some(_) => Err(Unplaced::Unreadable("DICOM of one frame with the functional groups of several")),
    }
}

/// The slice thickness.
fn thickness(elements: &Elements<'_>, class: &str, source: Source) -> Result<f64, Unplaced> {
    let (tag, value) = match source {
        _ if class == RT_DOSE => (tag::GRID_FRAME_OFFSETS, elements.get(tag::GRID_FRAME_OFFSETS)),
        Source::Slice(_) | Source::SecondaryCapture => {
            (tag::SPACING_BETWEEN_SLICES, elements.get(tag::SPACING_BETWEEN_SLICES))
        }
        Source::Groups if measures(elements)?.is_some() => {
            let tag = tag::SPACING_BETWEEN_SLICES;
            (tag, elements.nested(tag::SHARED_GROUPS, tag::PIXEL_MEASURES, tag))
        }
        _ => return Ok(ASSUMED_MM),
    };
    let Some(numbers) = value.map(|value| numbers(value, tag)).transpose()?.flatten() else {
        return Ok(ASSUMED_MM);
    };
    match *numbers.as_slice() {
        [first, second, ..] if class == RT_DOSE => Ok(second - first),
        [mm, ..] if class != RT_DOSE => Ok(mm),
        _ => Err(Unplaced::NotNumbers(tag::name(tag))),
    }
}

/// The centre of the first pixel.
fn origin(elements: &Elements<'_>, class: &str, source: Source) -> Result<Vector, Unplaced> {
    let value = match source {
        Source::Groups => in_groups(elements, tag::PLANE_POSITION, tag::IMAGE_POSITION),
        _ if class == NUCLEAR_MEDICINE => {
            let position = of_detector(elements, tag::IMAGE_POSITION);
            if position.is_none() && elements.items(tag::DETECTOR_INFORMATION) > Some(0) {
                return Err(Unplaced::Unreadable("DICOM of a detector without position"));
            }
            position
        }
        _ => elements.get(tag::IMAGE_POSITION),
    };
    let Some(value) = value else { return Ok([0.0; 3]) };
    match numbers(value, tag::IMAGE_POSITION)?.as_deref() {
        None => Ok([0.0; 3]),
        Some(&[x, y, z, ..]) => Ok([x, y, z]),
        Some(_) => Err(Unplaced::NotNumbers(tag::name(tag::IMAGE_POSITION))),
    }
}

/// The directions of a row and of a column.
fn orientation(elements: &Elements<'_>, class: &str, source: Source) -> Result<[f64; 6], Unplaced> {
    if source == Source::Groups && class != OPHTHALMIC_TOMOGRAPHY {
        // Not checked, unlike that of the image, which has to be valid.
        if let Some(value) = in_groups(elements, tag::PLANE_ORIENTATION, tag::IMAGE_ORIENTATION) {
            return cosines(value);
        }
    }
    let found = if class == NUCLEAR_MEDICINE && elements.items(tag::DETECTOR_INFORMATION) > Some(0) {
        sound(of_detector(elements, tag::IMAGE_ORIENTATION))
    } else {
        of_image(elements)
    };
    Ok(found?.unwrap_or(AXIAL))
}

/// The orientation of the image, if it is valid.
fn of_image(elements: &Elements<'_>) -> Result<Option<[f64; 6]>, Unplaced> {
    sound(elements.get(tag::IMAGE_ORIENTATION))
}

/// Directions that are orthogonal unit vectors, or become such by normalisation.
fn sound(value: Option<Value<'_>>) -> Result<Option<[f64; 6]>, Unplaced> {
    let Some(mut cosines) = value.map(cosines).transpose()? else { return Ok(None) };
    if !are_unit_and_orthogonal(&cosines) {
        let (row, column) = cosines.split_at_mut(3);
        for vector in [row, column] {
            let length = vector.iter().map(|part| part * part).sum::<f64>().sqrt();
            if length != 0.0 {
                vector.iter_mut().for_each(|part| *part /= length);
            }
        }
    }
    Ok(are_unit_and_orthogonal(&cosines).then_some(cosines))
}

fn cosines(value: Value<'_>) -> Result<[f64; 6], Unplaced> {
    let Some(numbers) = numbers(value, tag::IMAGE_ORIENTATION)? else { return Ok(AXIAL) };
    let first = numbers.first_chunk::<6>().copied();
    first.ok_or(Unplaced::NotNumbers(tag::name(tag::IMAGE_ORIENTATION)))
}

/// GDCM's test.
fn are_unit_and_orthogonal(&[a, b, c, d, e, f]: &[f64; 6]) -> bool {
    let near = |number: f64, other: f64| (number - other).abs() < 1e-3;
    near(a * a + b * b + c * c, 1.0) && near(d * d + e * e + f * f, 1.0) && near(a * d + b * e + c * f, 0.0)
}

/// The directions of x, y and the normal, orthogonalised as by ITK; zeros where the two given are parallel.
fn axes([a, b, c, d, e, f]: [f64; 6]) -> [Vector; 3] {
    let column = [d, e, f];
    let normal = unit(cross([a, b, c], column));
    let row = unit(cross(column, normal));
    [row, cross(normal, row), normal]
}

fn cross([a, b, c]: Vector, [d, e, f]: Vector) -> Vector {
    [b * f - c * e, c * d - a * f, a * e - b * d]
}

fn unit(vector: Vector) -> Vector {
    let length = vector.iter().map(|part| part * part).sum::<f64>().sqrt();
    if length == 0.0 { vector } else { vector.map(|part| part / length) }
}

/// An element of a functional group: of the shared one, else of the frame's.
fn in_groups<'a>(elements: &Elements<'a>, group: Tag, tag: Tag) -> Option<Value<'a>> {
    let of = |groups| elements.nested(groups, group, tag);
    of(tag::SHARED_GROUPS).or_else(|| of(tag::PER_FRAME_GROUPS))
}

/// An element of the first detector of a gamma camera.
fn of_detector<'a>(elements: &Elements<'a>, tag: Tag) -> Option<Value<'a>> {
    elements.nested(tag::DETECTOR_INFORMATION, tag::DETECTOR_INFORMATION, tag)
}

/// The numbers of an element; `None` if it is empty.
fn numbers(value: Value<'_>, tag: Tag) -> Result<Option<Vec<f64>>, Unplaced> {
    let wrong = Unplaced::NotNumbers(tag::name(tag));
    let texts = value.texts().ok_or(wrong)?;
    if texts.as_slice() == [""] {
        return Ok(None);
    }
    let number = |text: &&str| text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(wrong);
    texts.iter().map(number).collect::<Result<_, _>>().map(Some)
}
