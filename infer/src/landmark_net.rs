//! Networks that find landmarks without a template.

mod decode;
mod description;

use std::path::Path;
use std::time::Instant;

use infomark_core::Point;

pub use description::{LabelSource, LandmarkDescription};

use crate::encoder::plan::Plan;
use crate::encoder::{self, Interface};
use crate::fit::{cells, onto};
use crate::{Image, Letterbox, ModelError, ModelOutputError, sha256};
use decode::{Maps, decode};

/// A landmark located by a landmark network.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Name of the landmark.
    pub name: String,
    /// Where it is, in pixels of the image as it was given; always on the image.
    pub at: Point<f64>,
    /// Probability of the cells that say so, all together, 0 to 1: low where the heat is spread or has several places. It is
    /// the network's own view, not the share of points that are right.
    pub probability: f64,
}

/// A landmark network: an image in, its landmarks out. `infomark train-landmarks` and `infomark self-train` write its file.
///
/// It can be shared between threads. A run uses the thread that it is called on and no other, and gives the same bits for
/// the same image whatever else runs beside; on another kind of processor the last bits may differ.
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
    /// Loads an ONNX file that carries a [`LandmarkDescription`].
    ///
    /// # Errors
    ///
    /// [`ModelError`]: every case names the file and the fix.
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

    /// [`load`](Self::load) for a file that is in memory already; `name` stands for it in messages.
    ///
    /// # Errors
    ///
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

    /// Name in messages: the path, where it was read from a file.
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

    /// The network's landmarks in an image, in the order of its description.
    ///
    /// A landmark's heat map becomes probabilities over the cells that show the image; it lies where the cells around the
    /// most probable one point to by their offsets, weighted by their probability.
    ///
    /// # Errors
    ///
    /// [`ModelError::Run`] when the graph fails, [`ModelError::Features`] when the maps are not finite.
    pub fn find(&self, image: &Image) -> Result<Vec<Located>, ModelError> {
        self.find_until(image, None)
    }

    /// [`find`](Self::find), given up once a `deadline` has passed, as [`Encoder::encode_until`](crate::Encoder::encode_until) is.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find), and [`ModelError::TimeLimit`].
    pub fn find_until(&self, image: &Image, deadline: Option<Instant>) -> Result<Vec<Located>, ModelError> {
        let LandmarkDescription { input, stride, normalisation, ref landmarks, .. } = self.description;
        let resized = Letterbox::new(image.width(), image.height(), input)
            .and_then(|fit| Ok((fit, fit.apply(image, normalisation)?)));
        let (fit, canvas) =
            resized.map_err(|source| ModelError::Letterbox { name: image.name().to_owned(), source })?;
        let maps = self.plan.run(&canvas, &self.name, image.name(), deadline)?;
        let wrong = |problem| ModelError::Features { name: self.name.clone(), problem };
        let [heat, offsets] = &maps[..] else { return Err(wrong(ModelOutputError::Outputs)) };
        if heat.iter().chain(offsets).any(|value| !value.is_finite()) {
            return Err(wrong(ModelOutputError::NotFinite));
        }
        let (width, area) = (input.width() / stride, input.area() / (stride * stride));
        let shown = cells(fit.content(), stride);
        let each = heat.chunks_exact(area).zip(offsets.chunks_exact(2 * area)).zip(landmarks);
        let found = each.map(|((heat, offsets), name)| {
            let (x, y) = offsets.split_at(area);
            let place = decode(&Maps { heat, x, y, width }, shown, stride);
            let at = onto(&fit, fit.pull(place.at));
            Located { name: name.clone(), at, probability: place.probability }
        });
        Ok(found.collect())
    }
}
