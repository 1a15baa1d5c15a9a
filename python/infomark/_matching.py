"""Encoders, templates, and landmarks found by them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path, pairs
from ._files import DataSet, Landmarks, Source, named_image

_Floats = npt.NDArray[np.float64]


class Encoder:
    """An encoder that ``train`` wrote: a file, or the name of one that comes with the package, such as ``"ceph"``.

    It can be shared between threads, and is pickled by its path, or by its bytes where it was made of them.
    """

    def __init__(self, path: Path) -> None:
        self._inner = _infomark.Encoder.load(path)
        self._made_of: tuple[Any, ...] = (os.fspath(path),)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "encoder") -> Encoder:
        """An encoder from the bytes of its file; ``name`` stands for it in messages."""
        encoder = cls.__new__(cls)
        encoder._inner = _infomark.Encoder.from_bytes(data, name)
        encoder._made_of = (data, name)
        return encoder

    def __reduce__(self) -> tuple[Any, ...]:
        return (Encoder if len(self._made_of) == 1 else Encoder.from_bytes), self._made_of

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._inner.name()

    @property
    def sha256(self) -> str:
        """SHA-256 of its file."""
        return self._inner.sha256()

    @property
    def description(self) -> dict[str, Any]:
        """What the file says of itself: its input, strides, channels, training."""
        described: dict[str, Any] = json.loads(self._inner.description())
        return described

    def encode(self, image: Source) -> dict[int, npt.NDArray[np.float32]]:
        """Features of an image by stride: ``(channels, height / stride, width / stride)`` of the encoder's canvas, of length 1."""
        return dict(self._inner.encode(*named_image(image)))


