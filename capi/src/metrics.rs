//! Entropy, tiers, weights, mutual information, local contrast. Nothing here allocates.

use infomark_core::{
    Binning, ContrastRule, EntropyMap, JointEntropy, Neighbourhood, PatchBorder, Plane, Thresholds, Tier,
    Weighting, joint_entropy, joint_entropy_scratch_len, local_contrast, local_contrast_scratch_len,
    weight_map,
};

use crate::entry::entry;
use crate::memory::{Memory, place, value};
use crate::options::{Options, fields};
use crate::plane::{AnyPlane, any_plane, infomark_plane, infomark_plane_mut, plane, plane_mut};
use crate::status::infomark_status::INFOMARK_ARGUMENT;
use crate::status::{OrFail, Result, infomark_status, refused};

/// Squares of a given side; the default.
pub const INFOMARK_SQUARE: u32 = 0;
/// Disks of a given radius: pixels whose centres are at most that far away.
pub const INFOMARK_DISK: u32 = 1;

/// Windows are cropped at the image's border; the default.
pub const INFOMARK_PATCH_CUT: u32 = 0;
/// The border is mirrored at the outer edges of its pixels.
pub const INFOMARK_PATCH_MIRROR: u32 = 1;
/// The border pixels are replicated.
pub const INFOMARK_PATCH_CLAMP: u32 = 2;

/// Options of an entropy map. Zero means the default, for every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_entropy_options {
    /// sizeof(infomark_entropy_options).
    pub struct_size: usize,
    /// Side of squares in pixels, 9 by default; radius of disks.
    pub size: usize,
    /// Every step-th pixel of every step-th row, from the first on; 1 by default.
    pub step: usize,
    /// INFOMARK_SQUARE or INFOMARK_DISK.
    pub shape: u32,
    /// INFOMARK_PATCH_CUT, INFOMARK_PATCH_MIRROR or INFOMARK_PATCH_CLAMP.
    pub border: u32,
}

// SAFETY: numbers only, the size first, and no gaps between them.
unsafe impl Options for infomark_entropy_options {
    const DEFAULT: Self =
        Self { struct_size: size_of::<Self>(), size: 0, step: 0, shape: INFOMARK_SQUARE, border: 0 };
    const FIELDS: &'static [usize] = fields!(size, step, shape, border);
}

impl infomark_entropy_options {
    fn map(self) -> Result<EntropyMap> {
        let neighbourhood = match (self.shape, self.size) {
            (INFOMARK_SQUARE, 0) => Neighbourhood::Square { side: 9 },
            (INFOMARK_SQUARE, side) => Neighbourhood::Square { side },
            (INFOMARK_DISK, radius) => Neighbourhood::Disk { radius },
            (other, _) => {
                return Err(refused(format_args!("shape {other}: use INFOMARK_SQUARE or INFOMARK_DISK")));
            }
        };
        let border = match self.border {
            INFOMARK_PATCH_CUT => PatchBorder::Cut,
            INFOMARK_PATCH_MIRROR => PatchBorder::Mirror,
            INFOMARK_PATCH_CLAMP => PatchBorder::Clamp,
            other => {
                return Err(refused(format_args!(
                    "border {other}: use INFOMARK_PATCH_CUT, INFOMARK_PATCH_MIRROR or INFOMARK_PATCH_CLAMP"
                )));
            }
        };
        Ok(EntropyMap::new(neighbourhood).border(border).step(self.step.max(1)))
    }
}

/// Rescales grey levels linearly to 256 levels: low becomes 0, high 255, values outside are clamped.
/// image is of INFOMARK_U8 or INFOMARK_U16; out is of INFOMARK_U8 and of the same size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_to_levels(
    image: *const infomark_plane,
    low: u16,
    high: u16,
    out: *const infomark_plane_mut,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let image = unsafe { any_plane(&mut memory, "image", image) }?;
        let out = unsafe { plane_mut::<u8>(&mut memory, "out", out) }?;
        let binning = Binning::<256>::new(low, high).or_fail(INFOMARK_ARGUMENT)?;
        match image {
            AnyPlane::U8(image) => binning.apply(image, out).or_fail(INFOMARK_ARGUMENT),
            AnyPlane::U16(image) => binning.apply(image, out).or_fail(INFOMARK_ARGUMENT),
            AnyPlane::F32(_) => Err(refused("image: its pixels have to be INFOMARK_U8 or INFOMARK_U16")),
        }
    })
}

