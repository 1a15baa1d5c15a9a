//! Similarity search of template features in feature maps.

use crate::driver::{self, Grid, Launch};
use crate::shape::{Feature, Suffix};
use crate::{Buffer, CudaError, Device, Features};
use infomark_core::{Peak, Point};
use std::ops::Range;

/// Maximum number of levels of a search.
const MOST_LEVELS: usize = 8;
/// Threads of a block, cells of a thread, templates that share a map: as in the kernels.
const THREADS: usize = 128;
const CELLS: usize = 4;
const TILE: usize = 8;
/// Maximum number of matches of a template.
const MOST_MATCHES: usize = 1024;
/// Maximum number of similarities held at a time.
const HELD: usize = 1 << 26;

/// One level of a search: features of the images, and of all templates in the order template, channel.
#[derive(Debug)]
pub struct SearchLevel<'a, T> {
    /// Features of the images.
    pub images: Features<'a, T>,
    /// Features of the templates.
    pub templates: &'a Buffer<f32>,
}

/// Products of a level in the kernel's layout.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Products {
    values: u64,
    size: [i32; 3],
}

/// All levels' products, and the size of the finest, in the kernel's layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pyramid {
    level: [Products; MOST_LEVELS],
    count: i32,
    size: [i32; 3],
}

/// One of the highest cells in the kernel's layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    at: [f32; 2],
    value: f32,
    cell: i32,
}

/// Similarity maps of images and templates, in the order image, template, row, column, on the finest level's grid.
#[derive(Debug)]
pub struct Similarities {
    /// The values.
    pub values: Buffer<f32>,
    /// Number of images.
    pub images: usize,
    /// Number of templates.
    pub templates: usize,
    /// Width of the grid in cells.
    pub width: usize,
    /// Height of the grid in cells.
    pub height: usize,
    /// Stride: input pixels per cell.
    pub stride: usize,
}

/// Values common to all levels.
struct Common {
    images: usize,
    templates: usize,
    finest: [usize; 3],
}

const OPERATION: &str = "search";

