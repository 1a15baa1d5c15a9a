//! Views of images.

use infomark_core::{Plane, PlaneError, PlaneMut, Point};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_crop_shows_the_same_pixels(
        w in 0usize..9, h in 0usize..9, gap in 0usize..4, x in 0usize..10, y in 0usize..10, cw in 0usize..10, ch in 0usize..10,
    ) {
        let data: Vec<usize> = (0..(w + gap) * h).collect();
        let plane = Plane::with_stride(&data, w, h, w + gap).expect("made to fit");
        let inside = x + cw <= w && y + ch <= h;
        match plane.crop(x, y, cw, ch) {
            Err(error) => {
                prop_assert!(!inside);
                let is_crop = matches!(error, PlaneError::Crop { .. });
                prop_assert!(is_crop);
            }
            Ok(part) => {
                prop_assert!(inside);
                prop_assert_eq!((part.width(), part.height()), (cw, ch));
                prop_assert_eq!(part.rows().len(), ch);
                for row in 0..ch {
                    for column in 0..cw {
                        prop_assert_eq!(part.get(column, row), Some((y + row) * (w + gap) + x + column));
                        prop_assert_eq!(part.row(row)[column], (y + row) * (w + gap) + x + column);
                    }
                }
                prop_assert_eq!(part.get(cw, 0), None);
                prop_assert_eq!(part.get(0, ch), None);
            }
        }
    }

    #[test]
    fn writing_a_crop_leaves_the_rest_alone(
        w in 1usize..9, h in 1usize..9, gap in 0usize..4, x in 0usize..9, y in 0usize..9,
    ) {
        let (x, y) = (x.min(w), y.min(h));
        let mut data = vec![0u8; (w + gap) * h];
        let mut plane = PlaneMut::with_stride(&mut data, w, h, w + gap).expect("made to fit");
        plane.reborrow().crop(x, y, w - x, h - y).expect("inside").fill(1);
        for (i, &v) in data.iter().enumerate() {
            let (column, row) = (i % (w + gap), i / (w + gap));
            prop_assert_eq!(v == 1, column >= x && column < w && row >= y);
        }
    }

    #[test]
    fn resizing_a_point_there_and_back_changes_nothing(x in -9.0f64..99.0, y in -9.0f64..99.0, a in 0.1f64..9.0, b in 0.1f64..9.0) {
        let p = Point::new(x, y).resized(a, b).resized(1.0 / a, 1.0 / b);
        prop_assert!((p.x - x).abs() < 1e-10 && (p.y - y).abs() < 1e-10);
    }

    #[test]
    fn resizing_keeps_the_corners_of_the_image(w in 1usize..99, h in 1usize..99, to_w in 1usize..99, to_h in 1usize..99) {
        let (sx, sy) = (to_w as f64 / w as f64, to_h as f64 / h as f64);
        let corner = Point::new(w as f64 - 0.5, h as f64 - 0.5).resized(sx, sy);
        prop_assert!((corner.x - (to_w as f64 - 0.5)).abs() < 1e-9);
        prop_assert!((corner.y - (to_h as f64 - 0.5)).abs() < 1e-9);
        prop_assert_eq!(Point::new(-0.5, -0.5).resized(sx, sy), Point::new(-0.5, -0.5));
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let data = [0u8; 10];
    assert!(matches!(Plane::new(&data, 3, 3), Err(PlaneError::Length { needed: 9, len: 10, .. })));
    assert!(matches!(Plane::new(&data, 4, 3), Err(PlaneError::Length { needed: 12, .. })));
    assert!(matches!(Plane::with_stride(&data, 4, 2, 3), Err(PlaneError::Stride { .. })));
    assert!(matches!(Plane::with_stride(&data, 3, 3, 4), Err(PlaneError::Length { needed: 11, .. })));
    assert!(Plane::with_stride(&data, 2, 3, 4).is_ok(), "the last row needs no padding");
    assert!(matches!(Plane::new(&data, usize::MAX, 2), Err(PlaneError::TooLarge { .. })));
    let huge = Plane::with_stride(&data, 1, usize::MAX, usize::MAX);
    assert!(matches!(huge, Err(PlaneError::TooLarge { .. })));
    let mut data = data;
    assert!(matches!(PlaneMut::new(&mut data, 3, 3), Err(PlaneError::Length { .. })));
    assert!(matches!(PlaneMut::with_stride(&mut data, 4, 2, 3), Err(PlaneError::Stride { .. })));
}

#[test]
fn an_empty_plane_has_no_pixels() {
    for (w, h) in [(0, 0), (usize::MAX, 0), (0, usize::MAX)] {
        let plane = Plane::<u8>::new(&[], w, h).expect("empty");
        assert!(plane.is_empty());
        assert_eq!(plane.get(0, 0), None);
    }
    assert_eq!(Plane::<u8>::new(&[], 0, 3).expect("empty").rows().flatten().count(), 0);
    let gap = Plane::<u8>::with_stride(&[], usize::MAX, 0, usize::MAX).expect("empty");
    assert!(gap.crop(usize::MAX, 0, 0, 0).expect("inside").is_empty());
}

#[test]
fn messages_name_the_numbers() {
    let error = Plane::new(&[0u8; 10], 4, 3).expect_err("too short");
    assert_eq!(error, PlaneError::Length { len: 10, needed: 12, width: 4, height: 3, stride: 4 });
    let message = error.to_string();
    let numbers: Vec<&str> = message.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).collect();
    for number in ["10", "12", "4", "3"] {
        assert!(numbers.contains(&number), "{message}");
    }
}
