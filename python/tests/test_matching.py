"""Files, matches and evaluations, against the command line."""

import csv
import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import infomark


@pytest.fixture(scope="session")
def encoder():
    return infomark.Encoder("ceph")


@pytest.fixture(scope="session")
def template(encoder, folder):
    data = infomark.DataSet.open(folder)
    return infomark.Template(encoder, data.images[0], data.landmarks, data.points[0])


def test_landmark_files_come_back(tmp_path, folder):
    marks = infomark.read_landmarks(folder / "landmarks.csv")
    assert len(marks) == 4
    one = {"0.pgm": marks["0.pgm"]}
    for format, name in [("coco", "a.json"), ("labelme", "b.json"), ("slicer", "c.mrk.json"), ("isbi", "d.txt")]:
        path = tmp_path / name
        infomark.write_landmarks(path, one, format=format, shapes={"0.pgm": (192, 160)}, spacing=(0.5, 0.6))
        back = infomark.read_landmarks(path, image="0.pgm", spacing=(0.5, 0.6), names=one["0.pgm"].names)["0.pgm"]
        assert back.names == one["0.pgm"].names
        assert np.allclose(back.points, one["0.pgm"].points, atol=1e-9), format
    path = tmp_path / "f.mrk.json"
    infomark.write_landmarks(path, one, format="slicer", image=folder / "images" / "0.pgm")
    back = infomark.read_landmarks(path, image=folder / "images" / "0.pgm")["0.pgm"]
    assert np.array_equal(back.points, one["0.pgm"].points)
    for image in [None, "0.pgm"]:
        with pytest.raises(infomark.InfomarkError, match="image"):
            infomark.read_landmarks(path, image=image)
    with pytest.raises(infomark.InfomarkError, match="give the image's file"):
        infomark.write_landmarks(path, one, format="slicer")
    with pytest.raises(infomark.InfomarkError, match="shapes"):
        infomark.write_landmarks(tmp_path / "e.json", one, format="coco")
    with pytest.raises(infomark.InfomarkError, match="nowhere.csv: no such file"):
        infomark.read_landmarks("nowhere.csv")


def test_a_path_and_its_array_give_the_same(encoder, template, folder):
    path = folder / "images" / "1.pgm"
    levels = np.round(infomark.read_image(path) * 255).astype(np.uint8)
    found, same = infomark.match(encoder, template, path), infomark.match(encoder, template, levels)
    assert np.array_equal(found.points, same.points) and np.array_equal(found.scores, same.scores)
    assert found.points.shape == (len(found.names), 2) and found.points.dtype == np.float64
    own = infomark.match(encoder, template, folder / "images" / "0.pgm")
    assert np.abs(own.points - template.landmarks.points).max() < 2
    features = encoder.encode(path)
    assert sorted(features) == encoder.description["strides"]
    assert np.allclose(np.linalg.norm(features[8], axis=0), 1, atol=1e-3)


