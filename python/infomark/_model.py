"""Common base of encoders and landmark networks."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from . import _infomark

_Inner = TypeVar("_Inner", _infomark.Encoder, _infomark.LandmarkNetwork)


class Model(Generic[_Inner]):
    """A model loaded from a file."""

    _inner: _Inner

    def to_bytes(self) -> bytes:
        """The bytes of its file."""
        return self._inner.to_bytes()

    @property
    def name(self) -> str:
        """Name in messages."""
        return self._inner.name()

    @property
    def sha256(self) -> str:
        """SHA-256 of its file."""
        return self._inner.sha256()

    @property
    def description(self) -> dict[str, Any]:
        """Description in the file: input, training, and strides and channels or landmarks."""
        described: dict[str, Any] = json.loads(self._inner.description())
        return described
