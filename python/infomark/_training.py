"""Training and tuning."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path
from ._encoder import Encoder
from ._views import TierPolicy
from .distributed import Exchange


@dataclass(frozen=True)
class Summary:
    """Result of a training run."""

    steps: int
    seconds: float
    #: Mean loss of the last 50 steps.
    loss: Optional[float]
    #: Training images.
    images: int
    #: Height and width of the encoder's input.
    input_shape: tuple[int, int]
    #: SHA-256 of the encoder's file.
    sha256: str
    #: Whether the callback stopped it.
    stopped: bool
    #: Whether the loss no longer fell.
    stopped_early: bool
    #: "CPU" or "CUDA device NAME".
    scoring_and_loss: str
    #: Steps and mean radial error in mm, of the checkpoints that were scored.
    scores: list[tuple[int, float]]


def options_of(given: Optional[Mapping[str, Any]], **own: Any) -> dict[str, Any]:
    """Options by name, merged with those of separate arguments."""
    return {**(given or {}), **{key: value for key, value in own.items() if value is not None}}


def budget_of(steps: Optional[int], minutes: Optional[float]) -> Optional[dict[str, float]]:
    """The training budget as an option."""
    if steps is not None and minutes is not None:
        raise _infomark.InfomarkError("steps and minutes: give one of them")
    if steps is not None:
        return {"steps": steps}
    return None if minutes is None else {"minutes": minutes}


def run_beside(out: Path, run: Optional[Path]) -> str:
    """The folder of checkpoints and log."""
    return os.path.splitext(os.fspath(out))[0] + ".run" if run is None else os.fspath(run)


def train(
    images: Path,
    out: Path,
    *,
    steps: Optional[int] = None,
    minutes: Optional[float] = None,
    seed: Optional[int] = None,
    policy: Optional[Union[Tuned, Mapping[str, Any]]] = None,
    config: Optional[Mapping[str, Any]] = None,
    run: Optional[Path] = None,
    score_data: Optional[Path] = None,
    score_templates: int = 3,
    resume: Union[bool, Literal["auto"]] = False,
    threads: int = 0,
    callback: Optional[Callable[[dict[str, Any]], object]] = None,
    exchange: Optional[Exchange] = None,
) -> Summary:
    """Trains an encoder on a folder of unlabelled radiographs, and writes it to the file ``out``.

    The budget is 45 minutes by default; with ``steps``, the bits are those of the command line, on any number of
    threads (0: all cores). ``config`` has further options by name: the fields of ``TrainConfig`` of the crate infomark-train.
    Checkpoints and log are in the folder ``run``, by default beside ``out``; ``resume=True`` continues it with its own
    options. ``resume="auto"`` starts without a checkpoint, and else continues; the options have to be those of the
    run.

    ``exchange`` joins several processes that make the same call, such as :class:`infomark.distributed.MpiExchange`: each works on its part
    of the images of a step, and the encoder has the bits of one process. They need ``steps``, and at most as many processes as ``batch``
    has images. Rank 0 writes all files. If one fails, all raise an error with its message. ``callback`` is called on every rank, and stops
    all after the same step.

    ``callback`` receives a dictionary with ``event`` ("computing", "reading", "step", "scored", "estimated") and its metrics, such as
    ``step``, ``loss`` and ``seconds_left``; the training waits for it. If it returns False, or raises, or on Ctrl-C, the
    training stops after the step: its checkpoint and the current encoder are written. An exception, including KeyboardInterrupt, is
    then raised; False returns the summary with ``stopped`` set.
    """
    ranges = policy.policy_ranges if isinstance(policy, Tuned) else policy
    options = json.dumps(options_of(config, budget=budget_of(steps, minutes), seed=seed, policy=ranges))
    paths = (os.fspath(images), os.fspath(out), run_beside(out, run))
    score = None if score_data is None else (os.fspath(score_data), score_templates)
    begin = "auto" if resume == "auto" else "resume" if resume else "new"
    return Summary(**_infomark.train(options, threads, paths, score, begin, exchange, callback))


@dataclass(frozen=True)
class Tuned:
    """Estimated augmentation intensities of each tier, with their origin."""

    #: All of it, as ``infomark tune --json`` prints.
    as_dict: dict[str, Any]
    #: The policy file, TOML.
    text: str

    @property
    def policy_ranges(self) -> dict[str, Any]:
        """Ranges of brightness and contrast by tier."""
        kept = ("brightness", "contrast")
        return {tier: {key: self.as_dict[tier][key] for key in kept} for tier in ("low", "medium", "high")}

    @property
    def policy(self) -> TierPolicy:
        """The policy of these ranges, for drawing views."""
        return TierPolicy.of_config({"policy": self.policy_ranges, "gamma": 0.0})

    @property
    def thresholds(self) -> tuple[float, float]:
        """Minimum entropies of the medium and the high tier, in nats."""
        medium, high = self.as_dict["thresholds"]
        return medium, high

    def save(self, path: Path) -> None:
        """Writes the policy file for ``infomark train --policy``, atomically."""
        path = os.fspath(path)
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            file.write(self.text)
        os.replace(path + ".tmp", path)


def tune(
    images: Path,
    encoder: Encoder,
    *,
    seed: int = 0,
    config: Optional[Mapping[str, Any]] = None,
    threads: int = 0,
    progress: Optional[Callable[[int, int], object]] = None,
) -> Tuned:
    """Estimates the augmentation intensity of each tier: an augmented patch should share as much information with its original as
    matching patches of two people do (Quan et al., IGU-Aug, IEEE TMI 2025).

    ``config`` has further options by name: ``sources``, ``others``, ``key_points``, ``patch``, ``quantile``. ``progress`` receives the
    comparisons done and their total; its exception, like Ctrl-C, is raised after the last one.
    """
    found, text = _infomark.tune(images, encoder._inner, json.dumps({**(config or {}), "seed": seed}), threads, progress)
    return Tuned(json.loads(found), text)


@dataclass(frozen=True)
class Psi:
    """Feature stability under augmentation (positive similarity), against the entropy around the pixel."""

    #: All of it, as ``infomark psi --json`` prints, but for the files.
    as_dict: dict[str, Any]

    @property
    def psi(self) -> float:
        """Mean similarity over all pixels, -1 to 1."""
        return float(self.as_dict["psi"])

    @property
    def curve(self) -> npt.NDArray[np.float64]:
        """Rows of the bins: lower and upper edge in nats, pixels, mean similarity and its standard error; NaN for
        an empty bin."""
        keys = ("low", "high", "pixels", "psi", "error")
        rows = [[np.nan if row[key] is None else row[key] for key in keys] for row in self.as_dict["bins"]]
        return np.array(rows, np.float64)

    @property
    def thresholds(self) -> tuple[float, float]:
        """Minimum entropies of the medium and the high tier, in nats: the edges of the dip, or quantiles without one."""
        dip = self.as_dict["dip"]
        medium, high = self.as_dict["quantile_thresholds"] if dip is None else dip["thresholds"]
        return medium, high


def psi(
    images: Path,
    encoder: Encoder,
    *,
    views: int = 120,
    bins: int = 44,
    seed: int = 0,
    config: Optional[Mapping[str, Any]] = None,
    threads: int = 0,
    progress: Optional[Callable[[int, int], object]] = None,
) -> Psi:
    """Measures the stability of an encoder's features in ``views`` of the images of a folder, against entropy, with tier thresholds from
    its dip (Quan et al., IGU-Aug, IEEE TMI 2025).

    ``config`` sets the augmentation, as in :func:`train`. ``progress`` receives the batches done and their total; its exception, like
    Ctrl-C, is raised after the last one.
    """
    options = json.dumps(dict(config or {}))
    return Psi(json.loads(_infomark.psi(images, encoder._inner, options, views, bins, seed, threads, progress)))
