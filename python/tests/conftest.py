"""A folder of made-up radiographs, and the command line where it was built."""

import os
import pathlib
import shutil
import signal
import sys

import numpy as np
import pytest

import infomark

# Programs that are started in the background may begin with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = {"input_area": 96 * 128, "view_size": 64, "pixels": 8, "batch": 2, "widths": [8, 8, 8, 8, 8], "embedding": 8}


def write_pgm(path, image):
    path.write_bytes(b"P5\n%d %d\n255\n" % image.shape[::-1] + image.tobytes())


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A data folder of four images."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    marks = {}
    for index in range(4):
        image, marks[f"{index}.pgm"] = infomark.phantom((192, 160), seed=1, index=index)
        write_pgm(folder / "images" / f"{index}.pgm", image)
    infomark.write_landmarks(folder / "landmarks.csv", marks)
    names = ", ".join(f'"{name}"' for name in marks["0.pgm"].names)
    (folder / "dataset.toml").write_text(f'name = "phantoms"\nspacing_mm = [0.5, 0.6]\nlandmarks = [{names}]\n')
    return folder


@pytest.fixture(scope="session")
def cli():
    """The command line, from INFOMARK_CLI or the workspace's build."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for path in (os.environ.get("INFOMARK_CLI"), target / "debug" / "infomark", target / "release" / "infomark"):
        if path and shutil.which(path):
            return str(path)
    pytest.skip("the command line is not built: cargo build, or name it in INFOMARK_CLI")


@pytest.fixture(scope="session")
def c_library():
    """The shared library for C, from INFOMARK_C_LIBRARY or the workspace's build."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    name = "libinfomark_c.dylib" if sys.platform == "darwin" else "libinfomark_c.so"
    for path in (os.environ.get("INFOMARK_C_LIBRARY"), target / "debug" / name, target / "release" / name):
        if path and os.path.isfile(path):
            return str(path)
    pytest.skip("the library for C is not built: cargo build --workspace, or name it in INFOMARK_C_LIBRARY")


@pytest.fixture(scope="session")
def image():
    return infomark.phantom((128, 96), seed=2)[0]


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
