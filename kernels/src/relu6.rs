//! ReLU that ends at 6 (Krizhevsky, *Convolutional deep belief networks on CIFAR-10*, 2010), and batch normalisation folded into the
//! convolution before it.

/// Clamps to 0 to 6.
pub fn in_place(x: &mut [f32]) {
    crate::widest(
        #[inline(always)]
        || x.iter_mut().for_each(|v| *v = v.clamp(0.0, 6.0)),
    );
}

/// Gradient of [`in_place`], given its result: 0 where that is at an end.
pub fn backward(y: &[f32], grad: &mut [f32]) {
    for (grad, &y) in grad.iter_mut().zip(y) {
        if y <= 0.0 || y >= 6.0 {
            *grad = 0.0;
        }
    }
}

/// Statistics and affine map of a batch normalisation, a value a channel each.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// Scale.
    pub gamma: &'a [f32],
    /// Shift.
    pub beta: &'a [f32],
    /// Running mean.
    pub mean: &'a [f32],
    /// Running variance.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl BatchNorm<'_> {
    /// Changes weights (a row a channel of the result) and bias of the convolution before it, so that it does both (Jacob et al., *Quantization and training of
    /// neural networks*, CVPR 2018, section 3.2).
    pub fn fold(self, weight: &mut [f32], bias: &mut [f32]) {
        let row = weight.len() / bias.len();
        for (channel, (weight, bias)) in weight.chunks_exact_mut(row).zip(bias).enumerate() {
            let scale = self.gamma[channel] / (self.variance[channel] + self.epsilon).sqrt();
            weight.iter_mut().for_each(|w| *w *= scale);
            *bias = (*bias - self.mean[channel]) * scale + self.beta[channel];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pointwise;
    use crate::testing::{close, noise};

    #[test]
    fn values_beyond_the_ends_are_clamped_and_have_no_gradient() {
        let mut x = [-1.0, 0.0, 0.5, 6.0, 7.0];
        in_place(&mut x);
        assert_eq!(x, [0.0, 0.0, 0.5, 6.0, 6.0]);
        let mut grad = [2.0; 5];
        backward(&x, &mut grad);
        assert_eq!(grad, [0.0, 0.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn a_folded_normalisation_gives_the_same_result() {
        let (inputs, outputs, area) = (3, 4, 10);
        let (x, mut weight, mut bias) =
            (noise(inputs * area, 1), noise(outputs * inputs, 2), noise(outputs, 3));
        let (gamma, beta, mean) = (noise(outputs, 4), noise(outputs, 5), noise(outputs, 6));
        let variance: Vec<f32> = noise(outputs, 7).iter().map(|v| v.abs()).collect();
        let norm = BatchNorm { gamma: &gamma, beta: &beta, mean: &mean, variance: &variance, epsilon: 1e-3 };
        let mut out = vec![0.0; outputs * area];
        pointwise::forward(&x, &weight, &bias, &mut out);
        let normalised = out.iter().enumerate().map(|(at, v)| {
            let at = at / area;
            let deviation = (f64::from(variance[at]) + 1e-3).sqrt();
            (f64::from(*v) - f64::from(mean[at])) / deviation * f64::from(gamma[at]) + f64::from(beta[at])
        });
        let expected: Vec<f64> = normalised.collect();
        norm.fold(&mut weight, &mut bias);
        pointwise::forward(&x, &weight, &bias, &mut out);
        close(&out, &expected, 1e-5);
    }
}
