"""One image, one template: the same from the command line, from Python and from C."""

import ctypes
import json
import subprocess
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_size_t, c_uint32, c_void_p

import numpy as np
import pytest

import infomark
from conftest import ROOT, write_pgm

SPACING = (0.5, 0.6)
COVERAGE = 0.5
ABSTAIN_BELOW = 0.6


class Point(Structure):
    _fields_ = [("x", c_double), ("y", c_double)]


class Landmark(Structure):
    _fields_ = [("name", c_char_p), ("at", Point)]


class Plane(Structure):
    _fields_ = [("data", c_void_p), ("width", c_size_t), ("height", c_size_t), ("stride_bytes", c_size_t), ("pixel", c_uint32)]


class ImageOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("black", c_double), ("white", c_double)]
    _fields_ += [("spacing_x_mm", c_double), ("spacing_y_mm", c_double)]


class JudgeOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("calibration", c_char_p), ("coverage", c_double), ("abstain_above_mm", c_double)]
    _fields_ += [("abstain_below_score", c_double), ("has_abstain_below_score", c_uint32), ("fix_orientation", c_uint32)]


class Found(Structure):
    _fields_ = [("at", Point)] + [(name, c_double) for name in ("score", "margin", "cycle_error", "prior", "scale")]


class Judged(Structure):
    _fields_ = [("found", Found), ("error_bound_px", c_double), ("error_bound_mm", c_double), ("abstain", c_uint32)]


class EnsembleLandmark(Structure):
    _fields_ = [("at", Point)] + [(name, c_double) for name in ("score", "disagreement_px", "error_bound_px", "error_bound_mm")]
    _fields_ += [("member", c_uint32), ("abstain", c_uint32)]


class Recognition(Structure):
    _fields_ = [("inlier_fraction", c_double), ("recognised", c_uint32), ("mirrored", c_uint32), ("quarter_turns", c_uint32)]


class Judgement(Structure):
    _fields_ = [("recognition", Recognition), ("reoriented", c_uint32)]


class Library:
    """Enough of infomark.h to judge an image."""

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.c.infomark_last_error.restype = c_char_p

    def call(self, function, *arguments):
        status = getattr(self.c, function)(*arguments)
        assert status == 0, self.c.infomark_last_error().decode()

    def opened(self, function, *arguments):
        handle = c_void_p()
        self.call(function, *arguments, byref(handle))
        return handle

    def image(self, pixels):
        pixels = np.ascontiguousarray(pixels)
        plane = Plane(pixels.ctypes.data, pixels.shape[1], pixels.shape[0], pixels.shape[1], 1)
        options = ImageOptions(ctypes.sizeof(ImageOptions), b"image", 0, 0, *SPACING)
        return self.opened("infomark_image_from_plane", byref(plane), byref(options))

    def judged(self, template_pixels, marks, pixels, calibration, fix):
        """What is said of an image: inlier_fraction, recognised, mirrored, quarter turns and reoriented; and of each landmark."""
        encoder = self.opened("infomark_encoder_load", str(ROOT / "models" / "ceph" / "ceph.onnx").encode())
        named = [Landmark(name.encode(), Point(x, y)) for name, (x, y) in zip(marks.names, marks.points.tolist())]
        landmarks = (Landmark * len(named))(*named)
        template = self.opened("infomark_template_new", encoder, self.image(template_pixels), landmarks, c_size_t(len(named)))
        matcher = self.opened("infomark_matcher_new", encoder, byref(template), c_size_t(1), None)
        options = JudgeOptions(ctypes.sizeof(JudgeOptions), str(calibration).encode(), COVERAGE, 0, ABSTAIN_BELOW, 1, fix)
        judge = self.opened("infomark_judge_new", matcher, byref(options))
        found, judgement = (Judged * len(named))(), Judgement()
        self.call("infomark_judge_find", judge, self.image(pixels), None, byref(judgement), found, c_size_t(len(named)), None)
        of_image = judgement.recognition
        whole = (of_image.inlier_fraction, of_image.recognised, of_image.mirrored, of_image.quarter_turns, judgement.reoriented)
        return whole, [
            (one.found.at.x, one.found.at.y, one.found.score, one.error_bound_px, one.error_bound_mm, one.abstain) for one in found
        ]


    def ensemble(self, path, pixels):
        """Names of what a file of `infomark loop` finds in an image, what is found of them, and whether the image is recognised."""
        ensemble, count, name = self.opened("infomark_ensemble_load", str(path).encode(), None), c_size_t(), c_char_p()
        self.call("infomark_ensemble_count", ensemble, byref(count))
        names = []
        for index in range(count.value):
            self.call("infomark_ensemble_name", ensemble, c_size_t(index), byref(name))
            names.append(name.value.decode())
        found, judgement, coverage = (EnsembleLandmark * count.value)(), Judgement(), c_double()
        self.call("infomark_ensemble_find", ensemble, self.image(pixels), None, byref(judgement), found, count, None)
        self.call("infomark_ensemble_coverage", ensemble, byref(coverage))
        members = ("", "templates", "network", "fusion")
        rows = [(one.at.x, one.at.y, one.score, one.disagreement_px, members[one.member], one.abstain) for one in found]
        bounds = [bound for one in found for bound in (one.error_bound_px, one.error_bound_mm)]
        assert np.isnan(coverage.value) == np.isnan(bounds).all()
        return names, rows, bounds, judgement.recognition.recognised


