//! Counter-based random numbers.

use crate::Real;

const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];

/// Philox4x32-10: a bijection that gives four random words from a counter and a key.
///
/// Source: Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as 1, 2, 3* (SC 2011).
pub const fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k, mut l] = key;
    let mut round = 0;
    while round < 10 {
        let p = MULTIPLIER[0] as u64 * a as u64;
        let q = MULTIPLIER[1] as u64 * c as u64;
        [a, b, c, d] = [(q >> 32) as u32 ^ b ^ k, q as u32, (p >> 32) as u32 ^ d ^ l, p as u32];
        k = k.wrapping_add(WEYL[0]);
        l = l.wrapping_add(WEYL[1]);
        round += 1;
    }
    [a, b, c, d]
}

/// Counter-based random number generator: output depends only on a seed, a stream and a position.
///
/// Streams of one seed are independent: give each image, or each step, its own, and the result is
/// the same on any number of threads. The words are those of [`philox4x32`] with the seed as key
/// and `(position / 4, stream)` as counter.
///
/// ```
/// use infomark_core::Rng;
/// let mut rng = Rng::new(7, 0);
/// rng.next_u32();
/// let mut again = Rng::new(7, 0);
/// again.seek(rng.counter());
/// assert_eq!(rng.next_u64(), again.next_u64());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    seed: u64,
    stream: u64,
    position: u64,
    block: [u32; 4],
}

impl Rng {
    /// A generator at the start of a stream.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = Self { seed, stream, position: 0, block: [0; 4] };
        rng.refill();
        rng
    }

    /// Number of 32-bit words drawn.
    pub fn counter(&self) -> u64 {
        self.position
    }

    /// Moves to the position `counter`, in words.
    pub fn seek(&mut self, counter: u64) {
        self.position = counter;
        self.refill();
    }

    fn refill(&mut self) {
        let index = self.position / 4;
        self.block = philox4x32(
            [index as u32, (index >> 32) as u32, self.stream as u32, (self.stream >> 32) as u32],
            [self.seed as u32, (self.seed >> 32) as u32],
        );
    }

    /// 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        let word = self.block[(self.position % 4) as usize];
        self.position = self.position.wrapping_add(1);
        if self.position.is_multiple_of(4) {
            self.refill();
        }
        word
    }

    /// 64 random bits: two words, the lower one first.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let low = self.next_u32() as u64;
        low | (self.next_u32() as u64) << 32
    }

    /// Uniform number in `[0, 1)`, evenly spaced: 24 bits for `f32`, 53 for `f64`. Consumes two words.
    #[inline]
    pub fn uniform<T: Real>(&mut self) -> T {
        T::unit_from_bits(self.next_u64())
    }

    /// Uniform number between `low` and `high`; consumes two words.
    #[inline]
    pub fn uniform_in<T: Real>(&mut self, low: T, high: T) -> T {
        low + (high - low) * self.uniform()
    }

    /// Uniform integer below `n`; 0 when `n` is 0.
    ///
    /// Source: Lemire, *Fast random integer generation in an interval* (ACM TOMACS 2019).
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let mut product = self.next_u64() as u128 * n as u128;
        if (product as u64) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u64) < threshold {
                product = self.next_u64() as u128 * n as u128;
            }
        }
        (product >> 64) as u64
    }

    /// Standard normal number (Box and Muller, the cosine half). Consumes four words.
    pub fn normal<T: Real>(&mut self) -> T {
        let radius: f64 = 1.0 - self.uniform::<f64>();
        let turn: f64 = self.uniform();
        let length = Real::sqrt(-2.0 * Real::ln(radius));
        T::from_f64(length * Real::cos(core::f64::consts::TAU * turn))
    }
}

/// Generator of the `rand` crates; bytes are those of the words, in little-endian order.
#[cfg(feature = "rand_core")]
impl rand_core::TryRng for Rng {
    type Error = rand_core::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(Rng::next_u32(self))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(Rng::next_u64(self))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for word in bytes.chunks_mut(4) {
            word.copy_from_slice(&Rng::next_u32(self).to_le_bytes()[..word.len()]);
        }
        Ok(())
    }
}
