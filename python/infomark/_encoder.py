"""Encoders and templates."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path as _File
from typing import Any, Literal, Optional

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path, pairs
from ._files import Landmarks, Source, source
from ._model import Model

_Runtime = Literal["own", "onnxruntime"]


def _library(runtime: _Runtime) -> Optional[str]:
    """The library of ONNX Runtime, if requested: ``ORT_DYLIB_PATH``, or that of the package ``onnxruntime``."""
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


class Encoder(Model[_infomark.Encoder]):
    """An encoder: a file of ``train`` or ``describe_onnx``, or the name of a bundled one, such as ``"ceph"``.

    With ``runtime="onnxruntime"`` it is run by ONNX Runtime: the same features up to rounding. It can be shared between
    threads, and is pickled with the bytes of its file, so that another machine needs no path.
    """

    def __init__(self, path: Path, *, runtime: _Runtime = "own") -> None:
        self._inner = _infomark.Encoder.load(path, _library(runtime))
        self._runtime: _Runtime = runtime

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "encoder", *, runtime: _Runtime = "own") -> Encoder:
        """An encoder from the bytes of its file; ``name`` is its name in messages."""
        encoder = cls.__new__(cls)
        encoder._inner = _infomark.Encoder.from_bytes(data, name, _library(runtime))
        encoder._runtime = runtime
        return encoder

    def __reduce__(self) -> tuple[Any, ...]:
        return _encoder, (self.to_bytes(), self.name, self._runtime)

    @property
    def runtime(self) -> str:
        """Its runtime: ``infomark`` (own layers), ``tract`` or ``onnxruntime``."""
        return self._inner.runtime()

    def encode(self, image: Source) -> dict[int, npt.NDArray[np.float32]]:
        """Features of an image by stride: ``(channels, height / stride, width / stride)`` of the model input, of length 1."""
        return dict(self._inner.encode(source(image)))


def _encoder(data: bytes, name: str, runtime: _Runtime) -> Encoder:
    """Unpickles an encoder."""
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
    """Converts an encoder exported as ONNX by another program: writes ``out``, and returns the encoder.

    The model reads one image, ``(1, 1 or 3, height, width)``, of the size ``input``, width and height in pixels, which images are
    letterboxed to; the file may leave both open, and the number of ``channels``, which then has to be given. Each of ``outputs``, by
    default those of the graph, is a feature map ``(1, C, height / stride, width / stride)``, or tokens ``(1, n, C)`` of the cells, row by
    row, after ``leading_tokens`` others (class token, registers). ``strides`` has one number per output.

    ``normalisation`` of grey values in [0, 1]: ``"unit-range"`` leaves them unchanged,
    ``"local-contrast"`` is the default of :func:`train` and :class:`GuidedViews`, ``"imagenet"`` that of torchvision's models.
    A grey channel is replicated to three. The file has the same graph with nodes around it; it is run once
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

    ``names`` and ``points`` ``(N, 2)`` are its landmarks in its pixels.
    """

    def __init__(
        self,
        encoder: Encoder,
        image: Source,
        names: Sequence[str],
        points: npt.ArrayLike,
    ) -> None:
        self._inner = _infomark.Template(encoder._inner, source(image), list(names), pairs(points))

    @classmethod
    def _of(cls, inner: _infomark.Template) -> Template:
        template = cls.__new__(cls)
        template._inner = inner
        return template

    @classmethod
    def load(cls, path: Path) -> Template:
        """Loads a template's file, or the template of a bundled model with only one, by its name."""
        first, *others = load_templates(path)
        if others:
            raise ValueError(f"{path}: it has {1 + len(others)} templates; take all of them by infomark.load_templates")
        return first

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "template") -> Template:
        """A template from the bytes of its file."""
        return cls._of(_infomark.Template.from_bytes(data, name))

    def __reduce__(self) -> tuple[Any, ...]:
        return Template.from_bytes, (self.to_bytes(),)

    def to_bytes(self) -> bytes:
        """The bytes of its file."""
        return self._inner.to_bytes()

    def save(self, path: Path) -> None:
        """Writes its file, atomically."""
        self._inner.save(path)

    @property
    def image(self) -> str:
        """Name of the annotated image."""
        return self._inner.image()

    @property
    def model_sha256(self) -> str:
        """SHA-256 of its encoder."""
        return self._inner.model_sha256()

    @property
    def landmarks(self) -> Landmarks:
        """Names and points in the annotated image."""
        return Landmarks(self._inner.names(), self._inner.points())


def load_templates(path: Path) -> list[Template]:
    """The template of a file, or those of a bundled model, by its name: for a :class:`Matcher`."""
    return [Template._of(inner) for inner in _infomark.Template.load_all(path)]
