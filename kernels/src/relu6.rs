//! ReLU6 (Krizhevsky, *Convolutional deep belief networks on CIFAR-10*, 2010).

/// Clamps values to 0..6.
pub fn in_place(x: &mut [f32]) {
    crate::widest(
        #[inline(always)]
        || x.iter_mut().for_each(|v| *v = v.clamp(0.0, 6.0)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_ends_are_clamped() {
        let mut x = [-1.0, 0.0, 0.5, 6.0, 7.0];
        in_place(&mut x);
        assert_eq!(x, [0.0, 0.0, 0.5, 6.0, 6.0]);
    }
}
