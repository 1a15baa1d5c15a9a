//! Landmark matching from templates to images in one type.

use std::sync::Arc;
use std::time::Instant;

use crate::matching::search_maps;
use crate::recognise::recognise;
use crate::score_map::ScoreMap;
use crate::search::ComparisonError;
use crate::{
    CalibrationKey, Encoder, Encoding, Found, Image, MatchError, MatchOptions, Recognition, Template,
    match_templates,
};

/// Landmark matcher: an encoder with templates.
///
/// It is cheap to clone and can be shared between threads: [`find`](Self::find) uses only the calling thread, and an
/// image gives the same bits whatever runs concurrently.
///
/// ```no_run
/// use infomark_infer::{Encoder, Matcher, Template, read_image, read_landmarks};
///
/// let encoder = Encoder::load("encoder.onnx")?;
/// let landmarks = read_landmarks("landmarks.csv")?;
/// let mut templates = Vec::new();
/// for name in ["001.png", "014.png", "042.png"] {
///     let image = read_image(name)?;
///     let points = landmarks.on_image(name, image.width(), image.height())?;
///     templates.push(Template::new(&encoder, &image, points)?);
/// }
/// let matcher = Matcher::new(encoder, templates)?;
/// for found in matcher.find(&read_image("new.png")?)? {
///     println!("{} at ({:.1}, {:.1}), score {:.2}", found.name, found.at.x, found.at.y, found.score);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A runnable example, from generated images to the errors in pixels: `train/examples/one_template.rs`.
#[derive(Clone, Debug)]
pub struct Matcher {
    encoder: Arc<Encoder>,
    templates: Arc<[Template]>,
    options: MatchOptions,
}

impl Matcher {
    /// A matcher from an encoder, or an [`Arc`] of one, and the templates that it made.
    ///
    /// # Errors
    /// [`MatchError::NoTemplates`], [`MatchError::TemplateOfOther`] for a template of another encoder.
    pub fn new(
        encoder: impl Into<Arc<Encoder>>,
        templates: impl IntoIterator<Item = Template>,
    ) -> Result<Matcher, MatchError> {
        let encoder = encoder.into();
        let templates: Arc<[Template]> = templates.into_iter().collect();
        if templates.is_empty() {
            return Err(MatchError::NoTemplates);
        }
        if let Some(other) = templates.iter().find(|template| template.model_sha256() != encoder.sha256()) {
            return Err(MatchError::TemplateOfOther {
                template: other.image().to_owned(),
                encoder: encoder.name().to_owned(),
            });
        }
        Ok(Matcher { encoder, templates, options: MatchOptions::default() })
    }

    /// Sets the matching options.
    ///
    /// # Errors
    /// [`MatchError::PriorSigma`].
    pub fn options(self, options: MatchOptions) -> Result<Matcher, MatchError> {
        options.check()?;
        Ok(Matcher { options, ..self })
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Encoder and templates.
    pub(crate) fn parts(&self) -> (&Encoder, &[Template]) {
        (&self.encoder, &self.templates)
    }

    /// The matching options.
    pub fn match_options(&self) -> MatchOptions {
        self.options
    }

    /// The templates, in the given order.
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// Key of an [`ErrorCalibration`](crate::ErrorCalibration) measured with this matcher.
    pub fn calibration_key(&self) -> CalibrationKey {
        CalibrationKey {
            model_sha256: self.encoder.sha256().to_owned(),
            templates: self.templates.iter().map(Template::fingerprint).collect(),
            landmarks: self.landmarks().into_iter().map(str::to_owned).collect(),
            matching: self.options.effective(),
        }
    }

    /// Recognises the templates' anatomy in an image, and its orientation among the eight possible ones; `encoding` is its result
    /// of [`Encoder::encode_until`](crate::Encoder::encode_until).
    ///
    /// The mirrored image is encoded, too, if the inlier fraction is low, and quarter turns if it is still
    /// low; aborted after the `deadline`.
    ///
    /// # Errors
    /// [`MatchError`].
    pub fn recognise(
        &self,
        image: &Image,
        encoding: &Encoding,
        deadline: Option<Instant>,
    ) -> Result<Recognition, MatchError> {
        recognise(&self.encoder, &self.templates, image, encoding, deadline)
    }

    /// Names of the landmarks in order of detection: those of the first template, then those added by the second,
    /// and so on.
    pub fn landmarks(&self) -> Vec<&str> {
        let templates: Vec<&Template> = self.templates.iter().collect();
        crate::matching::union(&templates).into_iter().map(|(name, _)| name).collect()
    }

    /// Finds the landmarks in an image.
    ///
    /// # Errors
    /// [`MatchError`].
    pub fn find(&self, image: &Image) -> Result<Vec<Found>, MatchError> {
        self.find_until(image, None)
    }

    /// [`find`](Self::find), aborted after the `deadline`, as [`Encoder::encode_until`](crate::Encoder::encode_until) is.
    ///
    /// # Errors
    /// [`MatchError`].
    pub fn find_until(&self, image: &Image, deadline: Option<Instant>) -> Result<Vec<Found>, MatchError> {
        self.find_encoded(&self.encoder.encode_until(image, deadline)?)
    }

    /// [`find`](Self::find) for an encoded image.
    ///
    /// # Errors
    /// [`MatchError`], except `Model`.
    pub fn find_encoded(&self, encoding: &Encoding) -> Result<Vec<Found>, MatchError> {
        let templates: Vec<&Template> = self.templates.iter().collect();
        match_templates(&templates, encoding, self.options)
    }

    /// [`find_encoded`](Self::find_encoded) with the score map of each landmark.
    pub(crate) fn search_maps<T>(
        &self,
        encoding: &Encoding,
        with_map: impl Fn(Found, ScoreMap) -> Result<T, ComparisonError>,
    ) -> Result<Vec<T>, MatchError> {
        let templates: Vec<&Template> = self.templates.iter().collect();
        search_maps(&templates, encoding, self.options, with_map)
            .map_err(|source| MatchError::Features { image: encoding.image().to_owned(), source })
    }
}
