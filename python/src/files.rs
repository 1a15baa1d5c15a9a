//! Images, landmark files, data sets.

use std::ffi::CString;
use std::path::PathBuf;

use infomark_core::{Point, Spacing};
use infomark_infer::{
    Annotated, CocoIndex, DataSet, Image, ImageContext, InputSize, ItkGeometry, Landmark, LandmarkFormat,
    Letterbox, Normalisation, PixelSpacing, Placement, Visibility, WriteOptions, read_image_header,
    read_landmarks_of, write_landmarks_as,
};
use infomark_phantom::Phantom;
use numpy::{PyArray2, PyReadonlyArray2};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;

use crate::array::{matrix, plane, points, rows};
use crate::error::{raise, refuse};
use crate::source::Source;

/// Pixels in `[0, 1]`, and the pixel spacing in mm, if the file states it.
type Read<'py> = (Bound<'py, PyArray2<f32>>, Option<(f64, f64)>);

/// Reads an image.
#[pyfunction]
pub(crate) fn read_image(py: Python<'_>, image: Source) -> PyResult<Read<'_>> {
    let image = py.detach(|| image.read())?;
    let spacing = image.spacing().map(|spacing| (spacing.mm.x, spacing.mm.y));
    Ok((matrix(py, image.height(), image.width(), image.into_pixels())?, spacing))
}

/// The image files of a folder, sorted by name; a warning counts the DICOM files without an image.
#[pyfunction]
pub(crate) fn list_images(py: Python<'_>, folder: PathBuf) -> PyResult<Vec<PathBuf>> {
    let listing = infomark_infer::list_folder(folder).map_err(raise)?;
    if let Some(warning) = listing.warning() {
        let message = CString::new(warning)?;
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1)?;
    }
    Ok(listing.images)
}

/// Rescales 16-bit pixels as files of that depth.
#[pyfunction]
pub(crate) fn stretch<'py>(
    py: Python<'py>,
    pixels: PyReadonlyArray2<'py, u16>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let pixels = plane(&pixels)?;
    let values = pixels.data().iter().map(|&value| f32::from(value)).collect();
    let image = Image::stretched("array", pixels.width(), pixels.height(), values).map_err(raise)?;
    matrix(py, pixels.height(), pixels.width(), image.into_pixels())
}

/// Letterboxes an image to the model input.
#[pyfunction]
pub(crate) fn lay_on<'py>(
    py: Python<'py>,
    image: Source,
    width: usize,
    height: usize,
    local_contrast: bool,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let image = py.detach(|| image.read())?;
    let how = if local_contrast { Normalisation::LOCAL_CONTRAST } else { Normalisation::UnitRange };
    let laid = py.detach(|| {
        let input = InputSize::new(width, height)?;
        Letterbox::new(image.width(), image.height(), input)?.apply(&image, how)
    });
    matrix(py, height, width, laid.map_err(raise)?)
}

/// Names and points of an image.
type Named<'py> = (Vec<String>, Bound<'py, PyArray2<f64>>);

fn named<'py>(py: Python<'py>, landmarks: &[Landmark]) -> PyResult<Named<'py>> {
    let names = landmarks.iter().map(|landmark| landmark.name.clone()).collect();
    Ok((names, rows(py, landmarks.iter().map(|landmark| landmark.at))?))
}

/// Landmarks with their names.
pub(crate) fn landmarks(names: Vec<String>, at: &PyReadonlyArray2<'_, f64>) -> PyResult<Vec<Landmark>> {
    let points = points(at)?;
    if names.len() != points.len() {
        return Err(refuse(format!("{} names for {} points", names.len(), points.len())));
    }
    Ok(names.into_iter().zip(points).map(|(name, at)| Landmark::new(name, at)).collect())
}

/// Pixel size and placement in 3D Slicer: those of a file, or of a picture with a given pixel size.
fn placed(
    file: Option<&PathBuf>,
    spacing: Option<(f64, f64)>,
) -> PyResult<(Option<PixelSpacing>, Option<Placement>)> {
    let header = file.map(read_image_header).transpose().map_err(raise)?;
    let (mut known, mut placement) = match header {
        Some(header) => (header.spacing, Some(header.placement)),
        None => (None, None),
    };
    if let Some((x, y)) = spacing {
        known = Some(PixelSpacing::given(Spacing::new(x, y).map_err(raise)?));
        placement = placement.or_else(|| Some(ItkGeometry::of_picture(x, y)));
    }
    Ok((known, placement))
}

/// Landmarks of an image: names and points, names of the occluded and of the absent ones.
type Marks<'py> = (Named<'py>, Vec<String>, Vec<String>);

/// The COCO file that defines the ids of COCO results.
fn index(path: Option<PathBuf>) -> PyResult<Option<CocoIndex>> {
    path.map(CocoIndex::read).transpose().map_err(raise)
}

