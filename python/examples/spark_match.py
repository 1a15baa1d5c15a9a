"""Landmarks of many images on Spark: spark-submit spark_match.py OUT IMAGE..."""

import functools
import sys

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

import infomark

judge = infomark.Judge(infomark.Matcher(infomark.Encoder("ceph"), infomark.load_templates("ceph")))
out, *paths = sys.argv[1:]

spark = SparkSession.builder.getOrCreate()
images = spark.createDataFrame([(path,) for path in paths], "path string").repartition(max(1, len(paths) // 16))
match = functools.partial(infomark.match_table, matcher=judge)
images.mapInArrow(match, from_arrow_schema(infomark.table_schema())).write.parquet(out)
