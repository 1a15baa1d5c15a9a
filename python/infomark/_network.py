"""Landmark networks, which need no template, and their training."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path, pairs
from ._files import Images, Source, source, sources_of
from ._matching import FolderMatches
from ._model import Model
from ._table import Tabulating
from ._training import budget_of, options_of, run_beside

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Located:
    """Landmarks located by a landmark network in an image; arrays with one element per name, float64."""

    names: list[str]
    #: ``(N, 2)``, pixels of the image as it was given, always on it.
    points: _Floats
    #: Probability of the cells that say so, 0 to 1: the network's own view, not the share of points that are right.
    probabilities: _Floats

    def __iter__(self) -> Iterator[tuple[str, float, float, float]]:
        """Name, x, y and probability of each."""
        for name, (x, y), probability in zip(self.names, self.points.tolist(), self.probabilities.tolist()):
            yield name, x, y, probability


class LandmarkNetwork(Model[_infomark.LandmarkNetwork], Tabulating):
    """A landmark network: a file of :func:`train_landmarks` or :func:`self_train`.

    It can be shared between threads, and is pickled with the bytes of its file, so that another machine needs no path.
    """

    def __init__(self, path: Path) -> None:
        self._inner = _infomark.LandmarkNetwork.load(path)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "network") -> LandmarkNetwork:
        """A network from the bytes of its file; ``name`` is its name in messages."""
        network = cls.__new__(cls)
        network._inner = _infomark.LandmarkNetwork.from_bytes(data, name)
        return network

    def __reduce__(self) -> tuple[Any, ...]:
        return LandmarkNetwork.from_bytes, (self.to_bytes(), self.name)

    @property
    def landmarks(self) -> list[str]:
        """Names of the landmarks, in order of detection."""
        names: list[str] = self.description["landmarks"]
        return names

    def find(self, image: Source) -> Located:
        """Finds the landmarks in an array or a file."""
        return Located(*self._inner.find(source(image)))

    def find_all(self, images: Images, *, threads: int = 0) -> FolderMatches[Located]:
        """Finds the landmarks in all images of a folder, or in several images, on ``threads`` threads (0: all cores): an iterator with progress.

        An image that fails gives an element with an ``error``; the others continue.
        """
        paths, sources = sources_of(images)
        return FolderMatches(self._inner.find_all(sources, threads), Located, paths)

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the results, besides the images."""
        return {"version": _infomark.__version__, "network_sha256": self.sha256, "landmarks": self.landmarks}

    def _rows_of(
        self, images: Sequence[Any], spacing: Optional[tuple[float, float]], threads: int
    ) -> _infomark.FolderMatches:
        return self._inner.table(images, spacing, threads)


@dataclass(frozen=True)
class NetworkSummary:
    """Result of the training of a landmark network."""

    steps: int
    seconds: float
    #: Mean loss of the last 50 steps.
    loss: Optional[float]
    #: Training images.
    images: int
    #: Names of the landmarks, in the order in which they are found.
    landmarks: list[str]
    #: Height and width of the network's input.
    input_shape: tuple[int, int]
    #: SHA-256 of the encoder that it started from.
    encoder_sha256: Optional[str]
    #: SHA-256 of the network's file.
    sha256: str
    #: Whether the callback stopped it.
    stopped: bool


@dataclass(frozen=True)
class SelfTrainSummary:
    """Result of self-training."""

    #: The last round's network.
    network: NetworkSummary
    #: Seconds of training in all rounds.
    seconds: float
    #: Of each round and landmark: ``landmark``, ``kept`` (images it is learnt in, besides the template), and ``doubted`` (images it is
    #: not learnt in for its score, for where it matches back to, for its shape, and for disagreement).
    rounds: list[list[dict[str, Any]]]


Callback = Callable[[dict[str, Any]], object]


def _labels(callback: Optional[Callback]) -> Optional[Callback]:
    """Wraps the callback, with labels as objects."""
    if callback is None:
        return None
    told = callback

    def tell(event: dict[str, Any]) -> object:
        if "labels" in event:
            event["labels"] = json.loads(event["labels"])
        return told(event)

    return tell