/// Reads a landmark file of any format.
#[pyfunction]
pub(crate) fn read_landmarks(
    py: Python<'_>,
    path: PathBuf,
    image: Option<String>,
    file: Option<PathBuf>,
    spacing: Option<(f64, f64)>,
    names: Vec<String>,
    coco: Option<PathBuf>,
) -> PyResult<Vec<(String, Marks<'_>)>> {
    let coco = index(coco)?;
    let (_, placement) = placed(file.as_ref(), spacing)?;
    let subject = ImageContext { image: image.as_deref(), placement, names: &names, coco: coco.as_ref() };
    let file = py.detach(|| read_landmarks_of(path, &subject)).map_err(raise)?;
    let marks = |(image, landmarks): (&str, &[Landmark])| {
        let is_occluded = |landmark: &&Landmark| landmark.visibility == Visibility::Occluded;
        let occluded = landmarks.iter().filter(is_occluded).map(|landmark| landmark.name.clone()).collect();
        Ok((image.to_owned(), (named(py, landmarks)?, occluded, file.absent(image).to_vec())))
    };
    file.images().map(marks).collect()
}

/// An image of a landmark file: its name, width and height, names and points, names of the occluded and of the absent ones.
type Written<'py> =
    (String, (usize, usize), Vec<String>, PyReadonlyArray2<'py, f64>, Vec<String>, Vec<String>);

/// Writes a landmark file.
#[pyfunction]
pub(crate) fn write_landmarks(
    path: PathBuf,
    format: &str,
    images: Vec<Written<'_>>,
    file: Option<PathBuf>,
    spacing: Option<(f64, f64)>,
    names: Vec<String>,
    coco: Option<PathBuf>,
) -> PyResult<()> {
    let format = LandmarkFormat::of_key(format).ok_or_else(|| {
        let keys = LandmarkFormat::ALL.map(LandmarkFormat::key);
        refuse(format!("format {format:?}: one of {} is possible", keys.join(", ")))
    })?;
    let (spacing, placement) = placed(file.as_ref(), spacing)?;
    let coco = index(coco)?;
    let marks = |(_, _, names, at, occluded, _): &Written<'_>| {
        let mut marks = landmarks(names.clone(), at)?;
        for landmark in &mut marks {
            if occluded.contains(&landmark.name) {
                landmark.visibility = Visibility::Occluded;
            }
        }
        PyResult::Ok(marks)
    };
    let marks = images.iter().map(marks).collect::<PyResult<Vec<_>>>()?;
    let annotated: Vec<_> = images
        .iter()
        .zip(&marks)
        .map(|((image, size, .., absent), landmarks)| Annotated {
            image,
            size: *size,
            spacing: spacing.as_ref(),
            placement,
            landmarks,
            absent,
        })
        .collect();
    let options = WriteOptions { names: &names, coco: coco.as_ref() };
    write_landmarks_as(path, format, &annotated, &options).map_err(raise)
}

/// Name, spacing, landmarks, images, and the points of each, NaN where missing.
type Folder<'py> = (String, (f64, f64), Vec<String>, Vec<PathBuf>, Vec<Bound<'py, PyArray2<f64>>>);

/// Value in arrays of a missing point.
const NOWHERE: Point<f64> = Point { x: f64::NAN, y: f64::NAN };

/// Opens a data set.
#[pyfunction]
pub(crate) fn dataset(py: Python<'_>, folder: PathBuf) -> PyResult<Folder<'_>> {
    let data = py.detach(|| DataSet::open(folder)).map_err(raise)?;
    for warning in data.warnings() {
        let warning = std::ffi::CString::new(warning).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &warning, 1)?;
    }
    let points =
        data.images.iter().map(|sample| rows(py, sample.landmarks.iter().map(|at| at.unwrap_or(NOWHERE))));
    let points = points.collect::<PyResult<_>>()?;
    let paths = data.images.into_iter().map(|sample| sample.path).collect();
    Ok((data.name, (data.spacing.x, data.spacing.y), data.landmarks, paths, points))
}

/// A synthetic radiograph: its pixels and its landmarks.
#[pyfunction]
pub(crate) fn phantom(
    py: Python<'_>,
    width: usize,
    height: usize,
    seed: u64,
    index: u64,
) -> PyResult<(Bound<'_, PyArray2<u8>>, Named<'_>)> {
    let image = Phantom::new(width, height).map_err(raise)?.image(seed, index);
    let names = image.landmarks.iter().map(|(name, _)| (*name).to_owned()).collect();
    let points = rows(py, image.landmarks.iter().map(|(_, at)| *at))?;
    Ok((matrix(py, image.height, image.width, image.pixels)?, (names, points)))
}
