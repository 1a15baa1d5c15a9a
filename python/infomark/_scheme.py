"""Landmark schemes: ordered landmarks with definitions and measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path, pairs
from ._files import Landmarks


@dataclass(frozen=True)
class SchemeLandmark:
    """A landmark of a scheme."""

    name: str
    full_name: Optional[str]
    abbreviation: Optional[str]
    definition: Optional[str]
    group: Optional[str]


@dataclass(frozen=True)
class MeasurementDefinition:
    """A measurement of a scheme."""

    name: str
    full_name: Optional[str]
    definition: Optional[str]
    source: Optional[str]


@dataclass(frozen=True)
class Measurement:
    """A measured value, or why there is none."""

    value: Optional[float]
    #: ``"deg"``, ``"mm"``, ``"px"`` or ``"ratio"``.
    unit: Optional[str]
    #: Largest change of the value, to first order, while each point stays within its own bound; none where a point has no bound.
    bound: Optional[float]
    #: Why there is no value, or no bound although each point has one.
    reason: Optional[str]


class Scheme:
    """Landmark scheme, ordered landmarks with definitions and measurements: ``"ceph"``, ``"hand"``, ``"chest"``, or a file ``landmarks.toml``."""

    def __init__(self, name: Path) -> None:
        self._inner = _infomark.Scheme.load(name)

    @classmethod
    def parse(cls, text: str, name: str = "scheme") -> Scheme:
        """Parses a scheme in TOML; ``name`` is its name in messages."""
        scheme = cls.__new__(cls)
        scheme._inner = _infomark.Scheme.parse(text, name)
        return scheme

    @property
    def title(self) -> str:
        """Title of the scheme."""
        return self._inner.about()[0]

    @property
    def anatomy(self) -> str:
        """Anatomy shown in the images."""
        return self._inner.about()[1]

    @property
    def source(self) -> Optional[str]:
        """Source of the definitions."""
        return self._inner.about()[2]

    @property
    def licence(self) -> Optional[str]:
        """Licence of the definitions."""
        return self._inner.about()[3]

    def picture(self, landmark: str) -> Optional[str]:
        """Landmark on the drawing of the anatomy, as SVG; none without a drawing, or if the scheme does not place the landmark on it."""
        return self._inner.picture(landmark)

    @property
    def names(self) -> list[str]:
        """Names of the landmarks, in order."""
        return [name for name, *_ in self._inner.landmarks()]

    @property
    def landmarks(self) -> list[SchemeLandmark]:
        """The landmarks, in order."""
        return [SchemeLandmark(*of) for of in self._inner.landmarks()]

    @property
    def measurements(self) -> list[MeasurementDefinition]:
        """The measurements, in order."""
        return [MeasurementDefinition(*of) for of in self._inner.measurements()]

    def measure(
        self,
        points: Union[Landmarks, Mapping[str, Sequence[float]]],
        spacing: Optional[tuple[float, float]] = None,
        bounds: Union[None, Mapping[str, float], Sequence[float], npt.NDArray[np.float64]] = None,
        *,
        abstained: Sequence[str] = (),
    ) -> dict[str, Measurement]:
        """Computes the measurements of an image's points, by name in the order of the scheme.

        ``points`` are :class:`Landmarks`, or ``(x, y)`` by name, in pixels. With ``spacing``, mm per pixel across and down, lengths are in mm and
        angles those in the plane of the image; without it lengths are in pixels, which are assumed to be square. ``bounds`` are error bounds
        of the points in pixels, in the order of ``points`` or by name. Landmarks of ``abstained`` are not used.
        """
        if isinstance(points, Landmarks):
            names, at, absent = list(points.names), pairs(points.points), list(points.absent)
        else:
            names, absent = list(points), []
            at = pairs(np.array([points[name] for name in names], dtype=np.float64).reshape(len(names), -1) if names else np.empty((0, 2)))
        if bounds is None:
            known: list[Optional[float]] = [None] * len(names)
        elif isinstance(bounds, Mapping):
            known = [bounds.get(name) for name in names]
        else:
            known = [float(bound) for bound in bounds]
        measured = self._inner.measure(names, at, known, absent, list(abstained), spacing)
        return {name: Measurement(value, unit, bound, reason) for name, value, unit, bound, reason in measured}

    def __repr__(self) -> str:
        return f"Scheme({self.title!r}, {len(self.names)} landmarks, {len(self.measurements)} measurements)"
