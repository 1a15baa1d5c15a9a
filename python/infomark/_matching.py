"""Template matching of landmarks, with error bounds and abstention."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Generic, Optional, TypeVar, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path
from ._encoder import Encoder, Template
from ._files import Images, Source, source, sources_of
from ._table import Tabulating

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """Landmarks matched in an image; arrays with one element per name, float64, NaN where unknown."""

    names: list[str]
    #: ``(N, 2)``, pixels of the image as it was given.
    points: _Floats
    #: Mean cosine with the template there, -1 to 1: it ranks places, and is no probability.
    scores: _Floats
    #: Score gap to the best peak elsewhere.
    margin: _Floats
    #: Cycle-consistency error: distance from the landmark after matching back into the template, in pixels.
    cycle_error: _Floats
    #: Distance to the prior, in pixels.
    prior: _Floats
    #: Relative size of the error, whatever the size of the image: good for ordering points and images; no length, and
    #: it bounds nothing.
    uncertainty: _Floats
    #: The uncertainty in pixels of the image: what calibrated errors are multiples of.
    scale: _Floats

    def __iter__(self) -> Iterator[tuple[str, float, float, float]]:
        """Name, x, y and score of each."""
        for name, (x, y), score in zip(self.names, self.points.tolist(), self.scores.tolist()):
            yield name, x, y, score


_Columns = TypeVar("_Columns")


@dataclass(frozen=True)
class FolderMatch(Generic[_Columns]):
    """Result of one of several images: detections, or the error message."""

    #: Its path or URL; for bytes, file objects and arrays the place in the list.
    path: str
    found: Optional[_Columns]
    error: Optional[str]


class FolderMatches(Generic[_Columns]):
    """Iterator over the results of many images, in their order, as they become available; ``len`` is the number of images, ``done``
    that of results returned. :meth:`close`, or garbage collection, cancels images that were not started."""

    def __init__(self, inner: _infomark.FolderMatches, columns: Callable[..., _Columns], paths: Sequence[str]) -> None:
        self._inner = inner
        self._columns = columns
        self._paths = paths
        self.done = 0

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> FolderMatches[_Columns]:
        return self

    def __next__(self) -> FolderMatch[_Columns]:
        item = self._inner.next()
        if item is None:
            raise StopIteration
        path = self._paths[self.done]
        self.done += 1
        found, error = item
        return FolderMatch(path, None if found is None else self._columns(*found), error)

    def close(self) -> None:
        """Stops after the current images."""
        self._inner.close()


Templates = Union[Template, Sequence[Template]]


class Matcher(Tabulating):
    """Landmark matcher: an encoder with templates; can be shared between threads, and pickled.

    ``neighbours``: points around a landmark vote for it. ``prior``: robust alignment gives a Gaussian prior with a standard deviation of
    ``prior_sigma`` pixels of the model input.
    """

    def __init__(
        self,
        encoder: Encoder,
        templates: Templates,
        *,
        neighbours: bool = True,
        prior: bool = True,
        prior_sigma: float = 12.0,
    ) -> None:
        self.encoder = encoder
        self.templates = [templates] if isinstance(templates, Template) else list(templates)
        inner = [template._inner for template in self.templates]
        self._inner = _infomark.Matcher(encoder._inner, inner, neighbours, prior, prior_sigma)
        self._options = {"neighbours": neighbours, "prior": prior, "prior_sigma": prior_sigma}

    def __getstate__(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "templates": self.templates, "options": self._options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["encoder"], state["templates"], **state["options"])  # type: ignore[misc]

    @cached_property
    def _provenance(self) -> dict[str, Any]:
        """Provenance of its results, besides the images."""
        return {
            "encoder_sha256": self.encoder.sha256,
            "runtime": self.encoder.runtime,
            "template_sha256": [sha256(template.to_bytes()).hexdigest() for template in self.templates],
            "landmarks": self.landmarks,
            **self._options,
        }

    @property
    def landmarks(self) -> list[str]:
        """Names of the landmarks, in order of detection."""
        return self._inner.landmarks()

    def find(self, image: Source) -> Found:
        """Finds the landmarks in an array or a file."""
        return Found(*self._inner.find(source(image)))

    def find_all(self, images: Images, *, threads: int = 0) -> FolderMatches[Found]:
        """Finds the landmarks in the images of a folder, or in several images: :func:`match_folder`."""
        paths, sources = sources_of(images)
        return FolderMatches(self._inner.find_all(sources, threads), Found, paths)

    @property
    def provenance(self) -> dict[str, Any]:
        """:attr:`Judge.provenance` of a judge with the defaults."""
        return Judge(self).provenance

    def _rows_of(
        self, images: Sequence[Any], spacing: Optional[tuple[float, float]], threads: int
    ) -> _infomark.FolderMatches:
        return Judge(self)._rows_of(images, spacing, threads)


def paths_of(images: Union[Path, Sequence[Path]]) -> list[str]:
    """The image files of a folder, or those given."""
    if isinstance(images, (str, os.PathLike)):
        images = _infomark.list_images(images)
    return [os.fspath(path) for path in images]


@dataclass(frozen=True)
class Recognition:
    """Recognition of the templates' anatomy in an image, with its orientation."""

    #: Fraction of 200 key points of the template that are inliers of one alignment, 0 to 1.
    inlier_fraction: float
    #: Whether that is enough; where it is not, no point found in the image means anything.
    recognised: bool
    #: Whether left and right are exchanged against the template.
    mirrored: bool
    #: Quarters of a turn, clockwise, after the mirroring; 0 to 3.
    quarter_turns: int


