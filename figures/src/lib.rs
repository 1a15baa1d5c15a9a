//! Pictures of landmark detection: charts, overlays, information maps, and the HTML page of a result.
//!
//! Every picture is a [`Scene`] of shapes, which is written as SVG or as PNG, except for a [`Raster`] of pixels,
//! which scenes hold.
//!
//! * A [`Chart`] is one pair of axes; [`draw_charts`] draws several below each other.
//! * [`overlay`] draws landmarks into their image.
//! * [`InformationMaps`] shows where an image carries information: entropy, tiers and sampling weights.
//! * [`panel`], [`captioned`] and [`sheet`] put pictures beside each other.
//! * [`report`] makes one self-contained HTML page of a result.
//!
//! ```
//! use infomark_figures::{Chart, Series, draw_charts};
//!
//! let chart = Chart {
//!     title: "Loss".into(),
//!     x_label: "step".into(),
//!     x_whole: true,
//!     series: vec![Series::line("sum", 0, [(1.0, 8.2), (2.0, 7.1), (3.0, 6.8)])],
//!     height: 300,
//!     ..Chart::default()
//! };
//! let figure = draw_charts(&[chart], "an example");
//! assert!(figure.to_svg()?.starts_with("<svg"));
//! assert!(figure.to_png(2)?.starts_with(b"\x89PNG"));
//! # Ok::<(), infomark_figures::PictureError>(())
//! ```
//!
//! The same input gives the same bytes on every machine: text is drawn with a font that is part of the crate.

#![forbid(unsafe_code)]

mod chart;
mod colour;
mod error;
mod error_bounds;
mod font;
mod maps;
mod overlay;
mod panel;
mod raster;
pub mod report;
mod scene;
mod ticks;

pub use chart::{Chart, Dot, Series, Style, draw_charts, draw_narrow_charts};
pub use colour::{Colour, FAINT, Scale, line_colour, qualitative};
pub use error::PictureError;
pub use error_bounds::{error_bound_charts, uncertainty_chart};
pub use font::text_width;
pub use maps::{InformationMaps, MapError, MapOptions, information_sheet};
pub use overlay::{Mark, overlay};
pub use panel::{Legend, captioned, panel, sheet};
pub use raster::Raster;
pub use scene::{Anchor, Area, Scene, Stroke, Text};