def from_python(judged):
    of_image, found = judged.recognition, judged.found
    whole = (of_image.inlier_fraction, of_image.recognised, of_image.mirrored, of_image.quarter_turns, judged.reoriented)
    columns = (found.scores, judged.error_bound_px, judged.error_bound_mm, judged.abstain)
    return whole, [(x, y, *rest) for (x, y), *rest in zip(found.points.tolist(), *(column.tolist() for column in columns))]


def rounded(whole, rows):
    """As the command line writes it."""
    half_up = lambda value, digits: np.copysign(np.floor(abs(value) * 10**digits + 0.5) / 10**digits, value)
    digits = (3, 3, 4, 2, 2, 0)
    return half_up(whole[0], 3), [tuple(half_up(value, places) for value, places in zip(row, digits)) for row in rows]


ORIENTATIONS = {(0, 0): "as the template", (0, 1): "turned by 90 degrees clockwise"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The template's image, its quarter turn clockwise, and noise, as files."""
    folder = tmp_path_factory.mktemp("images")
    own, marks = infomark.phantom((192, 160), seed=1, index=0)
    noise = np.random.default_rng(1).integers(0, 256, (192, 160), dtype=np.uint8)
    pixels = {"own": own, "turned": np.ascontiguousarray(np.rot90(own, -1)), "noise": noise}
    for name, image in pixels.items():
        write_pgm(folder / f"{name}.pgm", image)
    return folder, pixels, marks


@pytest.fixture(scope="module")
def calibration(cli, folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("calibration") / "calibration.json"
    command = [cli, "calibrate", folder, "--model", "ceph", "--template", folder / "images" / "0.pgm"]
    command += ["--landmarks", folder / "landmarks.csv", "--out", path]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.mark.parametrize("fix", [False, True])
@pytest.mark.parametrize("name", ["own", "turned", "noise"])
def test_an_image_is_judged_alike(cli, c_library, folder, images, calibration, tmp_path, name, fix):
    at, pixels, marks = images
    command = [cli, "match", "--model", "ceph", "--template", folder / "images" / "0.pgm", "--landmarks", folder / "landmarks.csv"]
    command += ["--calibration", calibration, "--coverage", str(COVERAGE), "--abstain-below", str(ABSTAIN_BELOW)]
    command += ["--spacing", *map(str, SPACING), at / f"{name}.pgm", "--out", tmp_path, "--json"]
    command += ["--fix-orientation"] * fix
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["images"][0]

    template = infomark.Template(infomark.Encoder("ceph"), folder / "images" / "0.pgm", marks.names, marks.points)
    judge = infomark.Judge(
        infomark.Matcher(infomark.Encoder("ceph"), template),
        calibration=calibration,
        coverage=COVERAGE,
        abstain_below_score=ABSTAIN_BELOW,
        fix_orientation=fix,
    )
    assert (judge.coverage, judge.calibrated) == (COVERAGE, True)
    whole, rows = from_python(judge.find(at / f"{name}.pgm", spacing=SPACING))
    (many,) = judge.find_all([at / f"{name}.pgm"], spacing=SPACING)
    assert from_python(many.found) == (whole, rows)

    # C and Python to the bit.
    assert Library(c_library).judged(pixels["own"], marks, pixels[name], calibration, fix) == (whole, rows)

    inlier_fraction, numbers = rounded(whole, rows)
    assert inlier_fraction == pytest.approx(told["recognition"]["inlier_fraction"], abs=1e-9)
    assert (whole[1], whole[4]) == (told["recognition"]["recognised"], told["recognition"]["reoriented"])
    if whole[1]:
        assert ORIENTATIONS[whole[2:4]] == told["recognition"]["orientation"]
    keys = ("x", "y", "score", "error_bound_px", "error_bound_mm", "abstain")
    expected = [tuple(landmark[key] for key in keys) for landmark in told["landmarks"]]
    assert np.allclose(np.array(numbers, float), np.array(expected, float), rtol=0, atol=1e-9)
    assert whole[1] == (name != "noise") and whole[4] == (name == "turned" and fix)
    if name == "noise" or (name == "turned" and not fix):
        assert all(row[-1] for row in rows)
    else:
        assert not all(row[-1] for row in rows)


def test_an_ensemble_finds_alike_from_c(learnt, c_library):
    path, image = learnt / "set" / "model.infomark", learnt / "images" / "6.pgm"
    found = infomark.Ensemble(path).find(image, spacing=SPACING)
    columns = (found.scores, found.disagreement_px)
    expected = [
        (x, y, score, apart, member, found.abstain)
        for (x, y), score, apart, member in zip(found.points.tolist(), *(column.tolist() for column in columns), found.members)
    ]
    names, rows, bounds, recognised = Library(c_library).ensemble(path, infomark.phantom((192, 160), seed=1, index=6)[0])
    assert (names, rows, recognised) == (found.names, expected, found.recognition.recognised)
    # Five images promise no coverage.
    assert np.isnan(bounds).all() and np.isnan(found.error_bound_mm).all()


def test_the_ensemble_of_a_model_finds_alike_from_everywhere(cli, c_library, learnt, tmp_path):
    image = learnt / "images" / "6.pgm"
    command = [cli, "match", "--model", "ceph", "--spacing", *map(str, SPACING), image, "--out", tmp_path / "found", "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["images"][0]
    ensemble = infomark.Ensemble("ceph")
    found = ensemble.find(image, spacing=SPACING)
    assert set(found.members) <= {"fusion", "network"} and set(ensemble.members) == {"fusion", "network"} and len(found.names) == 19
    assert ensemble.coverage == 0.9 and (found.error_bound_mm > 0).all()
    assert [landmark["landmark"] for landmark in told["landmarks"]] == found.names
    points = [[landmark["x"], landmark["y"]] for landmark in told["landmarks"]]
    assert np.abs(np.array(points) - found.points).max() <= 0.0005 + 1e-9
    assert {landmark["abstain"] for landmark in told["landmarks"]} == {found.abstain}
    # C takes it as a file.
    path = tmp_path / "ceph.infomark"
    path.write_bytes(ensemble.to_bytes())
    names, rows, bounds, recognised = Library(c_library).ensemble(path, infomark.phantom((192, 160), seed=1, index=6)[0])
    assert bounds == np.column_stack((found.error_bound_px, found.error_bound_mm)).ravel().tolist()
    assert names == found.names and [row[:2] for row in rows] == [tuple(point) for point in found.points.tolist()]
    assert recognised == found.recognition.recognised
