from os import PathLike
from pathlib import Path
from typing import Any, Callable, Optional, Sequence, Union, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Encoder",
    "FolderMatches",
    "GuidedImage",
    "InfomarkError",
    "Judge",
    "Ensemble",
    "LandmarkNetwork",
    "Matcher",
    "Rng",
    "Scheme",
    "Template",
    "TierPolicy",
    "__version__",
    "compare_with_annotator",
    "dataset",
    "describe_onnx",
    "entropy_map",
    "figures",
    "info_nce",
    "lay_on",
    "list_images",
    "memory_budget",
    "most_image_bytes",
    "mutual_information",
    "phantom",
    "psi",
    "random_sets",
    "read_image",
    "read_landmarks",
    "resample",
    "sample_pixels",
    "score_matcher",
    "score_network",
    "score_sets",
    "select",
    "self_train",
    "set_memory_budget",
    "stretch",
    "tier_thresholds",
    "tiers",
    "tone",
    "train",
    "train_landmarks",
    "tune",
    "weight_map",
    "write_landmarks",
]

_Path = Union[str, PathLike[str]]
_Source = tuple[str, Union[str, bytes, Callable[[], Union[bytes, npt.NDArray[Any]]]]]
_Floats = npt.NDArray[np.float64]
_Single = npt.NDArray[np.float32]
_Array = npt.NDArray[Any]
_Named = tuple[list[str], _Floats]
_Range = tuple[float, float]
_Folder = tuple[str, tuple[float, float], list[str], Sequence[_Path], _Floats]
_Progress = Optional[Callable[[int, int], object]]
_Callback = Optional[Callable[[dict[str, Any]], object]]
_Table = tuple[list[str], _Floats, _Floats, _Floats, _Floats, _Floats, _Floats, _Floats]
_Judged = tuple[_Table, _Floats, _Floats, npt.NDArray[np.bool_], tuple[float, bool, bool, int], bool]
_View = tuple[_Single, _Single, _Single, _Single, int, tuple[float, float, float], _Single]
_SchemeLandmark = tuple[str, Optional[str], Optional[str], Optional[str], Optional[str]]
_SchemeMeasurement = tuple[str, Optional[str], Optional[str], Optional[str]]
_Measured = tuple[str, Optional[float], Optional[str], Optional[float], Optional[str]]

__version__: str

class InfomarkError(ValueError): ...

@final
class Rng:
    def __new__(cls, seed: int, stream: int = 0, position: int = 0) -> Rng: ...
    @property
    def position(self) -> int: ...
    def uniform(self) -> float: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class TierPolicy:
    def __new__(
        cls, low: Sequence[_Range], medium: Sequence[_Range], high: Sequence[_Range]
    ) -> TierPolicy: ...
    @staticmethod
    def of_config(json: str) -> TierPolicy: ...
    @staticmethod
    def published() -> TierPolicy: ...
    def ranges(self) -> list[list[_Range]]: ...

@final
class GuidedImage:
    def __new__(
        cls, image: _Source, options: str, thresholds: Optional[tuple[float, float]]
    ) -> GuidedImage: ...
    def thresholds(self) -> tuple[float, float]: ...
    def entropy(self) -> _Single: ...
    def weights(self) -> _Single: ...
    def views(self, policy: TierPolicy, options: str, count: int, rng: Rng) -> list[_View]: ...

@final
class Scheme:
    @staticmethod
    def load(path: _Path) -> Scheme: ...
    @staticmethod
    def parse(text: str, name: str) -> Scheme: ...
    def about(self) -> tuple[str, str, Optional[str], Optional[str]]: ...
    def landmarks(self) -> list[_SchemeLandmark]: ...
    def measurements(self) -> list[_SchemeMeasurement]: ...
    def picture(self, landmark: str) -> Optional[str]: ...
    def measure(
        self,
        names: Sequence[str],
        points: _Floats,
        bounds: Sequence[Optional[float]],
        absent: Sequence[str],
        abstained: Sequence[str],
        spacing: Optional[tuple[float, float]],
    ) -> list[_Measured]: ...

@final
class Encoder:
    @staticmethod
    def load(path: _Path, library: Optional[_Path]) -> Encoder: ...
    @staticmethod
    def from_bytes(bytes: bytes, name: str, library: Optional[_Path]) -> Encoder: ...
    def to_bytes(self) -> bytes: ...
    def runtime(self) -> str: ...
    def name(self) -> str: ...
    def sha256(self) -> str: ...
    def description(self) -> str: ...
    def encode(self, image: _Source) -> list[tuple[int, _Single]]: ...