/// Number of uint64_t of scratch for infomark_entropy_map for an image of this size. options may be null for the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_entropy_scratch_len(
    options: *const infomark_entropy_options,
    width: usize,
    height: usize,
    len: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let map = unsafe { crate::options::options(options) }?.map()?;
        unsafe { place("len", len) }?.set(map.scratch_len(width, height));
        Ok(())
    })
}

/// Entropy of the grey levels around each pixel, in nats: -sum of P(g) ln P(g) over the 256 levels g.
///
/// image is of INFOMARK_U8; out is of INFOMARK_F32, its sides those of the image over the step, rounded up. mask may be null;
/// else it is of INFOMARK_U8 and of the image's size, 1 where a pixel is counted and 0 where not. scratch holds at
/// least infomark_entropy_scratch_len elements of any content. options may be null for the defaults. The same input gives the same bits
/// on every machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_entropy_map(
    image: *const infomark_plane,
    mask: *const infomark_plane,
    options: *const infomark_entropy_options,
    out: *const infomark_plane_mut,
    scratch: *mut u64,
    scratch_len: usize,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let map = unsafe { crate::options::options(options) }?.map()?;
        let image = unsafe { plane::<u8>(&mut memory, "image", image) }?;
        let out = unsafe { plane_mut::<f32>(&mut memory, "out", out) }?;
        let scratch = unsafe { memory.write("scratch", scratch, scratch_len) }?;
        if mask.is_null() {
            return map.compute(image, out, scratch).or_fail(INFOMARK_ARGUMENT);
        }
        let mask = flags(unsafe { plane::<u8>(&mut memory, "mask", mask) }?)?;
        map.compute_masked(image, mask, out, scratch).or_fail(INFOMARK_ARGUMENT)
    })
}

/// A mask of zeros and ones as booleans.
fn flags(mask: Plane<'_, u8>) -> Result<Plane<'_, bool>> {
    // Padding between rows is checked as well, as it becomes part of the slice.
    let (data, stride) = (mask.data(), mask.stride());
    if let Some(index) = data.iter().position(|&value| value > 1) {
        let (x, y) = (index % stride.max(1), index / stride.max(1));
        return Err(refused(format_args!(
            "mask: {} at column {x}, row {y}: only 0 and 1 are possible, between rows as well",
            data.get(index).copied().unwrap_or_default()
        )));
    }
    // SAFETY: of one size and alignment, and every byte is 0 or 1.
    let data = unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<bool>(), data.len()) };
    Plane::with_stride(data, mask.width(), mask.height(), stride).or_fail(INFOMARK_ARGUMENT)
}

/// Entropies of two patches and their joint entropy, in nats, with derived quantities.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct infomark_joint_entropy {
    /// H(A), entropy of the first patch.
    pub first: f64,
    /// H(B), entropy of the second patch.
    pub second: f64,
    /// H(A, B), joint entropy.
    pub joint: f64,
    /// I(A; B) = H(A) + H(B) - H(A, B).
    pub mutual_information: f64,
    /// H(A | B) = H(A, B) - H(B).
    pub first_given_second: f64,
    /// H(B | A) = H(A, B) - H(A).
    pub second_given_first: f64,
    /// Variation of information, H(A | B) + H(B | A), a distance.
    pub variation_of_information: f64,
    /// 2 I(A; B) / (H(A) + H(B)), from 0 to 1.
    pub normalized_mutual_information: f64,
    /// (H(A) + H(B)) / H(A, B), from 1 to 2 (Studholme 1999).
    pub studholme: f64,
}

