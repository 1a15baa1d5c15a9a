"""Error bounds of a model's network and templates together, of a cross-validation by `infomark loop`.

    infomark loop IMAGES --landmarks all.csv --model ceph --out bounds       # all images annotated, those of the model's templates first
    python bounds.py bounds/learned/*/held-out.json

prints the factors for the crate of the model's files: split conformal prediction for each landmark, its error by the product of network and
templates divided by 3 pixels of the model input plus their disagreement (at most 40), 90 % of the images within.
"""

import json
import math
import sys

COVERAGE = 0.9
FLOOR, CEILING = 3.0, 40.0
FUSION = 2

held_out = json.load(open(sys.argv[1]))
images = held_out["images"]
print(f"pub static BOUNDS_FACTORS: [f64; {len(held_out['landmarks'])}] = [")
for landmark, name in enumerate(held_out["landmarks"]):
    known = [image for image in images if image["errors"][landmark] is not None]
    scores = sorted(
        image["errors"][landmark][FUSION] / (FLOOR + min(image["disagreements"][landmark], CEILING)) for image in known
    )
    rank = math.ceil((len(scores) + 1) * COVERAGE)
    print(f"    {scores[rank - 1]:.3f}, // {name}")
print("];")
