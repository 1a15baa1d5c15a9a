"""Guided views as a dictionary transform of MONAI, which has to be installed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Optional

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from ._infomark import Rng
from ._views import TierPolicy


class GuidedViewd(MapTransform, Randomizable):  # type: ignore[misc, unused-ignore]
    """Adds a guided view of each key's image, ``(1, height, width)`` or ``(height, width)``, with corresponding points.

    For ``key`` it adds ``key_view`` ``(1, size, size)``, ``key_view_points`` and ``key_image_points`` ``(N, 2)``, float32 arrays, and
    ``key_tier``. Points are ``(x, y)`` with the centre of the first pixel at (0, 0). Options as in :meth:`TierPolicy.view`.
    """

    def __init__(
        self, keys: KeysCollection, policy: Optional[TierPolicy] = None, allow_missing_keys: bool = False, **options: Any
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.policy = TierPolicy.of_config() if policy is None else policy
        self.options = options

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        done = dict(data)
        for key in self.key_iterator(done):
            array = np.asarray(done[key])
            image = array[0] if array.ndim == 3 and len(array) == 1 else array
            seed = int(self.R.randint(0, 2**32, dtype=np.uint32))
            view = self.policy.view(image, Rng(seed), **self.options)
            done[f"{key}_view"] = view.image[None]
            done[f"{key}_view_points"] = view.view_points
            done[f"{key}_image_points"] = view.image_points
            done[f"{key}_tier"] = view.tier
        return done
