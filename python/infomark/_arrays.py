"""Conversion of arrays of any strides for the Rust extension."""

from __future__ import annotations

import os
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._infomark import Rng

Array = npt.NDArray[Any]
Path = Union[str, "os.PathLike[str]"]
Seed = Union[int, Rng, np.random.Generator]


#: Most pixels of an image, as of files: 512 MiB in float32.
MOST_IMAGE = 2**27


def shaped(array: Array, dimensions: int, what: str) -> Array:
    """An array with a number of dimensions, in native byte order."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{what}: a NumPy array is wanted, not {type(array).__name__}")
    if array.ndim != dimensions:
        raise ValueError(f"{what}: {dimensions} dimensions are wanted, not the shape {array.shape}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def output(array: Array, dimensions: int, what: str, *types: Any) -> None:
    """Checks an array for in-place output."""
    shaped(array, dimensions, what)
    if array.dtype not in types:
        names = " or ".join(np.dtype(kind).name for kind in types)
        raise TypeError(f"{what}: {names} in the machine's byte order is wanted, not {array.dtype.str}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{what}: it is written where it lies, which has to be C-contiguous")
    if not array.flags.writeable:
        raise ValueError(f"{what}: it is read-only")


def contiguous(array: Array) -> Array:
    """The array itself if it is contiguous, else a copy."""
    return np.ascontiguousarray(array)


def unit(image: Array, what: str = "image") -> npt.NDArray[np.float32]:
    """An image as float32 in [0, 1]."""
    image = shaped(image, 2, what)
    if image.size > MOST_IMAGE:
        raise ValueError(f"{what}: {image.shape} are more pixels than an image may have ({MOST_IMAGE}); scale it down first")
    if image.dtype == np.uint8:
        # As files of 8 bits are read.
        return np.ascontiguousarray(image).astype(np.float32) / np.float32(255)
    if image.dtype == np.uint16:
        return _infomark.stretch(contiguous(image))
    if image.dtype == np.float32:
        # NaN is outside, too.
        if not (image.size == 0 or (np.min(image) >= 0 and np.max(image) <= 1)):
            raise ValueError(f"{what}: float32 pixels have to be in [0, 1], as 0 is black and 1 is white")
        return contiguous(image)
    raise TypeError(f"{what}: uint8, uint16 or float32 is wanted, not {image.dtype}")


def levels(image: Array, what: str = "image") -> npt.NDArray[np.uint8]:
    """An image in 256 grey levels."""
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        return np.ascontiguousarray(shaped(image, 2, what))
    return (unit(image, what) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def floats(array: Array, what: str) -> Array:
    """A map of float32 or float64."""
    array = shaped(array, 2, what)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{what}: float32 or float64 is wanted, not {array.dtype}")
    return contiguous(array)


def pairs(points: npt.ArrayLike, dtype: Any = np.float64) -> Array:
    """Points as rows (x, y)."""
    array = np.ascontiguousarray(points, dtype=dtype)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points: the shape (N, 2) is wanted, a row of x, y each, not {array.shape}")
    return array


def random(rng: Seed) -> Rng:
    """The generator of a ``rng`` argument."""
    if isinstance(rng, Rng):
        return rng
    if isinstance(rng, np.random.Generator):
        return Rng(int(rng.integers(0, 2**64, dtype=np.uint64)))
    return Rng(int(rng))