/// Number of uint32_t of scratch for infomark_joint_entropy_of for patches of this size.
#[unsafe(no_mangle)]
pub extern "C" fn infomark_joint_entropy_scratch_len(width: usize, height: usize) -> usize {
    joint_entropy_scratch_len(256, width, height)
}

/// Joint entropy and mutual information of two non-empty patches of INFOMARK_U8 and of the same size, by their 256 grey levels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_joint_entropy_of(
    first: *const infomark_plane,
    second: *const infomark_plane,
    out: *mut infomark_joint_entropy,
    scratch: *mut u32,
    scratch_len: usize,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let first = unsafe { plane::<u8>(&mut memory, "first", first) }?;
        let second = unsafe { plane::<u8>(&mut memory, "second", second) }?;
        let out = unsafe { place("out", out) }?;
        let scratch = unsafe { memory.write("scratch", scratch, scratch_len) }?;
        let levels = Binning::<256>::new(0, 255).or_fail(INFOMARK_ARGUMENT)?;
        let both: JointEntropy<f64> =
            joint_entropy(first, second, [levels; 2], scratch).or_fail(INFOMARK_ARGUMENT)?;
        out.set(infomark_joint_entropy {
            first: both.first(),
            second: both.second(),
            joint: both.joint(),
            mutual_information: both.mutual_information(),
            first_given_second: both.conditional_first_given_second(),
            second_given_first: both.conditional_second_given_first(),
            variation_of_information: both.variation_of_information(),
            normalized_mutual_information: both.normalized_mutual_information(),
            studholme: both.studholme(),
        });
        Ok(())
    })
}

/// Minimum entropies of the medium and of the high tier, in nats.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct infomark_thresholds {
    /// Minimum entropy of the medium tier.
    pub medium: f32,
    /// Minimum entropy of the high tier.
    pub high: f32,
}

/// Thresholds as quantiles: the fraction medium of the pixels is below the medium tier, and the fraction high below the high one.
///
/// entropy is of INFOMARK_F32; scratch holds at least one element per pixel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_thresholds_of(
    entropy: *const infomark_plane,
    medium: f64,
    high: f64,
    out: *mut infomark_thresholds,
    scratch: *mut f32,
    scratch_len: usize,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let entropy = unsafe { plane::<f32>(&mut memory, "entropy", entropy) }?;
        let out = unsafe { place("out", out) }?;
        let scratch = unsafe { memory.write("scratch", scratch, scratch_len) }?;
        let Thresholds { medium, high } =
            Thresholds::from_quantiles(entropy, medium, high, scratch).or_fail(INFOMARK_ARGUMENT)?;
        out.set(infomark_thresholds { medium, high });
        Ok(())
    })
}

/// The tier of every pixel of an entropy map of INFOMARK_F32: 0 low, 1 medium, 2 high, into an INFOMARK_U8 plane of the same
/// size. NaN is low.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_tier_map(
    entropy: *const infomark_plane,
    thresholds: *const infomark_thresholds,
    out: *const infomark_plane_mut,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let entropy = unsafe { plane::<f32>(&mut memory, "entropy", entropy) }?;
        let infomark_thresholds { medium, high } = unsafe { value("thresholds", thresholds) }?;
        let mut out = unsafe { plane_mut::<u8>(&mut memory, "out", out) }?;
        let thresholds = Thresholds::new(medium, high).or_fail(INFOMARK_ARGUMENT)?;
        let (width, height) = (entropy.width(), entropy.height());
        if (out.width(), out.height()) != (width, height) {
            let (out_width, out_height) = (out.width(), out.height());
            return Err(refused(format_args!(
                "the output has {out_width} x {out_height} pixels, the entropy map {width} x {height}"
            )));
        }
        for (y, row) in entropy.rows().enumerate() {
            for (tier, &entropy) in out.row_mut(y).iter_mut().zip(row) {
                *tier = match thresholds.tier(entropy) {
                    Tier::Low => 0,
                    Tier::Medium => 1,
                    Tier::High => 2,
                };
            }
        }
        Ok(())
    })
}

