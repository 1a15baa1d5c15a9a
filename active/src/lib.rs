//! Active learning of landmarks: the program proposes, a person corrects a few images, the program learns from them.
//!
//! * [`learn`] trains landmark networks on the corrected images by cross-validation, and makes an
//!   [`Ensemble`](infomark_infer::Ensemble) of them with the corrected images as templates. The held-out errors choose
//!   the member of each landmark (templates, network, or their product), and the error bounds.
//! * [`detector`] builds a detector from any number of corrected images: below five, templates alone.
//! * [`annotation_order`] and [`uncertainty`] choose the image to annotate next.
//! * [`simulate`] measures all of it, with known landmarks instead of an annotator.
//!
//! ```no_run
//! use infomark_active::{LearnOptions, learn};
//! use infomark_infer::read_image;
//! use infomark_train::AnnotatedSet;
//! # fn corrected() -> AnnotatedSet { unimplemented!() }
//!
//! let set: AnnotatedSet = corrected(); // five images or more
//! let learned = learn("encoder.onnx".as_ref(), &set, &LearnOptions::default(), "work".as_ref(), &mut |_| {
//!     std::ops::ControlFlow::Continue(())
//! })?;
//! let detection = learned.ensemble.detect(&read_image("next.png")?, None)?;
//! for landmark in &detection.landmarks {
//!     println!("{} at ({:.1}, {:.1}) by {}", landmark.name, landmark.at.x, landmark.at.y, landmark.member);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod detector;
mod error;
mod folds;
mod held_out;
mod learn;
mod next;
mod pretrained;
mod simulate;

pub use detector::{ActiveDetector, detector};
pub use error::ActiveError;
pub use held_out::{HeldOut, HeldOutImage};
pub use learn::{LearnOptions, LearnProgress, Learned, MIN_IMAGES, learn};
pub use next::{annotation_order, uncertainty};
pub use simulate::{Round, Simulation, SimulationOptions, Strategy, simulate};
