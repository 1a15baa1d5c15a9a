"""Tables of landmarks, and images from anywhere."""

import hashlib
import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import as_told, without_hash

import infomark


@pytest.fixture(scope="module")
def table(judge, mixed):
    return judge.table(mixed)


def test_a_table_is_that_of_the_command_line(table, told, mixed):
    assert without_hash(table.to_pylist()) == as_told(told)
    errors = {row["image"]: row["error"] for row in table.to_pylist() if row["error"] is not None}
    assert sorted(errors) == sorted(mixed[index] for index in (2, 3, 4, 6)) and "3 frames" in errors[mixed[3]]
    # The millimetres of the DICOM file, and noise that is not recognised.
    assert {row["spacing_x_mm"] for row in table.to_pylist()} == {None, 0.5}
    assert {row["recognised"] for row in table.to_pylist() if row["image"] == mixed[5]} == {False}


def test_a_table_has_its_schema_and_says_what_made_it(table, judge, mixed, tmp_path):
    assert table.schema.equals(infomark.table_schema()) and table.schema.names[:2] == ["image", "landmark"]
    assert judge.table([]).schema.equals(table.schema, check_metadata=True)
    made_by = json.loads(table.schema.metadata[b"infomark"])
    assert made_by["encoder_sha256"] == judge.matcher.encoder.sha256 and made_by["version"] == infomark.__version__
    assert made_by["template_sha256"] == [hashlib.sha256(judge.matcher.templates[0].to_bytes()).hexdigest()]
    # Nothing bounds errors without a calibration; the uncertainty orders them.
    assert made_by["coverage"] is None and judge.coverage is None and not judge.calibrated
    for row in (row for row in table.to_pylist() if row["landmark"]):
        assert row["error_bound_px"] is row["error_bound_mm"] is None and row["uncertainty"] > 0
    assert made_by["abstain_below_score"] == 0.6 and made_by["prior"] is True and made_by["spacing_mm"] is None
    with open(mixed[1], "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() in table.column("sha256").to_pylist()
    pyarrow.parquet.write_table(table, tmp_path / "table.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "table.parquet").equals(table, check_metadata=True)


def test_the_table_is_the_same_on_any_number_of_threads(table, judge, mixed):
    assert judge.table(mixed, threads=3).equals(table, check_metadata=True)
    assert judge.table(mixed[::-1]).column("image").to_pylist() == table.column("image").to_pylist()[::-1]


def test_ids_are_given_or_the_paths_or_the_places(judge, mixed):
    image = infomark.read_image(mixed[0])
    names = lambda table: list(dict.fromkeys(table.column("image").to_pylist()))
    assert names(judge.table([mixed[2], image])) == [mixed[2], "1"]
    assert names(judge.table([image, mixed[2]], ids=[7, None])) == ["7", mixed[2]]
    with pytest.raises(ValueError, match="1 ids for 2 images"):
        judge.table(mixed[:2], ids=["a"])
    with pytest.raises(TypeError, match="pass a list"):
        judge.table(b"bytes")


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_an_image_is_the_same_from_anywhere(judge, mixed, index):
    fsspec = pytest.importorskip("fsspec")
    path = mixed[index]
    with open(path, "rb") as file:
        content = file.read()
    with fsspec.open("memory://images/x", "wb") as file:
        file.write(content)
    sources = [path, content, bytearray(content), io.BytesIO(content), "memory://images/x", f"file://{path}", open(path, "rb")]
    expected, *others = (judge.table([source], ids=["x"]).to_pylist() for source in sources)
    # Messages name what was given.
    names = [path, "x", "x", "x", "memory://images/x", f"file://{path}", "x"]
    for name, rows in zip(names[1:], others):
        same = [{**row, "error": row["error"] and row["error"].replace(path, name)} for row in expected]
        assert rows == same, name
    if index < 2:
        (whole,) = (judge.table([infomark.read_image(path)], ids=["x"], spacing=infomark.read_spacing(path)).to_pylist(),)
        assert whole == [{**row, "sha256": None} for row in expected]
        for source in (content, io.BytesIO(content), "memory://images/x"):
            assert np.array_equal(infomark.read_image(source), infomark.read_image(path))
        assert infomark.read_spacing(content) == infomark.read_spacing(path) == (None, (0.5, 0.6))[index]
        found, same = judge.find(content), judge.find(path)
        assert np.array_equal(found.found.points, same.found.points)
        assert np.array_equal(found.error_bound_mm, same.error_bound_mm, equal_nan=True)
        (one,) = judge.find_all(["memory://images/x"])
        assert one.path == "memory://images/x" and np.array_equal(one.found.found.points, same.found.points)


def test_what_is_no_image_is_a_row(judge, mixed, tmp_path):
    (tmp_path / "text").write_text("text")
    images = [None, 7, open(tmp_path / "text"), np.zeros((64, 64)), np.zeros((64, 64), np.uint8), b"", "memory://no/such", "", mixed[0]]
    images += [tmp_path / b"\xff.png".decode(errors="surrogateescape"), "nosuchscheme://x"]
    table = judge.table(images)
    errors = table.column("error").to_pylist()
    wanted = ["not NoneType", "not int", 'open it with "rb"', "not float64", "same value", "empty", "no such file", "no such file"]
    assert all(words in error for words, error in zip(wanted, errors)), errors
    assert errors[8] is None and "no such file" in errors[-2] and "nosuchscheme" in errors[-1]
    failed = table.filter(pa.compute.is_valid(table.column("error")))
    assert failed.num_rows == len(images) - 1
    for name in set(table.schema.names) - {"image", "error"}:
        assert failed.column(name).null_count == failed.num_rows, name
    # Alone they are exceptions.
    for image, kind in [(None, TypeError), ("memory://no/such", infomark.InfomarkError), (b"", infomark.InfomarkError)]:
        with pytest.raises(kind):
            judge.find(image)


def test_models_need_no_files_where_they_are_unpickled(judge, folder, mixed, told, cli, tmp_path):
    command = [cli, "calibrate", folder, "--model", "ceph", "--template", folder / "images" / "0.pgm"]
    command += ["--landmarks", folder / "landmarks.csv", "--out", tmp_path / "calibration.json"]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "encoder.onnx").write_bytes(judge.matcher.encoder.to_bytes())
    encoder = infomark.Encoder(tmp_path / "encoder.onnx")
    judge.matcher.templates[0].save(tmp_path / "a.template")
    matcher = infomark.Matcher(encoder, infomark.Template.load(tmp_path / "a.template"), prior_sigma=9.0)
    # A calibration is for the options that it was measured with.
    own = infomark.Judge(infomark.Matcher(encoder, matcher.templates), calibration=tmp_path / "calibration.json", coverage=0.5)
    assert own.calibrated
    expected = own.table(mixed[:2])
    made_by = json.loads(expected.schema.metadata[b"infomark"])
    assert made_by["calibration_sha256"] == hashlib.sha256((tmp_path / "calibration.json").read_bytes()).hexdigest()
    assert made_by["encoder_sha256"] == hashlib.sha256((tmp_path / "encoder.onnx").read_bytes()).hexdigest()
    pickled = pickle.dumps((own, matcher))
    for name in ("encoder.onnx", "a.template", "calibration.json"):
        (tmp_path / name).unlink()
    assert not list(tmp_path.iterdir())
    program = "import pickle, sys; judge, matcher = pickle.load(sys.stdin.buffer); tables = judge.table(sys.argv[1:]), matcher.table(sys.argv[1:]); "
    program += "sys.stdout.buffer.write(pickle.dumps((tables, judge.matcher.encoder.to_bytes(), judge.matcher.templates[0].to_bytes())))"
    done = subprocess.run([sys.executable, "-c", program, *mixed[:2]], input=pickled, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    (table, by_matcher), encoder_bytes, template_bytes = pickle.loads(done.stdout)
    assert table.equals(expected, check_metadata=True) and by_matcher.equals(matcher.table(mixed[:2]), check_metadata=True)
    assert encoder_bytes == judge.matcher.encoder.to_bytes() and template_bytes == judge.matcher.templates[0].to_bytes()


def batches(mixed):
    """The same images in every column and format, with the ids that the table then has."""
    contents = [open(path, "rb").read() for path in mixed[:4]]
    paths = pa.array(mixed[:4])
    return {
        "paths": (pa.table({"path": paths}), mixed[:4]),
        "bytes and paths": (pa.table({"bytes": pa.array(contents), "path": paths}), mixed[:4]),
        "bytes and ids": (pa.table({"bytes": pa.array(contents, pa.large_binary()), "id": pa.array([3, 2, 1, 0])}), list("3210")),
        "bytes": (pa.table({"bytes": contents}), list("0123")),
        "numpy": ({"path": np.array(mixed[:4], object), "other": np.arange(4)}, mixed[:4]),
    }


@pytest.mark.parametrize("kind", ["paths", "bytes and paths", "bytes and ids", "bytes", "numpy"])
def test_batches_of_every_kind_give_the_table(judge, table, mixed, kind):
    batch, ids = batches(mixed)[kind]
    of_first_four = [row for row in table.to_pylist() if row["image"] in mixed[:4]]
    named = dict(zip(mixed, ids))
    errors = lambda row: row["error"] and row["error"].replace(row["image"], named[row["image"]])
    expected = [{**row, "image": named[row["image"]], "error": errors(row)} for row in of_first_four]
    made = infomark.match_table(batch, judge)
    assert made.to_pylist() == expected and made.schema.equals(table.schema, check_metadata=True)
    assert pickle.loads(pickle.dumps(infomark.MatchBatch(judge)))(batch).equals(made)


def test_arrays_in_batches_give_the_table(judge, mixed):
    images = np.stack([infomark.phantom((192, 160), seed=1, index=index)[0] for index in (1, 2)])
    expected = judge.table(list(images), ids=["a", "b"])
    batch = {"image": images, "id": np.array(["a", "b"]), "path": np.array(["c", "d"])}
    assert infomark.match_table(batch, judge).equals(expected)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(images)
    assert infomark.match_table(pa.table({"image": tensors, "id": ["a", "b"]}), judge).equals(expected)
    with pytest.raises(infomark.InfomarkError, match="'path', 'bytes' or 'image'"):
        infomark.match_table({"picture": images}, judge)
    with pytest.raises(TypeError, match="not list"):
        infomark.match_table([1], judge)


def test_record_batches_are_mapped_as_spark_maps_them(judge, table, mixed):
    """The contract of ``mapInArrow``: an iterator in, an iterator out, of the declared schema, whatever the batches are."""
    frame = pa.table({"path": mixed})
    batches = frame.to_batches(max_chunksize=3)
    given = iter([*batches, batches[0].slice(0, 0)])
    mapped = infomark.match_table(given, judge)
    first = next(mapped)
    assert isinstance(first, pa.RecordBatch) and first.schema.equals(infomark.table_schema())
    rest = list(mapped)
    assert all(isinstance(batch, pa.RecordBatch) for batch in rest) and rest[-1].num_rows == 0
    assert pa.Table.from_batches([first, *rest]).to_pylist() == table.to_pylist()
    # No batch is asked for before its turn.
    given = iter(batches)
    assert next(infomark.match_table(given, judge)).num_rows == first.num_rows and next(given).equals(batches[1])
    whole = infomark.match_table(frame.to_batches()[0], judge)
    assert isinstance(whole, pa.RecordBatch) and whole.to_pylist() == table.to_pylist()


def test_packages_that_are_not_there_are_named(judge, mixed, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for call in (lambda: judge.table(["memory://x"]), lambda: infomark.read_image("s3://bucket/x.png")):
        with pytest.raises(ImportError, match=r"pip install 'infomark\[fsspec\]'"):
            call()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (lambda: judge.table(mixed), infomark.table_schema, lambda: infomark.match_table({"path": []}, judge)):
        with pytest.raises(ImportError, match=r"pip install 'infomark\[arrow\]'"):
            call()


def test_images_beyond_the_memory_budget_are_rows(judge, mixed):
    before = infomark.memory_budget()
    assert 0 < before <= 2 << 30
    try:
        infomark.set_memory_budget(100_000)
        assert infomark.memory_budget() == 100_000
        with open(mixed[0], "rb") as file:
            table = judge.table([mixed[0], file.read()])
        assert all("needs 1 MiB of memory" in error for error in table.column("error").to_pylist())
        with pytest.raises(infomark.InfomarkError, match="0 bytes"):
            infomark.set_memory_budget(0)
    finally:
        infomark.set_memory_budget(before)
    table = judge.table(mixed[:1])
    assert table.column("error").null_count == table.num_rows
