"""A U-Net of MONAI trained by Lightning on guided views, as an encoder of infomark: python torch_encoder.py FOLDER ENCODER.onnx [EPOCHS]"""

import sys
from pathlib import Path
from typing import Any

import infomark
import lightning
import torch
from monai.networks.nets import UNet
from torch.nn import functional

STRIDES, CHANNELS, TEMPERATURE = (4, 8, 16), 64, 0.1
SHAPE = (480, 384)  # height and width of the canvas


class Encoder(lightning.LightningModule):  # type: ignore[misc, unused-ignore]
    """Features of images ``(n, 1, height, width)`` at each stride: ``(n, CHANNELS, height / stride, width / stride)``."""

    def __init__(self) -> None:
        super().__init__()
        # The network reads blocks of 4 x 4 pixels as channels: its finest maps have the stride 4.
        self.network = UNet(2, 16, CHANNELS, channels=(32, 64, 128, 256), strides=(2, 2, 2), num_res_units=1)
        self.heads = torch.nn.ModuleList([torch.nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in STRIDES])

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        finest = self.network(functional.pixel_unshuffle(image, 4))
        levels = [finest, functional.avg_pool2d(finest, 2), functional.avg_pool2d(finest, 4)]
        return tuple(head(level) for head, level in zip(self.heads, levels))

    def training_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        """InfoNCE: a point of the view against all points of its image, of which one is the same place."""
        loss = torch.zeros((), device=self.device)
        for of_view, of_image, stride in zip(self(batch["view"]), self(batch["image"]), STRIDES):
            anchors = sampled(of_view, batch["view_points"], stride)[batch["valid"]]
            others = sampled(of_image, batch["image_points"], stride)
            cosines = anchors @ others[batch["valid"]].T / TEMPERATURE
            loss = loss + functional.cross_entropy(cosines, torch.arange(len(cosines), device=self.device))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), 1e-3)


def sampled(maps: torch.Tensor, points: torch.Tensor, stride: int) -> torch.Tensor:
    """Features of length 1 at points ``(n, pixels, 2)``, ``(x, y)`` in pixels of the image."""
    size = torch.tensor(maps.shape[:1:-1], device=maps.device) * stride
    grid = (points + 0.5) / size * 2 - 1
    values = functional.grid_sample(maps, grid[:, None], padding_mode="border", align_corners=False)
    return functional.normalize(values[:, :, 0], dim=1).transpose(1, 2)


class NextViews(lightning.Callback):  # type: ignore[misc, unused-ignore]
    """Other views in each epoch."""

    def on_train_epoch_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        trainer.train_dataloader.dataset.set_epoch(trainer.current_epoch)  # type: ignore[union-attr, unused-ignore]


if __name__ == "__main__":
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    lightning.seed_everything(0)
    views = infomark.GuidedViews(sorted(folder.iterdir()), shape=SHAPE, seed=0)
    loader = torch.utils.data.DataLoader(views, batch_size=4, shuffle=True)  # type: ignore[arg-type, unused-ignore]
    encoder = Encoder()
    trainer = lightning.Trainer(
        max_epochs=epochs, callbacks=[NextViews()], logger=False, enable_checkpointing=False, log_every_n_steps=1
    )
    trainer.fit(encoder, loader)

    # Without a GPU and offline from here on. Guided views have even local contrast.
    exported = out.with_suffix(".torch.onnx")
    torch.onnx.export(encoder.cpu().eval(), (torch.zeros(1, 1, *SHAPE),), exported, dynamo=True)
    described = infomark.describe_onnx(
        exported, out, input=SHAPE[::-1], strides=STRIDES, normalisation="local-contrast", temperature=TEMPERATURE
    )
    print(f"{out}: strides {described.description['strides']}, {described.description['channels']} channels")
