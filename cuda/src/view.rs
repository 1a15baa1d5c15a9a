//! Views of a batch of images.

use crate::driver::{Grid, Launch};
use crate::loss::PointPair;
use crate::tiles::{Tiles, check_images, check_points, check_size, checked_tone};
use crate::{Buffer, CudaError, Device, Images};
use infomark_core::{AugmentError, IntensityJitter, IntensityRange, Point, Thresholds, TierPolicy, Warp};

/// One view: which image of the batch it is of, where its pixels lie there, and its tone.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewPlan {
    image: i32,
    centre: [f32; 2],
    turn: [f32; 2],
    inverse: [f32; 2],
    tone: [f32; 3],
}

impl ViewPlan {
    /// A view around `centre` of an image, as the core's [`Warp`] of these parameters and [`IntensityJitter`] make it.
    ///
    /// # Errors
    /// As [`Warp::new`] and [`IntensityJitter::apply`], and when the image's number is 2^31 or more.
    pub fn new(
        image: usize,
        centre: Point<f32>,
        rotation_rad: f32,
        scale: f32,
        tone: IntensityJitter<f32>,
    ) -> Result<Self, CudaError> {
        const OPERATION: &str = "plan a view";
        Warp::new(centre, rotation_rad, scale, 1, 1)?;
        let tone = checked_tone(OPERATION, tone)?;
        let Ok(image) = i32::try_from(image) else {
            return Err(CudaError::shape(OPERATION, format!("there is no image {image}")));
        };
        let (sin, cos) = (libm_sin(rotation_rad), libm_cos(rotation_rad));
        Ok(Self {
            image,
            centre: [centre.x, centre.y],
            turn: [scale * cos, scale * sin],
            inverse: [cos / scale, sin / scale],
            tone,
        })
    }

    /// Which image of the batch.
    pub fn image(&self) -> usize {
        self.image as usize
    }

    /// The place in the image that the view's middle shows.
    pub fn centre(&self) -> Point<f32> {
        Point::new(self.centre[0], self.centre[1])
    }

    /// Scale times cosine and sine of the angle: the image's pixels that one of the view's to the right leads by.
    pub fn turn(&self) -> Point<f32> {
        Point::new(self.turn[0], self.turn[1])
    }

    /// The change of brightness, contrast and gamma.
    pub fn tone(&self) -> IntensityJitter<f32> {
        IntensityJitter { brightness: self.tone[0], contrast: self.tone[1], gamma: self.tone[2] }
    }
}

fn libm_sin(angle: f32) -> f32 {
    infomark_core::Real::sin(angle)
}

fn libm_cos(angle: f32) -> f32 {
    infomark_core::Real::cos(angle)
}

/// Views on the device, all of images of one batch.
#[derive(Debug)]
pub struct ViewPlans {
    plans: Buffer<ViewPlan>,
    /// Images that the batch has to have.
    images: usize,
}

impl ViewPlans {
    /// Number of views.
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }
}

/// How views are drawn: the tiers' thresholds and intensities, and how far they turn and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewGuide {
    /// What separates the tiers.
    pub thresholds: Thresholds<f32>,
    /// The tones' ranges for each tier.
    pub policy: TierPolicy<f32>,
    /// Angles are uniform up to this, either way.
    pub rotation_rad: f32,
    /// Scales are between its inverse and it, their logarithm uniform; at least 1.
    pub scale: f32,
}

/// [`ViewGuide`] as the kernel has it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guide {
    thresholds: [f32; 2],
    ends: [[f32; 6]; 3],
    rotation: f32,
    log_scale: f32,
}

impl ViewGuide {
    fn check(&self) -> Result<Guide, CudaError> {
        const OPERATION: &str = "draw views";
        let finite = [("rotation", self.rotation_rad, 0.0, "finite and at least 0")];
        let scale = [("scale", self.scale, 1.0, "finite and at least 1")];
        for (name, value, least, condition) in finite.into_iter().chain(scale) {
            if !(value.is_finite() && value >= least) {
                let value = f64::from(value);
                return Err(CudaError::Parameter { operation: OPERATION, name, value, condition });
            }
        }
        let ends = |range: IntensityRange<f32>| -> Result<[f32; 6], AugmentError> {
            let IntensityRange { brightness, contrast, gamma } =
                IntensityRange::new(range.brightness, range.contrast, range.gamma)?;
            Ok([brightness.0, brightness.1, contrast.0, contrast.1, gamma.0, gamma.1])
        };
        let TierPolicy { low, medium, high } = self.policy;
        Ok(Guide {
            thresholds: [self.thresholds.medium, self.thresholds.high],
            ends: [ends(low)?, ends(medium)?, ends(high)?],
            rotation: self.rotation_rad,
            log_scale: infomark_core::Real::ln(self.scale),
        })
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for f32 {}
}

/// Pixels that views are made of: `u8`, whose 255 is 1, or `f32`. Sealed.
pub trait ViewSource: crate::Element + sealed::Sealed {
    /// The kernel.
    #[doc(hidden)]
    const KERNEL: &'static str;
    /// That of elastic views.
    #[doc(hidden)]
    const ELASTIC_KERNEL: &'static str;
}

impl ViewSource for u8 {
    const KERNEL: &'static str = "make_views_u8";
    const ELASTIC_KERNEL: &'static str = "make_elastic_views_u8";
}

impl ViewSource for f32 {
    const KERNEL: &'static str = "make_views_f32";
    const ELASTIC_KERNEL: &'static str = "make_elastic_views_f32";
}

impl Device {
    /// Copies views that the host has planned.
    ///
    /// # Errors
    /// When the device can't.
    pub fn upload_views(&self, plans: &[ViewPlan]) -> Result<ViewPlans, CudaError> {
        let images = plans.iter().map(|plan| plan.image() + 1).max().unwrap_or(0);
        Ok(ViewPlans { plans: self.upload(plans)?, images })
    }

