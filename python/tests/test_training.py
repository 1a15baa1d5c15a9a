"""Trainings: the same bits as the command line, and how they stop."""

import _thread
import concurrent.futures
import hashlib
import importlib.machinery
import json
import os
import pathlib
import queue
import subprocess
import sys
import types

import numpy as np
import pytest
from conftest import SMALL

import infomark
from infomark.distributed import TorchExchange


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


class Threads:
    """An exchange of threads, by queues from each to each."""

    def __init__(self, rank, queues):
        self.rank, self.size, self.queues = rank, len(queues), queues

    def all_gather(self, data):
        return self.all_to_all([data] * self.size)

    def all_to_all(self, parts):
        for rank, part in enumerate(parts):
            self.queues[self.rank][rank].put(part)
        return [self.queues[rank][self.rank].get(timeout=120) for rank in range(self.size)]


def on_threads(size, work):
    """The results of what each of so many ranks does, or their exceptions."""
    queues = [[queue.Queue() for _ in range(size)] for _ in range(size)]
    with concurrent.futures.ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(work, Threads(rank, queues)) for rank in range(size)]
    return [future.exception() or future.result() for future in futures]


def test_processes_that_train_together_give_the_bits_of_one(folder, tmp_path):
    images = folder / "images"
    plain = infomark.train(images, tmp_path / "plain.onnx", steps=3, config=SMALL, threads=1)
    out = tmp_path / "two.onnx"
    told = []

    def work(exchange):
        note = lambda event: told.append((exchange.rank, event.get("step")))
        return infomark.train(images, out, steps=3, config=SMALL, threads=1, resume="auto", callback=note, exchange=exchange)

    for _ in ("started", "resumed"):
        for summary in on_threads(2, work):
            assert (summary.sha256, summary.steps) == (plain.sha256, 3)
    assert {event for event in told if event[1]} == {(rank, step) for rank in (0, 1) for step in (1, 2, 3)}
    assert hashlib.sha256(out.read_bytes()).hexdigest() == plain.sha256


def test_auto_goes_on_alone_with_the_same_options_only(folder, tmp_path):
    out = tmp_path / "a.onnx"
    train = lambda **options: infomark.train(folder / "images", out, config=SMALL, resume="auto", **options)
    assert train(steps=3, callback=lambda event: event["event"] != "step").steps == 1
    with pytest.raises(infomark.InfomarkError, match="other options .*seed: 0, now 4"):
        train(steps=3, seed=4)
    assert train(steps=3).steps == 3
    with pytest.raises(infomark.InfomarkError, match="no checkpoint here"):
        infomark.train(folder / "images", tmp_path / "b.onnx", resume=True)


def test_what_fails_on_one_rank_is_an_error_on_all(folder, tmp_path):
    def train(exchange, **options):
        out = tmp_path / f"{sorted(options)}.onnx"
        return infomark.train(folder / "images", out, **{"steps": 3, "config": SMALL, "threads": 1, **options}, exchange=exchange)

    by_minutes = on_threads(2, lambda exchange: train(exchange, steps=None, minutes=1))
    assert ["not of minutes" in str(error) for error in by_minutes] == [True, True]
    unknown = on_threads(2, lambda exchange: train(exchange, config={**SMALL, "bach": 1} if exchange.rank == 1 else SMALL))
    assert ["did you mean batch" in str(error) for error in unknown] == [True, True]
    assert str(unknown[0]).startswith("rank 1: ")
    different = on_threads(2, lambda exchange: train(exchange, seed=exchange.rank))
    assert ["differ in option seed: rank 0: 0; rank 1: 1" in str(error) for error in different] == [True, True]
    assert all(isinstance(error, infomark.InfomarkError) for error in (*by_minutes, *unknown, *different))

    class Own(Exception):
        pass

    def fail(event):
        if event.get("step") == 2:
            raise Own

    ends = on_threads(2, lambda exchange: train(exchange, callback=fail if exchange.rank == 1 else None))
    assert isinstance(ends[1], Own) and (ends[0].steps, ends[0].stopped) == (2, True)

    class Broken(Threads):
        def all_gather(self, data):
            raise RuntimeError("the cable is out")

    with pytest.raises(infomark.InfomarkError, match="all_gather: RuntimeError: the cable is out"):
        train(Broken(0, [[queue.Queue()] * 2] * 2))
    with pytest.raises(AttributeError, match="rank"):
        train(object())


def test_torch_is_called_as_it_wants_to_be(monkeypatch):
    """With a stand-in for `torch.distributed` that checks what it is given."""

    class Tensor(np.ndarray):
        def numpy(self):
            return np.asarray(self)

    tensor = lambda values: np.asarray(values).view(Tensor)
    torch, distributed = types.ModuleType("torch"), types.ModuleType("torch.distributed")
    torch.__spec__ = importlib.machinery.ModuleSpec("torch", None)
    torch.distributed, torch.int64, torch.uint8 = distributed, np.int64, np.uint8
    torch.zeros = lambda size, dtype: tensor(np.zeros(size, dtype))
    torch.tensor = lambda values, dtype: tensor(np.array(values, dtype))
    torch.from_numpy = tensor

    def all_gather_object(parts, data, group):
        assert len(parts) == group.size
        parts[:] = group.all_gather(data)

    def all_to_all_single(out, given, received=None, sent=None, group=None):
        sent = sent or [1] * group.size
        ends = np.cumsum(sent)
        assert ends[-1] == len(given) and given.dtype == out.dtype
        arrived = group.all_to_all([given[end - size : end].tobytes() for end, size in zip(ends, sent)])
        assert [len(part) // out.itemsize for part in arrived] == (received or [1] * group.size)
        out[:] = np.frombuffer(b"".join(arrived), out.dtype)

    distributed.all_gather_object, distributed.all_to_all_single = all_gather_object, all_to_all_single
    distributed.get_rank, distributed.get_world_size = lambda group: group.rank, lambda group: group.size
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.distributed", distributed)

    def work(group):
        exchange = TorchExchange(group)
        gathered = exchange.all_gather(bytes(exchange.rank))
        swapped = exchange.all_to_all([b"%d" % exchange.rank * to for to in range(3)])
        return (exchange.rank, exchange.size), gathered, swapped, exchange.all_to_all([b""] * 3)

    for rank, result in enumerate(on_threads(3, work)):
        gathered = [bytes(0), bytes(1), bytes(2)]
        assert result == ((rank, 3), gathered, [b"0" * rank, b"1" * rank, b"2" * rank], [b""] * 3)


def test_torch_trains_the_bits_of_one_process(folder, tmp_path):
    pytest.importorskip("torch.distributed", reason="PyTorch is not installed: its processes do not train")
    plain = infomark.train(folder / "images", tmp_path / "plain.onnx", steps=3, config=SMALL, threads=1)
    (tmp_path / "options.json").write_text(json.dumps(SMALL))
    example = pathlib.Path(__file__).resolve().parents[1] / "examples" / "torch_train.py"
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", example]
    command = [*program, folder / "images", tmp_path / "two.onnx", "3", tmp_path / "options.json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"3 steps, SHA-256 {plain.sha256}"
