"""Landmarks of many images on Ray: python ray_match.py OUT IMAGE..."""

import sys

import ray

import infomark

judge = infomark.Judge(infomark.Matcher(infomark.Encoder("ceph"), infomark.load_templates("ceph")))
out, *paths = sys.argv[1:]

ray.init()
images = ray.data.from_items([{"path": path} for path in paths])
# One CPU is left for reading and writing.
workers = max(1, int(ray.cluster_resources()["CPU"]) - 1)
rows = images.map_batches(
    infomark.MatchBatch,
    fn_constructor_args=(judge,),
    batch_size=16,
    batch_format="pyarrow",
    compute=ray.data.ActorPoolStrategy(size=workers),
)
rows.write_parquet(out)