@final
class Template:
    def __new__(
        cls,
        encoder: Encoder,
        image: _Source,
        names: list[str],
        at: _Floats,
    ) -> Template: ...
    @staticmethod
    def load_all(path: _Path) -> list[Template]: ...
    @staticmethod
    def from_bytes(bytes: bytes, name: str) -> Template: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: _Path) -> None: ...
    def image(self) -> str: ...
    def model_sha256(self) -> str: ...
    def names(self) -> list[str]: ...
    def points(self) -> _Floats: ...

@final
class Matcher:
    def __new__(
        cls,
        encoder: Encoder,
        templates: Sequence[Template],
        neighbours: bool,
        prior: bool,
        prior_sigma: float,
    ) -> Matcher: ...
    def landmarks(self) -> list[str]: ...
    def find(self, image: _Source) -> _Table: ...
    def find_all(self, images: Sequence[_Source], threads: int) -> FolderMatches: ...

@final
class Judge:
    def __new__(
        cls,
        matcher: Matcher,
        calibration: Optional[Union[_Path, bytes]],
        coverage: Optional[float],
        abstain_above_mm: Optional[float],
        abstain_below_score: Optional[float],
        fix_orientation: bool,
    ) -> Judge: ...
    def calibration(self) -> Optional[bytes]: ...
    def coverage(self) -> Optional[float]: ...
    def find(self, image: _Source, spacing: Optional[tuple[float, float]]) -> _Judged: ...
    def find_all(
        self, images: Sequence[_Source], spacing: Optional[tuple[float, float]], threads: int
    ) -> FolderMatches: ...
    def table(
        self, images: Sequence[_Source], spacing: Optional[tuple[float, float]], threads: int
    ) -> FolderMatches: ...

@final
class Ensemble:
    @staticmethod
    def load(path: _Path) -> Ensemble: ...
    @staticmethod
    def from_bytes(bytes: bytes, name: str) -> Ensemble: ...
    def to_bytes(self) -> bytes: ...
    def landmarks(self) -> list[str]: ...
    def members(self) -> list[str]: ...
    def coverage(self) -> Optional[float]: ...
    def hashes(self) -> tuple[str, list[str]]: ...
    def find(
        self, image: _Source, spacing: Optional[tuple[float, float]], fix_orientation: bool
    ) -> tuple[
        list[str], _Floats, list[str], _Floats, _Floats, _Floats, _Floats, bool, tuple[float, bool, bool, int], bool
    ]: ...
    def table(
        self, images: Sequence[_Source], spacing: Optional[tuple[float, float]], threads: int, fix_orientation: bool
    ) -> FolderMatches: ...

@final
class FolderMatches:
    def __len__(self) -> int: ...
    def close(self) -> None: ...
    def next(self) -> Optional[tuple[Any, Optional[str]]]: ...

@final
class LandmarkNetwork:
    @staticmethod
    def load(path: _Path) -> LandmarkNetwork: ...
    @staticmethod
    def from_bytes(bytes: bytes, name: str) -> LandmarkNetwork: ...
    def to_bytes(self) -> bytes: ...
    def name(self) -> str: ...
    def sha256(self) -> str: ...
    def description(self) -> str: ...
    def find(self, image: _Source) -> tuple[list[str], _Floats, _Floats]: ...
    def find_all(self, images: Sequence[_Source], threads: int) -> FolderMatches: ...
    def table(
        self, images: Sequence[_Source], spacing: Optional[tuple[float, float]], threads: int
    ) -> FolderMatches: ...

