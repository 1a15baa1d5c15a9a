"""Trainings: the same bits as the command line, and how they stop."""

import _thread
import hashlib
import json
import subprocess

import pytest
from conftest import SMALL

import infomark


def toml(options):
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())


def test_an_encoder_has_the_bits_of_the_command_line(cli, folder, tmp_path):
    (tmp_path / "options.toml").write_text(toml(SMALL))
    command = [cli, "train", folder / "images", "--out", tmp_path / "cli.onnx", "--steps", "2", "--seed", "3"]
    subprocess.run([*command, "--config", tmp_path / "options.toml"], check=True, capture_output=True)
    events = []
    out = tmp_path / "python.onnx"
    summary = infomark.train(folder / "images", out, steps=2, seed=3, config=SMALL, callback=events.append)
    assert summary.steps == 2 and summary.images == 4 and not summary.stopped
    assert out.read_bytes() == (tmp_path / "cli.onnx").read_bytes()
    assert summary.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 2]
    assert infomark.Encoder(out).description["seed"] == 3


def test_it_stops_and_goes_on(folder, tmp_path):
    whole = infomark.train(folder / "images", tmp_path / "a.onnx", steps=3, config=SMALL)
    out = tmp_path / "b.onnx"

    def stop(event):
        return event["event"] != "step"

    first = infomark.train(folder / "images", out, steps=3, config=SMALL, callback=stop)
    assert first.stopped and first.steps == 1
    with pytest.raises(infomark.InfomarkError, match="holds a run already"):
        infomark.train(folder / "images", out, steps=3, config=SMALL)
    again = infomark.train(folder / "images", out, resume=True)
    assert again.steps == 3 and again.sha256 == whole.sha256


def test_an_exception_of_the_callback_comes_back(folder, tmp_path):
    class Own(Exception):
        pass

    def fail(event):
        if event["event"] == "step":
            raise Own("mine")

    with pytest.raises(Own, match="mine"):
        infomark.train(folder / "images", tmp_path / "a.onnx", steps=50, config=SMALL, callback=fail)
    assert (tmp_path / "a.run" / "checkpoint.json").exists()


def test_ctrl_c_leaves_a_checkpoint_to_go_on_with(folder, tmp_path):
    def interrupt(event):
        if event["event"] == "step" and event["step"] == 2:
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        infomark.train(folder / "images", tmp_path / "a.onnx", steps=4, config=SMALL, callback=interrupt)
    assert (tmp_path / "a.onnx").exists()
    assert infomark.train(folder / "images", tmp_path / "a.onnx", resume=True).steps == 4


def test_options_are_checked(folder, tmp_path):
    with pytest.raises(infomark.InfomarkError, match="option batch needs"):
        infomark.train(folder / "images", tmp_path / "a.onnx", config={"batch": 0})
    with pytest.raises(infomark.InfomarkError, match="unknown option"):
        infomark.train(folder / "images", tmp_path / "a.onnx", config={"bach": 1})


def test_a_policy_is_that_of_the_command_line(cli, tmp_path):
    from conftest import write_pgm

    images = tmp_path / "images"
    images.mkdir()
    for index in range(4):
        write_pgm(images / f"{index}.pgm", infomark.phantom((480, 384), seed=5, index=index)[0])
    command = [cli, "tune", images, "--model", "ceph", "--out", tmp_path / "policy.toml", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    calls = []
    tuned = infomark.tune(images, infomark.Encoder("ceph"), progress=lambda *call: calls.append(call))
    assert tuned.as_dict == told
    assert max(calls) == (len(calls), len(calls))
    tuned.save(tmp_path / "python.toml")
    assert (tmp_path / "python.toml").read_text() == (tmp_path / "policy.toml").read_text()
    assert tuned.policy.ranges[0][0] == pytest.approx(tuple(told["low"]["brightness"]))
