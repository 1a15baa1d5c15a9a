//! The contrastive loss over levels of several strides, with its gradient.

use crate::driver::{self, Grid, Launch};
use crate::shape::{Feature, Suffix};
use crate::{Buffer, CudaError, Device, Features};
use infomark_core::{InfoNce, Negatives, Point, Positive};

/// Maximum number of levels per launch.
const MOST_LEVELS: usize = 8;
/// Threads of a block; positives that share a whole map; cells of a block that gathers gradients. As in the kernels.
const THREADS: u32 = 128;
const TILE: usize = 8;
const TILE_WIDTH: usize = 8;
const TILE_HEIGHT: usize = 4;

/// The core's [`Positive`] on the device: a point in a view and in its image, in the pixels of each.
///
/// A pair with a coordinate that is not finite is skipped: it adds nothing to the loss.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointPair {
    view: [f32; 2],
    image: [f32; 2],
}

impl PointPair {
    /// A pair that is skipped.
    pub const NONE: Self = Self { view: [f32::NAN; 2], image: [f32::NAN; 2] };

    /// The positive; `None` for a skipped pair.
    pub fn positive(&self) -> Option<Positive<f32>> {
        let point = |[x, y]: [f32; 2]| Point::new(x, y);
        let (view, image) = (point(self.view), point(self.image));
        (view.is_finite() && image.is_finite()).then_some(Positive { view, image })
    }
}

impl From<Positive<f32>> for PointPair {
    fn from(positive: Positive<f32>) -> Self {
        let Positive { view, image } = positive;
        Self { view: [view.x, view.y], image: [image.x, image.y] }
    }
}

/// One level of features of views and images, with its loss.
#[derive(Debug)]
pub struct Level<'a, T> {
    /// Features of the views; those of an image are consecutive.
    pub views: Features<'a, T>,
    /// Features of the images.
    pub images: Features<'a, T>,
    /// The loss of this level.
    pub loss: InfoNce<f32>,
}

/// Gradients of a level: `f32`, in the layout of its features.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Gradient with respect to the views' features.
    pub views: &'a mut Buffer<f32>,
    /// Gradient with respect to the images' features.
    pub images: &'a mut Buffer<f32>,
}

/// A level in the kernels' layout.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct LevelTable {
    view: u64,
    image: u64,
    grad_view: u64,
    grad_image: u64,
    logits: u64,
    softmax: u64,
    anchor_grads: u64,
    losses: u64,
    channels: i32,
    view_size: [i32; 3],
    image_size: [i32; 3],
    radius: i32,
    exclusion_radius: i32,
    area: i32,
    inverse_temperature: f32,
    grad_scale: f32,
    first_block: u32,
    first_tile: u32,
}

/// All levels in the kernels' layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    level: [LevelTable; MOST_LEVELS],
    count: i32,
    views: u32,
    per_image: u32,
    positives: u32,
}

/// Sizes of a launch over all levels.
struct Plan {
    table: Levels,
    /// Blocks of the launches over positives, and over cells.
    blocks: usize,
    tiles: usize,
    most_channels: usize,
    /// Number of positives of all views.
    pairs: usize,
}

/// Intermediate buffers of the kernels, for a level.
struct Scratch {
    logits: Buffer<f32>,
    softmax: Buffer<f32>,
    losses: Buffer<f32>,
    anchor_grads: Buffer<f32>,
}

