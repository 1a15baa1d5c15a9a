"""Landmarks of a cephalogram: python find.py IMAGE"""

import sys

import infomark

encoder = infomark.Encoder("ceph")  # or the file that infomark.train wrote
templates = infomark.load_templates("ceph")  # or infomark.Template(encoder, image, names, points)
for name, x, y, score in infomark.match(encoder, templates, sys.argv[1]):
    print(f"{name} at {x:.1f}, {y:.1f} (score {score:.2f})")