class Template:
    """The landmarks of one annotated image, as features.

    ``names`` and ``points`` ``(N, 2)`` are its landmarks in its pixels. ``turned``, ``mirrored`` and ``fine`` look at it, and at
    what is then searched, in more ways.
    """

    def __init__(
        self,
        encoder: Encoder,
        image: Source,
        names: Sequence[str],
        points: npt.ArrayLike,
        *,
        turned: bool = False,
        mirrored: bool = False,
        fine: bool = False,
    ) -> None:
        name, pixels = named_image(image)
        looks = (turned, mirrored, fine)
        self._inner = _infomark.Template(encoder._inner, name, pixels, list(names), pairs(points), looks)

    @classmethod
    def _of(cls, inner: _infomark.Template) -> Template:
        template = cls.__new__(cls)
        template._inner = inner
        return template

    @classmethod
    def load(cls, path: Path) -> Template:
        """A template's file, or the name of one that comes with the package."""
        return cls._of(_infomark.Template.load(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "template") -> Template:
        """A template from the bytes of its file."""
        return cls._of(_infomark.Template.from_bytes(data, name))

    def __reduce__(self) -> tuple[Any, ...]:
        return Template.from_bytes, (self.to_bytes(),)

    def to_bytes(self) -> bytes:
        """What :meth:`save` writes."""
        return self._inner.to_bytes()

    def save(self, path: Path) -> None:
        """Writes its file, whole or not at all."""
        self._inner.save(path)

    @property
    def image(self) -> str:
        """Name of the annotated image."""
        return self._inner.image()

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the encoder that it belongs to."""
        return self._inner.model_sha256()

    @property
    def landmarks(self) -> Landmarks:
        """Names and points in the annotated image."""
        return Landmarks(self._inner.names(), self._inner.points())


@dataclass(frozen=True)
class Found:
    """Landmarks that were found in an image; arrays of one element for each name, float64, NaN where something is not known."""

    names: list[str]
    #: ``(N, 2)``, pixels of the image as it was given.
    points: _Floats
    #: Mean cosine with the template there, -1 to 1: it ranks places, and is no probability.
    scores: _Floats
    #: By how much that exceeds the second-best place.
    margin: _Floats
    #: How far off in the template the place leads back to, in pixels.
    back: _Floats
    #: How far it is from where the rest of the image puts it, in pixels.
    prior: _Floats
    #: How far the looks at the image are apart, in pixels.
    spread: _Floats
    #: How large the error is in proportion.
    scale: _Floats

    def __iter__(self) -> Iterator[tuple[str, float, float, float]]:
        """Name, x, y and score of each."""
        for name, (x, y), score in zip(self.names, self.points.tolist(), self.scores.tolist()):
            yield name, x, y, score


Templates = Union[Template, Sequence[Template]]


class Matcher:
    """An encoder with the templates whose landmarks it looks for; can be shared between threads, and pickled.

    ``neighbours``: places around a landmark vote for it. ``prior``: the rest of the image says where it should be, up to about
    ``prior_sigma`` pixels of the encoder's canvas.
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

    @property
    def landmarks(self) -> list[str]:
        """Names in the order in which they are found."""
        return self._inner.landmarks()

    def find(self, image: Source) -> Found:
        """Finds the landmarks in an array or a file."""
        return Found(*self._inner.find(*named_image(image)))

    def find_all(self, images: Union[Path, Sequence[Path]], *, threads: int = 0) -> FolderMatches:
        """Finds them in the images of a folder, or in files: :func:`match_folder`."""
        if isinstance(images, (str, os.PathLike)):
            images = _infomark.list_images(images)
        return FolderMatches(self._inner.find_all([os.fspath(path) for path in images], threads))


@dataclass(frozen=True)
class FolderMatch:
    """One image of several: what was found, or the error, as text."""

    path: str
    found: Optional[Found]
    error: Optional[str]


class FolderMatches:
    """Iterator over the matches of many images, in their order, as they come; ``len`` is how many images there are, ``done`` how many
    were given out. :meth:`close`, or the end of its life, drops what was not begun."""

    def __init__(self, inner: _infomark.FolderMatches) -> None:
        self._inner = inner
        self.done = 0

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> FolderMatches:
        return self

    def __next__(self) -> FolderMatch:
        item = self._inner.next()
        if item is None:
            raise StopIteration
        self.done += 1
        path, found, error = item
        return FolderMatch(os.fspath(path), None if found is None else Found(*found), error)

    def close(self) -> None:
        """Stops after the images under way."""
        self._inner.close()


def match(encoder: Encoder, templates: Templates, image: Source, **options: Any) -> Found:
    """Finds the templates' landmarks in an image; for several images, :class:`Matcher` or :func:`match_folder`."""
    return Matcher(encoder, templates, **options).find(image)


def match_folder(
    encoder: Encoder, templates: Templates, images: Union[Path, Sequence[Path]], *, threads: int = 0, **options: Any
) -> FolderMatches:
    """Finds them in all images of a folder, or in files, on ``threads`` threads (0: all cores): an iterator with progress.

    An image that fails is an element with an ``error``, and the others go on.
    """
    return Matcher(encoder, templates, **options).find_all(images, threads=threads)


@dataclass(frozen=True)
class Evaluation:
    """Errors of found landmarks; intervals are 95 % bootstrap over images (percentiles of 2000 resamples)."""

    #: Images that were scored, and names of the landmarks.
    images: list[str]
    landmarks: list[str]
    #: ``(images, landmarks)``, float64, in mm.
    errors_mm: _Floats
    #: ``(images, landmarks, 2)``, float64, in pixels.
    found: _Floats
    #: Mean radial error in mm, and its interval.
    mre_mm: float
    mre_mm_interval: tuple[float, float]
    #: Share of the errors below each radius in mm, and its interval.
    sdr: dict[float, float]
    sdr_intervals: dict[float, tuple[float, float]]


def evaluate(
    encoder: Encoder,
    templates: Union[str, Template, Sequence[Union[str, Template]]],
    data: Union[DataSet, Path],
    *,
    template_data: Optional[Union[DataSet, Path]] = None,
    radii: Sequence[float] = (2.0, 2.5, 3.0, 4.0),
    seed: int = 0,
    threads: int = 0,
    progress: Optional[Callable[[int, int], object]] = None,
    **options: Any,
) -> Evaluation:
    """Errors in mm of the landmarks found in an annotated folder, with one template or several together.

    ``templates`` are templates, or names of images of ``template_data`` (or of ``data``, which are not scored then). The figures
    are those of ``infomark evaluate --template``. ``progress`` is called with how many images of how many are done.
    """
    data = data if isinstance(data, DataSet) else DataSet.open(data)
    source = data if template_data is None else template_data
    source = source if isinstance(source, DataSet) else DataSet.open(source)
    given = [templates] if isinstance(templates, (str, Template)) else list(templates)
    own, made = set(), []
    for template in given:
        if isinstance(template, str):
            index = source.index(template)
            own.add(os.path.realpath(source.images[index]))
            template = Template(encoder, source.images[index], source.landmarks, source.points[index])
        made.append(template)
    matcher = Matcher(encoder, made, **options)
    missing = [name for name in data.landmarks if name not in matcher.landmarks]
    if missing:
        raise _infomark.InfomarkError(f"landmark {missing[0]} of {data.name} is in no template; add it, or remove its name")
    order = [matcher.landmarks.index(name) for name in data.landmarks]
    places = [i for i, path in enumerate(data.images) if os.path.realpath(path) not in own]
    if not places:
        raise _infomark.InfomarkError(f"{data.name}: no image is left to score; add images or give template_data")
    matches = matcher.find_all([data.images[i] for i in places], threads=threads)
    found = np.empty((len(places), len(order), 2))
    for place, one in enumerate(matches):
        if one.found is None:
            raise _infomark.InfomarkError(one.error)
        found[place] = one.found.points[order]
        if progress is not None:
            progress(place + 1, len(places))
    errors = _infomark.errors_mm(found.reshape(-1, 2), data.points[places].reshape(-1, 2), data.spacing)
    (mre, interval), rates = _infomark.scores(errors, len(order), list(radii), seed)
    return Evaluation(
        [os.path.basename(data.images[i]) for i in places],
        data.landmarks,
        errors.reshape(len(places), -1),
        found,
        mre,
        interval,
        {radius: share for radius, (share, _) in zip(radii, rates)},
        {radius: ends for radius, (_, ends) in zip(radii, rates)},
    )