impl Device {
    /// InfoNCE loss of each level, summed over the positives: the core's [`InfoNce::forward`], for features in `f32` or
    /// `bf16`, with sums in `f32`.
    ///
    /// `positives` has the same number for each view, view after view; see [`PointPair`] for fewer. The views of image
    /// `i` are the `views / images` from `i * views / images` on. Results are deterministic.
    ///
    /// Cost: reads the features of each window once per positive, a whole map once per 8 of a view, mostly
    /// from the L2 cache; keeps 4 bytes per cell compared with. Limited by that cache for windows, by multiplications
    /// for whole maps.
    ///
    /// # Errors
    /// When there is no level or more than 8, shapes do not match, a temperature is not finite and above 0, or the device
    /// fails.
    pub fn info_nce<T: Feature>(
        &self,
        levels: &[Level<'_, T>],
        positives: &Buffer<PointPair>,
    ) -> Result<Buffer<f32>, CudaError> {
        self.run_info_nce(levels, positives, None)
    }

    /// The loss as [`info_nce`](Self::info_nce), with its gradient: **adds** `scale` times the derivatives of the sum with respect to all
    /// features to the gradients. No atomic additions: results are deterministic.
    ///
    /// Cost: that of [`info_nce`](Self::info_nce), about as much again for the views' gradient, and for the images' the
    /// kept logits once, the gradient read and written, and a multiplication per channel, positive and cell of the tiles of
    /// 8 x 4 cells that intersect its window.
    ///
    /// # Errors
    /// As [`info_nce`](Self::info_nce), and when a gradient and its features differ in length or the scale is not
    /// finite. The gradients are unchanged then.
    pub fn info_nce_backward<T: Feature>(
        &self,
        levels: &[Level<'_, T>],
        positives: &Buffer<PointPair>,
        gradients: &mut [Gradients<'_>],
        scale: f32,
    ) -> Result<Buffer<f32>, CudaError> {
        const OPERATION: &str = "InfoNCE gradient";
        if gradients.len() != levels.len() {
            let reason = format!("gradients of {} levels for {}", gradients.len(), levels.len());
            return Err(CudaError::shape(OPERATION, reason));
        }
        if !scale.is_finite() {
            let (name, value) = ("scale", f64::from(scale));
            return Err(CudaError::Parameter { operation: OPERATION, name, value, condition: "finite" });
        }
        for (level, gradient) in levels.iter().zip(gradients.iter()) {
            for (name, len, needed) in [
                ("the views' gradient", gradient.views.len(), level.views.buffer.len()),
                ("the images' gradient", gradient.images.len(), level.images.buffer.len()),
            ] {
                if len != needed {
                    let shape = format!("{} features", level.views.channels);
                    return Err(CudaError::Length { operation: OPERATION, name, len, needed, shape });
                }
            }
        }
        self.run_info_nce(levels, positives, Some((gradients, scale)))
    }

    fn run_info_nce<T: Feature>(
        &self,
        levels: &[Level<'_, T>],
        positives: &Buffer<PointPair>,
        gradients: Option<(&mut [Gradients<'_>], f32)>,
    ) -> Result<Buffer<f32>, CudaError> {
        const OPERATION: &str = "InfoNCE";
        let mut plan = plan(OPERATION, levels, positives.len())?;
        if plan.pairs == 0 {
            return self.zeros(levels.len());
        }
        let backward = gradients.is_some();
        let mut scratch = Vec::with_capacity(levels.len());
        for (level, table) in levels.iter().zip(&plan.table.level) {
            let of = |each: usize| plan.pairs.saturating_mul(each);
            let channels = if backward { level.images.channels } else { 0 };
            scratch.push(Scratch {
                logits: self.allocate(of(table.area as usize), OPERATION)?,
                softmax: self.allocate(of(2), OPERATION)?,
                losses: self.allocate(of(1), OPERATION)?,
                anchor_grads: self.allocate(of(channels), OPERATION)?,
            });
        }
        // Guards of the buffers' order among streams; dropped after the launches.
        let mut guards = Vec::new();
        for ((level, table), scratch) in levels.iter().zip(&mut plan.table.level).zip(&mut scratch) {
            let mut enter = |(address, guard)| {
                guards.push(guard);
                address
            };
            table.view = enter(driver::address(self, OPERATION, level.views.buffer)?);
            table.image = enter(driver::address(self, OPERATION, level.images.buffer)?);
            table.logits = enter(driver::address_mut(self, OPERATION, &mut scratch.logits)?);
            table.softmax = enter(driver::address_mut(self, OPERATION, &mut scratch.softmax)?);
            table.losses = enter(driver::address_mut(self, OPERATION, &mut scratch.losses)?);
            table.anchor_grads = enter(driver::address_mut(self, OPERATION, &mut scratch.anchor_grads)?);
        }
        if let Some((gradients, scale)) = gradients {
            for (gradient, table) in gradients.iter_mut().zip(&mut plan.table.level) {
                let (views, guard) = driver::address_mut(self, OPERATION, gradient.views)?;
                guards.push(guard);
                let (images, guard) = driver::address_mut(self, OPERATION, gradient.images)?;
                guards.push(guard);
                (table.grad_view, table.grad_image, table.grad_scale) = (views, images, scale);
            }
        }

        let kernel = |name: [&'static str; 2]| match T::SUFFIX {
            Suffix::F32 => name[0],
            Suffix::Bf16 => name[1],
        };
        let launch = |name: [&'static str; 2], grid: Grid| {
            Launch::new(self, OPERATION, kernel(name))?.read(positives).value(&plan.table).run(grid)
        };
        let shared = plan.most_channels * TILE * size_of::<f32>();
        launch(
            ["info_nce_forward_f32", "info_nce_forward_bf16"],
            Grid::new(plan.blocks, THREADS).shared(shared),
        )?;
        let mut losses = self.allocate(levels.len(), OPERATION)?;
        Launch::new(self, OPERATION, "info_nce_losses")?
            .write(&mut losses)
            .value(&plan.table)
            .run(Grid::new(levels.len(), THREADS))?;
        if backward {
            launch(
                ["info_nce_backward_view_f32", "info_nce_backward_view_bf16"],
                Grid::new(plan.blocks, THREADS).shared(shared),
            )?;
            let views = levels.len() * plan.table.views as usize;
            launch(["info_nce_scatter_view"; 2], Grid::new(views, THREADS))?;
            launch(
                ["info_nce_backward_image_f32", "info_nce_backward_image_bf16"],
                Grid::new(plan.tiles, THREADS),
            )?;
        }
        drop(guards);
        Ok(losses)
    }
}

/// Checks all shapes and plans the launches.
fn plan<T: Feature>(
    operation: &'static str,
    levels: &[Level<'_, T>],
    pairs: usize,
) -> Result<Plan, CudaError> {
    let refuse = |reason: String| Err(CudaError::shape(operation, reason));
    let Some(first) = levels.first().filter(|_| levels.len() <= MOST_LEVELS) else {
        return refuse(format!("{} levels: 1 to {MOST_LEVELS} are possible", levels.len()));
    };
    let (views, images) = (first.views.count, first.images.count);
    if !views.is_multiple_of(images.max(1)) || (images == 0 && views > 0) {
        return refuse(format!("{views} views of {images} images: each has to have as many"));
    }
    if !pairs.is_multiple_of(views.max(1)) || (views == 0 && pairs > 0) || u32::try_from(pairs).is_err() {
        return refuse(format!("{pairs} positives in {views} views: each has to have as many"));
    }
    let positives = pairs / views.max(1);
    let mut level_table = [LevelTable::default(); MOST_LEVELS];
    let (mut blocks, mut tiles, mut most_channels) = (0usize, 0usize, 0);
    for (index, (level, table)) in levels.iter().zip(&mut level_table).enumerate() {
        let (view, image, loss) = (&level.views, &level.images, &level.loss);
        if (view.count, image.count) != (views, images) {
            let (v, i) = (view.count, image.count);
            return refuse(format!(
                "level {index} has {v} views of {i} images, the first {views} of {images}"
            ));
        }
        if view.channels != image.channels {
            let (v, i) = (view.channels, image.channels);
            return refuse(format!("level {index}: the views have {v} channels, the images {i}"));
        }
        if !(loss.temperature.is_finite() && loss.temperature > 0.0) {
            let (name, value) = ("temperature", f64::from(loss.temperature));
            return Err(CudaError::Parameter { operation, name, value, condition: "finite and above 0" });
        }
        let most = image.width.max(image.height);
        let (radius, area, each) = match loss.negatives {
            Negatives::WholeMap => (-1, image.cells(), TILE),
            Negatives::Window { radius } => {
                let side = radius.saturating_mul(2).saturating_add(1);
                (radius.min(most) as i32, side.min(image.width) * side.min(image.height), 1)
            }
        };
        *table = LevelTable {
            channels: image.channels as i32,
            view_size: [view.width, view.height, view.stride].map(|n| n as i32),
            image_size: [image.width, image.height, image.stride].map(|n| n as i32),
            radius,
            exclusion_radius: loss.exclusion_radius.min(most) as i32,
            area: area as i32,
            inverse_temperature: 1.0 / loss.temperature,
            first_block: u32::try_from(blocks).unwrap_or(u32::MAX),
            first_tile: u32::try_from(tiles).unwrap_or(u32::MAX),
            ..LevelTable::default()
        };
        let map_tiles = image.width.div_ceil(TILE_WIDTH) * image.height.div_ceil(TILE_HEIGHT);
        blocks = blocks.saturating_add(views * positives.div_ceil(each));
        tiles = tiles.saturating_add(images.saturating_mul(map_tiles));
        most_channels = most_channels.max(image.channels);
    }
    let table = Levels {
        level: level_table,
        count: levels.len() as i32,
        views: views as u32,
        per_image: (views / images.max(1)) as u32,
        positives: positives as u32,
    };
    Ok(Plan { table, blocks, tiles, most_channels, pairs })
}