    /// Copies plans to the host, to know what has been drawn.
    ///
    /// # Errors
    /// When the device can't.
    pub fn download_views(&self, plans: &ViewPlans) -> Result<Vec<ViewPlan>, CudaError> {
        self.download(&plans.plans)
    }

    /// Draws views around pixels of a batch: how strongly each differs follows from the tier of its centre's entropy.
    ///
    /// `centres` has the same number of pixel indices for each image (see [`draw_pixels`](Self::draw_pixels)); an index
    /// past the last pixel counts as that. View `v` takes the ten first words of stream `first_stream + v`, in the order
    /// brightness, contrast, gamma (as the core's `IntensityRange::draw`), angle, logarithm of the scale. Sine, cosine
    /// and exponential are the device's.
    ///
    /// Cost: 48 bytes a view; limited by the launch's latency.
    ///
    /// # Errors
    /// When the maps have gaps, the centres are no multiple of the images, the guide is not usable, or the device can't.
    pub fn plan_views(
        &self,
        entropy: Images<'_, f32>,
        centres: &Buffer<u32>,
        guide: &ViewGuide,
        seed: u64,
        first_stream: u64,
    ) -> Result<ViewPlans, CudaError> {
        const OPERATION: &str = "draw views";
        let guide = guide.check()?;
        let total = entropy.without_gaps(OPERATION)?;
        let (count, images) = (centres.len(), entropy.count);
        if u32::try_from(count).is_err() || count % images.max(1) != 0 || (total == 0 && count > 0) {
            let reason = format!("{count} centres for {images} images of {} pixels", entropy.pixels());
            return Err(CudaError::shape(OPERATION, reason));
        }
        let mut plans = self.allocate(count, OPERATION)?;
        let per_image = count / images.max(1);
        let numbers = [count, per_image, entropy.width, entropy.pixels()].map(|n| n as u32);
        let mut launch = Launch::new(self, OPERATION, "plan_views")?
            .read(entropy.buffer)
            .read(centres)
            .write(&mut plans)
            .value(&guide);
        for number in &numbers {
            launch = launch.value(number);
        }
        launch.value(&seed).value(&first_stream).run(Grid::over(count))?;
        Ok(ViewPlans { plans, images })
    }

    /// Makes views of `width` by `height` pixels, without gaps: as the core's `Warp::resample` with `border` and
    /// `IntensityJitter::apply_in_place` after it. To the bit where gamma is 1, but for the mean that contrast keeps, whose sum has
    /// another order.
    ///
    /// Cost: two launches, 12 bytes a pixel of the views and the images once; limited by memory.
    ///
    /// # Errors
    /// When a view is of an image that the batch has not, a side is 0, an image is empty, or the device can't.
    pub fn make_views<T: ViewSource>(
        &self,
        images: Images<'_, T>,
        plans: &ViewPlans,
        width: usize,
        height: usize,
        border: f32,
    ) -> Result<Buffer<f32>, CudaError> {
        const OPERATION: &str = "make views";
        check_size(OPERATION, width, height)?;
        check_images(OPERATION, images, plans.len(), plans.images)?;
        let tiles = Tiles::new(OPERATION, plans.len(), width, height)?;
        let (mut out, mut sums) = (tiles.pixels(self)?, tiles.sums(self)?);
        let (extent, sizes) = (images.extent(), (width as i32, height as i32));
        Launch::new(self, OPERATION, T::KERNEL)?
            .read(images.buffer)
            .read(&plans.plans)
            .write(&mut out)
            .write(&mut sums)
            .value(&extent)
            .value(&sizes.0)
            .value(&sizes.1)
            .value(&tiles.each)
            .value(&border)
            .run(tiles.grid())?;
        tiles.tone(self, "tone_views", &plans.plans, &sums, &mut out)?;
        Ok(out)
    }

    /// Where pixels of the images lie in views of `width` by `height` pixels: the core's `Warp::push`.
    ///
    /// `points` has the same number of indices, `y * source_width + x`, for each view. The result has a pair for
    /// each, the place in the view and in the image; [`PointPair::NONE`] where the view does not show it.
    ///
    /// Cost: 20 bytes a point; limited by memory.
    ///
    /// # Errors
    /// When the points are no multiple of the views, a side is 0, or the device can't.
    pub fn push_points(
        &self,
        points: &Buffer<u32>,
        plans: &ViewPlans,
        source_width: usize,
        width: usize,
        height: usize,
    ) -> Result<Buffer<PointPair>, CudaError> {
        const OPERATION: &str = "push points";
        check_size(OPERATION, width, height)?;
        let count = points.len();
        let (per_view, source_width) = check_points(OPERATION, count, plans.len(), source_width)?;
        let mut out = self.allocate(count, OPERATION)?;
        let sizes = (count as u64, width as i32, height as i32);
        Launch::new(self, OPERATION, "push_points")?
            .read(points)
            .read(&plans.plans)
            .write(&mut out)
            .value(&sizes.0)
            .value(&per_view)
            .value(&source_width)
            .value(&sizes.1)
            .value(&sizes.2)
            .run(Grid::over(count))?;
        Ok(out)
    }
}
