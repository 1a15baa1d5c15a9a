"""Guided views: of one image, and as a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Array, Path, Seed, random
from ._files import Source, lay_on, source
from ._infomark import Rng

_Points = npt.NDArray[np.float32]
Range = tuple[float, float]


@dataclass(frozen=True)
class GuidedView:
    """A view with positives: corresponding points in it and in the image."""

    #: ``(size, size)``, float32, in [0, 1]; 0 where it leaves the image.
    image: npt.NDArray[np.float32]
    #: ``(N, 2)``, float32: pixels of the view, and of the image; fewer than asked for where few can be seen.
    view_points: _Points
    image_points: _Points
    #: ``(N,)``, nats.
    entropies: npt.NDArray[np.float32]
    #: 0 low, 1 medium, 2 high: of the pixel in its centre.
    tier: int
    #: Brightness, contrast and gamma that were drawn.
    tone: tuple[float, float, float]
    #: ``(4, 2)``, in the image, in turn.
    corners: _Points


#: Options that count when an image is measured.
MEASURED = frozenset({"patch", "alpha", "discard", "least_entropy", "tier_quantiles"})


class GuidedImage:
    """An image with its entropy, tiers and weights, for several views of it.

    Used options of a training: ``patch``, ``alpha``, ``discard``, ``least_entropy`` and ``tier_quantiles``; ``thresholds`` of the
    tiers, in nats, are quantiles of the image itself unless given.
    """

    def __init__(self, image: Source, *, thresholds: Optional[tuple[float, float]] = None, **options: Any) -> None:
        self._inner = _infomark.GuidedImage(source(image), json.dumps(options), thresholds)

    @property
    def thresholds(self) -> tuple[float, float]:
        """Minimum entropies of the medium and the high tier, in nats."""
        return self._inner.thresholds()

    @property
    def entropy(self) -> npt.NDArray[np.float32]:
        """Entropy around each pixel, in nats."""
        return self._inner.entropy()

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """Sampling weight of each pixel."""
        return self._inner.weights()


class TierPolicy:
    """Augmentation intensity of each tier: ranges of the factors of brightness and contrast and of the exponent gamma,
    a triple of ``(low, high)`` for each tier."""

    def __init__(
        self,
        low: tuple[Range, Range, Range],
        medium: tuple[Range, Range, Range],
        high: tuple[Range, Range, Range],
    ) -> None:
        self._inner = _infomark.TierPolicy(low, medium, high)

    @classmethod
    def _of(cls, inner: _infomark.TierPolicy) -> TierPolicy:
        policy = cls.__new__(cls)
        policy._inner = inner
        return policy

    @classmethod
    def published(cls) -> TierPolicy:
        """The ranges found for cephalograms by Quan et al. (IEEE TMI 2025)."""
        return cls._of(_infomark.TierPolicy.published())

    @classmethod
    def of_config(cls, config: Optional[Mapping[str, Any]] = None) -> TierPolicy:
        """The policy of a training with these options; without any, that of ``infomark train``."""
        return cls._of(_infomark.TierPolicy.of_config(json.dumps(dict(config or {}))))

    def __reduce__(self) -> tuple[Any, ...]:
        return TierPolicy, tuple(self.ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TierPolicy) and self.ranges == other.ranges

    def __hash__(self) -> int:
        return hash(tuple(self.ranges))

    @property
    def ranges(self) -> list[tuple[Range, Range, Range]]:
        """Ranges of the low, medium and high tier: brightness, contrast, gamma."""
        return [(b, c, g) for b, c, g in self._inner.ranges()]

    def view(self, image: Union[Source, GuidedImage], rng: Seed, **options: Any) -> GuidedView:
        """A view around a pixel sampled by entropy, with the intensity jitter of its tier, and its positives.

        Used options of a training: ``view_size`` (a multiple of 32, at least 64), ``pixels`` (number of points), ``rotation_deg``,
        ``scale``, ``stretch``, ``elastic``, ``elastic_spacing``, and those of :class:`GuidedImage`, which avoids measuring the image
        for each view.
        """
        return self.views(image, 1, rng, **options)[0]

    def views(self, image: Union[Source, GuidedImage], count: int, rng: Seed, **options: Any) -> list[GuidedView]:
        """``count`` views of one image, as :meth:`view`."""
        if isinstance(image, GuidedImage):
            late = sorted(set(options) & MEASURED)
            if late:
                raise TypeError(f"{', '.join(late)}: a GuidedImage is measured already; give it these options instead")
        else:
            image = GuidedImage(image, **options)
        drawn = image._inner.views(self._inner, json.dumps(options), count, random(rng))
        return [GuidedView(*view) for view in drawn]


class GuidedViews:
    """A map-style data set of guided views, for ``torch.utils.data.DataLoader`` and other samplers of indexable data sets.

    Item ``i`` is of image ``i``: ``view`` ``(1, size, size)``, ``image`` ``(1, height, width)``, letterboxed to ``shape``
    ``(height, width)`` with local contrast normalised, both float32; ``view_points`` and ``image_points`` ``(pixels, 2)``, float32,
    with ``valid`` ``(pixels,)``, bool, false in rows without a point, which are 0; ``tier``, an int. All arrays are NumPy's, which torch converts to tensors.

    An item depends only on the ``seed``, the ``epoch`` and its index, not on workers or their order.
    """

    def __init__(
        self,
        images: Sequence[Union[Array, Path]],
        policy: Optional[TierPolicy] = None,
        *,
        shape: tuple[int, int] = (480, 384),
        seed: int = 0,
        thresholds: Optional[tuple[float, float]] = None,
        **options: Any,
    ) -> None:
        self.images = list(images)
        self.policy = TierPolicy.of_config() if policy is None else policy
        self.shape = shape
        self.seed = seed
        self.epoch = 0
        self.thresholds = thresholds
        self.options = options
        if not self.images:
            raise _infomark.InfomarkError("no images: give at least one")

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, for other views; persistent workers keep theirs."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        canvas = lay_on(self.images[index], self.shape)
        guided = GuidedImage(canvas, thresholds=self.thresholds, **self.options)
        drawing = {name: value for name, value in self.options.items() if name not in MEASURED}
        view = self.policy.view(guided, Rng(self.seed, self.epoch * len(self) + index), **drawing)
        pixels = int(self.options.get("pixels", 96))
        valid = np.arange(pixels) < len(view.view_points)
        points = np.zeros((2, pixels, 2), np.float32)
        points[0, valid], points[1, valid] = view.view_points, view.image_points
        return {
            "view": view.image[None],
            "image": canvas[None],
            "view_points": points[0],
            "image_points": points[1],
            "valid": valid,
            "tier": view.tier,
        }
