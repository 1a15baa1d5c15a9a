//! `ndarray` views as planes and back.

use infomark_core::{FeatureError, FeatureMap, Plane, PlaneError, PlaneMut};
use ndarray::{Array2, Array3, ArrayView2, Axis, s};

#[test]
fn rows_and_columns_keep_their_places() {
    let mut array = Array2::from_shape_fn((3, 5), |(y, x)| 10 * y + x);
    let plane = Plane::try_from(array.view()).unwrap();
    assert_eq!((plane.width(), plane.height(), plane.get(4, 2)), (5, 3, Some(24)));
    let mut plane = PlaneMut::try_from(array.view_mut()).unwrap();
    plane.set(1, 2, 77);
    assert_eq!(array[[2, 1]], 77);
}

#[test]
fn a_plane_with_a_stride_is_an_array_without_a_copy() {
    let data: Vec<u8> = (0..20).collect();
    let plane = Plane::with_stride(&data, 3, 4, 5).unwrap();
    let array = ArrayView2::try_from(plane).unwrap();
    assert_eq!(array.dim(), (4, 3));
    assert!(array.indexed_iter().all(|((y, x), &v)| usize::from(v) == 5 * y + x));
    assert_eq!(array.as_ptr(), data.as_ptr());
    let empty = ArrayView2::try_from(Plane::<u8>::new(&[], 0, 7).unwrap()).unwrap();
    assert_eq!(empty.dim(), (7, 0));
}

#[test]
fn other_layouts_are_refused() {
    let array = Array2::<u8>::zeros((4, 6));
    let layout = |width, height| Some(PlaneError::Layout { width, height });
    assert_eq!(Plane::try_from(array.t()).err(), layout(4, 6));
    assert_eq!(Plane::try_from(array.slice(s![.., 1..3])).err(), layout(2, 4));
    let mut turned = array.clone();
    turned.invert_axis(Axis(1));
    assert_eq!(PlaneMut::try_from(turned.view_mut()).err(), layout(6, 4));
}

#[test]
fn features_keep_the_order_channel_row_column() {
    let array = Array3::from_shape_fn((2, 3, 4), |(c, y, x)| (100 * c + 10 * y + x) as f32);
    let map = FeatureMap::from_array(array.view(), 8).unwrap();
    assert_eq!((map.channels(), map.width(), map.height(), map.stride()), (2, 4, 3, 8));
    assert_eq!(map.data()[map.cells() + 6], 112.0);
    let turned = FeatureMap::from_array(array.view().reversed_axes(), 8);
    assert!(matches!(turned, Err(FeatureError::Length { .. })));
}
