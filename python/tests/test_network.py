"""Landmark networks: the same bits as the command line, and how they are used."""

import csv
import json
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL as ENCODER
from test_training import toml

import infomark

SMALL = {"input_area": 12288, "channels": [8] * 5, "hidden": 8, "batch": 2, "elastic_spacing": 40}


@pytest.fixture(scope="module")
def network(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("network") / "net.onnx"
    events = []
    summary = infomark.train_landmarks(folder, out, steps=3, config=SMALL, callback=events.append)
    assert summary.steps == 3 and summary.images == 4 and not summary.stopped
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 2, 3]
    return infomark.LandmarkNetwork(out)


def test_a_network_has_the_bits_of_the_command_line(cli, folder, network, tmp_path):
    (tmp_path / "options.toml").write_text(toml(SMALL))
    command = [cli, "train-landmarks", folder, "--out", tmp_path / "cli.onnx", "--steps", "3", "--config", tmp_path / "options.toml"]
    subprocess.run(command, check=True, capture_output=True)
    assert infomark.LandmarkNetwork(tmp_path / "cli.onnx").sha256 == network.sha256


def test_a_network_finds_its_landmarks_everywhere(folder, network):
    path = folder / "images" / "1.pgm"
    found = network.find(path)
    assert found.names == network.landmarks == network.description["landmarks"]
    assert found.points.shape == (len(found.names), 2) and ((0 <= found.probabilities) & (found.probabilities <= 1)).all()
    assert next(iter(found))[0] == found.names[0]
    assert np.array_equal(pickle.loads(pickle.dumps(network)).find(path).points, found.points)
    every = list(network.find_all(folder / "images", threads=2))
    assert len(every) == 4 and np.array_equal(every[1].found.points, found.points)
    with pytest.raises(infomark.InfomarkError, match="not a landmark network"):
        infomark.LandmarkNetwork.from_bytes(network_bytes(), "encoder")


def network_bytes():
    """A file of another kind."""
    return (Path(__file__).resolve().parents[2] / "models" / "ceph" / "ceph.onnx").read_bytes()


def test_a_network_is_scored_as_by_the_command_line(cli, folder, network):
    command = [cli, "evaluate", "--landmark-model", network.name, "--data", folder, "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    scored = infomark.evaluate(network, None, folder)
    assert round(scored.mre_mm, 4) == told["mre_mm"] and scored.errors_mm.shape[:2] == (1, 4)
    with pytest.raises(infomark.InfomarkError, match="no templates"):
        infomark.evaluate(network, "0.pgm", folder)


def test_a_network_never_takes_the_place_of_its_inputs(folder):
    before = (folder / "landmarks.csv").read_bytes()
    with pytest.raises(infomark.InfomarkError, match="overwrite"):
        infomark.train_landmarks(folder, folder / "landmarks.csv", steps=1, config=SMALL, run=folder / "run")
    assert (folder / "landmarks.csv").read_bytes() == before


def test_self_training_has_the_bits_of_the_command_line(cli, folder, tmp_path):
    images = folder / "images"
    infomark.train(images, tmp_path / "encoder.onnx", steps=10, config=ENCODER)
    doubtless = {"max_cycle_error": 500.0, "outlier": 500.0, "max_disagreement": 500.0}
    (tmp_path / "options.toml").write_text(toml(doubtless) + "[network]\n" + toml(SMALL))
    command = [cli, "self-train", images, "--model", tmp_path / "encoder.onnx", "--template", images / "0.pgm"]
    command += ["--landmarks", folder / "landmarks.csv", "--out", tmp_path / "cli.onnx", "--steps", "6"]
    told = subprocess.run([*command, "--config", tmp_path / "options.toml", "--json"], check=True, capture_output=True, text=True)
    events = []
    data = infomark.DataSet.open(folder)
    given = (images, tmp_path / "encoder.onnx", images / "0.pgm", data.landmarks, data.points[0], tmp_path / "python.onnx")
    summary = infomark.self_train(*given, steps=6, config={**doubtless, "network": SMALL}, callback=events.append)
    assert summary.network.sha256 == json.loads(told.stdout)["sha256"]
    assert summary.rounds == json.loads(told.stdout)["rounds"] and len(summary.rounds) == 2
    labels = [event for event in events if event["event"] == "labels"]
    assert [event["round"] for event in labels] == [0, 1] and labels[1]["labels"] == summary.rounds[1]
    with pytest.raises(infomark.InfomarkError, match="holds a run already"):
        infomark.self_train(*given, steps=6)
    again = infomark.self_train(*given, resume=True)
    assert again.network.sha256 == summary.network.sha256
    with pytest.raises(infomark.InfomarkError, match="names"):
        infomark.self_train(*given[:3], ["a"], data.points[0], tmp_path / "c.onnx")
    # One template in a list is one template; two say more than one.
    listed = (*given[:2], [given[2]], data.landmarks, data.points[:1], tmp_path / "listed.onnx")
    same = infomark.self_train(*listed, steps=6, config={**doubtless, "network": SMALL})
    assert same.network.sha256 == summary.network.sha256
    two = (*given[:2], [images / "0.pgm", images / "1.pgm"], data.landmarks, data.points[:2], tmp_path / "two.onnx")
    both = infomark.self_train(*two, steps=6, config={**doubtless, "network": SMALL})
    assert both.network.sha256 != summary.network.sha256
    with pytest.raises(infomark.InfomarkError, match="points of 1 images for 2 templates"):
        infomark.self_train(*two[:4], data.points[:1], tmp_path / "d.onnx")


def test_curves_are_those_of_the_command_line(cli, folder, tmp_path):
    encoder = infomark.Encoder("ceph")
    command = [cli, "psi", folder / "images", "--model", "ceph", "--out", tmp_path, "--views", "4", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    del told["files"]
    calls = []
    measured = infomark.psi(folder / "images", encoder, views=4, progress=lambda *call: calls.append(call))
    assert measured.as_dict == told and calls
    assert measured.curve.shape == (44, 5) and measured.curve[:, 2].sum() > 0
    medium, high = measured.thresholds
    assert 0 < medium < high


def test_a_networks_table_is_that_of_the_command_line(cli, folder, network, mixed, tmp_path):
    command = [cli, "match", "--landmark-model", network.name, *mixed, "--out", tmp_path]
    subprocess.run(command, capture_output=True)
    with open(tmp_path / "landmarks.csv") as file:
        rows = {(row["image"], row["landmark"]): row for row in csv.DictReader(file)}
    again = pickle.loads(pickle.dumps(network))
    assert again.to_bytes() == Path(network.name).read_bytes() and again.sha256 == network.sha256
    table = again.table(mixed)
    found = [row for row in table.to_pylist() if row["error"] is None]
    assert len(found) == len(rows) == 3 * len(network.landmarks) and table.num_rows == len(rows) + 4
    for row in found:
        told = rows[Path(row["image"]).name, row["landmark"]]
        for key in ("x", "y", "score", "x_mm", "y_mm"):
            assert row[key] == (float(told[key]) if told[key] else None), key
        assert row["recognised"] is row["abstain"] is row["error_bound_px"] is None and row["width"] == 160
    assert json.loads(table.schema.metadata[b"infomark"])["network_sha256"] == network.sha256
