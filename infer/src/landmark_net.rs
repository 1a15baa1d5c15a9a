//! Landmark networks, which need no template.

mod decode;
mod description;

use std::path::Path;
use std::time::Instant;

use infomark_core::Point;

pub use description::{LabelSource, LandmarkDescription};

use crate::encoder::plan::Plan;
use crate::encoder::{self, Interface};
use crate::fit::{cells, onto};
use crate::{Image, Letterbox, ModelError, ModelOutputError, Rect, sha256};
use decode::{Maps, decode};

/// A landmark located by a landmark network.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Name of the landmark.
    pub name: String,
    /// Position in pixels of the original image; always within the image.
    pub at: Point<f64>,
    /// Probability of the most probable cell and its neighbours, 0 to 1: low for a spread or multimodal heat map. It is the
    /// network's own estimate, not the fraction of correct points.
    pub probability: f64,
}

/// Landmark network: a heat-map network from images to landmarks. `infomark train-landmarks` and `infomark self-train` write its file.
///
/// It can be shared between threads. A run uses only the calling thread and gives the same bits for
/// the same image, whatever runs concurrently; on another type of processor the last bits may differ.
#[derive(Clone)]
pub struct LandmarkNet {
    name: String,
    sha256: String,
    description: LandmarkDescription,
    plan: Plan,
}

impl std::fmt::Debug for LandmarkNet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LandmarkNet")
            .field("name", &self.name)
            .field("sha256", &self.sha256)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl LandmarkNet {
    /// Loads an ONNX file with a [`LandmarkDescription`].
    ///
    /// # Errors
    /// [`ModelError`]: every case names the file and what to do.
    ///
    /// ```no_run
    /// use infomark_infer::{LandmarkNet, read_image};
    ///
    /// let net = LandmarkNet::load("landmarks.onnx")?;
    /// for found in net.find(&read_image("new.png")?)? {
    ///     println!("{} at ({:.1}, {:.1})", found.name, found.at.x, found.at.y);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<LandmarkNet, ModelError> {
        let path = path.as_ref();
        LandmarkNet::from_bytes(&encoder::read_model(path)?, path.display().to_string())
    }

    /// [`load`](Self::load) for a file in memory; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> Result<LandmarkNet, ModelError> {
        let name = name.into();
        let (model, description) = encoder::open(bytes, &name, LandmarkDescription::from_properties)?;
        let LandmarkDescription { input, stride, ref landmarks, .. } = description;
        let (width, height) = (input.width() / stride, input.height() / stride);
        let outputs = vec![
            (LandmarkDescription::HEAT_NAME.to_owned(), [1, landmarks.len(), height, width]),
            (LandmarkDescription::OFFSET_NAME.to_owned(), [1, 2 * landmarks.len(), height, width]),
        ];
        let plan = encoder::prepare(&model, &Interface { input, outputs }, &name)?;
        Ok(LandmarkNet { sha256: sha256(bytes), name, description, plan })
    }

    /// Name in messages: the path, if it was read from a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The description in the file.
    pub fn description(&self) -> &LandmarkDescription {
        &self.description
    }

    /// SHA-256 of the file, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Finds the network's landmarks in an image, in the order of its description.
    ///
    /// A landmark's heat map is converted to probabilities over the cells that show the image; each cell predicts a
    /// position by its offset, and the landmark is the geometric median of these positions, weighted by probability: the point
    /// of least expected error.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the graph fails, [`ModelError::Features`] when the maps are not finite.
    pub fn find(&self, image: &Image) -> Result<Vec<Located>, ModelError> {
        self.find_until(image, None)
    }

    /// [`find`](Self::find), aborted after the `deadline`, as [`Encoder::encode_until`](crate::Encoder::encode_until) is.
    ///
    /// # Errors
    /// As [`find`](Self::find), and [`ModelError::TimeLimit`].
    pub fn find_until(&self, image: &Image, deadline: Option<Instant>) -> Result<Vec<Located>, ModelError> {
        let maps = self.maps_until(image, deadline)?;
        let landmarks = self.description.landmarks.iter().enumerate();
        Ok(landmarks.map(|(index, name)| maps.locate(index, name, None)).collect())
    }

    /// The maps of an image.
    pub(crate) fn maps_until(
        &self,
        image: &Image,
        deadline: Option<Instant>,
    ) -> Result<LandmarkMaps, ModelError> {
        let LandmarkDescription { input, stride, normalisation, .. } = self.description;
        let resized = Letterbox::new(image.width(), image.height(), input)
            .and_then(|fit| Ok((fit, fit.apply(image, normalisation)?)));
        let (fit, canvas) =
            resized.map_err(|source| ModelError::Letterbox { name: image.name().to_owned(), source })?;
        let maps = self.plan.run(&canvas, &self.name, image.name(), deadline)?;
        let wrong = |problem| ModelError::Features { name: self.name.clone(), problem };
        let Ok([heat, offsets]) = <[Vec<f32>; 2]>::try_from(maps) else {
            return Err(wrong(ModelOutputError::Outputs));
        };
        if heat.iter().chain(&offsets).any(|value| !value.is_finite()) {
            return Err(wrong(ModelOutputError::NotFinite));
        }
        Ok(LandmarkMaps { fit, stride, heat, offsets })
    }
}

/// Heat maps and offsets of one image.
pub(crate) struct LandmarkMaps {
    /// Letterboxing of the image to the model input.
    pub(crate) fit: Letterbox,
    /// Stride in pixels of the model input.
    pub(crate) stride: usize,
    /// Heat maps, landmark by landmark, row by row: log-probabilities up to a constant.
    heat: Vec<f32>,
    /// Offsets, landmark by landmark: horizontal ones, then vertical ones, in cells.
    offsets: Vec<f32>,
}

impl LandmarkMaps {
    /// The sum with the maps of another network of the same input, stride and landmarks.
    pub(crate) fn plus(mut self, other: &LandmarkMaps) -> LandmarkMaps {
        for (ours, theirs) in [(&mut self.heat, &other.heat), (&mut self.offsets, &other.offsets)] {
            ours.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += value);
        }
        self
    }

    /// The maps times a factor; a factor of 1 changes no bit.
    pub(crate) fn scaled(mut self, factor: f32) -> LandmarkMaps {
        self.heat.iter_mut().chain(&mut self.offsets).for_each(|value| *value *= factor);
        self
    }

    /// Width of the maps in cells.
    pub(crate) fn width(&self) -> usize {
        self.fit.input().width() / self.stride
    }

    /// The cells that show the image.
    pub(crate) fn shown(&self) -> Rect {
        cells(self.fit.content(), self.stride)
    }

    /// Heat map of a landmark of the network.
    pub(crate) fn heat(&self, landmark: usize) -> &[f32] {
        let area = self.area();
        self.heat.get(landmark * area..(landmark + 1) * area).unwrap_or_default()
    }

    /// Locates a landmark, by its own heat map or by another on the same cells.
    pub(crate) fn locate(&self, landmark: usize, name: &str, heat: Option<&[f32]>) -> Located {
        let area = self.area();
        let (x, y) = self.offsets[2 * landmark * area..][..2 * area].split_at(area);
        let heat = heat.unwrap_or_else(|| self.heat(landmark));
        let place = decode(&Maps { heat, x, y, width: self.width() }, self.shown(), self.stride);
        let at = onto(&self.fit, self.fit.pull(place.at));
        Located { name: name.to_owned(), at, probability: place.probability }
    }

    fn area(&self) -> usize {
        self.fit.input().area() / (self.stride * self.stride)
    }
}