def test_matches_are_those_of_the_command_line(cli, encoder, template, folder, tmp_path):
    command = [cli, "match", "--model", "ceph", "--template", folder / "images" / "0.pgm"]
    command += ["--landmarks", folder / "landmarks.csv", folder / "images", "--out", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    with open(tmp_path / "landmarks.csv") as file:
        rows = {(row["image"], row["landmark"]): row for row in csv.DictReader(file)}
    matches = infomark.match_folder(encoder, template, folder / "images")
    assert len(matches) == 4
    seen = 0
    for one in matches:
        for name, x, y, score in one.found:
            row = rows[one.path.rsplit("/", 1)[-1], name]
            assert (round(x, 3), round(y, 3), round(score, 4)) == tuple(float(row[key]) for key in ("x", "y", "score"))
            seen += 1
    assert matches.done == 4 and seen == len(rows)


def test_evaluations_are_those_of_the_command_line(cli, encoder, folder):
    command = [cli, "evaluate", "--model", "ceph", "--data", folder, "--template", "2.pgm", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    calls = []
    scored = infomark.evaluate(encoder, "2.pgm", folder, progress=lambda done, total: calls.append((done, total)))
    # One template and four images.
    assert calls == [(done, 5) for done in range(1, 6)]
    assert round(scored.mre_mm, 4) == told["mre_mm"]
    assert [round(end, 4) for end in scored.mre_mm_interval] == told["mre_mm_interval"]
    for radius, share in scored.sdr.items():
        assert round(share, 4) == told["sdr"][f"{radius:g}"]
        assert [round(end, 4) for end in scored.sdr_intervals[radius]] == told["sdr_intervals"][f"{radius:g}"]
    assert scored.summary == "template 2.pgm" and scored.templates == ["2.pgm"]
    assert scored.errors_mm.shape == (1, 4, len(scored.landmarks)) and scored.found.shape == (1, 4, len(scored.landmarks), 2)
    assert np.isnan(scored.errors_mm[0, scored.images.index("2.pgm")]).all()
    assert np.isfinite(scored.errors_mm).sum() == 3 * len(scored.landmarks)
    # A template made by hand gives the same.
    data = infomark.DataSet.open(folder)
    made = infomark.Template(encoder, data.images[2], data.landmarks, data.points[2])
    others = infomark.evaluate(encoder, made, data, template_data=folder)
    assert np.array_equal(others.errors_mm[0, :2], scored.errors_mm[0, :2])


def test_medians_over_templates_are_those_of_the_command_line(cli, encoder, folder):
    def told(*options):
        command = [cli, "evaluate", "--model", "ceph", "--data", folder, "--json", *options]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    own = {"prior": False, "neighbours": False}
    for options, call in [
        (["--no-prior", "--no-neighbours"], {"templates": None, **own}),
        (["--random-templates", "3", "--templates", "2", "--seed", "5"], {"templates": 3, "together": 2, "seed": 5}),
    ]:
        expected, scored = told(*options), infomark.evaluate(encoder, data=folder, **call)
        assert scored.summary == expected["summary"]
        assert scored.templates == [template["template"] for template in expected["templates"]]
        assert round(scored.mre_mm, 3) == round(expected["mre_mm"], 3)
        assert np.allclose(scored.mre_mm_interval, expected["mre_mm_interval"], atol=1e-4)
        assert np.allclose(scored.sdr[2.0], expected["sdr"]["2"], atol=1e-4)
        for figures, template in zip(scored.by_template, expected["templates"]):
            assert round(figures.mre_mm, 4) == template["mre_mm"] and figures.sdr_intervals is not None
        for figures, landmark in zip(scored.by_landmark, expected["landmarks"]):
            assert figures.name == landmark["landmark"] and abs(figures.mre_mm - landmark["mre_mm"]) < 2e-4
    each = infomark.evaluate(encoder, [["0.pgm"], ["1.pgm"], "2.pgm", ["3.pgm"]], folder, prior=False, neighbours=False)
    assert each.templates == ["0.pgm", "1.pgm", "2.pgm", "3.pgm"] and each.summary == "median over 4 templates"


def test_what_can_not_be_evaluated_is_refused(encoder, folder):
    for templates, words in [(0, "at least one"), (9, "4 images"), ([], "no template"), ([[]], "no template"), ("x", "no such image")]:
        with pytest.raises(infomark.InfomarkError, match=words):
            infomark.evaluate(encoder, templates, folder)
    with pytest.raises(infomark.InfomarkError, match="together"):
        infomark.evaluate(encoder, 2, folder, together=5)
    with pytest.raises(infomark.InfomarkError, match="radius"):
        infomark.evaluate(encoder, "0.pgm", folder, radii=[-1])
    with pytest.raises(TypeError, match="neighbors"):
        infomark.evaluate(encoder, "0.pgm", folder, neighbors=True)

    def fail(done, total):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        infomark.evaluate(encoder, None, folder, progress=fail)


def test_images_to_annotate_are_those_of_the_command_line(cli, encoder, folder):
    command = [cli, "select", folder / "images", "--model", "ceph", "--count", "2", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    calls = []
    selection = infomark.select(encoder, folder / "images", 2, progress=lambda *call: calls.append(call))
    name = lambda path: path.rsplit("/", 1)[-1]
    assert [name(path) for path in selection.chosen] == told["chosen"]
    assert [name(path) for path in selection.ranking] == [row["image"] for row in told["ranking"]]
    assert [round(selection.scores[path], 4) for path in selection.ranking] == [row["score"] for row in told["ranking"]]
    assert len(selection.against) == 4 and calls[-1] == (8, 8)
    with pytest.raises(infomark.InfomarkError, match="count 9"):
        infomark.select(encoder, folder / "images", 9)
    for against in [0, 1]:
        with pytest.raises(infomark.InfomarkError, match=f"against {against}: .* at least two"):
            infomark.select(encoder, folder / "images", against=against)


def test_maps_are_those_of_the_command_line(cli, folder, tmp_path):
    path = folder / "images" / "0.pgm"
    done = subprocess.run([cli, "map", path, "--out", tmp_path, "--json"], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    entropy = infomark.entropy_map(infomark.read_image(path))
    assert round(float(entropy.mean()), 4) == told["entropy_nats"]["mean"]
    medium, high = infomark.tier_thresholds(entropy)
    assert told["thresholds_nats"] == {"medium": round(medium, 4), "high": round(high, 4)}
    share = (infomark.tiers(entropy) == 2).mean()
    assert round(float(share), 4) == told["tier_shares"]["high"]


def test_errors_have_the_words_of_the_command_line(cli, tmp_path):
    missing = tmp_path / "no.onnx"
    done = subprocess.run([cli, "evaluate", "--model", missing, "--data", tmp_path], capture_output=True, text=True)
    with pytest.raises(infomark.InfomarkError) as raised:
        infomark.Encoder(missing)
    assert done.stderr.strip() == f"error: {raised.value}"


def test_a_broken_image_is_told_and_the_others_go_on(encoder, template, folder, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    good = folder / "images" / "1.pgm"
    first, second = infomark.match_folder(encoder, template, [broken, good], threads=1)
    assert first.found is None and "broken.png" in first.error
    assert second.error is None and second.found is not None


def test_models_are_pickled(encoder, template, tmp_path):
    for sigma in [float("nan"), 0.5]:
        with pytest.raises(infomark.InfomarkError, match="prior_sigma"):
            infomark.Matcher(encoder, template, prior_sigma=sigma)
    judge = infomark.Judge(infomark.Matcher(encoder, template), abstain_below_score=0.5)
    path = tmp_path / "0.pgm"
    path.write_bytes(b"P5\n64 64\n255\n" + bytes(range(256)) * 16)
    assert np.array_equal(pickle.loads(pickle.dumps(judge)).find(path).abstain, judge.find(path).abstain)
    matcher = infomark.Matcher(encoder, template, prior=False)
    again = pickle.loads(pickle.dumps(matcher))
    assert again.encoder.sha256 == encoder.sha256 and again.landmarks == matcher.landmarks
    template.save(tmp_path / "a.template")
    assert infomark.Template.load(tmp_path / "a.template").to_bytes() == template.to_bytes()


def child(matcher, path, queue):
    queue.put(matcher.find(path).points)
    queue.put([one.found.points for one in matcher.find_all([path], threads=2)][0])


def test_a_forked_process_finds_the_same(encoder, template, folder):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    matcher, path = infomark.Matcher(encoder, template), str(folder / "images" / "3.pgm")
    here = [one.found.points for one in matcher.find_all([path], threads=2)][0]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(matcher, path, queue))
    process.start()
    assert np.array_equal(queue.get(timeout=120), here)
    assert np.array_equal(queue.get(timeout=120), here)
    process.join(60)


def test_ctrl_c_stops_a_folder(folder):
    program = f"""
import _thread, signal, threading, infomark
signal.signal(signal.SIGINT, signal.default_int_handler)
data = infomark.DataSet.open({str(folder)!r})
encoder = infomark.Encoder("ceph")
template = infomark.Template(encoder, data.images[0], data.landmarks, data.points[0])
threading.Timer(0.5, _thread.interrupt_main).start()
try:
    for one in infomark.match_folder(encoder, template, data.images * 200, threads=1):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "interrupted", done.stderr


def test_words_are_taken_as_files_of_16_bits_are(tmp_path):
    words = np.random.default_rng(4).integers(300, 5000, (48, 40), dtype=np.uint16)
    (tmp_path / "a.pgm").write_bytes(b"P5\n40 48\n65535\n" + words.astype(">u2").tobytes())
    file = infomark.read_image(tmp_path / "a.pgm")
    assert np.array_equal(infomark.entropy_map(words), infomark.entropy_map(file))
    assert np.array_equal(infomark.lay_on(words, (64, 64)), infomark.lay_on(file, (64, 64)))


def copied(folder, to, rows):
    """A data folder with other rows of landmarks."""
    shutil.copytree(folder, to)
    (to / "landmarks.csv").write_text("image,landmark,x,y\n" + "".join(",".join(row) + "\n" for row in rows))
    return to


def test_points_that_are_missing_are_nan(tmp_path, encoder, folder):
    with open(folder / "landmarks.csv", newline="") as file:
        rows = [[row["image"], row["landmark"], row["x"], row["y"]] for row in csv.DictReader(file)]
    whole = infomark.DataSet.open(folder)
    first, second = whole.landmarks[:2]
    gone = [("0.pgm", first), ("1.pgm", second)]
    with pytest.warns(UserWarning, match="points missing: 2 of"):
        data = infomark.DataSet.open(copied(folder, tmp_path / "data", [row for row in rows if (row[0], row[1]) not in gone]))
    assert np.isnan(data.points[0, 0]).all() and np.isnan(data.points[1, 1]).all()
    assert np.isnan(data.points).sum() == 4
    known = data.landmarks_of("0.pgm")
    assert known.names == whole.landmarks[1:] and np.array_equal(known.points, whole.points[0, 1:])
    scored = infomark.evaluate(encoder, "2.pgm", data)
    before = infomark.evaluate(encoder, "2.pgm", whole)
    assert (scored.missing, before.missing) == (2, 0)
    there = ~np.isnan(scored.errors_mm)
    assert there.sum() == 3 * len(whole.landmarks) - 2
    assert np.array_equal(scored.errors_mm[there], before.errors_mm[there])
    assert scored.mre_mm == pytest.approx(scored.errors_mm[there].mean())
    without = data.points.copy()
    without[:, 0] = np.nan
    with pytest.raises(infomark.InfomarkError, match=first):
        infomark.evaluate(encoder, "2.pgm", infomark.DataSet(data.name, data.spacing, data.landmarks, data.images, without))


def test_a_second_annotator_is_compared_beside_the_program(tmp_path, cli, encoder, folder):
    data = infomark.DataSet.open(folder)
    marks = {
        image.rsplit("/", 1)[-1]: infomark.Landmarks(data.landmarks, points + [2.0, 0.0])
        for image, points in zip(data.images, data.points)
    }
    path = tmp_path / "junior.csv"
    infomark.write_landmarks(path, marks)
    scored = infomark.evaluate(encoder, "2.pgm", data, second_annotator=marks).second_annotator
    assert scored.annotator.points == scored.program.points == 3 * len(data.landmarks) and scored.not_placed == 0
    assert scored.annotator.mean_mm == pytest.approx(2 * data.spacing[0])
    assert scored.annotator.offset_mm == pytest.approx((2 * data.spacing[0], 0.0))
    told = infomark.evaluate(encoder, "2.pgm", data, second_annotator=path).second_annotator
    assert told.name == "junior.csv" and told.program_by_landmark == scored.program_by_landmark
    command = [cli, "evaluate", "--model", "ceph", "--data", folder, "--template", "2.pgm", "--second-annotator", path, "--json"]
    object = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["second_annotator"]
    for own, expected in zip(told.program_by_landmark, object["program"]["landmarks"]):
        assert own.name == expected["landmark"] and round(own.mean_mm, 4) == expected["mean_radial_error"]
        assert [round(share, 4) for share in own.sdr.values()] == list(expected["within"].values())
