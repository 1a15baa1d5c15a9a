"""Files of ``infomark loop``: the same points as the command line."""

import csv
import json
import pickle
import subprocess

import numpy as np
import pytest

import infomark


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_an_ensemble_finds_what_the_loop_proposed(cli, learnt):
    proposed = [row for row in rows(learnt / "set" / "landmarks.csv") if row["image"] == "6.pgm"]
    ensemble = infomark.Ensemble(learnt / "set" / "model.infomark")
    found = ensemble.find(learnt / "images" / "6.pgm")
    assert [row["landmark"] for row in proposed] == found.names == ensemble.landmarks
    assert [row["source"] for row in proposed] == found.members
    # Fusion takes the place of a network that is far from the templates.
    assert all(member in (own, "fusion") for member, own in zip(found.members, ensemble.members))
    expected = np.array([[float(row["x"]), float(row["y"])] for row in proposed])
    assert np.abs(found.points - expected).max() <= 0.0005 + 1e-9
    assert np.abs(found.disagreement_px - [float(row["disagreement_px"]) for row in proposed]).max() <= 0.005 + 1e-9
    # Five images promise no coverage of 90 %.
    assert ensemble.coverage is None and np.isnan(found.error_bound_px).all()
    # The same by `match` with the file alone.
    command = [cli, "match", "--model", learnt / "set" / "model.infomark", learnt / "images" / "6.pgm", "--out", learnt / "found"]
    subprocess.run(command, check=True, capture_output=True)
    matched = rows(learnt / "found" / "landmarks.csv")
    assert [(row["landmark"], row["x"], row["y"]) for row in matched] == [(row["landmark"], row["x"], row["y"]) for row in proposed]
    refused = subprocess.run([*command, "--template", learnt / "images" / "0.pgm"], capture_output=True, text=True)
    assert refused.returncode != 0 and "--template" in refused.stderr


def test_an_ensemble_is_pickled_and_gives_tables(learnt):
    pytest.importorskip("pyarrow")
    ensemble = infomark.Ensemble(learnt / "set" / "model.infomark")
    image = learnt / "images" / "5.pgm"
    found = ensemble.find(image, spacing=(0.5, 0.5))
    again = pickle.loads(pickle.dumps(ensemble)).find(image, spacing=(0.5, 0.5))
    assert np.array_equal(found.points, again.points)
    table = ensemble.table([image], spacing=(0.5, 0.5)).to_pydict()
    assert table["landmark"] == found.names and np.abs(np.array(table["x"]) - found.points[:, 0]).max() <= 0.0005 + 1e-9
    assert set(table["abstain"]) == {found.abstain} and set(table["recognised"]) == {found.recognition.recognised}
    assert ensemble.provenance["members"] == ensemble.members


def test_other_files_are_refused(learnt):
    with pytest.raises(infomark.InfomarkError, match="not a file of infomark models"):
        infomark.Ensemble(learnt / "corrected.csv")
    cut = (learnt / "set" / "model.infomark").read_bytes()[:-3_000_000]
    with pytest.raises(infomark.InfomarkError, match="damaged at"):
        infomark.Ensemble.from_bytes(cut)


def test_the_loop_goes_on_and_says_what_to_correct_next(cli, learnt):
    told = json.loads((learnt / "set" / "loop.json").read_text())
    assert told["corrected"] == 5 and told["proposed"] == 2 and told["failed"] == []
    assert told["next"] == rows(learnt / "set" / "next.csv")[0]["image"]
    assert [row["corrected_images"] for row in rows(learnt / "set" / "rounds.csv")] == ["5"]
    assert (learnt / "set" / "rounds.png").stat().st_size > 5000
    # The same again changes nothing; what it proposed may be corrected and come back.
    command = [cli, "loop", learnt / "images", "--model", "ceph", "--out", learnt / "set", "--network-steps", "2", "--folds", "2", "--landmarks"]
    before = (learnt / "set" / "model.infomark").read_bytes()
    subprocess.run([*command, learnt / "corrected.csv"], check=True, capture_output=True)
    assert (learnt / "set" / "model.infomark").read_bytes() == before
    assert len(rows(learnt / "set" / "rounds.csv")) == 1
    over = subprocess.run([*command, learnt / "set" / "landmarks.csv"], capture_output=True, text=True)
    assert over.returncode == 1 and "landmarks.csv" in over.stderr
