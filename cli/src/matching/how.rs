//! Matching options.

use infomark_infer::{MatchOptions, SubPixel};

/// Matching options.
#[derive(clap::Args, Default)]
pub(crate) struct How {
    /// Match without the prior by robust alignment of the whole image
    #[arg(long)]
    no_prior: bool,
    /// Match only a landmark's own feature, without votes of the points around it
    #[arg(long)]
    no_neighbours: bool,
    /// Sub-pixel refinement of a peak
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    sub_pixel: Refined,
}

/// [`SubPixel`] as a command line option.
#[derive(Clone, Copy, Default, PartialEq, clap::ValueEnum)]
enum Refined {
    /// None: the centre of the best cell
    Cell,
    /// A parabola through the best cell and its neighbours
    Parabola,
    /// Soft-argmax: the mean position around the best cell, weighted by score
    #[default]
    SoftArgmax,
}

impl From<Refined> for SubPixel {
    fn from(refined: Refined) -> SubPixel {
        match refined {
            Refined::Cell => SubPixel::Cell,
            Refined::Parabola => SubPixel::Parabola,
            Refined::SoftArgmax => SubPixel::SoftArgmax,
        }
    }
}

impl How {
    /// The first option that differs from its default.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let options = [
            ("--no-prior", self.no_prior),
            ("--no-neighbours", self.no_neighbours),
            ("--sub-pixel", self.sub_pixel != Refined::default()),
        ];
        options.into_iter().find_map(|(name, given)| given.then_some(name))
    }

    pub(crate) fn options(&self) -> MatchOptions {
        MatchOptions {
            neighbours: !self.no_neighbours,
            prior: !self.no_prior,
            sub_pixel: self.sub_pixel.into(),
            ..MatchOptions::default()
        }
    }
}
