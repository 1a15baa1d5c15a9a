"""Entropy, mutual information, sampling, and the contrastive loss."""

from __future__ import annotations

from typing import Any, Literal, Optional

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Array, Seed, contiguous, floats, levels, output, pairs, random, shaped


def entropy_map(
    image: Array,
    k: int = 9,
    *,
    shape: Literal["square", "disk"] = "square",
    border: Literal["cut", "mirror", "clamp"] = "cut",
    step: int = 1,
    mask: Optional[npt.NDArray[np.bool_]] = None,
    dtype: npt.DTypeLike = np.float64,
    out: Optional[Array] = None,
) -> Array:
    """Entropy of the 256 grey levels around each pixel, in nats: ``(height, width)``, of ``dtype`` float32 or float64.

    ``k`` is the side of the squares, or the radius of the disks, in pixels; they are cropped at the border of the image
    unless it is mirrored or clamped. ``step`` is the output stride in both directions. Pixels outside
    ``mask`` count in no patch. ``out`` receives the result instead of a new array.

    Source: Quan et al., IGU-Aug (IEEE TMI 2025), image information entropy.
    """
    grey = levels(image)
    if step < 1:
        raise _infomark.InfomarkError(f"a step of {step} pixels: it has to be at least 1")
    if k < 0:
        raise _infomark.InfomarkError(f"a patch of {k} pixels: it has to be at least 1")
    if out is None:
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise TypeError(f"dtype: float32 or float64 is wanted, not {np.dtype(dtype)}")
        out = np.empty((-(-grey.shape[0] // step), -(-grey.shape[1] // step)), dtype)
    else:
        output(out, 2, "out", np.float32, np.float64)
    if mask is not None:
        if shaped(mask, 2, "mask").dtype != np.bool_:
            raise TypeError(f"mask: bool is wanted, not {mask.dtype}")
        mask = np.ascontiguousarray(mask)
    _infomark.entropy_map(grey, shape, k, border, step, mask, out)
    return out


def tier_thresholds(entropy: Array, medium: float = 1 / 3, high: float = 2 / 3) -> tuple[float, float]:
    """Tier thresholds in nats: the entropies below which the fractions ``medium`` and ``high`` of the pixels are."""
    return _infomark.tier_thresholds(floats(entropy, "entropy"), medium, high)


def tiers(entropy: Array, thresholds: Optional[tuple[float, float]] = None) -> npt.NDArray[np.uint8]:
    """The tier of each pixel: 0 low, 1 medium, 2 high; by the minimum entropies of the medium and the high tier, in nats.

    Without ``thresholds``, a third of the pixels is in each.
    """
    entropy = floats(entropy, "entropy")
    medium, high = tier_thresholds(entropy) if thresholds is None else thresholds
    return _infomark.tiers(entropy, medium, high)


def weight_map(entropy: Array, *, alpha: float = 0.3, least: Optional[float] = None) -> Array:
    """Sampling weight of each pixel: ``entropy ** alpha``; or 1 from the entropy ``least`` on, else 0."""
    return _infomark.weight_map(floats(entropy, "entropy"), alpha, least)


#: Most pixels that are drawn by one call.
MOST_PIXELS = 10**8


def sample_pixels(
    weights: Array, count: int, rng: Seed, *, apart: Optional[float] = None
) -> npt.NDArray[np.int64]:
    """``count`` pixels sampled with replacement in proportion to their weights, as rows ``(x, y)``.

    With ``apart``, their minimum distance in pixels, they are all different, and fewer if no more fit.
    """
    if count < 0:
        raise ValueError(f"count {count}: it has to be at least 0")
    if count > MOST_PIXELS:
        raise ValueError(f"count {count}: at most {MOST_PIXELS} pixels are drawn at once")
    return _infomark.sample_pixels(floats(weights, "weights"), count, random(rng), apart)


def mutual_information(
    first: Array, second: Array, *, bins: int = 256, window: Optional[tuple[int, int]] = None
) -> float:
    """Mutual information of two patches of one shape, in nats; symmetric, and of a patch with itself its entropy.

    ``window`` is the lowest and highest grey level of the bins (8, 16, 32, 64, 128 or 256 of them); others belong to the
    outermost ones. The default for ``uint8`` and ``float32`` patches is (0, 255) of 256 levels; ``uint16`` ones need a window.
    """
    first, second = shaped(first, 2, "patch"), shaped(second, 2, "patch")
    words = first.dtype == np.uint16
    if words and window is None:
        raise _infomark.InfomarkError("uint16 patches: give the window of their grey values, such as window=(0, 4095)")
    if words:
        first, second = contiguous(first), contiguous(second)
    else:
        first, second = levels(first, "patch"), levels(second, "patch")
    low, high = (0, 255) if window is None else window
    return _infomark.mutual_information(first, second, bins, low, high)


def _features(array: Array, what: str) -> Array:
    array = shaped(array, 3, what)
    if array.dtype != np.float32:
        raise TypeError(f"{what}: float32 is wanted, not {array.dtype}")
    return contiguous(array)


def info_nce(
    view: Array,
    image: Array,
    view_points: npt.ArrayLike,
    image_points: npt.ArrayLike,
    stride: int,
    *,
    temperature: float = 0.1,
    window: Optional[int] = None,
    exclusion_radius: int = 0,
) -> float:
    """InfoNCE loss of one level, summed over positive pairs.

    ``view`` and ``image`` are features ``(channels, height, width)``, float32, of length 1; the points ``(N, 2)`` are pixels
    of the network's inputs, ``stride`` per cell. Negatives of a point are all cells of the image, or those up to
    ``window`` columns and rows away, without those up to ``exclusion_radius`` away. Points outside their map are rejected.

    Source: van den Oord et al. (2018), equation 4; over pixels as in CC2D (Yao et al., MICCAI 2021).
    """
    at, to = pairs(view_points, np.float32), pairs(image_points, np.float32)
    maps = _features(view, "view"), _features(image, "image")
    return _infomark.info_nce(*maps, at, to, stride, temperature, window, exclusion_radius, None)


def info_nce_gradient(
    view: Array,
    image: Array,
    view_points: npt.ArrayLike,
    image_points: npt.ArrayLike,
    stride: int,
    *,
    temperature: float = 0.1,
    window: Optional[int] = None,
    exclusion_radius: int = 0,
    out: Optional[tuple[Array, Array]] = None,
) -> tuple[float, Array, Array]:
    """:func:`info_nce` with its gradients with respect to the features of view and image, which are **added** to ``out``, if given."""
    at, to = pairs(view_points, np.float32), pairs(image_points, np.float32)
    view, image = _features(view, "view"), _features(image, "image")
    of_view, of_image = (np.zeros_like(view), np.zeros_like(image)) if out is None else out
    output(of_view, 3, "out", np.float32)
    output(of_image, 3, "out", np.float32)
    loss = _infomark.info_nce(view, image, at, to, stride, temperature, window, exclusion_radius, (of_view, of_image))
    return loss, of_view, of_image


def resample(
    image: npt.NDArray[np.uint8],
    centre: tuple[float, float],
    shape: tuple[int, int],
    *,
    rotation_deg: float = 0.0,
    scale: float = 1.0,
    out: Optional[npt.NDArray[np.uint8]] = None,
) -> npt.NDArray[np.uint8]:
    """A view of ``shape`` (height, width) around ``centre`` (x, y): rotated clockwise on screen, ``scale`` pixels of the image per
    view pixel; bilinear, 0 outside the image."""
    if shaped(image, 2, "image").dtype != np.uint8:
        raise TypeError(f"image: uint8 is wanted, not {image.dtype}")
    if out is None:
        out = np.empty(shape, np.uint8)
    output(out, 2, "out", np.uint8)
    _infomark.resample(contiguous(image), centre, rotation_deg, scale, out)
    return out


def tone(
    image: Array, *, brightness: float = 1.0, contrast: float = 1.0, gamma: float = 1.0, in_place: bool = False
) -> npt.NDArray[np.uint8]:
    """Intensity jitter of ``uint8`` pixels: brightness, then contrast about the mean, then gamma."""
    if shaped(image, 2, "image").dtype != np.uint8:
        raise TypeError(f"image: uint8 is wanted, not {image.dtype}")
    changed: Any = image if in_place else image.copy(order="C")
    output(changed, 2, "image", np.uint8)
    _infomark.tone(changed, brightness, contrast, gamma)
    return changed  # type: ignore[no-any-return]
