"""Find the same anatomical landmarks in every radiograph, from one annotated image.

NumPy arrays in, NumPy arrays out; the GIL is released during computations. All computations are those of
infomark's Rust crates and command line: the same input and seed give the same bits.

Conventions
    Images are arrays, or files: paths, ``fsspec`` URLs, bytes or file objects. Arrays are 2-D, ``(height, width)``, and all array
    shapes have this order, as in NumPy. ``uint8``: 0 black, 255 white. ``uint16``: as 16-bit files are read, the 0.001 and 0.999
    quantiles become black and white; at least 32 x 32. ``float32``: in [0, 1]. Any strides and byte order; arrays that are
    not C-contiguous, or of another byte order, are copied.
    Points are rows ``(x, y)`` in pixels of the original image: x to the right, y down, the centre of the first
    pixel at (0, 0). Spacings are ``(x, y)``, too: mm per pixel across and down.
    ``rng`` is an int, the seed as in the command line; an :class:`Rng`, which is advanced; or a
    ``numpy.random.Generator``, from which one number is drawn as the seed.
    Errors are :class:`InfomarkError`, a ``ValueError`` with the command line's message; for an array of a wrong
    type or shape a ``TypeError`` or ``ValueError`` with the expected one.

For research; it is not a medical device.
"""

from __future__ import annotations

from ._infomark import InfomarkError, Rng, __version__
from ._core import entropy_map, info_nce, info_nce_gradient, mutual_information, resample
from ._core import sample_pixels, tier_thresholds, tiers, tone, weight_map
from ._encoder import Encoder, Template, describe_onnx, load_templates
from ._ensemble import Ensemble, EnsembleDetection
from ._evaluate import Agreement, Evaluation, Figures, SecondAnnotator, Selection, evaluate, select
from ._files import DataSet, Landmarks, lay_on, memory_budget, phantom, read_image, read_landmarks, read_spacing
from ._files import set_memory_budget, write_landmarks
from ._matching import FolderMatch, FolderMatches, Found, Judge, Judged, Matcher, Recognition
from ._matching import match, match_folder
from ._network import LandmarkNetwork, Located, NetworkSummary, SelfTrainSummary, self_train, train_landmarks
from ._table import MatchBatch, match_table, table_schema
from ._scheme import Measurement, MeasurementDefinition, Scheme, SchemeLandmark
from ._training import Psi, Summary, Tuned, psi, train, tune
from ._views import GuidedImage, GuidedView, GuidedViews, TierPolicy

__all__ = [
    "Agreement", "DataSet", "Encoder", "Ensemble", "EnsembleDetection", "Evaluation", "Figures", "FolderMatch", "FolderMatches", "Found", "GuidedImage",
    "GuidedView", "GuidedViews", "InfomarkError", "Judge", "Judged", "LandmarkNetwork", "Landmarks", "Located",
    "MatchBatch", "Matcher", "Measurement", "MeasurementDefinition", "NetworkSummary", "Psi", "Recognition", "Rng", "Scheme",
    "SchemeLandmark", "SecondAnnotator", "Selection", "SelfTrainSummary", "Summary", "Template", "TierPolicy", "Tuned", "__version__", "describe_onnx", "entropy_map", "evaluate", "info_nce",
    "info_nce_gradient", "lay_on", "load_templates", "match", "match_folder", "match_table", "memory_budget", "mutual_information",
    "phantom", "psi", "read_image", "read_landmarks", "read_spacing", "resample", "sample_pixels", "select",
    "self_train", "set_memory_budget", "table_schema", "tier_thresholds", "tiers", "tone", "train", "train_landmarks",
    "tune", "weight_map", "write_landmarks",
]  # fmt: skip
