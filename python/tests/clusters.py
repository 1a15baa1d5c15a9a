"""The same tables on Ray, Dask and Spark as on the command line. Run by `python/cluster-check`, which installs them."""

import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import dask.dataframe
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray
from conftest import as_told, without_hash
from dask.distributed import Client, LocalCluster

import infomark

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def rows_of(table):
    """The rows of a table in the order of the images, which clusters need not keep."""
    rows = sorted(without_hash(table.to_pylist()), key=lambda row: row["image"])
    return [{name: row[name] for name in infomark.table_schema().names} for row in rows]


@pytest.fixture(scope="session")
def with_ray():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def client():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


@pytest.mark.parametrize("batch_format", ["pyarrow", "numpy", "pandas"])
def test_ray_gives_the_command_lines_table(with_ray, judge, mixed, told, batch_format):
    images = ray.data.from_items([{"path": path} for path in mixed])
    mapped = images.map_batches(
        infomark.MatchBatch,
        fn_constructor_args=(judge,),
        batch_size=3,
        batch_format=batch_format,
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    table = pa.concat_tables(ray.get(mapped.to_arrow_refs()), promote_options="default")
    assert rows_of(table) == as_told(told)


def test_ray_matches_the_bytes_that_it_read_and_arrays(with_ray, judge, mixed):
    files = ray.data.read_binary_files([mixed[0], mixed[1], mixed[2]], include_paths=True)
    mapped = files.map_batches(infomark.MatchBatch(judge), batch_format="pyarrow")
    table = pa.concat_tables(ray.get(mapped.to_arrow_refs()), promote_options="default")
    expected = judge.table(mixed[:3])
    assert sorted(table.select(expected.schema.names).to_pylist(), key=str) == sorted(expected.to_pylist(), key=str)
    image = np.round(infomark.read_image(mixed[0]) * 255).astype(np.uint8)
    arrays = ray.data.from_items([{"image": image, "id": name} for name in ("a", "b")])
    for batch_format in ("numpy", "pyarrow"):
        mapped = arrays.map_batches(infomark.MatchBatch(judge), batch_format=batch_format)
        table = pa.concat_tables(ray.get(mapped.to_arrow_refs()), promote_options="default")
        assert sorted(table.to_pylist(), key=str) == sorted(judge.table([image, image], ids=["a", "b"]).to_pylist(), key=str)


def test_dask_frames_give_the_command_lines_table(client, judge, mixed, told):
    images = dask.dataframe.from_pandas(pandas.DataFrame({"path": mixed}), npartitions=3)
    empty = infomark.table_schema().empty_table().to_pandas(types_mapper=pandas.ArrowDtype)
    for meta in ({"meta": empty}, {}):
        frame = images.map_partitions(infomark.match_table, judge, **meta).compute()
        assert list(frame.dtypes) == list(empty.dtypes)
        table = pa.Table.from_pandas(frame, preserve_index=False).cast(infomark.table_schema())
        assert rows_of(table) == as_told(told)


def test_a_killed_dask_worker_changes_nothing(judge, mixed, told):
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        shared = client.scatter(judge, broadcast=True)
        tabulate = lambda judge, paths: judge.table(paths)
        work = [client.submit(tabulate, shared, [path] * 4, pure=False) for path in mixed]
        while not any(future.done() for future in work):
            time.sleep(0.05)
        assert not all(future.done() for future in work)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        tables = client.gather(work)
    assert rows_of(pa.concat_tables([table.slice(0, table.num_rows // 4) for table in tables])) == as_told(told)
    for path, table in zip(mixed, tables):
        assert table.equals(judge.table([path] * 4), check_metadata=True)


def test_urls_bytes_and_arrays_agree_on_workers(client, judge, mixed):
    content = pathlib.Path(mixed[1]).read_bytes()
    pixels, spacing = infomark.read_image(content), infomark.read_spacing(content)
    expected = judge.table([mixed[1]], ids=["x"], spacing=spacing)
    tabulate = lambda judge, image, spacing: judge.table([image], ids=["x"], spacing=spacing)
    for image in (f"file://{mixed[1]}", content, pixels):
        table = client.submit(tabulate, judge, image, spacing).result()
        hashed = table.set_column(table.schema.get_field_index("sha256"), "sha256", expected.column("sha256"))
        assert hashed.equals(expected) and table.column("sha256").null_count == (table.num_rows if image is pixels else 0)


def test_a_matcher_is_unpickled_in_an_empty_folder(judge, mixed, tmp_path):
    program = "import pickle, sys; sys.stdout.buffer.write(pickle.dumps(pickle.load(sys.stdin.buffer).table(sys.argv[1:])))"
    command = [sys.executable, "-c", program, *mixed]
    done = subprocess.run(command, input=pickle.dumps(judge), cwd=tmp_path, check=True, capture_output=True)
    assert pickle.loads(done.stdout).equals(judge.table(mixed), check_metadata=True)


@pytest.mark.parametrize("example", ["ray_match.py", "dask_match.py", "spark_match.py"])
def test_the_examples_run(mixed, tmp_path, example):
    if example == "spark_match.py":
        pytest.importorskip("pyspark", reason="Java is not installed: Spark is not run")
    command = [sys.executable, EXAMPLES / example, tmp_path / "out", *mixed]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pyarrow.parquet.read_table(tmp_path / "out").cast(infomark.table_schema())
    judge = infomark.Judge(infomark.Matcher(infomark.Encoder("ceph"), infomark.Template.load("ceph")))
    assert rows_of(table) == rows_of(judge.table(mixed))
