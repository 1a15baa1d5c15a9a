//! Landmark detection by templates, a landmark network, or both.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::{
    Ensemble, EnsembleDetection, Image, ImageError, Judge, Judgement, LandmarkNet, Located, Location,
    MatchError, ModelError, Ordered, PixelSpacing, ReadLimits, Recognition, ThreadError, ordered,
    read_image_with,
};

/// Landmark detector. It is cheap to clone and can be shared between threads.
#[derive(Clone, Debug)]
pub enum Detector {
    /// Template matching with a check of each image.
    Matching(Arc<Judge>),
    /// A landmark network.
    Network(Arc<LandmarkNet>),
    /// A landmark network, and templates that check whether an image shows their anatomy, and its orientation.
    CheckedNetwork(Arc<LandmarkNet>, Arc<Judge>),
    /// Templates and networks combined.
    Ensemble(Box<Ensemble>),
}

/// Landmarks of an image, by the type of [`Detector`].
#[derive(Clone, Debug, PartialEq)]
pub enum Detection {
    /// By template matching.
    Matched(Judgement),
    /// By a landmark network.
    Located(Vec<Located>),
    /// By a landmark network, with recognition of the image.
    Checked(Location),
    /// By templates and networks combined.
    Ensemble(EnsembleDetection),
}

/// Options of [`Detector::detect_files`].
#[derive(Clone, Debug, Default)]
pub struct DetectFiles {
    /// Number of threads, 0 for all cores.
    pub threads: usize,
    /// Time limit per image.
    pub limit: Option<Duration>,
    /// Pixel size of all images, overriding their files.
    pub spacing: Option<PixelSpacing>,
    /// When set, no further image is started.
    pub stop: Arc<AtomicBool>,
}

/// Why detection failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image could not be matched.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// The network failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl Detection {
    /// Recognition of the image, and whether it was reoriented for the search; `None` for a landmark network alone.
    pub fn recognition(&self) -> Option<(&Recognition, bool)> {
        match self {
            Detection::Matched(judgement) => Some((&judgement.recognition, judgement.reoriented)),
            Detection::Checked(location) => Some((&location.recognition, location.reoriented)),
            Detection::Ensemble(seen) => Some((&seen.recognition, seen.reoriented)),
            Detection::Located(_) => None,
        }
    }
}

impl Detector {
    /// Names of the landmarks, in order of detection.
    pub fn landmarks(&self) -> Vec<&str> {
        match self {
            Detector::Matching(judge) => judge.matcher().landmarks(),
            Detector::Network(net) | Detector::CheckedNetwork(net, _) => {
                net.description().landmarks.iter().map(String::as_str).collect()
            }
            Detector::Ensemble(ensemble) => ensemble.landmarks().iter().map(String::as_str).collect(),
        }
    }

    /// Whether images are rotated or mirrored to the templates' orientation before the search.
    pub fn fixes_orientation(&self) -> bool {
        match self {
            Detector::Matching(judge) | Detector::CheckedNetwork(_, judge) => judge.fixes_orientation(),
            Detector::Ensemble(ensemble) => ensemble.fixes_orientation(),
            Detector::Network(_) => false,
        }
    }

    /// Whether all its models give the same result, bit for bit, for images read with [`ReadLimits::reduced`].
    pub fn takes_reduced(&self) -> bool {
        let takes = |net: &LandmarkNet| net.description().input.takes_reduced();
        match self {
            Detector::Matching(judge) => judge.takes_reduced(),
            Detector::Network(net) => takes(net),
            Detector::CheckedNetwork(net, judge) => takes(net) && judge.takes_reduced(),
            Detector::Ensemble(ensemble) => ensemble.takes_reduced(),
        }
    }

    /// Finds the landmarks in an image on the calling thread; aborted after the `deadline`.
    ///
    /// # Errors
    /// [`DetectError`], except `Image`.
    pub fn detect(&self, image: &Image, deadline: Option<Instant>) -> Result<Detection, DetectError> {
        Ok(match self {
            Detector::Matching(judge) => Detection::Matched(judge.find(image, deadline)?),
            Detector::Network(net) => Detection::Located(net.find_until(image, deadline)?),
            Detector::CheckedNetwork(net, judge) => Detection::Checked(judge.locate(net, image, deadline)?),
            Detector::Ensemble(ensemble) => Detection::Ensemble(ensemble.detect(image, deadline)?),
        })
    }

    /// Reads image files and finds their landmarks on several threads: an iterator in the order of `paths`; a file
    /// that fails is an error among the results. At most as many images as threads are in memory.
    ///
    /// # Errors
    /// [`ThreadError`] when the threads can't be started.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use infomark_infer::{DetectFiles, Detection, Detector, LandmarkNet, list_images};
    ///
    /// let detector = Detector::Network(Arc::new(LandmarkNet::load("landmarks.onnx")?));
    /// let paths = list_images("radiographs")?;
    /// for (path, detection) in paths.iter().zip(detector.detect_files(paths.clone(), DetectFiles::default())?) {
    ///     match detection {
    ///         Ok(Detection::Located(landmarks)) => println!("{}: {} landmarks", path.display(), landmarks.len()),
    ///         Ok(_) => {}
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detect_files(
        &self,
        paths: Vec<PathBuf>,
        options: DetectFiles,
    ) -> Result<Ordered<Result<Detection, DetectError>>, ThreadError> {
        let DetectFiles { threads, limit, spacing, stop } = options;
        let (detector, reduced) = (self.clone(), self.takes_reduced());
        let one = move |path: &PathBuf| {
            let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
            let image = read_image_with(path, &ReadLimits { reduced, deadline, ..ReadLimits::default() })?;
            let image = match &spacing {
                Some(spacing) => image.with_spacing(spacing.clone()),
                None => image,
            };
            detector.detect(&image, deadline)
        };
        ordered(paths, threads, stop, one)
    }
}