@dataclass(frozen=True)
class Judged:
    """Landmarks matched in an image, with error bounds and abstention; arrays with one element per name."""

    found: Found
    #: Bound on the error, in pixels, with the judge's ``coverage``; float64, NaN without a calibration.
    error_bound_px: _Floats
    #: The same in mm; NaN also where the size of the pixels is not known.
    error_bound_mm: _Floats
    #: Which points should not be used; bool.
    abstain: npt.NDArray[np.bool_]
    recognition: Recognition
    #: Whether the image was laid as the template is before it was searched.
    reoriented: bool


def _judged(
    found: tuple[Any, ...],
    bound_px: _Floats,
    bound_mm: _Floats,
    abstain: npt.NDArray[np.bool_],
    recognition: tuple[float, bool, bool, int],
    reoriented: bool,
) -> Judged:
    return Judged(Found(*found), bound_px, bound_mm, abstain, Recognition(*recognition), reoriented)


class Judge(Tabulating):
    """A matcher with error bounds and abstention, as in ``infomark match``; can be shared between threads, and pickled.

    ``calibration``: a file of ``infomark calibrate``, for error bounds of coverage ``coverage``, 0.9 by default; the default is
    the bundled one for its own encoder and template, or
    none: there are then no error bounds, and ``found.uncertainty`` ranks the points. Points are abstained from where the
    bound is above ``abstain_above_mm``, which needs a calibration, the score is below ``abstain_below_score``, or the
    image shows another anatomy or has another orientation than the templates. ``fix_orientation``: images are rotated by quarter
    turns, or mirrored, to the templates' orientation before matching. It is pickled with the bytes of encoder, templates
    and calibration.
    """

    def __init__(
        self,
        matcher: Matcher,
        *,
        calibration: Optional[Union[Path, bytes]] = None,
        coverage: Optional[float] = None,
        abstain_above_mm: Optional[float] = None,
        abstain_below_score: Optional[float] = None,
        fix_orientation: bool = False,
    ) -> None:
        self.matcher = matcher
        self._options = (coverage, abstain_above_mm, abstain_below_score, fix_orientation)
        self._inner = _infomark.Judge(matcher._inner, calibration, *self._options)
        #: Share of errors that the bounds hold for; ``None`` without a calibration.
        self.coverage: Optional[float] = self._inner.coverage()
        #: Whether there is one.
        self.calibrated = self.coverage is not None

    def __reduce__(self) -> tuple[Any, ...]:
        return _judge, (self.matcher, self._inner.calibration(), self._options)

    def find(self, image: Source, *, spacing: Optional[tuple[float, float]] = None) -> Judged:
        """Finds the landmarks in an array or a file. ``spacing`` (x, y) is its pixel size in mm, overriding the file."""
        return _judged(*self._inner.find(source(image), spacing))

    def find_all(
        self,
        images: Images,
        *,
        spacing: Optional[tuple[float, float]] = None,
        threads: int = 0,
    ) -> FolderMatches[Judged]:
        """:meth:`find` for the images of a folder, or for several images: an iterator as of :func:`match_folder`."""
        paths, sources = sources_of(images)
        return FolderMatches(self._inner.find_all(sources, spacing, threads), _judged, paths)

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the results, besides the images: version, hashes of encoder, templates and calibration, and options. Equal for
        comparable tables; contains no path."""
        coverage, above, below, fix = self._options
        calibration = self._inner.calibration()
        return {
            "version": _infomark.__version__,
            **self.matcher._provenance,
            "coverage": self.coverage,
            "calibrated": self.calibrated,
            "calibration_sha256": None if calibration is None else sha256(calibration).hexdigest(),
            "abstain_above_mm": above,
            "abstain_below_score": below,
            "fix_orientation": fix,
        }

    def _rows_of(
        self, images: Sequence[Any], spacing: Optional[tuple[float, float]], threads: int
    ) -> _infomark.FolderMatches:
        return self._inner.table(images, spacing, threads)


def _judge(matcher: Matcher, calibration: Optional[bytes], options: tuple[Any, ...]) -> Judge:
    """Unpickles a judge."""
    coverage, above, below, fix = options
    return Judge(
        matcher,
        calibration=calibration,
        coverage=coverage,
        abstain_above_mm=above,
        abstain_below_score=below,
        fix_orientation=fix,
    )


def match(encoder: Encoder, templates: Templates, image: Source, **options: Any) -> Found:
    """Finds the templates' landmarks in an image; for several images, :class:`Matcher` or :func:`match_folder`."""
    return Matcher(encoder, templates, **options).find(image)


def match_folder(
    encoder: Encoder, templates: Templates, images: Images, *, threads: int = 0, **options: Any
) -> FolderMatches[Found]:
    """Finds the landmarks in all images of a folder, or in several images, on ``threads`` threads (0: all cores): an iterator with progress.

    An image that fails gives an element with an ``error``; the others continue.
    """
    return Matcher(encoder, templates, **options).find_all(images, threads=threads)
