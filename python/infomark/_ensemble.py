"""Ensembles of templates and landmark networks: files of ``infomark loop``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path
from ._files import Source, source
from ._matching import Recognition
from ._table import Tabulating

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EnsembleDetection:
    """Landmarks found by an ensemble in an image; arrays with one element per name, float64."""

    names: list[str]
    #: ``(N, 2)``, pixels of the image as it was given.
    points: _Floats
    #: What placed each landmark: ``templates``, ``network`` or ``fusion``.
    members: list[str]
    #: Probability of the networks' heat map there, 0 to 1; mean cosine by templates alone.
    scores: _Floats
    #: Distance between the templates' and the networks' position, in pixels.
    disagreement_px: _Floats
    #: Bound on the error with the ensemble's ``coverage``, in pixels; NaN without bounds.
    error_bound_px: _Floats
    #: The same in mm; NaN where the size of the pixels is not known.
    error_bound_mm: _Floats
    #: Whether no point should be used: the image does not show the templates' anatomy, or lies otherwise.
    abstain: bool
    recognition: Recognition
    #: Whether the image was turned or mirrored to the templates' orientation before it was searched.
    reoriented: bool


class Ensemble(Tabulating):
    """Encoder, templates and landmark networks: a file of ``infomark loop`` or the review page (``model.infomark``), or the bundled
    model ``ceph`` or ``chest``.

    Each landmark is placed by the member that was best on held-out images, or by fusion instead of a network that is far from the
    templates. ``fix_orientation``: images are rotated by quarter turns, or mirrored, to the templates' orientation before the search.
    It can be shared between threads, and is pickled with the bytes of its file.
    """

    def __init__(self, path: Path, *, fix_orientation: bool = False) -> None:
        self._inner = _infomark.Ensemble.load(path)
        self._fix_orientation = fix_orientation

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "ensemble", fix_orientation: bool = False) -> Ensemble:
        """An ensemble from the bytes of its file; ``name`` is its name in messages."""
        ensemble = cls.__new__(cls)
        ensemble._inner = _infomark.Ensemble.from_bytes(data, name)
        ensemble._fix_orientation = fix_orientation
        return ensemble

    def __reduce__(self) -> tuple[Any, ...]:
        return Ensemble.from_bytes, (self.to_bytes(), "ensemble", self._fix_orientation)

    def to_bytes(self) -> bytes:
        """The bytes of its file."""
        return self._inner.to_bytes()

    @property
    def landmarks(self) -> list[str]:
        """Names of the landmarks, in order of detection."""
        return self._inner.landmarks()

    @property
    def members(self) -> list[str]:
        """Member of each landmark."""
        return self._inner.members()

    @property
    def coverage(self) -> Optional[float]:
        """Coverage of the error bounds; ``None`` without bounds."""
        return self._inner.coverage()

    def find(self, image: Source, *, spacing: Optional[tuple[float, float]] = None) -> EnsembleDetection:
        """Finds the landmarks in an array or a file. ``spacing``: mm per pixel across and down, overriding the file."""
        found = self._inner.find(source(image), spacing, self._fix_orientation)
        names, points, members, scores, disagreement, bound_px, bound_mm, abstain, recognition, reoriented = found
        return EnsembleDetection(
            names, points, members, scores, disagreement, bound_px, bound_mm, abstain, Recognition(*recognition), reoriented
        )

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the results, besides the images."""
        encoder, networks = self._inner.hashes()
        return {
            "version": _infomark.__version__,
            "encoder_sha256": encoder,
            "networks_sha256": networks,
            "landmarks": self.landmarks,
            "members": self.members,
            "coverage": self.coverage,
            "fix_orientation": self._fix_orientation,
        }

    def _rows_of(
        self, images: Sequence[Any], spacing: Optional[tuple[float, float]], threads: int
    ) -> _infomark.FolderMatches:
        return self._inner.table(images, spacing, threads, self._fix_orientation)
