"""Landmarks of many images on Dask: python dask_match.py OUT IMAGE..."""

import sys

import dask.dataframe
import pandas
from dask.distributed import Client

import infomark

# Workers are spawned, and import this file again.
if __name__ == "__main__":
    judge = infomark.Judge(infomark.Matcher(infomark.Encoder("ceph"), infomark.load_templates("ceph")))
    out, *paths = sys.argv[1:]

    with Client(threads_per_worker=1):
        images = dask.dataframe.from_pandas(pandas.DataFrame({"path": paths}), npartitions=max(1, len(paths) // 16))
        meta = infomark.table_schema().empty_table().to_pandas(types_mapper=pandas.ArrowDtype)
        images.map_partitions(infomark.match_table, judge, meta=meta).to_parquet(out, write_index=False)