def describe_onnx(
    path: _Path,
    out: _Path,
    input: tuple[int, int],
    strides: list[int],
    channels: Optional[int],
    normalisation: str,
    outputs: list[str],
    leading_tokens: int,
    temperature: float,
    library: Optional[_Path],
) -> None: ...
def entropy_map(
    image: npt.NDArray[np.uint8],
    shape: str,
    size: int,
    border: str,
    step: int,
    mask: Optional[npt.NDArray[np.bool_]],
    out: _Array,
) -> None: ...
def tier_thresholds(entropy: _Array, medium: float, high: float) -> tuple[float, float]: ...
def tiers(entropy: _Array, medium: float, high: float) -> npt.NDArray[np.uint8]: ...
def weight_map(entropy: _Array, alpha: float, least: Optional[float]) -> _Array: ...
def sample_pixels(
    weights: _Array, count: int, rng: Rng, apart: Optional[float]
) -> npt.NDArray[np.int64]: ...
def mutual_information(first: _Array, second: _Array, bins: int, low: int, high: int) -> float: ...
def info_nce(
    view: _Single,
    image: _Single,
    view_points: _Single,
    image_points: _Single,
    stride: int,
    temperature: float,
    window: Optional[int],
    exclusion_radius: int,
    gradients: Optional[tuple[_Single, _Single]],
) -> float: ...
def resample(
    image: npt.NDArray[np.uint8],
    centre: tuple[float, float],
    rotation_deg: float,
    scale: float,
    out: npt.NDArray[np.uint8],
) -> None: ...
def tone(image: npt.NDArray[np.uint8], brightness: float, contrast: float, gamma: float) -> None: ...
def read_image(image: _Source) -> tuple[_Single, Optional[tuple[float, float]]]: ...
def list_images(folder: _Path) -> list[Path]: ...
def memory_budget() -> int: ...
def set_memory_budget(bytes: int) -> None: ...
def most_image_bytes() -> int: ...
def stretch(pixels: npt.NDArray[np.uint16]) -> _Single: ...
def lay_on(image: _Source, width: int, height: int, local_contrast: bool) -> _Single: ...
def read_landmarks(
    path: _Path,
    image: Optional[str],
    file: Optional[_Path],
    spacing: Optional[tuple[float, float]],
    names: list[str],
    coco: Optional[_Path],
) -> list[tuple[str, tuple[_Named, list[str], list[str]]]]: ...
def write_landmarks(
    path: _Path,
    format: str,
    images: Sequence[tuple[str, tuple[int, int], list[str], _Floats, list[str], list[str]]],
    file: Optional[_Path],
    spacing: Optional[tuple[float, float]],
    names: list[str],
    coco: Optional[_Path],
) -> None: ...
def dataset(
    folder: _Path,
) -> tuple[str, tuple[float, float], list[str], list[Path], list[_Floats]]: ...
def score_sets(
    encoder: Encoder,
    data: _Folder,
    template_data: Optional[_Folder],
    sets: Sequence[Sequence[int]],
    matching: tuple[bool, bool, float],
    threads: int,
    progress: _Progress,
) -> list[tuple[list[str], list[int], _Floats, _Floats]]: ...
def score_matcher(
    matcher: Matcher, data: _Folder, leave_out: Sequence[int], threads: int, progress: _Progress
) -> tuple[list[str], list[int], _Floats, _Floats]: ...
def score_network(
    network: LandmarkNetwork, data: _Folder, threads: int, progress: _Progress
) -> tuple[list[str], list[int], _Floats, _Floats]: ...
def random_sets(count: Optional[int], together: int, images: int, seed: int) -> list[list[int]]: ...
def figures(
    runs: Sequence[tuple[list[str], list[int], _Floats]], landmarks: list[str], radii_mm: list[float], seed: int
) -> tuple[str, str]: ...
def compare_with_annotator(
    data: _Folder,
    runs: Sequence[tuple[list[int], _Floats]],
    annotator: tuple[str, _Floats],
    radii_mm: list[float],
) -> str: ...
def select(
    encoder: Encoder,
    images: Sequence[_Path],
    count: int,
    against: int,
    seed: int,
    threads: int,
    progress: _Progress,
) -> tuple[list[int], list[float], list[int]]: ...
def phantom(width: int, height: int, seed: int, index: int) -> tuple[npt.NDArray[np.uint8], _Named]: ...
def train(
    options: str,
    threads: int,
    paths: tuple[_Path, _Path, _Path],
    score: Optional[tuple[_Path, int]],
    resume: str,
    exchange: Optional[object],
    callback: _Callback,
) -> dict[str, Any]: ...
def train_landmarks(
    options: str,
    threads: int,
    paths: tuple[_Path, _Path, _Path],
    encoder: Optional[_Path],
    images: Optional[int],
    resume: bool,
    callback: _Callback,
) -> dict[str, Any]: ...
def self_train(
    options: str,
    threads: int,
    paths: tuple[_Path, _Path, _Path, _Path],
    templates: Sequence[_Path],
    names: list[str],
    at: Sequence[_Floats],
    resume: bool,
    callback: _Callback,
) -> tuple[dict[str, Any], float, str]: ...
def tune(
    images: _Path,
    encoder: Encoder,
    options: str,
    threads: int,
    progress: _Progress,
) -> tuple[str, str]: ...
def psi(
    images: _Path,
    encoder: Encoder,
    options: str,
    views: int,
    bins: int,
    seed: int,
    threads: int,
    progress: _Progress,
) -> str: ...
