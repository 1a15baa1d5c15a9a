"""Tables of landmarks, for Parquet files, Ray, Dask and Spark."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from . import _infomark
from ._files import Images, needed, sources_of
from ._infomark import InfomarkError

if TYPE_CHECKING:
    import pyarrow

#: Names and types, those of the command line's landmarks.csv first.
_COLUMNS = {
    "image": "string",
    "landmark": "string",
    "x": "float64",
    "y": "float64",
    "score": "float64",
    "x_mm": "float64",
    "y_mm": "float64",
    "margin": "float64",
    "cycle_error_px": "float64",
    "error_bound_px": "float64",
    "error_bound_mm": "float64",
    "abstain": "bool",
    "uncertainty": "float64",
    "recognised": "bool",
    "orientation": "string",
    "reoriented": "bool",
    "inlier_fraction": "float64",
    "width": "int32",
    "height": "int32",
    "spacing_x_mm": "float64",
    "spacing_y_mm": "float64",
    "sha256": "string",
    "error": "string",
}

#: Columns of a batch that images are taken from, the first that is there.
_CONTENT = ("image", "bytes", "path")
#: Columns of a batch that images are called by, likewise.
_IDS = ("id", "path")

_Row = dict[str, Any]


def _pyarrow() -> Any:
    return needed("pyarrow", "arrow", "a table")


def table_schema() -> pyarrow.Schema:
    """The schema of :meth:`Judge.table`, always the same; ``docs/clusters.md`` explains the columns. Every column is nullable.

    Tables also have metadata: under ``infomark`` a JSON object with the version, the hashes of encoder, templates and calibration, and the options.
    """
    pa = _pyarrow()
    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _COLUMNS.items()])


def _rows(
    image: tuple[Optional[str], tuple[int, int], Optional[tuple[float, float]]],
    recognition: Optional[tuple[bool, str, bool, float]],
    landmarks: list[tuple[tuple[Any, ...], Optional[tuple[Any, ...]]]],
) -> list[_Row]:
    """The rows of an image, without its name."""
    sha256, (width, height), spacing = image
    whole: _Row = {"sha256": sha256, "width": width, "height": height}
    whole.update(zip(("spacing_x_mm", "spacing_y_mm"), spacing or ()))
    whole.update(zip(("recognised", "orientation", "reoriented", "inlier_fraction"), recognition or ()))
    places = ("landmark", "x", "y", "score", "x_mm", "y_mm")
    trusts = ("margin", "cycle_error_px", "error_bound_px", "error_bound_mm", "abstain", "uncertainty")
    return [{**whole, **dict(zip(places, place)), **dict(zip(trusts, trust or ()))} for place, trust in landmarks]


class Tabulating:
    """Base of classes with tables: ``Matcher``, ``Judge``, ``LandmarkNetwork``, ``Ensemble``."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the results, besides the images."""
        raise NotImplementedError

    def _rows_of(
        self, images: Sequence[Any], spacing: Optional[tuple[float, float]], threads: int
    ) -> _infomark.FolderMatches:
        """The rows of images, as they become available."""
        raise NotImplementedError

    def table(
        self,
        images: Images,
        ids: Optional[Sequence[object]] = None,
        *,
        spacing: Optional[tuple[float, float]] = None,
        threads: int = 1,
    ) -> pyarrow.Table:
        """The landmarks of several images as a ``pyarrow.Table`` of the schema :func:`table_schema`: a row for each landmark, image by
        image in their order. An image that fails gives one row with its ``error``; no image raises an exception.

        The column ``image`` contains ``ids``, by default the path or URL, else the index in the list. ``spacing`` (x, y) is the pixel size
        in mm of all images, overriding their files. ``score`` is that of ``find``: a mean cosine, for a
        :class:`LandmarkNetwork` the probability, with null columns of recognition, confidence and error bounds; a :class:`Matcher`
        is judged with the defaults of :class:`Judge`. The table does not depend on ``threads`` (0: all cores).
        """
        pa = _pyarrow()
        names, sources = sources_of(images, ids)
        columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for name, (found, error) in zip(names, iter(self._rows_of(sources, spacing, threads).next, None)):
            for row in [{"error": error}] if found is None else _rows(*found):
                row["image"] = name
                for column, values in columns.items():
                    values.append(row.get(column))
        made_by = json.dumps({**self.provenance, "spacing_mm": spacing}, sort_keys=True)
        return pa.table(columns, schema=table_schema().with_metadata({"infomark": made_by}))


