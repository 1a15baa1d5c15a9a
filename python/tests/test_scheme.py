"""Schemes and measurements, by hand and against the command line."""

import csv
import subprocess

import numpy as np
import pytest

import infomark

POINTS = {"sella": (0, 0), "nasion": (100, 0), "subspinale": (100, 80), "supramentale": (60, 40), "menton": (100, 200)}


def test_measurements_are_those_by_hand():
    ceph = infomark.Scheme("ceph")
    assert len(ceph.names) == 19 and ceph.names[:2] == ["sella", "nasion"]
    assert ceph.landmarks[0].abbreviation == "S" and ceph.landmarks[0].definition
    assert ceph.picture("sella").startswith("<svg") and ceph.picture("sella") != ceph.picture("nasion")
    assert ceph.picture("none") is None
    measured = ceph.measure(POINTS, spacing=(0.5, 0.5), bounds={name: 1.0 for name in POINTS})
    assert list(measured) == [of.name for of in ceph.measurements]
    assert measured["SNA"].value == pytest.approx(90) and measured["SNA"].unit == "deg"
    assert measured["ANB"].value == pytest.approx(45)
    assert measured["AFH"].value == 100 and measured["AFH"].unit == "mm" and measured["AFH"].bound == pytest.approx(1)
    assert measured["PFH"] == infomark.Measurement(None, None, None, "gonion is missing")
    pixels = ceph.measure(POINTS, abstained=["supramentale"])
    assert (pixels["AFH"].value, pixels["AFH"].unit, pixels["AFH"].bound) == (200, "px", None)
    assert pixels["SNB"].reason == "supramentale is abstained from"


def test_landmarks_of_a_file_are_measured_as_the_command_line_does(tmp_path, cli):
    names = list(POINTS)
    marks = infomark.Landmarks(names, np.array([POINTS[name] for name in names], dtype=np.float64), absent=["gonion"])
    infomark.write_landmarks(tmp_path / "points.csv", {"1.png": marks})
    command = [cli, "measure", "points.csv", "--scheme", "ceph", "--spacing", "0.2", "0.3", "--out", "measurements.csv"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    measured = infomark.Scheme("ceph").measure(infomark.read_landmarks(tmp_path / "points.csv")["1.png"], (0.2, 0.3))
    rows = list(csv.DictReader((tmp_path / "measurements.csv").open()))
    assert [row["measurement"] for row in rows] == list(measured)
    for row in rows:
        own = measured[row["measurement"]]
        assert row["reason"] == (own.reason or "") and row["unit"] == (own.unit or "")
        assert own.value is None or float(row["value"]) == pytest.approx(own.value, abs=0.006)
    assert measured["PFH"].reason == "gonion is absent"


def test_what_is_wrong_is_told():
    with pytest.raises(infomark.InfomarkError, match="neither a file nor a scheme"):
        infomark.Scheme("no such scheme")
    with pytest.raises(infomark.InfomarkError, match="line 3"):
        infomark.Scheme.parse('title = "t"\nanatomy = "a"\nlandmarks = []\n', "t.toml")
    ceph = infomark.Scheme("ceph")
    with pytest.raises(infomark.InfomarkError, match="bounds"):
        ceph.measure(POINTS, bounds=[1.0])
    with pytest.raises(infomark.InfomarkError, match="spacing"):
        ceph.measure(POINTS, spacing=(0, 1))
    with pytest.raises((TypeError, ValueError)):
        ceph.measure({"sella": (1, 2, 3)})
