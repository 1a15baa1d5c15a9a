//! Views of a batch of images.

use crate::driver::{Grid, Launch};
use crate::loss::PointPair;
use crate::tiles::{Tiles, check_images, check_points, check_size, checked_tone};
use crate::{Buffer, CudaError, Device, Images};
use infomark_core::{AugmentError, IntensityJitter, IntensityRange, Point, Thresholds, TierPolicy, Warp};

/// Plan of a view: its image in the batch, its geometry, and its intensity jitter.
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
    /// A view around `centre` of an image, as by the core's [`Warp`] with these parameters and [`IntensityJitter`].
    ///
    /// # Errors
    /// As [`Warp::new`] and [`IntensityJitter::apply`], and when the image's index is 2^31 or more.
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

    /// Index of the image in the batch.
    pub fn image(&self) -> usize {
        self.image as usize
    }

    /// The point of the image at the view's centre.
    pub fn centre(&self) -> Point<f32> {
        Point::new(self.centre[0], self.centre[1])
    }

    /// Scale times cosine and sine of the angle: the step in the image per pixel to the right in the view.
    pub fn turn(&self) -> Point<f32> {
        Point::new(self.turn[0], self.turn[1])
    }

    /// The intensity jitter.
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
    /// Minimum number of images in the batch.
    images: usize,
}

impl ViewPlans {
    /// Number of views.
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether there are no views.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }
}

/// Distribution of views: tier thresholds and augmentation intensities, rotation and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewGuide {
    /// Tier thresholds.
    pub thresholds: Thresholds<f32>,
    /// Ranges of the intensity jitter for each tier.
    pub policy: TierPolicy<f32>,
    /// Largest angle; uniform in both directions.
    pub rotation_rad: f32,
    /// Largest scale, at least 1; log-uniform between its inverse and it.
    pub scale: f32,
}

/// [`ViewGuide`] in the kernel's layout.
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

/// Pixel type of source images: `u8`, with 255 as 1, or `f32`. Sealed.
pub trait ViewSource: crate::Element + sealed::Sealed {
    /// Name of the kernel.
    #[doc(hidden)]
    const KERNEL: &'static str;
    /// Name of the kernel of elastic views.
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
    /// Copies views planned on the host to the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn upload_views(&self, plans: &[ViewPlan]) -> Result<ViewPlans, CudaError> {
        let images = plans.iter().map(|plan| plan.image() + 1).max().unwrap_or(0);
        Ok(ViewPlans { plans: self.upload(plans)?, images })
    }

    /// Copies plans to the host.
    ///
    /// # Errors
    /// When the device fails.
    pub fn download_views(&self, plans: &ViewPlans) -> Result<Vec<ViewPlan>, CudaError> {
        self.download(&plans.plans)
    }

    /// Draws views around pixels of a batch, with the augmentation intensity of the tier of their centre's entropy.
    ///
    /// `centres` has the same number of pixel indices for each image (see [`draw_pixels`](Self::draw_pixels)); an index
    /// past the last pixel is clamped to it. View `v` consumes the first ten words of stream `first_stream + v`, in the order
    /// brightness, contrast, gamma (as the core's `IntensityRange::draw`), angle, logarithm of the scale. Sine, cosine
    /// and exponential use the device's functions.
    ///
    /// Cost: 48 bytes per view; limited by the launch's latency.
    ///
    /// # Errors
    /// When the maps have gaps, the number of centres is not a multiple of the images, the guide is unusable, or the device fails.
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

    /// Computes views of `width` by `height` pixels, without gaps: as the core's `Warp::resample` with `border`, followed by
    /// `IntensityJitter::apply_in_place`. Bit for bit where gamma is 1, except for the mean of the contrast, which is summed in
    /// another order.
    ///
    /// Cost: two launches, 12 bytes per pixel of the views and the images once; limited by memory.
    ///
    /// # Errors
    /// When a view is of an image outside the batch, a side is 0, an image is empty, or the device fails.
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

    /// Maps pixels of the images to views of `width` by `height` pixels: the core's `Warp::push`.
    ///
    /// `points` has the same number of indices, `y * source_width + x`, for each view. The result has a pair for
    /// each, the position in the view and in the image; [`PointPair::NONE`] outside the view.
    ///
    /// Cost: 20 bytes per point; limited by memory.
    ///
    /// # Errors
    /// When the number of points is not a multiple of the views, a side is 0, or the device fails.
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
