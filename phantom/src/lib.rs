//! Procedural radiograph-like images with exact landmarks.
//!
//! A [`Phantom`] draws the side view of a head: skull vault and base, orbit, jaws and teeth, neck
//! vertebrae, hyoid bone, airway and skin, as an X-ray would show them. Bones have a bright cortex
//! around a paler inside because their path lengths are added up and turned into film density
//! (Beer-Lambert). Every image differs in pose, shape, exposure, noise and framing, and the
//! landmarks come from the same control points that the bones are drawn through, so they are
//! exact and sub-pixel.
//!
//! It stands in for real radiographs where none can be shipped: the demonstration and the tests.
//! An encoder that works on it says little about patients.
//!
//! ```
//! use infomark_phantom::Phantom;
//!
//! # fn main() -> Result<(), infomark_phantom::PhantomError> {
//! let phantom = Phantom::new(256, 320)?;
//! let image = phantom.image(7, 0);
//! assert_eq!(image.pixels.len(), 256 * 320);
//! let (name, at) = image.landmarks[0];
//! assert_eq!(name, "sella");
//! assert!(at.x > 0.0 && at.x < 255.0);
//! # Ok(())
//! # }
//! ```
//!
//! The same seed, index and size give the same bits on every machine: the arithmetic is IEEE
//! basic operations and `libm`, the random numbers are counter-based.

mod anatomy;
mod attenuation;
mod data_folder;
mod exposure;
mod outline;
mod texture;

use infomark_core::{Point, Rng};

pub use anatomy::LANDMARKS;

/// The smallest and largest side of an image in pixels.
const SIDES: core::ops::RangeInclusive<usize> = 64..=4096;

/// What is wrong with a requested phantom.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// The image would be too small to show the anatomy, or absurdly large.
    #[error("a phantom of {width} x {height} pixels cannot be drawn: choose sides of {} to {}", SIDES.start(), SIDES.end())]
    Size {
        /// The requested width.
        width: usize,
        /// The requested height.
        height: usize,
    },
}

/// A generator of images of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phantom {
    width: usize,
    height: usize,
}

/// One image with its landmarks.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomImage {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Grey levels, row by row; bone is bright.
    pub pixels: Vec<u8>,
    /// The landmarks in the order of [`LANDMARKS`], in pixels; `(0, 0)` is the centre of the
    /// first pixel. All lie inside the image.
    pub landmarks: Vec<(&'static str, Point<f64>)>,
}

impl PhantomImage {
    /// The image as a file: binary PGM (`P5`), 8 bits.
    #[must_use]
    pub fn pgm(&self) -> Vec<u8> {
        let header = format!("P5\n{} {}\n255\n", self.width, self.height);
        [header.as_bytes(), &self.pixels].concat()
    }
}

impl Default for Phantom {
    /// 256 x 320 pixels, the size the anatomy was drawn for.
    fn default() -> Self {
        Self { width: 256, height: 320 }
    }
}

impl Phantom {
    /// A generator of images of `width` x `height` pixels; the head is scaled to fit.
    ///
    /// # Errors
    /// [`PhantomError::Size`] when a side is below 64 or above 4096 pixels.
    pub fn new(width: usize, height: usize) -> Result<Self, PhantomError> {
        if SIDES.contains(&width) && SIDES.contains(&height) {
            Ok(Self { width, height })
        } else {
            Err(PhantomError::Size { width, height })
        }
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Image number `index` of the series `seed`: independent of every other index.
    #[must_use]
    pub fn image(&self, seed: u64, index: u64) -> PhantomImage {
        let mut rng = Rng::new(seed, index);
        let head = anatomy::Head::draw(&mut rng, self.width, self.height);
        let attenuation = head.attenuation(&mut rng);
        let pixels = exposure::expose(&attenuation, &head, &mut rng);
        PhantomImage { width: self.width, height: self.height, pixels, landmarks: head.landmarks() }
    }
}
