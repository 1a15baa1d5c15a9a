"""Encoders, templates, and landmarks found by them."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path as _File
from typing import TYPE_CHECKING, Any, Generic, Literal, Optional, TypeVar, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path, pairs
from ._files import Images, Landmarks, Source, source, sources_of
from ._table import tabulate

if TYPE_CHECKING:
    import pyarrow

_Floats = npt.NDArray[np.float64]


_Runtime = Literal["own", "onnxruntime"]


def _library(runtime: _Runtime) -> Optional[str]:
    """The library of ONNX Runtime, where it is asked for: ``ORT_DYLIB_PATH``, or that of the package ``onnxruntime``."""
    if runtime == "own":
        return None
    if runtime != "onnxruntime":
        raise _infomark.InfomarkError(f"no runtime is called {runtime!r}; use 'own' or 'onnxruntime'")
    named = os.environ.get("ORT_DYLIB_PATH")
    if named:
        return named
    package = importlib.util.find_spec("onnxruntime")
    for folder in (package.submodule_search_locations or []) if package else []:
        for pattern in ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll"):
            for library in sorted((_File(folder) / "capi").glob(pattern)):
                return str(library)
    raise _infomark.InfomarkError(
        "ONNX Runtime is not there; install the package onnxruntime, or name its library in ORT_DYLIB_PATH"
    )


class Encoder:
    """An encoder that ``train`` or ``describe_onnx`` wrote: a file, or the name of one that comes with the package, such as ``"ceph"``.

    With ``runtime="onnxruntime"`` it is run by ONNX Runtime: the same features but for rounding. It can be shared between
    threads, and is pickled by the bytes of its file, so that another machine needs no path.
    """

    def __init__(self, path: Path, *, runtime: _Runtime = "own") -> None:
        self._inner = _infomark.Encoder.load(path, _library(runtime))
        self._runtime: _Runtime = runtime

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "encoder", *, runtime: _Runtime = "own") -> Encoder:
        """An encoder from the bytes of its file; ``name`` stands for it in messages."""
        encoder = cls.__new__(cls)
        encoder._inner = _infomark.Encoder.from_bytes(data, name, _library(runtime))
        encoder._runtime = runtime
        return encoder

    def __reduce__(self) -> tuple[Any, ...]:
        return _encoder, (self.to_bytes(), self.name, self._runtime)

    def to_bytes(self) -> bytes:
        """The bytes of its file, as it was loaded."""
        return self._inner.to_bytes()

    @property
    def runtime(self) -> str:
        """What runs it: ``infomark`` (its own layers), ``tract`` or ``onnxruntime``."""
        return self._inner.runtime()

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
        return dict(self._inner.encode(source(image)))


def _encoder(data: bytes, name: str, runtime: _Runtime) -> Encoder:
    """The encoder that was pickled."""
    return Encoder.from_bytes(data, name, runtime=runtime)


def describe_onnx(
    model: Path,
    out: Path,
    *,
    input: tuple[int, int],
    strides: Sequence[int],
    channels: Optional[Literal[1, 3]] = None,
    normalisation: Literal["unit-range", "local-contrast", "imagenet"] = "unit-range",
    outputs: Optional[Sequence[str]] = None,
    leading_tokens: int = 0,
    temperature: float = 0.1,
    runtime: _Runtime = "own",
) -> Encoder:
    """Makes an encoder that another program exported as ONNX usable: writes ``out``, and gives the encoder.

    The model reads one image, ``(1, 1 or 3, height, width)``, of the size ``input``, width and height in pixels, which images are
    letterboxed to; the file may leave both open, and the number of ``channels``, which then has to be given. Each of ``outputs``, by
    default those of the graph, is a feature map ``(1, C, height / stride, width / stride)``, or tokens ``(1, n, C)`` of the cells, row by
    row, behind ``leading_tokens`` others (class token, registers). ``strides`` has a number for each.

    ``normalisation`` is how the grey values in [0, 1] of an image become the input: ``"unit-range"`` as they are,
    ``"local-contrast"`` as :func:`train` and :class:`GuidedViews` have them by default, ``"imagenet"`` as torchvision's models expect
    them. A grey channel becomes three by repetition. What is written is the same graph with nodes around it for that; it is run once
    before it is written.
    """
    width, height = input
    if min(width, height, leading_tokens, channels or 0, *strides) < 0:
        raise _infomark.InfomarkError(
            f"input {input}, strides {list(strides)}, {leading_tokens} leading tokens: none may be negative"
        )
    if os.path.exists(out) and os.path.samefile(model, out):
        raise _infomark.InfomarkError(f"{os.fspath(out)}: this would overwrite the model; give another file")
    _infomark.describe_onnx(
        model,
        out,
        (width, height),
        list(strides),
        channels,
        normalisation,
        list(outputs or []),
        leading_tokens,
        temperature,
        _library(runtime),
    )
    return Encoder(out, runtime=runtime)


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
        looks = (turned, mirrored, fine)
        self._inner = _infomark.Template(encoder._inner, source(image), list(names), pairs(points), looks)

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


_Columns = TypeVar("_Columns")


@dataclass(frozen=True)
class FolderMatch(Generic[_Columns]):
    """One image of several: what was found, or the error, as text."""

    #: Its path or URL; for bytes, file objects and arrays the place in the list.
    path: str
    found: Optional[_Columns]
    error: Optional[str]


class FolderMatches(Generic[_Columns]):
    """Iterator over what is found in many images, in their order, as it comes; ``len`` is how many images there are, ``done`` how many
    were given out. :meth:`close`, or the end of its life, drops what was not begun."""

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
        """Stops after the images under way."""
        self._inner.close()


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

    def _provenance(self) -> dict[str, Any]:
        """What its results depend on beside the images."""
        return {
            "encoder_sha256": self.encoder.sha256,
            "runtime": self.encoder.runtime,
            "template_sha256": [sha256(template.to_bytes()).hexdigest() for template in self.templates],
            "landmarks": self.landmarks,
            **self._options,
        }

    @property
    def landmarks(self) -> list[str]:
        """Names in the order in which they are found."""
        return self._inner.landmarks()

    def find(self, image: Source) -> Found:
        """Finds the landmarks in an array or a file."""
        return Found(*self._inner.find(source(image)))

    def find_all(self, images: Images, *, threads: int = 0) -> FolderMatches[Found]:
        """Finds them in the images of a folder, or in several images: :func:`match_folder`."""
        paths, sources = sources_of(images)
        return FolderMatches(self._inner.find_all(sources, threads), Found, paths)

    def table(
        self,
        images: Images,
        ids: Optional[Sequence[object]] = None,
        *,
        spacing: Optional[tuple[float, float]] = None,
        threads: int = 1,
    ) -> pyarrow.Table:
        """:meth:`Judge.table` of a judge with the defaults."""
        return Judge(self).table(images, ids, spacing=spacing, threads=threads)


def paths_of(images: Union[Path, Sequence[Path]]) -> list[str]:
    """The image files of a folder, or those given."""
    if isinstance(images, (str, os.PathLike)):
        images = _infomark.list_images(images)
    return [os.fspath(path) for path in images]


@dataclass(frozen=True)
class Recognition:
    """Whether an image shows what the templates show, and which way up."""

    #: Share of 200 places of the template that agree on how it lies on the image, 0 to 1.
    agreement: float
    #: Whether that is enough; where it is not, no point found in the image means anything.
    recognised: bool
    #: Whether left and right are exchanged against the template.
    mirrored: bool
    #: Quarters of a turn, clockwise, after the mirroring; 0 to 3.
    quarter_turns: int


@dataclass(frozen=True)
class Judged:
    """Landmarks that were found in an image, and how far to trust them; arrays of one element for each name."""

    found: Found
    #: Length that the error is expected to stay within, in pixels, with the judge's ``coverage``; float64.
    error_bound_px: _Floats
    #: The same in mm; NaN where the size of the pixels is not known.
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


class Judge:
    """A matcher that tells how far what it finds can be trusted, as ``infomark match`` does; can be shared between threads, and pickled.

    ``calibration``: a file of ``infomark calibrate``, which bounds errors so that a share ``coverage`` of them, 0.9 by default, is
    promised to stay within; without it bounds are from score and margin alone. Points are abstained from where the bound is above
    ``abstain_above_mm``, the score below ``abstain_below_score``, or the image does not show what the templates do, or lies otherwise.
    ``fix_orientation``: an image that is mirrored or turned by quarters is laid as the templates are and matched so. It is pickled by the
    bytes of encoder, templates and calibration.
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
        #: Share of errors that the bounds are meant to hold for, and whether it is promised.
        self.coverage, self.calibrated = self._inner.coverage()

    def __reduce__(self) -> tuple[Any, ...]:
        return _judge, (self.matcher, self._inner.calibration(), self._options)

    def find(self, image: Source, *, spacing: Optional[tuple[float, float]] = None) -> Judged:
        """Finds the landmarks in an array or a file. ``spacing`` (x, y) is the size of its pixels in mm, instead of what the file states."""
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
        """What the results depend on beside the images: version, hashes of encoder, templates and calibration, and options. Equal where
        tables are comparable; it holds no path."""
        coverage, above, below, fix = self._options
        calibration = self._inner.calibration()
        return {
            "version": _infomark.__version__,
            **self.matcher._provenance(),
            "coverage": self.coverage,
            "calibrated": self.calibrated,
            "calibration_sha256": None if calibration is None else sha256(calibration).hexdigest(),
            "abstain_above_mm": above,
            "abstain_below_score": below,
            "fix_orientation": fix,
        }

    def table(
        self,
        images: Images,
        ids: Optional[Sequence[object]] = None,
        *,
        spacing: Optional[tuple[float, float]] = None,
        threads: int = 1,
    ) -> pyarrow.Table:
        """The landmarks of several images as a ``pyarrow.Table`` of the schema :func:`table_schema`: a row for each landmark, image by
        image in their order. An image that fails is one row with its ``error``; no image makes an exception.

        The column ``image`` holds ``ids``, by default the path or URL, else the place in the list. ``spacing`` (x, y) is the size of the
        pixels in mm of all images, instead of what their files state. On ``threads`` threads (0: all cores) the same table.
        """
        return tabulate(self._inner, self.provenance, images, ids, spacing, threads)


def _judge(matcher: Matcher, calibration: Optional[bytes], options: tuple[Any, ...]) -> Judge:
    """The judge that was pickled."""
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
    """Finds them in all images of a folder, or in several images, on ``threads`` threads (0: all cores): an iterator with progress.

    An image that fails is an element with an ``error``, and the others go on.
    """
    return Matcher(encoder, templates, **options).find_all(images, threads=threads)
