//! Entropy maps are the core's to the bit.

use super::{Outcome, Setting, image, same_bits, with_gaps};
use infomark_core::{EntropyMap, PatchBorder, Plane, PlaneMut, Rng};
use infomark_cuda::Images;
use proptest::prelude::*;

const BORDERS: [PatchBorder; 3] = [PatchBorder::Cut, PatchBorder::Mirror, PatchBorder::Clamp];

#[derive(Clone, Copy, Debug)]
struct Case {
    count: usize,
    width: usize,
    height: usize,
    gap: usize,
    side: usize,
    border: PatchBorder,
    seed: u64,
}

fn agrees(setting: &Setting<'_>, case: Case) -> Outcome {
    let Case { count, width, height, gap, side, border, seed } = case;
    let mut rng = Rng::new(seed, 0);
    let pixels: Vec<u8> = (0..count).flat_map(|_| image(&mut rng, width, height)).collect();
    let map = EntropyMap::square(side).border(border);
    let mut scratch = vec![0; map.scratch_len(width, height)];
    let mut expected = vec![0f32; pixels.len()];
    for (pixels, out) in pixels.chunks_exact(width * height).zip(expected.chunks_exact_mut(width * height)) {
        let out = PlaneMut::new(out, width, height)?;
        map.compute(Plane::new(pixels, width, height)?, out, &mut scratch)?;
    }
    let spread = setting.device.upload(&with_gaps(&pixels, width, width + gap, |i| i as u8))?;
    let images = Images::with_stride(&spread, count, width, height, width + gap)?;
    let found = setting.device.entropy_map(images, side, border)?;
    let found = setting.device.download(&found)?;
    setting.see_floats(&found);
    same_bits(&format!("entropy of {case:?}"), &found, &expected)
}

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    let case = |count, width, height, gap, side| {
        BORDERS.map(|border| Case { count, width, height, gap, side, border, seed: 7 })
    };
    // One pixel, windows larger than the image, several columns of blocks and strips, no image.
    let examples = [case(1, 1, 1, 0, 1), case(2, 1, 1, 3, 64), case(1, 67, 19, 1, 3), case(0, 5, 4, 0, 9)];
    for case in examples.into_iter().flatten() {
        agrees(setting, case)?;
    }
    if setting.large {
        for case in case(2, 131, 70, 0, 9).into_iter().chain(case(1, 70, 66, 2, 64)) {
            agrees(setting, case)?;
        }
    }
    let sides = prop_oneof![4 => 1usize..12, 1 => 12usize..=64];
    let border = (0..3usize).prop_map(|i| BORDERS[i]);
    let cases = (1usize..3, 1usize..24, 1usize..40, 0usize..4, sides, border, any::<u64>());
    let cases = cases.prop_map(|(count, width, height, gap, side, border, seed)| Case {
        count,
        width,
        height,
        gap,
        side,
        border,
        seed,
    });
    setting.holds(&cases, |case| agrees(setting, case))
}
