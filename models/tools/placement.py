"""What places each landmark of a model, its network or the product of network and templates, and its error bounds.

    infomark loop IMAGES --landmarks all.csv --model ceph --out folds       # every image annotated: nothing is left to be proposed
    python placement.py folds/learned/*/held-out.json

prints a table for `models/src/placement.rs`, of a cross-validation: each image was searched by a network and templates that have not seen it. The
member of the least mean error places a landmark. The factor is that of split conformal prediction: the errors divided by 3 pixels of the model input
plus the distance between templates and network (at most 40), 90 % of the images within.
"""

import json
import math
import sys

COVERAGE = 0.9
FLOOR, CEILING, FAR = 3.0, 40.0, 80.0
MEMBERS = ["Templates", "Network", "Fusion"]
NETWORK, FUSION = 1, 2



def error(image, landmark, member):
    """The error of a member; where network and templates are far apart, their product takes the place of the network."""
    far = image["disagreements"][landmark] > FAR
    return image["errors"][landmark][FUSION if far and member == NETWORK else member]


held_out = json.load(open(sys.argv[1]))["held_out"]
print("    landmarks: &[")
for landmark, name in enumerate(held_out["landmarks"]):
    images = [image for image in held_out["images"] if image["errors"][landmark] is not None]
    means = [sum(error(image, landmark, member) * image["unit"] for image in images) for member in range(3)]
    member = means.index(min(means))
    scores = sorted(
        error(image, landmark, member) / (FLOOR + min(image["disagreements"][landmark], CEILING)) for image in images
    )
    factor = scores[math.ceil((len(scores) + 1) * COVERAGE) - 1]
    print(f'        ("{name}", Member::{MEMBERS[member]}, {factor:.3f}),')
print("    ],")
