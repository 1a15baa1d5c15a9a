"""An encoder trained by processes of torch.distributed: torchrun --nproc-per-node 4 torch_train.py IMAGES OUT STEPS [OPTIONS.json]"""

import json
import sys

import torch.distributed

import infomark
from infomark.distributed import TorchExchange

images, out, steps = sys.argv[1:4]
options = {"batch": 32}
if len(sys.argv) > 4:
    with open(sys.argv[4]) as file:
        options = json.load(file)

torch.distributed.init_process_group("gloo")
exchange = TorchExchange()
summary = infomark.train(images, out, steps=int(steps), config=options, threads=1, resume="auto", exchange=exchange)
if exchange.rank == 0:
    print(f"{summary.steps} steps, SHA-256 {summary.sha256}")
torch.distributed.destroy_process_group()
