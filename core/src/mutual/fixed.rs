//! `f(c) = c * log2(c)` in fixed point.

/// The fixed-point 1 of `f`.
pub(super) const ONE: f64 = (1u64 << BITS) as f64;

const BITS: u32 = 24;
const SMALL: usize = 1024;

/// Table of `f` for small counts, which most cells of a joint histogram have.
static TABLE: [u64; SMALL] = table();

/// `f(c)`, rounded; 0 for 0.
#[inline]
pub(super) fn fixed(c: u32) -> u64 {
    match TABLE.get(c as usize) {
        Some(&value) => value,
        None => large(c),
    }
}

#[cold]
#[inline(never)]
fn large(c: u32) -> u64 {
    let c = f64::from(c);
    (c * libm::log2(c) * ONE + 0.5) as u64
}

const fn table() -> [u64; SMALL] {
    let mut table = [0; SMALL];
    let mut c = 2;
    while c < SMALL {
        table[c] = (c as u64 * log2(c as u64) + (1 << (LOG_BITS - BITS - 1))) >> (LOG_BITS - BITS);
        c += 1;
    }
    table
}

const LOG_BITS: u32 = 44;

/// Logarithm to base 2 of a number of at least 1, with `LOG_BITS` fractional bits: squaring the
/// remainder gives one bit after the other.
const fn log2(c: u64) -> u64 {
    const POINT: u32 = 62;
    let whole = c.ilog2();
    let mut log = whole as u64;
    let mut left = (c as u128) << (POINT - whole);
    let mut bit = 0;
    while bit < LOG_BITS {
        left = (left * left) >> POINT;
        log <<= 1;
        if left >> (POINT + 1) != 0 {
            left >>= 1;
            log |= 1;
        }
        bit += 1;
    }
    log
}
