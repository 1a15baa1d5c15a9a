"""The pieces of the tutorial, and the examples, run."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

PYTHON = pathlib.Path(__file__).resolve().parents[1]


def test_the_tutorial_runs(tmp_path):
    pieces = re.findall(r"```python\n(.*?)```", (PYTHON / "tutorial.md").read_text(), re.S)
    assert len(pieces) >= 8
    done = subprocess.run([sys.executable, "-c", "\n".join(pieces)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_smallest_program_prints_landmarks(folder):
    command = [sys.executable, PYTHON / "examples" / "find.py", folder / "images" / "0.pgm"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 19 and done.stdout.startswith("sella at ")


def test_torch_trains_an_encoder(folder, tmp_path):
    for package in ("torch", "lightning", "monai", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed: the example that trains in PyTorch is not run")
    command = [sys.executable, PYTHON / "examples" / "torch_encoder.py", folder / "images", tmp_path / "encoder.onnx", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "strides [4, 8, 16], 64 channels" in done.stdout


def test_the_documents_show_the_examples_as_they_are():
    documents = "".join((PYTHON.parent / "docs" / f"{name}.md").read_text() for name in ("encoders", "embedding", "clusters"))
    matching = ("find.py", "ray_match.py", "dask_match.py", "spark_match.py")
    for example in (*matching, "torch_encoder.py", "mpi_train.py", "torch_train.py", "ray_train.py"):
        assert (PYTHON / "examples" / example).read_text().rstrip() in documents, example


def test_torch_loads_views(folder):
    pytest.importorskip("torch", reason="PyTorch is not installed: its example is not run")
    command = [sys.executable, PYTHON / "examples" / "torch_views.py", folder / "images"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "torch.Size([4, 1, 224, 224])" in done.stdout
