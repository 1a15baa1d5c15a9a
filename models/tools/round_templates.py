"""Rounds the feature maps of template files, so that they compress to half the size.

    pip install numpy
    python round_templates.py FOLDER A.template B.template ...

The maps that found places are matched back to are most of a template. Their values are rounded to multiples of 1/128, and no
feature gets longer than 1 by that. What landmarks are found by stays as it is: so do the points; cycle errors and recognition
change by rounding.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np

STEP = 1 / 128


def rounded(features):
    """Rounds (channels, cells); what that makes longer than 1 is shortened by its components that were rounded away from 0."""
    steps = np.round(features / STEP)
    for cell in np.flatnonzero(np.square(steps * STEP).sum(0) > 1):
        grown = np.abs(steps[:, cell]) * STEP - np.abs(features[:, cell])
        for channel in np.argsort(-grown):
            if np.square(steps[:, cell] * STEP).sum() <= 1:
                break
            steps[channel, cell] -= np.sign(steps[channel, cell])
    return (steps * STEP).astype("<f4")


def main(folder, *files):
    for file in map(Path, files):
        data = file.read_bytes()
        start = 16 + struct.unpack("<I", data[12:16])[0]
        header = json.loads(data[16:start])
        body = np.frombuffer(data[start:-32], "<f4").copy()
        levels = header["back"]["levels"]
        channels = header["channels"]
        channels = channels if isinstance(channels, list) else [channels] * header["levels"]
        sizes = [width * height * count for (width, height, _), count in zip(levels, channels[-len(levels) :])]
        at = len(body) - sum(sizes)
        for size, count in zip(sizes, channels[-len(levels) :]):
            body[at : at + size] = rounded(body[at : at + size].reshape(count, -1)).ravel()
            at += size
        data = data[:start] + body.tobytes()
        (Path(folder) / file.name).write_bytes(data + hashlib.sha256(data).digest())


if __name__ == "__main__":
    main(*sys.argv[1:])
