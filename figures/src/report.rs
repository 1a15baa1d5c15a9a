//! One self-contained HTML page of a result: pictures, worst first, charts, tables, and what made it.
//!
//! A caller fills [`Results`], makes [`pictures`] of its worst images, and gives both to [`html`]. The page needs
//! no network and loads nothing; it holds the radiographs that it shows.

mod charts;
mod gallery;
mod page;
mod results;

pub use gallery::{ImagePaths, Picture, pictures};
pub use page::{Plate, html};
pub use results::{Case, Kind, PointError, ReportedMeasurement, Results, Spot};

use std::path::PathBuf;

use infomark_infer::{FileError, ImageError};

use crate::PictureError;

/// Style of the page that other pages of the program share: colours, fonts, focus.
pub const BASE_STYLE: &str = include_str!("report/base.css");

/// Why a page could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// An image could not be read.
    #[error(transparent)]
    Image(#[from] Box<ImageError>),
    /// An overlay could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A picture or chart could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// An image of another size than the result says.
    #[error(
        "{}: it has {} x {} pixels, but the result is for {} x {}; give the image it was made from",
        path.display(), size.0, size.1, expected.0, expected.1
    )]
    Size {
        /// Its path.
        path: PathBuf,
        /// Its width and height in pixels.
        size: (usize, usize),
        /// Those that the result says.
        expected: (usize, usize),
    },
    /// The page could not be written.
    #[error("the page can't be made ({reason})")]
    Page {
        /// What the template engine said.
        reason: String,
    },
}
