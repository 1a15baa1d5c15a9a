//! The mutual information of patches is the core's to the bit.

use super::{Outcome, Setting, image, same_bits, with_gaps};
use infomark_core::{Plane, Rng, mutual_information, mutual_information_scratch_len};
use infomark_cuda::{Images, Patch};
use proptest::prelude::*;

/// Images of `width` by `height` pixels in rows of `width + gap`, two in each batch.
fn agrees(
    setting: &Setting<'_>,
    (width, height, gap): (usize, usize, usize),
    (patch_width, patch_height): (usize, usize),
    pairs: usize,
    seed: u64,
) -> Outcome {
    let mut rng = Rng::new(seed, 1);
    // Small patches of few levels, next to each other, meet in the kernel's table.
    let near = seed % 4 == 1;
    let mut batch = || -> Vec<u8> {
        if near {
            return (0..2 * width * height).map(|_| 100 + rng.below(4) as u8).collect();
        }
        (0..2).flat_map(|_| image(&mut rng, width, height)).collect()
    };
    let (first, mut second) = (batch(), batch());
    if seed.is_multiple_of(2) {
        // The same with another tone: every level of one belongs to one of the other.
        second = first.iter().map(|v| 255 - v / 2).collect();
    }
    let mut place = || Patch {
        image: rng.below(2) as usize,
        x: rng.below((width - patch_width + 1) as u64) as usize,
        y: rng.below((height - patch_height + 1) as u64) as usize,
    };
    let pairs: Vec<(Patch, Patch)> = (0..pairs)
        .map(|i| {
            let first = place();
            (first, if i % 3 == 0 { first } else { place() })
        })
        .collect();
    let mut scratch = vec![0; mutual_information_scratch_len(patch_width, patch_height)];
    let mut expected = Vec::new();
    for (a, b) in &pairs {
        let crop = |pixels: &'_ [u8], patch: &Patch| -> Result<Vec<u8>, infomark_core::PlaneError> {
            let one = &pixels[patch.image * width * height..][..width * height];
            let crop = Plane::new(one, width, height)?.crop(patch.x, patch.y, patch_width, patch_height)?;
            Ok(crop.rows().flatten().copied().collect())
        };
        let (a, b) = (crop(&first, a)?, crop(&second, b)?);
        let (a, b) = (Plane::new(&a, patch_width, patch_height)?, Plane::new(&b, patch_width, patch_height)?);
        expected.push(mutual_information::<f32>(a, b, &mut scratch)?);
    }
    let device = setting.device;
    let first = device.upload(&with_gaps(&first, width, width + gap, |i| i as u8))?;
    let second = device.upload(&second)?;
    let found = device.mutual_information(
        Images::with_stride(&first, 2, width, height, width + gap)?,
        Images::new(&second, 2, width, height)?,
        &pairs,
        patch_width,
        patch_height,
    )?;
    let found = device.download(&found)?;
    setting.see_floats(&found);
    same_bits("mutual information", &found, &expected)
}

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    agrees(setting, (1, 1, 0), (1, 1), 1, 1)?;
    agrees(setting, (9, 7, 2), (9, 7), 0, 2)?;
    for width in 2..6 {
        agrees(setting, (40, 9, 0), (width, 1), 40, 5)?;
    }
    if setting.large {
        agrees(setting, (70, 66, 1), (64, 64), 2, 3)?;
    }
    let cases = (1usize..30, 1usize..30, 0usize..3, 0usize..5, any::<u64>());
    setting.holds(&cases, |(patch_width, patch_height, gap, pairs, seed)| {
        let size = (patch_width + seed as usize % 5, patch_height + seed as usize / 8 % 5, gap);
        agrees(setting, size, (patch_width, patch_height), pairs, seed)
    })
}
