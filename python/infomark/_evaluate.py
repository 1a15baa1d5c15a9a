"""Evaluation on annotated images, and selection of images to annotate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _infomark
from ._arrays import Path
from ._files import DataSet, Landmarks, read_landmarks
from ._encoder import Encoder, Template
from ._matching import Matcher, paths_of
from ._network import LandmarkNetwork

_Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], object]
#: Templates that are matched together: images by name, or templates.
Set = Union[str, Template, Sequence[Union[str, Template]]]


@dataclass(frozen=True)
class Figures:
    """Metrics of one set of templates, or of one landmark. Intervals are 95 % bootstrap over images (percentiles of 2000 resamples)."""

    #: Names of the templates' images, joined; or the landmark's.
    name: str
    #: Mean and median radial error in mm.
    mre_mm: float
    median_mm: float
    #: Share of the errors below each radius in mm, 0 to 1.
    sdr: dict[float, float]
    #: Interval of the mean; none of a landmark.
    mre_mm_interval: Optional[tuple[float, float]] = None
    #: Intervals of the shares; none of a landmark.
    sdr_intervals: Optional[dict[float, tuple[float, float]]] = None


@dataclass(frozen=True)
class Agreement:
    """Agreement of a reader with the reference on a landmark, or on all."""

    #: The landmark; ``all`` for all together.
    name: str
    #: Points that were compared.
    points: int
    #: Mean and median distance in mm.
    mean_mm: float
    median_mm: float
    #: Systematic offset (x, y) in mm: mean of the reader's point less the reference.
    offset_mm: tuple[float, float]
    #: Share of the distances below each radius in mm, 0 to 1.
    sdr: dict[float, float]


@dataclass(frozen=True)
class SecondAnnotator:
    """Agreement of the program and of a second annotator with the reference, on the points that both placed."""

    #: What the annotator is called.
    name: str
    #: Points of the reference in the scored images that the annotator did not place.
    not_placed: int
    #: The figures of all points together, and of each landmark.
    program: Agreement
    annotator: Agreement
    program_by_landmark: list[Agreement]
    annotator_by_landmark: list[Agreement]


@dataclass(frozen=True)
class Evaluation:
    """Errors of detected landmarks: the metrics of one set of templates, or the median over several. Intervals are 95 % bootstrap over
    images (percentiles of 2000 resamples), with the same resamples for all templates."""

    #: What the figures are, in words, such as "median over 10 templates".
    summary: str
    #: Names of the sets of templates, of the images, and of the landmarks.
    templates: list[str]
    images: list[str]
    landmarks: list[str]
    #: ``(templates, images, landmarks)``, float64, in mm; NaN where an image is a template itself or has no point, or no template has the
    #: landmark.
    errors_mm: _Floats
    #: ``(templates, images, landmarks, 2)``, float64, in pixels (x, y); NaN where ``errors_mm`` is.
    found: _Floats
    #: The most landmarks without an error of a set of templates, in images that were scored.
    missing: int
    #: Mean radial error in mm, and its interval.
    mre_mm: float
    mre_mm_interval: tuple[float, float]
    #: Median of the errors in mm.
    median_mm: float
    #: Share of the errors below each radius in mm, 0 to 1, and its interval.
    sdr: dict[float, float]
    sdr_intervals: dict[float, tuple[float, float]]
    #: The figures of each set of templates, and the medians of each landmark.
    by_template: list[Figures]
    by_landmark: list[Figures]
    #: None without one.
    second_annotator: Optional[SecondAnnotator] = None


def _rates(figures: dict[str, Any], key: str) -> dict[float, Any]:
    pairs = {float(radius): value for radius, value in figures[key].items()}
    return {radius: tuple(value) if isinstance(value, list) else value for radius, value in pairs.items()}


def _figures(told: dict[str, Any]) -> Figures:
    own = (told["mre_mm"], told["median_mm"], _rates(told, "sdr"))
    if "landmark" in told:
        return Figures(told["landmark"], *own)
    low, high = told["mre_mm_interval"]
    return Figures(told["template"], *own, (low, high), _rates(told, "sdr_intervals"))


def _agreement(told: dict[str, Any]) -> Agreement:
    (x, y), sdr = told["offset"], _rates(told, "within")
    return Agreement(told["landmark"], told["pairs"], told["mean_radial_error"], told["median"], (x, y), sdr)


#: A second annotator: a landmark file of all images, or their landmarks by image.
Annotator = Union[Path, dict[str, Landmarks]]


def _second(data: DataSet, runs: list[_Run], annotator: Annotator, radii: list[float]) -> SecondAnnotator:
    if isinstance(annotator, dict):
        name, marks = "second annotator", annotator
    else:
        name, marks = os.path.basename(os.fspath(annotator)), read_landmarks(annotator)
    points = np.full(data.points.shape, np.nan)
    for image, path in enumerate(data.images):
        own = marks.get(os.path.basename(path))
        known: dict[str, _Floats] = {}
        if own is not None:
            known.update(zip(own.names, np.asarray(own.points, np.float64)))
        for place, landmark in enumerate(data.landmarks):
            points[image, place] = known.get(landmark, np.nan)
    found = [(images, own_found) for _, images, own_found, _ in runs]
    told = json.loads(_infomark.compare_with_annotator(_folder(data), found, (name, points), radii))
    (program, landmarks), (annotated, others) = [
        (_agreement(told[key]["all"]), [_agreement(own) for own in told[key]["landmarks"]])
        for key in ("program", "second_annotator")
    ]
    return SecondAnnotator(told["annotator"], told["not_placed"], program, annotated, landmarks, others)


#: Scores of a set of templates: their names, places of the images, found points, errors in mm.
_Run = tuple[list[str], list[int], _Floats, _Floats]


def _evaluation(
    data: DataSet, runs: list[_Run], radii: Sequence[float], seed: int, annotator: Optional[Annotator]
) -> Evaluation:
    scored = [run for run in runs if run[1]]
    if not scored:
        raise _infomark.InfomarkError(f"{data.name}: no image is left to score; add images or give template_data")
    shape = (len(scored), len(data.images), len(data.landmarks))
    errors, found = np.full(shape, np.nan), np.full((*shape, 2), np.nan)
    for place, (_, images, own_found, own_errors) in enumerate(scored):
        errors[place, images], found[place, images] = own_errors, own_found
    given = [(names, images, own_errors) for names, images, _, own_errors in scored]
    lengths = [float(radius) for radius in radii]
    text, each = _infomark.figures(given, data.landmarks, lengths, seed)
    summary, low_high = json.loads(text), json.loads(text)["mre_mm_interval"]
    return Evaluation(
        summary["summary"],
        [" + ".join(names) for names, *_ in scored],
        [os.path.basename(path) for path in data.images],
        data.landmarks,
        errors,
        found,
        summary.get("missing", 0),
        summary["mre_mm"],
        (low_high[0], low_high[1]),
        summary["median_mm"],
        _rates(summary, "sdr"),
        _rates(summary, "sdr_intervals"),
        [_figures(told) for told in json.loads(each)],
        [_figures(told) for told in summary["landmarks"]],
        None if annotator is None else _second(data, scored, annotator, lengths),
    )


def _folder(data: DataSet) -> tuple[str, tuple[float, float], list[str], list[str], _Floats]:
    return data.name, data.spacing, data.landmarks, data.images, np.ascontiguousarray(data.points, np.float64)


def _sets(given: Any, source: DataSet, together: int, seed: int) -> list[list[int]]:
    """Indices of the images of each set of templates: random, or by name."""
    if given is None or isinstance(given, int):
        return _infomark.random_sets(given, together, len(source.images), seed)
    lists = [list(given)] if all(isinstance(name, str) for name in given) else given
    sets = [[source.index(name) for name in ([names] if isinstance(names, str) else names)] for names in lists]
    if not sets or not all(sets):
        raise _infomark.InfomarkError("there is no template to match; give at least one")
    return sets


def evaluate(
    encoder: Union[Encoder, LandmarkNetwork],
    templates: Union[None, int, Set, Sequence[Set]],
    data: Union[DataSet, Path],
    *,
    template_data: Optional[Union[DataSet, Path]] = None,
    together: int = 1,
    radii: Sequence[float] = (2.0, 2.5, 3.0, 4.0),
    seed: int = 0,
    second_annotator: Optional[Annotator] = None,
    threads: int = 0,
    progress: Optional[Progress] = None,
    **options: Any,
) -> Evaluation:
    """Evaluates landmark detection on an annotated folder: the metrics, in mm, of ``infomark evaluate``.

    ``templates`` are images of ``template_data`` (else of ``data``):

    * ``None``: ten drawn at random by ``seed``, used one at a time, or all if there are fewer; a number: that many. With
      ``together``, sets of that size, matched together. The metrics are medians over them.
    * A name, or several, which are matched together; a :class:`Template`, or several, instead.
    * A list of lists of names: sets one after the other. ``[[name] for name in names]`` takes each by itself.

    With a :class:`LandmarkNetwork`, ``templates`` is ``None``. An image is never scored with a set that names it; the own image of a
    :class:`Template` is, so leave it out of ``data``. ``second_annotator`` is a landmark file of all images, or their
    landmarks by file name: its agreement with the reference is reported with that of the program. ``options`` are those of :class:`Matcher`. ``progress``
    receives the number of processed templates and images, and their total; its exception, or Ctrl-C, aborts the evaluation.
    """
    data = data if isinstance(data, DataSet) else DataSet.open(data)
    source = data if template_data is None else template_data
    source = source if isinstance(source, DataSet) else DataSet.open(source)
    given = [templates] if isinstance(templates, (str, Template)) else templates

    if isinstance(encoder, LandmarkNetwork):
        if given is not None:
            raise _infomark.InfomarkError("a landmark network needs no templates: give None")
        run = _infomark.score_network(encoder._inner, _folder(data), threads, progress)
        return _evaluation(data, [run], radii, seed, second_annotator)

    if given is not None and not isinstance(given, int) and any(isinstance(template, Template) for template in given):
        made, own = [], set()
        for template in given:
            if isinstance(template, str):
                index = source.index(template)
                own.add(os.path.realpath(source.images[index]))
                known = source.landmarks_of(template)
                made.append(Template(encoder, source.images[index], known.names, known.points))
            elif isinstance(template, Template):
                made.append(template)
            else:
                raise TypeError("templates: sets of several are named by their images; give Template objects as one list")
        matcher = Matcher(encoder, made, **options)
        leave_out = [place for place, path in enumerate(data.images) if os.path.realpath(path) in own]
        run = _infomark.score_matcher(matcher._inner, _folder(data), leave_out, threads, progress)
        return _evaluation(data, [run], radii, seed, second_annotator)

    sets = _sets(given, source, together, seed)
    other = None if source is data else _folder(source)
    matching = {"neighbours": True, "prior": True, "prior_sigma": 12.0, **options}
    how = (matching.pop("neighbours"), matching.pop("prior"), matching.pop("prior_sigma"))
    if matching:
        raise TypeError(f"unknown options: {', '.join(sorted(matching))}")
    runs = _infomark.score_sets(encoder._inner, _folder(data), other, sets, how, threads, progress)
    return _evaluation(data, runs, radii, seed, second_annotator)


@dataclass(frozen=True)
class Selection:
    """Images selected for annotation."""

    #: Paths, best first, by greedy facility location on the inlier fractions.
    chosen: list[str]
    #: Paths of all images, the highest score first.
    ranking: list[str]
    #: Share of an image's key points that are found where those around them say, 0 to 1, by path.
    scores: dict[str, float]
    #: Paths of the images that key points were looked for in.
    against: list[str]


def select(
    encoder: Encoder,
    images: Union[Path, Sequence[Path]],
    count: int = 1,
    *,
    against: int = 24,
    seed: int = 0,
    threads: int = 0,
    progress: Optional[Progress] = None,
) -> Selection:
    """Selects ``count`` images of a folder, or of files, to annotate as templates, without any label, as ``infomark select``.

    Up to 200 keypoints of each are matched in ``against`` of them, drawn by ``seed``. ``progress`` receives the number of processed
    items and their total; its exception, or Ctrl-C, aborts the selection.
    """
    paths = paths_of(images)
    chosen, scores, looked = _infomark.select(encoder._inner, paths, count, against, seed, threads, progress)
    by_path = dict(zip(paths, scores))
    ranking = sorted(paths, key=lambda path: -by_path[path])
    return Selection([paths[i] for i in chosen], ranking, by_path, [paths[i] for i in looked])
