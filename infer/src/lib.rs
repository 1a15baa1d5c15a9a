//! Exported encoders, image and landmark files, landmark matching.
//!
//! An encoder is an ONNX file that `infomark train` writes: it gives the same anatomical point the same feature in every
//! image. One annotated image, the template, is then enough to find its landmarks in others:
//!
//! ```no_run
//! use infomark_infer::{Encoder, Matcher, Template, read_image, read_landmarks};
//!
//! let encoder = Encoder::load("encoder.onnx")?;
//! let image = read_image("template.png")?;
//! let points = read_landmarks("landmarks.csv")?;
//! let points = points.on_image("template.png", image.width(), image.height())?;
//! let template = Template::new(&encoder, &image, points)?;
//!
//! let matcher = Matcher::new(encoder, [template])?;
//! for found in matcher.find(&read_image("other.png")?)? {
//!     println!("{} at ({:.1}, {:.1}), score {:.2}", found.name, found.at.x, found.at.y, found.score);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Points are pixels of the original image, whatever the size of the model input: x right, y down, the
//! **centre** of the first pixel at `(0, 0)`. [`Letterbox`] maps between image and model input.
//!
//! * Images: [`read_image`], [`list_images`]; grey PNG, TIFF, JPEG, BMP and PGM of 8 or 16 bits, DICOM, NIfTI slices, within
//!   [`ReadLimits`] and the [`MemoryBudget`] of the process. [`Image::spacing`] is the pixel size with its source; [`ItkGeometry`] is the
//!   placement in 3D Slicer.
//! * Points: [`read_landmarks`], [`write_landmarks`] for CSV with the columns `image,landmark,x,y`; [`read_landmarks_of`],
//!   [`write_landmarks_as`] for every [`LandmarkFormat`].
//! * Data sets, i.e. folders of annotated images: `DataSet::open`.
//! * Landmark schemes, with definitions and measurements: `Scheme`.
//! * Encoders: [`Encoder`], [`Description`]; matching: [`Template`], which [saves](Template::save) and [loads](Template::load), and
//!   [`Matcher`] with one template or several; [`match_templates`] where one [`Encoding`] serves several sets of them.
//! * Reliability: [`Judge`] gives error bounds, from an [`ErrorCalibration`], and abstains.
//! * Batch processing: [`Detector`], whose [`detect_files`](Detector::detect_files) is an iterator over files in their order.
//! * Distributed processing: [`ImageList`] with its [`Shard`]s, [`PartIndex`] to merge results, [`FolderLock`] for folders of results.
//! * Query expansion of templates with unlabelled images: [`refine_templates`].
//! * Selection of the images to annotate: [`Candidate`], [`choose_templates`].
//! * Landmarks without a template, by trained networks: [`LandmarkNet`].
//!
//! Input files are not trusted: sizes are checked before memory is allocated, and every problem is
//! an error whose message names the file and what to do. No file makes this crate panic. A panic in a third-party decoder
//! becomes an error, too: the panic hook prints its line unless a program calls [`silence_contained_panics`], and a
//! program built with `panic = "abort"` aborts.
//!
//! # Features
//!
//! All except the last are on by default; without them their dependencies are not built and their files are rejected.
//!
//! * `pictures`: BMP and PGM files; `png`, `jpeg`, `tiff`: files of these formats, too. Without it the crate `image` is not built.
//! * `dicom`: DICOM files.
//! * `nifti`: NIfTI files.
//! * `datasets`: data sets (`DataSet`).
//! * `schemes`: landmark schemes and measurements (`Scheme`).
//! * `onnx`: models with other layers than those of `infomark train`, run by tract.
//! * `onnxruntime`: `OnnxRuntime` and `Encoder::from_bytes_on`, which run the same models with an installed ONNX Runtime library.

mod back;
mod backbone;
mod calibration;
mod causes;
mod confidence;
mod contain;
mod csv_source;
#[cfg(feature = "datasets")]
mod dataset;
mod description;
mod detector;
mod distinct;
mod dropped;
mod encoder;
mod ensemble;
mod file;
mod fit;
mod folder_lock;
mod hash;
mod image;
mod image_list;
mod input_image;
mod judge;
mod landmark;
mod landmark_net;
mod lengths;
mod match_options;
mod matcher;
mod matching;
mod memory;
mod merge;
mod neighbours;
mod normalisation;
pub mod onnx;
mod ordered;
mod orientation;
mod placement;
mod prior;
mod recognise;
mod resize;
mod rows;
#[cfg(feature = "schemes")]
mod scheme;
mod score_map;
mod search;
mod select;
mod shard;
mod spacing;
mod template;

