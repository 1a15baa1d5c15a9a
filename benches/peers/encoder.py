"""infomark's encoder and loss in PyTorch: what `step`, `gradients` and `reach` compare with."""

import torch
from torch import nn
from torch.nn import functional

STRIDES = (2, 4, 8, 16, 32)
# Strides from which every cell of the map is a negative; finer ones use a window.
WHOLE_MAP_FROM = 16


class Layer(nn.Module):
    """3 x 3 convolution, group normalisation, ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(8, outputs)

    def forward(self, x):
        return functional.relu(self.norm(self.conv(x)), inplace=True)


class Encoder(nn.Module):
    """The U-Net of train/src/encoder.rs: embeddings of length one at all strides, finest first."""

    def __init__(self, widths=(16, 32, 64, 96, 128), embedding=32):
        super().__init__()
        inputs = (4, *widths)
        pair = lambda i, o: nn.Sequential(Layer(i, o), Layer(o, o))
        self.down = nn.ModuleList(pair(i, o) for i, o in zip(inputs, widths))
        self.up = nn.ModuleList(pair(fine + coarse, fine) for fine, coarse in zip(widths, widths[1:]))
        self.heads = nn.ModuleList(nn.Conv2d(width, embedding, 1) for width in widths)

    def forward(self, x):
        x = functional.pixel_unshuffle(x, 2)
        fine = []
        for level, pair in enumerate(self.down):
            x = pair(functional.max_pool2d(x, 2) if level else x)
            fine.append(x)
        out = [self.embed(4, x)]
        for level in (3, 2, 1, 0):
            x = self.up[level](torch.cat([fine[level], functional.interpolate(x, scale_factor=2)], 1))
            out.append(self.embed(level, x))
        return out[::-1]

    def embed(self, level, x):
        x = self.heads[level](x)
        return x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()

    def in_order(self):
        """The parameters in the order of infomark's: all ways down, all ways up, heads."""
        for pairs in (self.down, self.up):
            for pair in pairs:
                for layer in pair:
                    yield from (layer.conv.weight, layer.norm.weight, layer.norm.bias)
        for head in self.heads:
            yield from (head.weight, head.bias)


def info_nce(images, views, owner, in_view, in_image, window=9, temperature=0.1, exclusion_radius=0):
    """InfoNCE averaged over pixels, summed over levels.

    images, views: features at all strides; view v is one of image v // (views an image). owner: the view of each
    pixel, in order. in_view, in_image: pixels as x, y in the input. One matrix product a map; windows are
    gathered from its result, which is several times as fast as gathering windows of features.
    """
    total = 0
    of_image = len(views[0]) // len(images[0])
    near = torch.arange(-window, window + 1)
    for stride, image, view in zip(STRIDES, images, views):
        channels, height, width = image.shape[1:]
        cells = lambda points, w, h: (
            ((points[:, 0] + 0.5) / stride).floor().long().clamp(0, w - 1),
            ((points[:, 1] + 0.5) / stride).floor().long().clamp(0, h - 1),
        )
        x, y = cells(in_view, view.shape[3], view.shape[2])
        anchors = view[owner, :, y, x]
        x, y = cells(in_image, width, height)
        parts = [anchors[owner // of_image == n] @ image[n].flatten(1) for n in range(len(image))]
        logits, target = torch.cat(parts) / temperature, y * width + x
        if stride < WHOLE_MAP_FROM:
            ys, xs = (y[:, None] + near)[:, :, None], (x[:, None] + near)[:, None, :]
            inside = ((ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)).flatten(1)
            at = (ys.clamp(0, height - 1) * width + xs.clamp(0, width - 1)).flatten(1)
            # Cells that show nearly the same as the true one are no negatives.
            apart = torch.maximum(near.abs()[:, None], near.abs()[None, :]).flatten()
            counts = inside & ((apart == 0) | (apart > exclusion_radius))
            logits = logits.gather(1, at).masked_fill(~counts, float("-inf"))
            target = torch.full_like(target, window * (2 * window + 1) + window)
        total = total + functional.cross_entropy(logits, target)
    return total
