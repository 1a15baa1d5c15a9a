"""An encoder trained by processes of MPI: mpiexec -n 4 python -m mpi4py mpi_train.py IMAGES OUT STEPS [OPTIONS.json]"""

import json
import sys

import infomark
from infomark.distributed import MpiExchange

images, out, steps = sys.argv[1:4]
options = {"batch": 32}
if len(sys.argv) > 4:
    with open(sys.argv[4]) as file:
        options = json.load(file)

exchange = MpiExchange()
summary = infomark.train(images, out, steps=int(steps), config=options, threads=1, resume="auto", exchange=exchange)
if exchange.rank == 0:
    print(f"{summary.steps} steps, SHA-256 {summary.sha256}")
