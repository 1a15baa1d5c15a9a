//! Arrays as planes and points of the core.

use infomark_core::{Plane, PlaneMut, Point, Real};
use infomark_infer::{Image, Located};
use numpy::ndarray::Array2;
use numpy::{
    AsSliceError, Element, IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2, PyReadwriteArray2,
    PyUntypedArrayMethods,
};
use pyo3::{Bound, PyErr, PyResult, Python};

use crate::error::{raise, refuse};

/// Error of a non-contiguous array, which the Python side avoids for inputs.
pub(crate) fn layout(_: AsSliceError) -> PyErr {
    refuse("an array is not C-contiguous: pass numpy.ascontiguousarray of it")
}

/// Rejects an array in Fortran order, which also comes as a slice, but column by column.
pub(crate) fn row_by_row(is_c_contiguous: bool) -> PyResult<()> {
    if is_c_contiguous { Ok(()) } else { Err(layout(AsSliceError)) }
}

/// An image `(height, width)`, without a copy.
pub(crate) fn plane<'a, T: Element>(array: &'a PyReadonlyArray2<'_, T>) -> PyResult<Plane<'a, T>> {
    let &[height, width] = array.shape() else { return Err(refuse("an image needs two dimensions")) };
    row_by_row(array.is_c_contiguous())?;
    Plane::new(array.as_slice().map_err(layout)?, width, height).map_err(raise)
}

/// An output `(height, width)`, in place.
pub(crate) fn plane_mut<'a, T: Element>(
    array: &'a mut PyReadwriteArray2<'_, T>,
) -> PyResult<PlaneMut<'a, T>> {
    let &[height, width] = array.shape() else { return Err(refuse("an image needs two dimensions")) };
    row_by_row(array.is_c_contiguous())?;
    PlaneMut::new(array.as_slice_mut().map_err(layout)?, width, height).map_err(raise)
}

/// Rows of `(x, y)`.
pub(crate) fn points<T: Element + Real>(array: &PyReadonlyArray2<'_, T>) -> PyResult<Vec<Point<T>>> {
    row_by_row(array.is_c_contiguous())?;
    let (pairs, rest) = array.as_slice().map_err(layout)?.as_chunks();
    match (array.shape(), rest) {
        (&[_, 2], []) => Ok(pairs.iter().map(|&[x, y]| Point::new(x, y)).collect()),
        (shape, _) => Err(refuse(format!("points of shape {shape:?}: (N, 2) is needed, a row of x, y each"))),
    }
}

/// Points as rows of `(x, y)`.
pub(crate) fn rows<'py, T: Element + Copy>(
    py: Python<'py>,
    points: impl IntoIterator<Item = Point<T>>,
) -> PyResult<Bound<'py, PyArray2<T>>> {
    let flat: Vec<T> = points.into_iter().flat_map(|at| [at.x, at.y]).collect();
    matrix(py, flat.len() / 2, 2, flat)
}

/// A matrix from its elements, row by row, without a copy.
pub(crate) fn matrix<T: Element>(
    py: Python<'_>,
    height: usize,
    width: usize,
    data: Vec<T>,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    Ok(Array2::from_shape_vec((height, width), data).map_err(raise)?.into_pyarray(py))
}

/// Names, points and probabilities.
pub(crate) type Place<'py> = (Vec<String>, Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>);

pub(crate) fn places<'py>(py: Python<'py>, located: &[Located]) -> PyResult<Place<'py>> {
    let probabilities: Vec<f64> = located.iter().map(|located| located.probability).collect();
    Ok((
        located.iter().map(|located| located.name.clone()).collect(),
        rows(py, located.iter().map(|located| located.at))?,
        probabilities.into_pyarray(py),
    ))
}

/// An image from pixels in `[0, 1]`.
pub(crate) fn image(name: &str, pixels: &PyReadonlyArray2<'_, f32>) -> PyResult<Image> {
    let pixels: Plane<'_, f32> = plane(pixels)?;
    Image::new(name, pixels.width(), pixels.height(), pixels.data().to_vec()).map_err(raise)
}
