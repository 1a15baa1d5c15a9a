"""A folder of made-up radiographs, and the command line where it was built."""

import csv
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest

import infomark

# Programs that are started in the background may begin with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = {"input_area": 96 * 128, "view_size": 64, "pixels": 8, "batch": 2, "channels": [8, 8, 8, 8, 8], "embedding": 8}


def write_pgm(path, image):
    path.write_bytes(b"P5\n%d %d\n255\n" % image.shape[::-1] + image.tobytes())


def write_dicom(path, image, frames=1):
    """An uncompressed projection radiograph, or several of them in one file; detector pixels of 0.5 x 0.6 mm."""

    def element(group, number, kind, value):
        value += b"\0" * (len(value) % 2) if kind in (b"UI", b"OW") else b" " * (len(value) % 2)
        length = struct.pack("<HI", 0, len(value)) if kind == b"OW" else struct.pack("<H", len(value))
        return struct.pack("<HH", group, number) + kind + length + value

    words = lambda *values: struct.pack(f"<{len(values)}H", *values)
    projection = b"1.2.840.10008.5.1.4.1.1.1.1"
    meta = element(2, 2, b"UI", projection) + element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1")
    rows, columns = image.shape
    content = [
        element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta,
        element(8, 0x16, b"UI", projection) + element(8, 0x60, b"CS", b"DX"),
        element(0x18, 0x1164, b"DS", b"0.6\\0.5"),
        element(0x28, 2, b"US", words(1)) + element(0x28, 4, b"CS", b"MONOCHROME2"),
        element(0x28, 8, b"IS", b"%d" % frames) if frames > 1 else b"",
        element(0x28, 0x10, b"US", words(rows)) + element(0x28, 0x11, b"US", words(columns)),
        b"".join(element(0x28, 0x100 + place, b"US", words(value)) for place, value in enumerate((16, 16, 15, 0))),
        element(0x7FE0, 0x10, b"OW", image.astype("<u2").tobytes() * frames),
    ]
    path.write_bytes(bytes(128) + b"DICM" + b"".join(content))


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """Files of images that can be matched (8 bits, DICOM of 16 bits, noise) and others that can't: missing, garbage, several frames."""
    folder = tmp_path_factory.mktemp("mixed")
    first, second = (infomark.phantom((192, 160), seed=1, index=index)[0] for index in (1, 2))
    write_pgm(folder / "a.pgm", first)
    write_dicom(folder / "b.dcm", second.astype(np.uint16) * 16 + np.arange(160, dtype=np.uint16))
    (folder / "c.png").write_bytes(b"no image at all")
    write_dicom(folder / "d.dcm", second.astype(np.uint16), frames=3)
    write_pgm(folder / "f.pgm", np.random.default_rng(1).integers(0, 256, (192, 160), dtype=np.uint8))
    (folder / "g.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return [str(folder / name) for name in ("a.pgm", "b.dcm", "c.png", "d.dcm", "e.pgm", "f.pgm", "g.png")]


@pytest.fixture(scope="session")
def judge(folder):
    """A judge with one of the folder's images as the template."""
    data, encoder = infomark.DataSet.open(folder), infomark.Encoder("ceph")
    template = infomark.Template(encoder, data.images[0], data.landmarks, data.points[0])
    return infomark.Judge(infomark.Matcher(encoder, template), abstain_below_score=0.6)


@pytest.fixture(scope="session")
def told(cli, folder, mixed, tmp_path_factory):
    """What the command line says of those files with that judge: rows of a table, in its types."""
    out = tmp_path_factory.mktemp("told")
    command = [cli, "match", "--model", "ceph", "--template", folder / "images" / "0.pgm", "--landmarks", folder / "landmarks.csv"]
    done = subprocess.run([*command, "--abstain-below", "0.6", *mixed, "--out", out], capture_output=True, text=True)
    assert "4 of 7 images failed" in done.stderr
    with open(out / "landmarks.csv") as file:
        rows = list(csv.DictReader(file))
    result = json.loads((out / "landmarks.json").read_text())
    images = {image["image"]: image for image in result["images"]}
    failed = {failure["image"]: failure["error"] for failure in result["failed"]}
    expected = []
    for name in map(os.path.basename, mixed):
        if name in failed:
            expected.append(dict.fromkeys(infomark.table_schema().names) | {"image": name, "error": failed[name]})
            continue
        image = images[name]
        recognition, spacing = image["recognition"], image["spacing"] or {}
        whole = {key: recognition[key] for key in ("recognised", "orientation", "reoriented", "inlier_fraction")}
        whole |= {"width": image["width"], "height": image["height"], "error": None}
        whole |= {"spacing_x_mm": spacing.get("x_mm"), "spacing_y_mm": spacing.get("y_mm")}
        for row in [row for row in rows if row["image"] == name]:
            numbers = {key: float(value) if value else None for key, value in row.items() if key not in ("image", "landmark", "abstain")}
            names = {"image": name, "landmark": row["landmark"], "abstain": row["abstain"] == "true"}
            expected.append({**whole, **numbers, **names})
    return expected


def without_hash(rows):
    """The rows of a table with file names alone, as ``told`` has them: the command line tells no hash."""
    return [{**row, "image": os.path.basename(row["image"]), "sha256": None} for row in rows]


def as_told(told):
    return [{**row, "sha256": None} for row in told]


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
def learnt(cli, tmp_path_factory):
    """The folder of a loop over phantoms, of which five are corrected, and two more images."""
    root = tmp_path_factory.mktemp("loop")
    (root / "images").mkdir()
    marks = {}
    for index in range(7):
        name = f"{index}.pgm"
        image, points = infomark.phantom((192, 160), seed=1, index=index)
        write_pgm(root / "images" / name, image)
        if index < 5:
            marks[name] = points
    infomark.write_landmarks(root / "corrected.csv", marks)
    command = [cli, "loop", root / "images", "--landmarks", root / "corrected.csv", "--model", "ceph", "--out", root / "set"]
    told = subprocess.run([*command, "--network-steps", "2", "--folds", "2"], check=True, capture_output=True, text=True)
    assert "5 corrected images, landmarks proposed for 2 others" in told.stdout
    return root


@pytest.fixture(scope="session")
def image():
    return infomark.phantom((128, 96), seed=2)[0]


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
