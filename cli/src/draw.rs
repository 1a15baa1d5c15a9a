//! Pictures: overlays, colour maps, sheets.

mod canvas;
mod colour;
mod overlay;
mod panel;
mod pen;
mod svg;

pub(crate) use canvas::{Canvas, Colour, Font, grey_png, rgb_png};
pub(crate) use colour::{Scale, qualitative};
pub(crate) use overlay::{Mark, label_corners, overlay, overlay_svg};
pub(crate) use panel::{Legend, captioned, panel, sheet};