/// Weights are the entropy to the power of a parameter of at least 0.
pub const INFOMARK_WEIGHT_POWER: u32 = 0;
/// Weights are 1 where the entropy is at least the parameter, and 0 elsewhere.
pub const INFOMARK_WEIGHT_CUT: u32 = 1;

/// The sampling weight of every pixel of an entropy map; both are of INFOMARK_F32 and of the same size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_weight_map(
    entropy: *const infomark_plane,
    weighting: u32,
    parameter: f32,
    out: *const infomark_plane_mut,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let entropy = unsafe { plane::<f32>(&mut memory, "entropy", entropy) }?;
        let out = unsafe { plane_mut::<f32>(&mut memory, "out", out) }?;
        let weighting = match weighting {
            INFOMARK_WEIGHT_POWER => Weighting::Exponential { alpha: parameter },
            INFOMARK_WEIGHT_CUT => Weighting::Piecewise { threshold: parameter },
            other => {
                return Err(refused(format_args!(
                    "weighting {other}: use INFOMARK_WEIGHT_POWER or INFOMARK_WEIGHT_CUT"
                )));
            }
        };
        weight_map(entropy, weighting, out).or_fail(INFOMARK_ARGUMENT)
    })
}

/// Options of local contrast normalisation. Zero means the default, for every field: that of training.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_contrast_options {
    /// sizeof(infomark_contrast_options).
    pub struct_size: usize,
    /// Standard deviation of the neighbourhood in pixels, at most 1024; by default a sixteenth of the longer side.
    pub sigma_px: f64,
    /// Output for one local standard deviation; 0.2 by default.
    pub gain: f64,
    /// Added to the local standard deviation, in units of the image; 0.02 by default.
    pub floor: f64,
}

// SAFETY: numbers only, the size first, and no gaps between them.
unsafe impl Options for infomark_contrast_options {
    const DEFAULT: Self = Self { struct_size: size_of::<Self>(), sigma_px: 0.0, gain: 0.0, floor: 0.0 };
    const FIELDS: &'static [usize] = fields!(sigma_px, gain, floor);
}

impl infomark_contrast_options {
    fn rule(self, width: usize, height: usize) -> ContrastRule<f32> {
        let or = |value: f64, default: f32| if value == 0.0 { default } else { value as f32 };
        let sigma_px = or(self.sigma_px, (width.max(height) as f32 / 16.0).clamp(0.5, 1024.0));
        ContrastRule { sigma_px, gain: or(self.gain, 0.2), floor: or(self.floor, 0.02) }
    }
}

/// Number of float of scratch for infomark_local_contrast for an image of this size. options may be null for the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_local_contrast_scratch_len(
    options: *const infomark_contrast_options,
    width: usize,
    height: usize,
    len: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let rule = unsafe { crate::options::options(options) }?.rule(width, height);
        let sigma = f64::from(rule.sigma_px);
        unsafe { place("len", len) }?.set(local_contrast_scratch_len(width, height, sigma));
        Ok(())
    })
}

/// Local contrast normalisation of every pixel v by the mean m and the standard deviation s of its neighbourhood: 1/2 + gain (v - m) / (s + floor),
/// clamped to [0, 1]. Both planes are of INFOMARK_F32 and of the same size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_local_contrast(
    image: *const infomark_plane,
    options: *const infomark_contrast_options,
    out: *const infomark_plane_mut,
    scratch: *mut f32,
    scratch_len: usize,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let options: infomark_contrast_options = unsafe { crate::options::options(options) }?;
        let image = unsafe { plane::<f32>(&mut memory, "image", image) }?;
        let rule = options.rule(image.width(), image.height());
        let out = unsafe { plane_mut::<f32>(&mut memory, "out", out) }?;
        let scratch = unsafe { memory.write("scratch", scratch, scratch_len) }?;
        local_contrast(image, out, rule, scratch).or_fail(INFOMARK_ARGUMENT)
    })
}
