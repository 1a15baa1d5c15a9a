"""An encoder trained on Ray: python ray_train.py IMAGES OUT STEPS WORKERS"""

import sys
from typing import Any

import ray.train
import ray.train.torch

import infomark
from infomark.distributed import TorchExchange


def work(options: dict[str, Any]) -> None:
    images, out, steps = options["images"], options["out"], options["steps"]
    infomark.train(images, out, steps=steps, config={"batch": 32}, threads=1, resume="auto", exchange=TorchExchange())


images, out, steps, workers = sys.argv[1:]
ray.train.torch.TorchTrainer(
    work,
    train_loop_config={"images": images, "out": out, "steps": int(steps)},
    torch_config=ray.train.torch.TorchConfig(backend="gloo"),
    scaling_config=ray.train.ScalingConfig(num_workers=int(workers)),
    run_config=ray.train.RunConfig(failure_config=ray.train.FailureConfig(max_failures=3)),
).fit()