pub use backbone::Backbone;
pub use calibration::{
    Bound, CalibrationError, CalibrationKey, CalibrationPart, DEFAULT_COVERAGE, ErrorCalibration,
};
pub use causes::with_causes;
pub use confidence::Confidence;
pub use contain::silence_contained_panics;
#[cfg(feature = "datasets")]
pub use dataset::{
    AnnotationError, DataSet, DataSetError, ManifestError, MissingPoint, MissingReason, Sample,
};
pub use description::{
    BackboneDescription, BackboneLevel, Channels, DESCRIPTION_KEY, Description, DescriptionError, FORMAT,
    FORMAT_KEY, InputPolicy, JoinedBackbone, KIND_KEY, Origin, SEAL_KEY, ValueError,
};
pub use detector::{DetectError, DetectFiles, Detection, Detector};
#[cfg(feature = "onnxruntime")]
pub use encoder::OnnxRuntime;
pub use encoder::{
    BackboneError, Encoder, Encoding, GraphError, ModelError, ModelOutputError, RuntimeError, read_model,
};
#[cfg(any(feature = "onnx", feature = "onnxruntime"))]
pub use encoder::{DescribedEncoder, ForeignEncoder, ForeignError, InputScaling, UnknownScaling};
pub use ensemble::{
    Candidates, Ensemble, EnsembleBounds, EnsembleDetection, EnsembleError, EnsembleLandmark, Member,
};
#[cfg(feature = "ensembles")]
pub use ensemble::{EnsembleFile, EnsembleFileError};
pub use file::{FileError, make_folder, read_file, read_text_file, write_file};
pub use fit::{InputSize, Letterbox, LetterboxError, Rect};
pub use folder_lock::{FolderLock, FolderLockError};
pub use hash::{sha256, sha256_file, sha256_files, sha256_hashed_files};
#[cfg(feature = "nifti")]
pub use image::read_nifti_slice;
pub use image::{
    Image, ImageError, ImageHeader, Levels, Listing, MIN_SIDE, ReadEstimate, ReadLimits, Skipped,
    decode_image, decode_levels, estimate_reading, list_folder, list_images, read_hashed_image, read_image,
    read_image_header, read_image_size, read_image_with,
};
pub use image_list::{ImageList, ImageListError, ListedImage, file_stem_of};
pub use input_image::{FileIdentity, InputImage, file_name, free_stem};
pub use judge::{Judge, JudgeError, JudgeOptions, JudgedLandmark, Judgement, Location};
pub use landmark::{
    Annotated, CocoIndex, CollectedLandmarks, CoordinateError, ImageContext, ImageLandmarks, KnownImage,
    Landmark, LandmarkError, LandmarkFile, LandmarkFormat, LandmarkSources, LandmarkSourcesError,
    OUTSIDE_MARGIN, Place, ReadLandmarks, Reliability, Visibility, WriteOptions, encode_landmarks,
    is_same_name, normal_name, parse_landmarks, parse_landmarks_of, read_landmarks, read_landmarks_of,
    write_landmarks, write_landmarks_as,
};
pub use landmark_net::{LabelSource, LandmarkDescription, LandmarkNet, Located};
pub use match_options::{MatchError, MatchOptions, SubPixel};
pub use matcher::Matcher;
pub use matching::{Found, match_encoding, match_image, match_templates};
pub use memory::{MemoryBudget, MemoryError, MemoryShare};
pub use merge::{MergeError, PartIndex};
pub use normalisation::{Normalisation, NormalisationError};
pub use ordered::{AHEAD, Next, Ordered, ThreadError, ordered};
pub use orientation::Orientation;
pub use placement::{ItkGeometry, Placement, Unplaced};
pub use recognise::Recognition;
pub use rows::{LandmarkRow, RecognitionRow, TrustRow, rounded};
#[cfg(feature = "schemes")]
pub use scheme::{
    LandmarkStatus, MeasuredValue, Measurement, MeasurementDefinition, NoBound, NotMeasured, Scheme,
    SchemeAbout, SchemeDrawing, SchemeError, SchemeLandmark, Unit,
};
pub use search::ComparisonError;
pub use select::{Candidate, choose_templates};
pub use shard::{Shard, ShardError};
pub use spacing::{Calibration, PixelSpacing, SpacingSource};
pub use template::{
    Observation, REFINE_ROUNDS, RefineError, RefineStep, Template, TemplateContentError, TemplateError,
    TemplateFileError, refine_templates,
};
