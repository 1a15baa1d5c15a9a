//! Drawings of a scheme's anatomy, on which its landmarks are marked.

use std::fmt::Write;

use super::Scheme;

/// Drawing of the anatomy of a scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemeDrawing {
    /// Width and height, in the units of the outlines.
    pub size: [f64; 2],
    /// Outlines as SVG path data.
    pub outlines: Vec<String>,
}

impl Scheme {
    /// Picture of a landmark on the drawing of the scheme, as SVG: outlines in the colour of text, the landmark as a ring, the others as
    /// dots. `None` without a drawing, for an unknown index, and for a landmark without a position on the drawing.
    ///
    /// ```
    /// let ceph = infomark_infer::Scheme::load("ceph")?;
    /// let sella = ceph.position("sella").and_then(|index| ceph.picture(index));
    /// assert!(sella.is_some_and(|svg| svg.starts_with("<svg")));
    /// # Ok::<(), infomark_infer::SchemeError>(())
    /// ```
    pub fn picture(&self, landmark: usize) -> Option<String> {
        let SchemeDrawing { size: [width, height], outlines } = self.drawing.as_ref()?;
        let [x, y] = self.landmarks.get(landmark)?.drawn_at?;
        // Strokes and marks have the same size in drawings of any size.
        let unit = width.max(*height) / 100.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\"><g fill=\"none\" stroke=\"currentColor\" stroke-width=\"{:.2}\" stroke-linejoin=\"round\">",
            0.7 * unit
        );
        for outline in outlines {
            let _ = write!(svg, "<path d=\"{outline}\"/>");
        }
        svg += "</g><g fill=\"currentColor\">";
        let others = self.landmarks.iter().enumerate().filter(|(index, _)| *index != landmark);
        for [x, y] in others.filter_map(|(_, other)| other.drawn_at) {
            let _ = write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{:.2}\"/>", 0.9 * unit);
        }
        let _ = write!(
            svg,
            "</g><circle cx=\"{x}\" cy=\"{y}\" r=\"{:.2}\" fill=\"#d55e00\"/><circle cx=\"{x}\" cy=\"{y}\" r=\"{:.2}\" fill=\"none\" stroke=\"#d55e00\" stroke-width=\"{:.2}\"/></svg>",
            1.6 * unit,
            4.5 * unit,
            1.2 * unit
        );
        Some(svg)
    }
}

/// Whether a text is SVG path data: numbers, and the letters of path commands, of which the first moves.
pub(super) fn is_path(text: &str) -> bool {
    let known = |c: char| c.is_ascii_digit() || " .,+-eEMmLlHhVvCcSsQqTtAaZz".contains(c);
    text.starts_with(['M', 'm']) && text.chars().all(known)
}