impl Device {
    /// Similarity map of each image and template: the core's `similarity`, up to the rounding of the
    /// products' sums. Nothing is normalised: features of length 1 give cosines.
    ///
    /// Cost: reads a map once per 8 templates, writes 4 bytes per cell of a level and template, then 4 per cell of the
    /// finest. Limited by memory up to about 30 channels, then by multiplications.
    ///
    /// # Errors
    /// When there is no level or more than 8, shapes do not match, the temperature is not finite and above 0, or the
    /// device fails.
    pub fn similarities<T: Feature>(
        &self,
        levels: &[SearchLevel<'_, T>],
        temperature: f32,
    ) -> Result<Similarities, CudaError> {
        let common = check(levels, temperature)?;
        self.similarities_of(levels, temperature, &common, 0..common.templates)
    }

    /// The `most` highest cells of each map, in order, refined as by the core's `peak`; fewer where a map has fewer cells that
    /// are not NaN. One list per image and template, image after image.
    ///
    /// Synchronises. Cost: reads the maps once per peak, mostly from the L2 cache, which limits
    /// it.
    ///
    /// # Errors
    /// When `most` exceeds 1024, or the device fails.
    pub fn highest(&self, maps: &Similarities, most: usize) -> Result<Vec<Vec<Peak<f32>>>, CudaError> {
        if most > MOST_MATCHES {
            let reason = format!("{most} matches of a template: up to {MOST_MATCHES} are possible");
            return Err(CudaError::shape(OPERATION, reason));
        }
        let product = |numbers: &[usize]| numbers.iter().try_fold(1usize, |n, &m| n.checked_mul(m));
        let (count, cells) = (product(&[maps.images, maps.templates]), product(&[maps.width, maps.height]));
        let small = cells.is_some_and(|n| i32::try_from(n).is_ok()) && maps.stride < 1 << 24;
        let (Some(count), Some(cells), true) = (count, cells, small) else {
            return Err(CudaError::shape(OPERATION, "maps of that size are not possible"));
        };
        let (len, needed) = (maps.values.len(), count.saturating_mul(cells));
        if len != needed {
            let shape = format!("{count} maps of {} x {} cells", maps.width, maps.height);
            return Err(CudaError::Length { operation: OPERATION, name: "the maps", len, needed, shape });
        }
        if most == 0 || count == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        let mut found = self.allocate::<Found>(count.saturating_mul(most), OPERATION)?;
        let sizes = [maps.width, maps.height, maps.stride, most].map(|n| n as i32);
        let mut launch = Launch::new(self, OPERATION, "highest_cells")?.read(&maps.values).write(&mut found);
        for size in &sizes {
            launch = launch.value(size);
        }
        launch.run(Grid::new(count, 256))?;
        let found = self.download(&found)?;
        let peak = |found: &Found| Peak { at: Point::new(found.at[0], found.at[1]), value: found.value };
        let list = |found: &[Found]| found.iter().filter(|f| f.cell >= 0).map(peak).collect();
        Ok(found.chunks_exact(most).map(list).collect())
    }

    /// Matches templates in images: [`similarities`](Self::similarities) and [`highest`](Self::highest) in
    /// batches of templates, so that any number fits into memory.
    ///
    /// # Errors
    /// As [`similarities`](Self::similarities) and [`highest`](Self::highest).
    pub fn search<T: Feature>(
        &self,
        levels: &[SearchLevel<'_, T>],
        temperature: f32,
        most: usize,
    ) -> Result<Vec<Vec<Peak<f32>>>, CudaError> {
        let common = check(levels, temperature)?;
        let cells: usize = levels.iter().map(|level| level.images.cells()).sum();
        let cells = cells.saturating_mul(common.images.max(1));
        let at_a_time = (HELD / cells.max(1)).clamp(1, common.templates.max(1));
        let mut lists = vec![Vec::new(); common.images * common.templates];
        for start in (0..common.templates).step_by(at_a_time) {
            let part = start..common.templates.min(start + at_a_time);
            let maps = self.similarities_of(levels, temperature, &common, part.clone())?;
            for (i, found) in self.highest(&maps, most)?.into_iter().enumerate() {
                let (image, template) = (i / part.len(), start + i % part.len());
                lists[image * common.templates + template] = found;
            }
        }
        Ok(lists)
    }

    /// Similarities to some of the templates.
    fn similarities_of<T: Feature>(
        &self,
        levels: &[SearchLevel<'_, T>],
        temperature: f32,
        common: &Common,
        part: Range<usize>,
    ) -> Result<Similarities, CudaError> {
        let (count, [width, height, stride]) = (part.len(), common.finest);
        let maps = common.images.saturating_mul(count);
        let mut products = Vec::with_capacity(levels.len());
        for level in levels {
            products.push(self.products(level, temperature, part.clone())?);
        }
        let mut pyramid = Pyramid {
            level: [Products::default(); MOST_LEVELS],
            count: levels.len() as i32,
            size: common.finest.map(|n| n as i32),
        };
        let mut guards = Vec::new();
        for ((table, level), values) in pyramid.level.iter_mut().zip(levels).zip(&products) {
            let (address, guard) = driver::address(self, OPERATION, values)?;
            guards.push(guard);
            let size = [level.images.width, level.images.height, level.images.stride];
            *table = Products { values: address, size: size.map(|n| n as i32) };
        }
        let mut values = self.allocate(maps.saturating_mul(width * height), OPERATION)?;
        let total = values.len() as u64;
        Launch::new(self, OPERATION, "add_levels")?
            .write(&mut values)
            .value(&pyramid)
            .value(&total)
            .run(Grid::over(total as usize))?;
        drop(guards);
        Ok(Similarities { values, images: common.images, templates: count, width, height, stride })
    }

    /// Products of a level's features with some of the templates.
    fn products<T: Feature>(
        &self,
        level: &SearchLevel<'_, T>,
        temperature: f32,
        part: Range<usize>,
    ) -> Result<Buffer<f32>, CudaError> {
        let images = &level.images;
        let (channels, cells, count) = (images.channels, images.cells(), part.len());
        let total = images.count.checked_mul(count).and_then(|maps| maps.checked_mul(cells));
        let mut out = self.allocate(total.unwrap_or(usize::MAX), OPERATION)?;
        let templates = level.templates.as_cuda().try_slice(part.start * channels..part.end * channels);
        let (Some(templates), false) = (templates, out.is_empty()) else {
            return Ok(out);
        };
        if level.templates.as_cuda().context() != self.stream().context() {
            return Err(CudaError::OtherDevice { operation: OPERATION });
        }
        let kernel = match T::SUFFIX {
            Suffix::F32 => "products_f32",
            Suffix::Bf16 => "products_bf16",
        };
        let sizes = (channels as i32, cells as i32, count as u32, 1.0 / temperature);
        let blocks = cells.div_ceil(THREADS * CELLS) * count.div_ceil(TILE) * images.count;
        Launch::new(self, OPERATION, kernel)?
            .read(images.buffer)
            .read_part(&templates)
            .write(&mut out)
            .value(&sizes.0)
            .value(&sizes.1)
            .value(&sizes.2)
            .value(&sizes.3)
            .run(Grid::new(blocks, THREADS as u32).shared(channels * TILE * size_of::<f32>()))?;
        Ok(out)
    }
}

/// Checks all shapes.
fn check<T: Feature>(levels: &[SearchLevel<'_, T>], temperature: f32) -> Result<Common, CudaError> {
    let refuse = |reason: String| Err(CudaError::shape(OPERATION, reason));
    let finest = levels.iter().map(|level| &level.images).min_by_key(|images| images.stride);
    let Some(finest) = finest.filter(|_| levels.len() <= MOST_LEVELS) else {
        return refuse(format!("{} levels: 1 to {MOST_LEVELS} are possible", levels.len()));
    };
    if !(temperature.is_finite() && temperature > 0.0) {
        let (name, value) = ("temperature", f64::from(temperature));
        let condition = "finite and above 0";
        return Err(CudaError::Parameter { operation: OPERATION, name, value, condition });
    }
    let counts = |level: &SearchLevel<'_, T>| {
        let (len, channels) = (level.templates.len(), level.images.channels);
        (level.images.count, (len % channels == 0).then_some(len / channels))
    };
    let (images, templates) = counts(&levels[0]);
    for (index, level) in levels.iter().enumerate() {
        if counts(level) != (images, templates) || templates.is_none() {
            let (count, len, channels) = (level.images.count, level.templates.len(), level.images.channels);
            return refuse(format!(
                "level {index} has {count} images and {len} elements of templates with {channels} channels, \
                 the first {images} images and {templates:?} templates"
            ));
        }
    }
    let finest = [finest.width, finest.height, finest.stride];
    Ok(Common { images, templates: templates.unwrap_or(0), finest })
}
