//! What computes on planes allocates nothing, whether it does what it says or fails.
#![allow(unsafe_code)] // A global allocator, and the C interface.
#![allow(clippy::undocumented_unsafe_blocks, reason = "every call gives arrays as long as it says")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null;

use infomark_c::infomark_status::{INFOMARK_ARGUMENT, INFOMARK_NULL, INFOMARK_OK, INFOMARK_OVERLAP};
use infomark_c::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the terms of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the terms of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(of: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    of();
    ALLOCATIONS.get() - before
}

const W: usize = 24;
const H: usize = 20;
const N: usize = W * H;

fn read<T>(data: &[T], pixel: infomark_pixel) -> infomark_plane {
    let stride_bytes = W * size_of::<T>();
    infomark_plane { data: data.as_ptr().cast(), width: W, height: H, stride_bytes, pixel }
}

fn write<T>(data: &mut [T], pixel: infomark_pixel) -> infomark_plane_mut {
    let stride_bytes = W * size_of::<T>();
    infomark_plane_mut { data: data.as_mut_ptr().cast(), width: W, height: H, stride_bytes, pixel }
}

#[test]
fn a_planted_allocation_is_seen() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1u8]))), 1);
}

#[test]
fn nothing_that_computes_on_planes_allocates() {
    let bytes: Vec<u8> = (0..N).map(|i| (i * i * 31 % 251) as u8).collect();
    let mask: Vec<u8> = (0..N).map(|i| (i % 3 > 0) as u8).collect();
    let image = read(&bytes, INFOMARK_U8);
    let mask = read(&mask, INFOMARK_U8);
    let (mut levels, mut entropy, mut weights) = (vec![0u8; N], vec![0f32; N], vec![0f32; N]);
    let to_levels = write(&mut levels, INFOMARK_U8);
    let to_entropy = write(&mut entropy, INFOMARK_F32);
    let of_entropy = read(&entropy, INFOMARK_F32);
    let to_weights = write(&mut weights, INFOMARK_F32);
    let of_weights = read(&weights, INFOMARK_F32);
    let mut len = 0;
    assert_eq!(unsafe { infomark_entropy_scratch_len(null(), W, H, &mut len) }, INFOMARK_OK);
    let mut counts = vec![0u64; len];
    assert_eq!(unsafe { infomark_local_contrast_scratch_len(null(), W, H, &mut len) }, INFOMARK_OK);
    let mut floats = vec![0f32; len];
    let mut pairs = vec![0u32; infomark_joint_entropy_scratch_len(W, H)];
    let (mut cumulative, mut columns, mut rows) = (vec![0f64; N], [0u32; 9], [0u32; 9]);
    let errors = [1.0, 2.0, 3.0, 4.0];
    let mut resamples = vec![0.0; 50];
    let mut points = [infomark_point { x: 3.0, y: 4.0 }; 2];
    let (mut map, mut joint) = (infomark_affine::default(), infomark_joint_entropy::default());
    let (mut thresholds, mut interval) = (infomark_thresholds::default(), infomark_interval::default());
    let mut number = 0.0;
    let mut done = [None; 25];
    let mut at = 0;
    let mut note = |status, wanted| {
        done[at] = (status != wanted).then_some(at);
        at += 1;
    };
    let seen = allocations(|| unsafe {
        let (counts, count) = (counts.as_mut_ptr(), counts.len());
        let (floats, float) = (floats.as_mut_ptr(), floats.len());
        note(infomark_to_levels(&image, 5, 200, &to_levels), INFOMARK_OK);
        note(infomark_entropy_map(&image, null(), null(), &to_entropy, counts, count), INFOMARK_OK);
        note(infomark_entropy_map(&image, &mask, null(), &to_entropy, counts, count), INFOMARK_OK);
        note(infomark_thresholds_of(&of_entropy, 0.3, 0.7, &mut thresholds, floats, float), INFOMARK_OK);
        note(infomark_tier_map(&of_entropy, &thresholds, &to_levels), INFOMARK_OK);
        note(infomark_weight_map(&of_entropy, INFOMARK_WEIGHT_POWER, 0.3, &to_weights), INFOMARK_OK);
        let (x, y) = (columns.as_mut_ptr(), rows.as_mut_ptr());
        note(infomark_draw_pixels(&of_weights, 1, 0, 9, x, y, cumulative.as_mut_ptr(), N), INFOMARK_OK);
        let pair = pairs.len();
        note(infomark_joint_entropy_of(&image, &mask, &mut joint, pairs.as_mut_ptr(), pair), INFOMARK_OK);
        note(infomark_local_contrast(&of_entropy, null(), &to_weights, floats, float), INFOMARK_OK);
        note(infomark_affine_around(points[0], 0.2, 1.1, W, H, &mut map), INFOMARK_OK);
        note(infomark_affine_then(&map, &map, &mut map), INFOMARK_OK);
        note(infomark_affine_inverse(&map, &mut map), INFOMARK_OK);
        note(infomark_affine_apply(&map, points.as_mut_ptr(), 2), INFOMARK_OK);
        let (how, border) = (INFOMARK_BICUBIC, INFOMARK_BORDER_MIRROR);
        note(infomark_view(&of_entropy, &map, how, border, 0.0, &to_weights), INFOMARK_OK);
        note(infomark_tone(&to_weights, 0.9, 1.1, 0.8), INFOMARK_OK);
        note(infomark_mean(errors.as_ptr(), 4, &mut number), INFOMARK_OK);
        note(infomark_sdr(errors.as_ptr(), 4, 2.0, &mut number), INFOMARK_OK);
        note(infomark_radial_error_mm(points[0], points[1], 0.1, 0.1, &mut number), INFOMARK_OK);
        let (errors, to) = (errors.as_ptr(), resamples.as_mut_ptr());
        note(infomark_bootstrap_interval(errors, 4, 2, 2.0, 0.9, 1, &mut interval, to, 50), INFOMARK_OK);
        // Failures, with their messages.
        note(infomark_entropy_map(&image, null(), null(), &to_entropy, counts, 3), INFOMARK_ARGUMENT);
        note(infomark_entropy_map(null(), null(), null(), &to_entropy, counts, count), INFOMARK_NULL);
        note(infomark_entropy_map(&image, &image, null(), &to_entropy, counts, count), INFOMARK_ARGUMENT);
        note(infomark_weight_map(&of_entropy, 0, 0.3, &to_entropy), INFOMARK_OVERLAP);
        note(infomark_weight_map(&of_entropy, 7, 0.3, &to_weights), INFOMARK_ARGUMENT);
        note(infomark_mean(errors, 0, &mut number), INFOMARK_ARGUMENT);
    });
    assert_eq!(done.iter().flatten().collect::<Vec<_>>(), [&0usize; 0], "calls with another status");
    assert_eq!(seen, 0);
}
