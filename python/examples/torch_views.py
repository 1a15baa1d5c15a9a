"""Batches of guided views for a PyTorch network: python torch_views.py FOLDER"""

import sys
from pathlib import Path

import torch
from infomark import GuidedViews

data = GuidedViews(sorted(Path(sys.argv[1]).iterdir()), shape=(480, 384), seed=0, pixels=96)
# The type of data sets is torch's own class; any object with items will do.
loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2)  # type: ignore[arg-type, unused-ignore]
for batch in loader:
    print(batch["view"].shape, batch["image"].shape, batch["view_points"][batch["valid"]].shape)