def _pandas_frame(batch: object) -> bool:
    # A data frame exists only where it was imported.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(batch, pandas.DataFrame)


def _columns(batch: Any) -> dict[str, Any]:
    """The relevant columns of a batch of any format, as lists."""
    wanted = (*_CONTENT, *_IDS)
    if isinstance(batch, Mapping):
        return {name: list(batch[name]) for name in wanted if name in batch}
    if _pandas_frame(batch):
        return {name: batch[name].tolist() for name in wanted if name in batch.columns}
    pa = _pyarrow()
    if not isinstance(batch, (pa.Table, pa.RecordBatch)):
        formats = "a pyarrow table or record batch, a dictionary of NumPy arrays, or a pandas data frame"
        raise TypeError(f"a batch is {formats}, not {type(batch).__name__}")
    return {name: _arrow_list(pa, name, batch.column(name)) for name in wanted if name in batch.schema.names}


def _arrow_list(pa: Any, name: str, column: Any) -> list[Any]:
    if not isinstance(column.type, pa.BaseExtensionType):
        return column.to_pylist()  # type: ignore[no-any-return]
    # Tensors, those of Arrow or of Ray.
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    images: list[Any] = []
    for chunk in chunks:
        if hasattr(chunk, "to_numpy_ndarray"):
            images.extend(chunk.to_numpy_ndarray())
        elif type(chunk) is not pa.ExtensionArray and hasattr(chunk, "to_numpy"):
            images.extend(chunk.to_numpy(zero_copy_only=False))
        else:
            raise InfomarkError(f"column {name!r} of type {column.type}: pass it as NumPy arrays, or as files in the column 'bytes'")
    return images


def _batch_table(batch: Any, matcher: Tabulating, spacing: Optional[tuple[float, float]], threads: int) -> Any:
    columns = _columns(batch)
    content = next((columns[name] for name in _CONTENT if name in columns), None)
    if content is None:
        raise InfomarkError("the batch has no column of images; it needs one called 'path', 'bytes' or 'image'")
    ids = next((columns[name] for name in _IDS if name in columns), None)
    return matcher.table(content, ids, spacing=spacing, threads=threads)


def match_table(
    batch: Any, matcher: Tabulating, *, spacing: Optional[tuple[float, float]] = None, threads: int = 1
) -> Any:
    """The table of a batch of images, in the batch's format, for the functions of Dask and Spark that map batches.

    A batch has a column ``path`` (paths or URLs), ``bytes`` (of files) or ``image`` (arrays; of several, the last counts), and optionally
    ``id``, the column ``image`` of the table; else that is ``path``, else the index in the batch. A pandas data frame (a
    partition of ``dask.dataframe.map_partitions``) gives one with Arrow's types; a ``pyarrow.Table`` or a dictionary of NumPy arrays gives
    a table, a record batch a record batch, and an iterator over record batches (``mapInArrow`` of Spark) an iterator over record batches.
    ``matcher`` is a :class:`Judge`, :class:`Matcher`, :class:`LandmarkNetwork` or :class:`Ensemble`. An image that fails gives a row, see :meth:`Judge.table`.
    """
    if isinstance(batch, Iterator):
        return _record_batches(batch, matcher, spacing, threads)
    table = _batch_table(batch, matcher, spacing, threads)
    if _pandas_frame(batch):
        return table.to_pandas(types_mapper=sys.modules["pandas"].ArrowDtype)
    if isinstance(batch, _pyarrow().RecordBatch):
        return _record_batch(table)
    return table


def _record_batch(table: Any) -> Any:
    pa = _pyarrow()
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=table.schema)


def _record_batches(
    batches: Iterator[Any], matcher: Tabulating, spacing: Optional[tuple[float, float]], threads: int
) -> Iterator[Any]:
    for batch in batches:
        yield _record_batch(_batch_table(batch, matcher, spacing, threads))


class MatchBatch:
    """Picklable callable of :func:`match_table`, for ``ray.data.Dataset.map_batches``: batches of the formats ``pyarrow``, ``numpy`` and
    ``pandas`` become tables.

    Ray creates one in each worker if the class is passed with ``fn_constructor_args=(matcher,)`` and ``concurrency``.
    """

    def __init__(self, matcher: Tabulating, *, spacing: Optional[tuple[float, float]] = None, threads: int = 1) -> None:
        self.matcher = matcher
        self.spacing = spacing
        self.threads = threads

    def __call__(self, batch: Any) -> Any:
        """The table of a batch."""
        return match_table(batch, self.matcher, spacing=self.spacing, threads=self.threads)
