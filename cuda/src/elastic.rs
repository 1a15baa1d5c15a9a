//! Affine views with elastic deformation.

use crate::driver::{Grid, Launch};
use crate::loss::PointPair;
use crate::tiles::{Tiles, check_images, check_points, check_size, checked_tone};
use crate::{Buffer, CudaError, Device, Images, ViewSource};
use infomark_core::{Elastic, IntensityJitter, Point};

/// Elastic view of an image of a batch: its geometry, by the core's [`Elastic`], and its intensity jitter.
///
/// Without deformation, all control displacements are 0.
#[derive(Clone, Copy, Debug)]
pub struct ElasticView<'a> {
    /// Index of the image in the batch.
    pub image: usize,
    /// The affine map, the size, and the displacements.
    pub field: Elastic<'a, f32>,
    /// The intensity jitter.
    pub tone: IntensityJitter<f32>,
}

/// An [`ElasticView`] without its control points, in the kernels' layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ElasticPlan {
    image: i32,
    pull: [[f32; 3]; 2],
    push: [[f32; 3]; 2],
    tone: [f32; 3],
}

/// Values common to all views of a launch, in the kernels' layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlGrid {
    width: i32,
    height: i32,
    cell: i32,
    columns: i32,
    controls: i64,
    spacing: f64,
    spacing_f32: f32,
}

/// Elastic views on the device, all of one size, of images of one batch.
#[derive(Debug)]
pub struct ElasticViews {
    plans: Buffer<ElasticPlan>,
    /// Displacements, x and y interleaved, row by row, view after view.
    controls: Buffer<f32>,
    grid: ControlGrid,
    width: usize,
    height: usize,
    /// Minimum number of images in the batch.
    images: usize,
}

impl ElasticViews {
    /// Number of views.
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether there are no views.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// Width of each view in pixels; 0 without views.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height of each view in pixels; 0 without views.
    pub fn height(&self) -> usize {
        self.height
    }
}

const UPLOAD: &str = "elastic views";

impl Device {
    /// Copies elastic views with their control points to the device.
    ///
    /// # Errors
    /// When the views differ in size or in the spacing of their control points, have 2^31 pixels or more or a side
    /// of 2^24 or more, an image's index is 2^31 or more, a factor of a jitter is unusable, or the device fails.
    pub fn upload_elastic_views(&self, views: &[ElasticView<'_>]) -> Result<ElasticViews, CudaError> {
        let size = |field: &Elastic<'_, f32>| (field.view().width(), field.view().height(), field.spacing());
        let (width, height, spacing) = views.first().map_or((0, 0, 1), |view| size(&view.field));
        if !views.is_empty() {
            check_size(UPLOAD, width, height)?;
        }
        let (mut plans, mut controls, mut images) = (Vec::with_capacity(views.len()), Vec::new(), 0);
        for (index, ElasticView { image, field, tone }) in views.iter().enumerate() {
            let other = size(field);
            if other != (width, height, spacing) {
                let (w, h, s) = other;
                let reason = format!(
                    "view {index} has {w} x {h} pixels and control points every {s}, the first {width} x {height} and {spacing}"
                );
                return Err(CudaError::shape(UPLOAD, reason));
            }
            let tone = checked_tone(UPLOAD, *tone)?;
            let Ok(number) = i32::try_from(*image) else {
                return Err(CudaError::shape(UPLOAD, format!("there is no image {image}")));
            };
            images = images.max(image + 1);
            let affine = field.view().affine();
            plans.push(ElasticPlan {
                image: number,
                pull: affine.matrix(),
                push: affine.inverse().matrix(),
                tone,
            });
            controls.extend(field.controls().iter().flat_map(|&Point { x, y }| [x, y]));
        }
        let grid = ControlGrid {
            width: width as i32,
            height: height as i32,
            cell: i32::try_from(spacing).unwrap_or(i32::MAX),
            columns: (width / spacing.max(1) + 4) as i32,
            controls: (controls.len() / 2 / views.len().max(1)) as i64,
            spacing: spacing as f64,
            spacing_f32: spacing as f32,
        };
        let (plans, controls) = (self.upload(&plans)?, self.upload(&controls)?);
        Ok(ElasticViews { plans, controls, grid, width, height, images })
    }

    /// Computes elastic views, without gaps between rows or views: as the core's [`Elastic::resample`], bilinear, with
    /// `Border::Value(border)`, followed by [`IntensityJitter::apply_in_place`]. Bit for bit where gamma is 1, except for the mean of the
    /// contrast, which is summed in another order.
    ///
    /// Cost: two launches, 12 bytes per pixel of the views, the images once and the control points; limited by the L1 cache
    /// and arithmetic, 160 operations per pixel.
    ///
    /// # Errors
    /// When a view is of an image outside the batch, an image is empty, or the device fails.
    pub fn make_elastic_views<T: ViewSource>(
        &self,
        images: Images<'_, T>,
        views: &ElasticViews,
        border: f32,
    ) -> Result<Buffer<f32>, CudaError> {
        const OPERATION: &str = "make elastic views";
        check_images(OPERATION, images, views.len(), views.images)?;
        let tiles = Tiles::new(OPERATION, views.len(), views.width, views.height)?;
        let (mut out, mut sums) = (tiles.pixels(self)?, tiles.sums(self)?);
        let extent = images.extent();
        Launch::new(self, OPERATION, T::ELASTIC_KERNEL)?
            .read(images.buffer)
            .read(&views.plans)
            .read(&views.controls)
            .write(&mut out)
            .write(&mut sums)
            .value(&extent)
            .value(&views.grid)
            .value(&tiles.each)
            .value(&border)
            .run(tiles.grid())?;
        tiles.tone(self, "tone_elastic_views", &views.plans, &sums, &mut out)?;
        Ok(out)
    }

    /// Maps pixels of the images to elastic views: the core's [`Elastic::push`], bit for bit.
    ///
    /// `points` has the same number of indices, `y * source_width + x`, for each view. The result has a pair for each, the
    /// position in the view and in the image; [`PointPair::NONE`] outside the view.
    ///
    /// Cost: 20 bytes per point; limited by arithmetic in double precision, 150 operations per iteration. A view without deformation
    /// takes 1 iteration, random displacements of a fifth of the spacing 8 to 18, the steepest possible 150.
    ///
    /// # Errors
    /// When the number of points is not a multiple of the views, a width is 0, or the device fails.
    pub fn push_elastic_points(
        &self,
        points: &Buffer<u32>,
        views: &ElasticViews,
        source_width: usize,
    ) -> Result<Buffer<PointPair>, CudaError> {
        const OPERATION: &str = "push elastic points";
        let count = points.len();
        let (per_view, source_width) = check_points(OPERATION, count, views.len(), source_width)?;
        let mut out = self.allocate(count, OPERATION)?;
        let total = count as u64;
        Launch::new(self, OPERATION, "push_elastic_points")?
            .read(points)
            .read(&views.plans)
            .read(&views.controls)
            .write(&mut out)
            .value(&total)
            .value(&per_view)
            .value(&source_width)
            .value(&views.grid)
            .run(Grid::over(count))?;
        Ok(out)
    }
}