def train_landmarks(
    data: Path,
    out: Path,
    *,
    encoder: Optional[Path] = None,
    images: Optional[int] = None,
    steps: Optional[int] = None,
    minutes: Optional[float] = None,
    seed: Optional[int] = None,
    config: Optional[Mapping[str, Any]] = None,
    run: Optional[Path] = None,
    resume: bool = False,
    threads: int = 0,
    callback: Optional[Callback] = None,
) -> NetworkSummary:
    """Trains a network on an annotated folder (``images/``, ``landmarks.csv``, ``dataset.toml``), and writes it to the file ``out``.

    It is initialised by an ``encoder``, a file or the name of a bundled one, or at random, and
    learns from ``images`` of the folder, drawn at random, or from all. The budget is 30 minutes by default; with ``steps``, the bits are
    those of the command line, on any number of threads (0: all cores). ``config`` has further options by name: the fields of
    ``LandmarkConfig`` of the crate infomark-train. Checkpoints and log are in the folder ``run``, by default beside ``out``; ``resume``
    continues it.

    ``callback`` receives a dictionary with ``event`` ("reading", "step") and its metrics, and may stop the training, as that of
    :func:`train`.
    """
    options = json.dumps(options_of(config, budget=budget_of(steps, minutes), seed=seed))
    paths = (os.fspath(data), os.fspath(out), run_beside(out, run))
    start = None if encoder is None else os.fspath(encoder)
    return NetworkSummary(**_infomark.train_landmarks(options, threads, paths, start, images, resume, callback))


def self_train(
    images: Path,
    encoder: Path,
    template: Union[Path, Sequence[Path]],
    names: Sequence[str],
    points: npt.ArrayLike,
    out: Path,
    *,
    rounds: Optional[int] = None,
    steps: Optional[int] = None,
    minutes: Optional[float] = None,
    seed: Optional[int] = None,
    config: Optional[Mapping[str, Any]] = None,
    run: Optional[Path] = None,
    resume: bool = False,
    threads: int = 0,
    callback: Optional[Callback] = None,
) -> SelfTrainSummary:
    """Trains a network on a folder of unlabelled ``images`` from one annotated image: ``template``, a file, has the landmarks ``names`` at
    ``points`` ``(N, 2)``, in its pixels. Several templates are a list of ``T`` files, with ``points`` ``(T, N, 2)``. ``encoder`` is a file
    of :func:`train`, or the name of a bundled one.

    The landmarks are matched in every image; inconsistent labels are not learnt. The total budget is an hour unless ``minutes`` or
    ``steps`` is given. ``config`` has further options by name: the fields of ``SelfTrainConfig`` of the crate infomark-train, with
    those of ``LandmarkConfig`` under ``network``. ``callback`` receives "labelling", "labels", "reading" and "step".
    """
    given = dict(config or {})
    network = {"budget": {"minutes": 60.0}, **given.pop("network", {})}
    network = options_of(network, budget=budget_of(steps, minutes), seed=seed)
    options = json.dumps(options_of(given, network=network, rounds=rounds))
    paths = (os.fspath(images), os.fspath(encoder), os.fspath(out), run_beside(out, run))
    if isinstance(template, (str, os.PathLike)):
        templates, each = [os.fspath(template)], [pairs(points)]
    else:
        templates, each = [os.fspath(path) for path in template], [pairs(of_one) for of_one in np.asarray(points, float)]
    if len(each) != len(templates):
        wanted = "an array (T, N, 2) is needed"
        raise _infomark.InfomarkError(f"points of {len(each)} images for {len(templates)} templates: {wanted}")
    trained, seconds, counts = _infomark.self_train(
        options, threads, paths, templates, list(names), each, resume, _labels(callback)
    )
    return SelfTrainSummary(NetworkSummary(**trained), seconds, json.loads(counts))
