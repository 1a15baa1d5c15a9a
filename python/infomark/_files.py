"""Images, landmark files and data folders."""

from __future__ import annotations

import functools
import importlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Array, Path, pairs, unit

if TYPE_CHECKING:
    from typing_extensions import TypeGuard

#: An image: an array, the path of a file, a URL for ``fsspec``, the bytes of a file, or a file object opened as ``"rb"``.
Source = Union[Array, Path, bytes, bytearray, memoryview, BinaryIO]
#: What messages call an image; and its path, the bytes of its file, or a function that gives the bytes or pixels in [0, 1].
NamedSource = tuple[str, Union[str, bytes, Callable[[], Union[bytes, Array]]]]
#: A folder, or several images.
Images = Union[Path, Iterable[Source]]

#: Such as ``s3://`` or ``simplecache::s3://``; one letter is a drive.
_URL = re.compile(r"[A-Za-z][\w+.-]+(::[\w+.-]+)*://")


@dataclass(frozen=True)
class Landmarks:
    """Named points of an image: ``points`` is ``(N, 2)``, float64."""

    names: list[str]
    points: npt.NDArray[np.float64]
    #: Those of ``names`` that are occluded: marked where they have to be, not where they are seen.
    occluded: Sequence[str] = ()
    #: Landmarks that are marked as absent from the image; they have no point.
    absent: Sequence[str] = ()


