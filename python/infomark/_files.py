"""Images, landmark files and data folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Array, Path, pairs, unit

Source = Union[Array, Path]


@dataclass(frozen=True)
class Landmarks:
    """Named points of an image: ``points`` is ``(N, 2)``, float64."""

    names: list[str]
    points: npt.NDArray[np.float64]
    #: Those of ``names`` that are occluded: marked where they have to be, not where they are seen.
    occluded: Sequence[str] = ()
    #: Landmarks that are marked as absent from the image; they have no point.
    absent: Sequence[str] = ()


def named_image(image: Source) -> tuple[str, npt.NDArray[np.float32]]:
    """What messages call an image, and its pixels in [0, 1]; from a file or an array."""
    if isinstance(image, np.ndarray):
        return "array", unit(image)
    return os.fspath(image), read_image(image)


def read_image(path: Path) -> npt.NDArray[np.float32]:
    """An image file (PNG, TIFF, JPEG, BMP, PGM, DICOM, NIfTI slice), grey, in [0, 1]."""
    return _infomark.read_image(path)[0]


def read_spacing(path: Path) -> Optional[tuple[float, float]]:
    """Millimetres per pixel across and down, where the file of an image states them."""
    return _infomark.read_image(path)[1]


def lay_on(image: Source, shape: tuple[int, int], *, local_contrast: bool = True) -> npt.NDArray[np.float32]:
    """An image on a canvas of ``shape`` ``(height, width)`` as encoders see it: its aspect kept, centred, edge pixels repeated, and
    its local contrast made even. Sides are 1 to 8192 pixels."""
    height, width = shape
    return _infomark.lay_on(named_image(image)[1], width, height, local_contrast)


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
    """The landmarks of each image in a file: CSV, 3D Slicer (``.mrk.json``, ``.fcsv``), COCO, COCO results, LabelMe, CVAT for images,
    Label Studio or ISBI text, told by its content.

    Slicer's files and ISBI text do not name their ``image``: its path, or for ISBI text its file name alone. Slicer's are in mm: what
    these are, the file of the image tells, as 3D Slicer reads it; without the file, ``spacing`` (x, y) is that of Slicer's volume,
    which lies at the origin. ISBI text has no ``names``; COCO results use the ids of another ``coco`` file.
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
    ``label-studio`` or ``isbi``; the file appears whole or not at all.

    COCO, LabelMe, CVAT and Label Studio state the images' sizes: ``shapes`` ``(height, width)``, as of their arrays. Slicer's files are
    in mm: give the path of the ``image``, as 3D Slicer reads it; without it, ``spacing`` (x, y) is that of Slicer's volume, which
    lies at the origin. ``names`` is the order of the landmarks; ISBI text has exactly these. COCO results
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

    #: What it is called.
    name: str
    #: Millimetres per pixel across and down.
    spacing: tuple[float, float]
    #: Names of the landmarks that every image has.
    landmarks: list[str]
    #: Files of the images, sorted by name.
    images: list[str]
    #: ``(images, landmarks, 2)``, float64.
    points: npt.NDArray[np.float64]

    @staticmethod
    def open(folder: Path) -> DataSet:
        """Opens a folder; all files are checked but for the images' pixels."""
        name, spacing, landmarks, images, points = _infomark.dataset(folder)
        return DataSet(name, spacing, landmarks, [os.fspath(path) for path in images], np.stack(points))

    def index(self, image: str) -> int:
        """The place of the image of a file name."""
        names = [os.path.basename(path) for path in self.images]
        if image not in names:
            raise _infomark.InfomarkError(f"{image}: no such image; it holds {len(names)} images, the first is {names[0]}")
        return names.index(image)


def phantom(
    shape: tuple[int, int] = (320, 256), *, seed: int = 0, index: int = 0
) -> tuple[npt.NDArray[np.uint8], Landmarks]:
    """A made-up radiograph of a head, ``(height, width)``, with exact landmarks, for tests and examples."""
    height, width = shape
    pixels, (names, points) = _infomark.phantom(width, height, seed, index)
    return pixels, Landmarks(names, points)
