"""The same tables on Ray, Dask and Spark as on the command line, and the same encoder by MPI. Run by `python/cluster-check`, which installs
them."""

import hashlib
import json
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
import psutil
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray
from conftest import SMALL, as_told, without_hash
from dask.distributed import Client, LocalCluster

import infomark

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def rows_of(table):
    """The rows of a table in the order of the images, which clusters need not keep."""
    rows = sorted(without_hash(table.to_pylist()), key=lambda row: row["image"])
    return [{name: row[name] for name in infomark.table_schema().names} for row in rows]


@pytest.fixture(scope="session")
def with_ray():
    """Ray on this machine; its address."""
    context = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["address"]
    ray.shutdown()


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    with Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def table(judge, mixed):
    """The judge's table in this process."""
    return judge.table(mixed)


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


def test_urls_bytes_and_arrays_agree_on_workers(client, judge, mixed):
    content = pathlib.Path(mixed[1]).read_bytes()
    pixels, spacing = infomark.read_image(content), infomark.read_spacing(content)
    expected = judge.table([mixed[1]], ids=["x"], spacing=spacing)
    tabulate = lambda judge, image, spacing: judge.table([image], ids=["x"], spacing=spacing)
    for image in (f"file://{mixed[1]}", content, pixels):
        table = client.submit(tabulate, judge, image, spacing).result()
        hashed = table.set_column(table.schema.get_field_index("sha256"), "sha256", expected.column("sha256"))
        assert hashed.equals(expected) and table.column("sha256").null_count == (table.num_rows if image is pixels else 0)


def test_a_killed_dask_worker_changes_nothing(cluster, client, judge, mixed, told, table):
    shared = client.scatter(judge, broadcast=True)
    tabulate = lambda judge, paths: judge.table(paths)
    work = [client.submit(tabulate, shared, [path] * 2, pure=False) for path in mixed]
    while not any(future.done() for future in work):
        time.sleep(0.01)
    assert not all(future.done() for future in work)
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    tables = client.gather(work)
    first, second = ([twice.slice(half * twice.num_rows // 2, twice.num_rows // 2) for twice in tables] for half in (0, 1))
    assert rows_of(pa.concat_tables(first)) == as_told(told)
    assert all(pa.concat_tables(half).equals(table, check_metadata=True) for half in (first, second))


def test_a_matcher_is_unpickled_in_an_empty_folder(judge, mixed, table, tmp_path):
    program = "import pickle, sys; sys.stdout.buffer.write(pickle.dumps(pickle.load(sys.stdin.buffer).table(sys.argv[1:])))"
    command = [sys.executable, "-c", program, *mixed]
    done = subprocess.run(command, input=pickle.dumps(judge), cwd=tmp_path, check=True, capture_output=True)
    assert pickle.loads(done.stdout).equals(table, check_metadata=True)


@pytest.fixture(scope="module")
def example_images(mixed):
    """One image that can be matched, which takes most of the time, and those that can't be."""
    return [path for path in mixed if os.path.basename(path) not in ("a.pgm", "f.pgm")]


@pytest.fixture(scope="module")
def example_rows(example_images):
    """What the examples write."""
    judge = infomark.Judge(infomark.Matcher(infomark.Encoder("ceph"), infomark.load_templates("ceph")))
    return rows_of(judge.table(example_images))


@pytest.mark.parametrize("example", ["ray_match.py", "dask_match.py", "spark_match.py"])
def test_the_examples_run(request, example_images, example_rows, tmp_path, example):
    environment = dict(os.environ)
    if example == "ray_match.py":
        # Ray that runs already.
        environment["RAY_ADDRESS"] = request.getfixturevalue("with_ray")
    if example == "spark_match.py":
        pytest.importorskip("pyspark", reason="Java is not installed: Spark is not run")
        # A third less time where Java runs for seconds.
        environment["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    command = [sys.executable, EXAMPLES / example, tmp_path / "out", *example_images]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    table = pyarrow.parquet.read_table(tmp_path / "out").cast(infomark.table_schema())
    assert rows_of(table) == example_rows


@pytest.fixture(scope="module")
def mpi(folder, tmp_path_factory):
    """A command that trains by so many processes, and its options as a file."""
    options = tmp_path_factory.mktemp("mpi") / "options.json"
    options.write_text(json.dumps({**SMALL, "batch": 4, "checkpoint_every": 1}))

    def command(size, out, steps):
        program = ["mpiexec", "-n", str(size), sys.executable, "-m", "mpi4py", EXAMPLES / "mpi_train.py"]
        return [*program, folder / "images", out, str(steps), options]

    return command, json.loads(options.read_text())


def plain(cli, folder, root, options, steps):
    """SHA-256 of the encoder of `infomark train`."""
    (root / "options.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()))
    command = [cli, "train", folder / "images", "--out", root / "plain.onnx", "--steps", str(steps)]
    subprocess.run([*command, "--config", root / "options.toml"], check=True, capture_output=True)
    return hashlib.sha256((root / "plain.onnx").read_bytes()).hexdigest()


def test_mpi_trains_the_bits_of_the_command_line(mpi, cli, folder, tmp_path):
    command, options = mpi
    expected = plain(cli, folder, tmp_path, options, 3)
    for size in (1, 2, 4):
        out = tmp_path / f"{size}.onnx"
        done = subprocess.run(command(size, out, 3), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"3 steps, SHA-256 {expected}"
        assert hashlib.sha256(out.read_bytes()).hexdigest() == expected


def test_a_killed_training_is_resumed_by_another_number_of_processes(mpi, cli, folder, tmp_path):
    command, options = mpi
    out, checkpoint = tmp_path / "killed.onnx", tmp_path / "killed.run" / "checkpoint.json"
    steps = lambda: json.loads(checkpoint.read_text())["step"] if checkpoint.exists() else 0
    for size, until in ((2, 2), (4, 4)):
        running = subprocess.Popen(command(size, out, 12), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while steps() < until and running.poll() is None:
            time.sleep(0.01)
        ranks = [child for child in psutil.Process(running.pid).children(recursive=True) if "python" in child.name()]
        assert len(ranks) == size
        ranks[-1].kill()
        # MPI ends the others.
        assert running.communicate(timeout=60) and running.returncode != 0
        psutil.wait_procs(ranks, timeout=60)
        assert until <= steps() < 12 and not out.exists()
    done = subprocess.run(command(1, out, 12), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"12 steps, SHA-256 {plain(cli, folder, tmp_path, options, 12)}"


def test_an_error_of_one_rank_ends_all_processes_of_mpi(mpi, tmp_path):
    command, _ = mpi
    given = command(2, tmp_path / "a.onnx", 3)
    (tmp_path / "b.json").write_text(json.dumps({"batch": 1}))
    done = subprocess.run([*given[:-1], tmp_path / "b.json"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "2 processes are too many for option batch = 1" in done.stderr
