use super::*;
use crate::testing::{close, naive_convolution, noise};

const SIDES: [usize; 10] = [1, 2, 3, 4, 5, 8, 13, 18, 50, 101];

fn convolved(planes: Planes<'_>, weight: &[f32], outputs: usize, workspace: &mut Workspace) -> Vec<f32> {
    let mut out = vec![f32::NAN; outputs * planes.width * planes.height];
    convolve(&planes, &Weights::forward(weight, outputs, planes.channels), workspace, &mut out);
    out
}

#[test]
fn convolution_equals_the_naive_sum() {
    let mut workspace = Workspace::default();
    for (ci, co) in [(1, 1), (2, 5), (9, 4), (5, 18)] {
        for w in SIDES {
            for h in SIDES {
                let (input, weight) = (noise(ci * w * h, 1), noise(co * ci * 9, 2));
                let out = convolved(Planes::new(&input, ci, w, h), &weight, co, &mut workspace);
                close(&out, &naive_convolution(&input, &weight, (ci, co, w, h)), 5e-5);
            }
        }
    }
}

#[test]
fn joined_planes_and_blocks_are_those_of_the_image_that_is_meant() {
    let mut workspace = Workspace::default();
    let (kept, added, co) = (3, 2, 5);
    for w in [2, 4, 6, 10, 34, 70, 202] {
        for h in [2, 4, 8, 14, 22] {
            let half = w / 2;
            let (fine, coarse) = (noise(kept * w * h, 1), noise(added * w * h / 4, 2));
            let mut joined = fine.clone();
            joined.extend((0..added * w * h).map(|i| coarse[i / w / 2 * half + i % w / 2]));
            let weight = noise(co * (kept + added) * 9, 3);
            let planes = Planes::joined(&fine, kept, &coarse, added, w, h);
            let out = convolved(planes, &weight, co, &mut workspace);
            close(&out, &naive_convolution(&joined, &weight, (kept + added, co, w, h)), 5e-5);
            let blocks: Vec<f32> = (0..4 * half * h / 2)
                .map(|i| {
                    let (c, y, x) = (i / (half * h / 2), i / half % (h / 2), i % half);
                    fine[(2 * y + c / 2) * w + 2 * x + c % 2]
                })
                .collect();
            let weight = noise(co * 36, 4);
            let out = convolved(Planes::blocks(&fine, half, h / 2), &weight, co, &mut workspace);
            close(&out, &naive_convolution(&blocks, &weight, (4, co, half, h / 2)), 5e-5);
        }
    }
}

/// The same operations on vectors of one and four lanes, which no processor here uses.
#[test]
fn narrower_vectors_give_the_same() {
    let (ci, co, w, h) = (6, 5, 74, 22);
    let (input, coarse, grad) = (noise(ci * w * h, 1), noise(3 * w * h / 4, 2), noise(co * w * h, 3));
    let weight = noise(co * (ci + 3) * 9, 4);
    let planes = Planes::joined(&input, ci, &coarse, 3, w, h);
    let expected = convolved(planes, &weight, co, &mut Workspace::default());
    let mut gradient = vec![0.0; weight.len()];
    weight_gradient(&planes, &grad, co, &mut Workspace::default(), &mut gradient);
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    fn check<S: Simd>(simd: S, planes: Planes<'_>, weight: &[f32], grad: &[f32]) -> [Vec<f32>; 2] {
        let outputs = weight.len() / 9 / planes.channels;
        let mut out = vec![f32::NAN; grad.len()];
        let mut gradient = vec![0.0; weight.len()];
        let weights = Weights::forward(weight, outputs, planes.channels);
        let mut workspace = Workspace::default();
        let (input, out_mut) = (&planes, &mut out);
        simd.vectorize(Convolve { input, weights: &weights, workspace: &mut workspace, out: out_mut });
        gradient::on(simd, &planes, grad, outputs, &mut gradient);
        [out, gradient]
    }
    for [out, dw] in
        [check(pulp::Scalar, planes, &weight, &grad), check(pulp::Scalar128b, planes, &weight, &grad)]
    {
        close(&out, &wide(&expected), 5e-5);
        close(&dw, &wide(&gradient), 5e-4);
    }
}

#[test]
fn turned_weights_carry_the_gradient_to_the_input() {
    let (ci, co, w, h) = (6, 5, 29, 11);
    let (weight, grad) = (noise(co * ci * 9, 4), noise(co * w * h, 5));
    let turned: Vec<f32> = (0..ci * co * 9)
        .map(|k| {
            let (i, o, tap) = (k / 9 / co, k / 9 % co, k % 9);
            weight[(o * ci + i) * 9 + 8 - tap]
        })
        .collect();
    let mut dx = vec![f32::NAN; ci * w * h];
    let weights = Weights::backward(&weight, co, ci);
    convolve(&Planes::new(&grad, co, w, h), &weights, &mut Workspace::default(), &mut dx);
    close(&dx, &naive_convolution(&grad, &turned, (co, ci, w, h)), 5e-5);
}

/// Linear in the gradient: `<conv(x, w), g> = <w, dw>`, tested one weight at a time.
#[test]
fn weight_gradient_is_the_transpose_of_the_convolution() {
    let mut workspace = Workspace::default();
    let mut check = |planes: Planes<'_>, dense: &[f32], co: usize| {
        let Planes { channels, width, height, .. } = planes;
        let grad = noise(co * width * height, 7);
        let mut dw = vec![1.0; co * channels * 9];
        weight_gradient(&planes, &grad, co, &mut workspace, &mut dw);
        for k in (0..dw.len()).step_by(dw.len().div_ceil(23)) {
            let unit: Vec<f32> = (0..dw.len()).map(|i| f32::from(i == k)).collect();
            let out = naive_convolution(dense, &unit, (channels, co, width, height));
            let expected = out.iter().zip(&grad).map(|(a, &b)| a * f64::from(b)).sum::<f64>();
            close(&dw[k..=k], &[1.0 + expected], 1e-4);
        }
    };
    for (ci, co) in [(1, 1), (3, 5), (6, 4)] {
        for (w, h) in [(1, 1), (3, 2), (12, 15), (28, 28), (29, 5), (56, 9), (101, 13), (500, 3)] {
            let input = noise(ci * w * h, 1);
            check(Planes::new(&input, ci, w, h), &input, co);
            if w % 2 == 0 && h % 2 == 0 {
                let coarse = noise(3 * w * h / 4, 2);
                let mut joined = input.clone();
                joined.extend((0..3 * w * h).map(|i| coarse[i / w / 2 * (w / 2) + i % w / 2]));
                check(Planes::joined(&input, ci, &coarse, 3, w, h), &joined, co);
            }
        }
    }
}

/// Largest error relative to the root mean square of the result, by number of input channels.
#[test]
fn error_is_a_few_units_in_the_last_place_of_typical_values() {
    for (ci, allowed) in [(16, 2e-5), (96, 4e-5), (192, 6e-5)] {
        let (co, w, h) = (8, 48, 32);
        let (input, weight) = (noise(ci * w * h, 1), noise(co * ci * 9, 2));
        let out = convolved(Planes::new(&input, ci, w, h), &weight, co, &mut Workspace::default());
        let expected = naive_convolution(&input, &weight, (ci, co, w, h));
        let square = expected.iter().map(|v| v * v).sum::<f64>() / expected.len() as f64;
        let error = out.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(error < allowed * square.sqrt(), "{ci}: {}", error / square.sqrt());
    }
}
