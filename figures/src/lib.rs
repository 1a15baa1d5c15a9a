//! Pictures of landmark detection: charts, overlays, information maps, and the HTML page of a result.
//!
//! * A [`Chart`] is one pair of axes; [`chart_png`] and [`chart_svg`] draw several below each other.
//! * [`overlay`] and [`overlay_svg`] draw landmarks into their image.
//! * [`InformationMaps`] shows where an image carries information: entropy, tiers and sampling weights.
//! * [`panel`], [`captioned`] and [`sheet`] put pictures beside each other.
//! * [`report`] makes one self-contained HTML page of a result.
//!
//! ```
//! use infomark_figures::{Chart, Series, chart_svg};
//!
//! let chart = Chart {
//!     title: "Loss".into(),
//!     x_label: "step".into(),
//!     x_whole: true,
//!     series: vec![Series::line("sum", 0, [(1.0, 8.2), (2.0, 7.1), (3.0, 6.8)])],
//!     height: 300,
//!     ..Chart::default()
//! };
//! assert!(chart_svg(&[chart], "an example")?.starts_with("<svg"));
//! # Ok::<(), infomark_figures::PictureError>(())
//! ```
//!
//! The same input gives the same bytes on every machine: text is drawn with a font that is part of the crate.

#![forbid(unsafe_code)]

mod canvas;
mod chart;
mod colour;
mod error;
mod error_bounds;
mod maps;
mod overlay;
mod panel;
mod pen;
pub mod report;
mod svg;

pub use canvas::{Area, Canvas, Font, grey_png};
pub use chart::{Chart, Dot, Series, Style, chart_png, chart_svg, narrow_chart_svg};
pub use colour::{Colour, FAINT, Scale, line_colour, qualitative};
pub use error::PictureError;
pub use error_bounds::{error_bound_charts, uncertainty_chart};
pub use maps::{InformationMaps, MapError, MapOptions, information_sheet};
pub use overlay::{Mark, label_corners, overlay, overlay_svg};
pub use panel::{Legend, captioned, panel, sheet};