def needed(module: str, extra: str, what: str) -> Any:
    """Imports an optional dependency on first use."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs the package {module}: pip install 'infomark[{extra}]'") from error


def printable(text: Path) -> str:
    """A path as valid Unicode, with replacement characters."""
    try:
        return os.fsencode(text).decode("utf-8", "replace")
    except UnicodeEncodeError:
        return ascii(os.fspath(text))


def is_url(image: object) -> TypeGuard[str]:
    """Whether an image is a URL for ``fsspec``."""
    return isinstance(image, str) and _URL.match(image) is not None


def address(image: object) -> Optional[str]:
    """The path or URL of an image; ``None`` without one."""
    return printable(image) if isinstance(image, (str, os.PathLike)) else None


def source(image: object, name: Optional[str] = None) -> NamedSource:
    """Converts an image argument for the Rust extension. ``name`` is the name of an image without a path; anything that is not an
    image fails when it is read."""
    if isinstance(image, (str, os.PathLike)):
        named = printable(image)
        return (named, functools.partial(_fetched, image)) if is_url(image) else (named, os.fsdecode(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return name or "bytes", bytes(image)
    if isinstance(image, np.ndarray):
        return name or "array", functools.partial(unit, image, name or "image")
    if hasattr(image, "read"):
        own = getattr(image, "name", None)
        named = name or (printable(own) if isinstance(own, str) else "file")
        return named, functools.partial(_content, image, named)
    return name or "image", functools.partial(_refuse, image, name or "image")


def sources_of(images: Images, ids: Optional[Sequence[object]] = None) -> tuple[list[str], list[NamedSource]]:
    """Converts several images for the Rust extension, with their names: ``ids``, or path, URL or index."""
    if isinstance(images, (bytes, bytearray, memoryview)) or hasattr(images, "read"):
        raise TypeError("several images are wanted: pass a list, even of one")
    listed: Sequence[object]
    if isinstance(images, (str, os.PathLike)):
        listed = _infomark.list_images(images)
    else:
        listed = list(images)
    if any(is_url(image) for image in listed):
        needed("fsspec", "fsspec", "an image at a URL")
    if ids is not None and len(ids) != len(listed):
        raise ValueError(f"{len(ids)} ids for {len(listed)} images: one for each is wanted")
    names = [address(image) or str(index) for index, image in enumerate(listed)]
    if ids is not None:
        # What is missing has no name of its own.
        names = [name if one is None else printable(str(one)) for name, one in zip(names, ids)]
    return names, [source(image, name) for image, name in zip(listed, names)]


def _fetched(url: str) -> bytes:
    """The bytes of a URL."""
    fsspec = needed("fsspec", "fsspec", f"{url}: a URL")
    try:
        with fsspec.open(url, "rb") as file:
            return _content(file, url)
    except _infomark.InfomarkError:
        raise
    except FileNotFoundError as error:
        raise _infomark.InfomarkError(f"{url}: no such file; check the address") from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise _infomark.InfomarkError(f"{url}: cannot be read ({told}); check the address and the access to it") from error


def _content(file: Any, name: str) -> bytes:
    """The bytes of a file object; at most one more than the limit, which the reader rejects."""
    content = file.read(_infomark.most_image_bytes() + 1)
    if not isinstance(content, bytes):
        raise _infomark.InfomarkError(f'{name}: a file object of {type(content).__name__}; open it with "rb"')
    return content


def _refuse(image: object, name: str) -> bytes:
    wanted = "an array, a path, a URL, the bytes of a file, or a file object"
    raise TypeError(f"{name}: an image is {wanted}, not {type(image).__name__}")


def read_image(image: Source) -> npt.NDArray[np.float32]:
    """Reads an image file (PNG, TIFF, JPEG, BMP, PGM, DICOM, NIfTI slice) as grey levels in [0, 1].

    As everywhere, the file is a path, a URL (``s3://...``, by ``fsspec``: ``pip install 'infomark[fsspec]'``), its bytes or a file object.
    """
    return _infomark.read_image(source(image))[0]


def read_spacing(image: Source) -> Optional[tuple[float, float]]:
    """Pixel spacing of an image file, mm across and down; ``None`` if the file states none."""
    return _infomark.read_image(source(image))[1]


def memory_budget() -> int:
    """Memory budget in bytes for images while they are read, in this process: half of the machine's memory, at most 2 GiB,
    unless set by :func:`set_memory_budget`."""
    return _infomark.memory_budget()


def set_memory_budget(bytes: int) -> None:
    """Sets :func:`memory_budget`. Threads wait if the budget is too small for all images at once; an image that exceeds the whole budget
    is an error. The estimate from the header is 8 bytes per pixel and twice the file."""
    if bytes <= 0:
        raise _infomark.InfomarkError(f"a memory budget of {bytes} bytes: no image could be read; give more")
    _infomark.set_memory_budget(bytes)


def lay_on(image: Source, shape: tuple[int, int], *, local_contrast: bool = True) -> npt.NDArray[np.float32]:
    """Letterboxes an image to the model input ``shape`` ``(height, width)``: aspect ratio kept, centred, edge pixels repeated, and
    local contrast normalised. Sides are 1 to 8192 pixels."""
    height, width = shape
    return _infomark.lay_on(source(image), width, height, local_contrast)


def image_file(image: Optional[Path]) -> tuple[Optional[str], Optional[str]]:
    """The name of an image without folder, and its path if there is such a file."""
    if image is None:
        return None, None
    path = os.fspath(image)
    return os.path.basename(path), path if os.path.isfile(path) else None


def read_landmarks(
    path: Path,
    *,
    image: Optional[Path] = None,
    spacing: Optional[tuple[float, float]] = None,
    names: Sequence[str] = (),
    coco: Optional[Path] = None,
) -> dict[str, Landmarks]:
    """Reads the landmarks of each image in a file: CSV, 3D Slicer (``.mrk.json``, ``.fcsv``), COCO, COCO results, LabelMe, CVAT for images,
    Label Studio or ISBI text, detected by content.

    Slicer's files and ISBI text do not name their ``image``: give its path, or for ISBI text its file name. Slicer's are in mm, in the
    placement of the image's file by 3D Slicer; without the file, ``spacing`` (x, y) is that of Slicer's volume,
    with its first pixel at the origin. ISBI text has no ``names``; COCO results use the ids of another ``coco`` file.
    """
    name, file = image_file(image)
    found = _infomark.read_landmarks(path, name, file, spacing, list(names), coco)
    return {key: Landmarks(own, points, occluded, absent) for key, ((own, points), occluded, absent) in found}


def write_landmarks(
    path: Path,
    landmarks: Mapping[str, Landmarks],
    *,
    format: str = "csv",
    shapes: Optional[Mapping[str, tuple[int, int]]] = None,
    image: Optional[Path] = None,
    spacing: Optional[tuple[float, float]] = None,
    names: Sequence[str] = (),
    coco: Optional[Path] = None,
) -> None:
    """Writes landmarks by image as ``csv``, ``slicer``, ``fcsv``, ``coco``, ``coco-results``, ``labelme``, ``cvat``,
    ``label-studio`` or ``isbi``, atomically.

    COCO, LabelMe, CVAT and Label Studio state the images' sizes: ``shapes`` ``(height, width)``, as of their arrays. Slicer's files are
    in mm: give the path of the ``image`` for its placement in 3D Slicer; without it, ``spacing`` (x, y) is that of Slicer's volume,
    with its first pixel at the origin. ``names`` is the order of the landmarks; ISBI text has exactly these. COCO results
    use the ids of another ``coco`` file.
    """
    sized = ("coco", "labelme", "cvat", "label-studio")
    if format in sized and any(key not in (shapes or {}) for key in landmarks):
        raise _infomark.InfomarkError(f"format {format!r} states the sizes of images: give shapes={{name: (height, width)}}")
    known = {} if shapes is None else shapes
    sizes = {key: (width, height) for key, (height, width) in known.items()}
    rows = [
        (key, sizes.get(key, (0, 0)), list(own.names), pairs(own.points), list(own.occluded), list(own.absent))
        for key, own in landmarks.items()
    ]
    _infomark.write_landmarks(path, format, rows, image_file(image)[1], spacing, list(names), coco)


@dataclass(frozen=True)
class DataSet:
    """An annotated folder: ``images/``, ``landmarks.csv``, ``dataset.toml``."""

    #: Name of the data set.
    name: str
    #: Millimetres per pixel across and down.
    spacing: tuple[float, float]
    #: Names of the landmarks.
    landmarks: list[str]
    #: Files of the images, sorted by name; each has at least one point.
    images: list[str]
    #: ``(images, landmarks, 2)``, float64; NaN where an image has no point of a landmark.
    points: npt.NDArray[np.float64]

    @staticmethod
    def open(folder: Path) -> DataSet:
        """Opens a folder; all files are checked, except the images' pixels. A warning counts missing points."""
        name, spacing, landmarks, images, points = _infomark.dataset(folder)
        return DataSet(name, spacing, landmarks, [os.fspath(path) for path in images], np.stack(points))

    def index(self, image: str) -> int:
        """Index of the image with a file name."""
        names = [os.path.basename(path) for path in self.images]
        if image not in names:
            raise _infomark.InfomarkError(f"{image}: no such image; it holds {len(names)} images, the first is {names[0]}")
        return names.index(image)

    def landmarks_of(self, image: str) -> Landmarks:
        """The existing landmarks of the image with a file name."""
        points = self.points[self.index(image)]
        there = ~np.isnan(points).any(axis=1)
        return Landmarks([name for name, known in zip(self.landmarks, there) if known], points[there])


def phantom(
    shape: tuple[int, int] = (320, 256), *, seed: int = 0, index: int = 0
) -> tuple[npt.NDArray[np.uint8], Landmarks]:
    """A synthetic radiograph of a head, ``(height, width)``, with exact landmarks, for tests and examples."""
    height, width = shape
    pixels, (names, points) = _infomark.phantom(width, height, seed, index)
    return pixels, Landmarks(names, points)
