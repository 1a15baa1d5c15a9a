"""Writes pictures.bin.gz: JPEG, TIFF and NIfTI files of other libraries, and their pixels as those libraries read them.

    pip install numpy imagecodecs pillow tifffile nibabel
    python pictures.py

Laid out as dicom.bin.gz (dicom.py); an empty list of pixels stands for a file that is refused. Files of 8 bits are shown as value / 255, all others
stretched between the 0.1 and the 99.9 percentile.
"""

import gzip
import io
import struct
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import tifffile
from PIL import Image

from dicom import HEIGHT, WIDTH, picture


def shown(values):
    if values.dtype == np.uint8:
        return values / 255
    ordered = np.sort(values.astype(float), axis=None)
    clipped = int(values.size * 0.001)
    low, high = ordered[clipped], ordered[-1 - clipped]
    return np.clip((values - low) / (high - low), 0, 1)


def tiff(values, **options):
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("byteorder", "<")) as writer:
        for _ in range(options.pop("pages", 1)):
            writer.write(values, photometric="minisblack", metadata=None, **options)
    return file.getvalue()


def jpeg(values, **options):
    file = io.BytesIO()
    image = Image.fromarray(values)
    if options.pop("color", False):
        image = image.convert("RGB")
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def nifti(values, **options):
    """A slice whose columns run along the first axis."""
    data = values.T[..., np.newaxis]
    header = nibabel.Nifti1Header(endianness=options.get("byteorder", "<"))
    header.set_data_dtype(values.dtype)
    image = nibabel.Nifti1Image(data, np.diag([0.5, 0.25, 2, 1]), header)
    image.header.set_xyzt_units("mm")
    if "slope" in options:
        image.header.set_slope_inter(*options["slope"])
    return gzip.compress(image.to_bytes(), mtime=0) if options.get("packed") else image.to_bytes()


def cases():
    grey, deep = picture(8, 0).astype(np.uint8), picture(12, 0).astype(np.uint16)
    full = picture(16, 0).astype(np.uint16)
    for values, name in [(grey, "8 bits"), (full, "16 bits")]:
        for order in "<>":
            yield f"BigTIFF {order} {name}", tiff(values, bigtiff=True, byteorder=order), values, 0
            yield f"TIFF {order} {name}", tiff(values, byteorder=order), values, 0
        for compression, predictor in [("lzw", False), ("lzw", True), ("zlib", False), ("zlib", True), ("packbits", False)]:
            options = {"compression": compression, "predictor": predictor}
            yield f"TIFF {compression} {predictor} {name}", tiff(values, **options), values, 0
        yield f"TIFF in tiles, {name}", tiff(values, tile=(16, 16)), values, 0
        yield f"TIFF in strips, {name}", tiff(values, rowsperstrip=8), values, 0
        yield f"BigTIFF of two pages, {name}", tiff(values, bigtiff=True, pages=2), None, 0
        yield f"TIFF of two pages, {name}", tiff(values, pages=2), None, 0
    for name, options in {
        "baseline": {},
        "optimised": {"optimize": True},
        "progressive": {"progressive": True},
        "with restarts": {"restart_marker_blocks": 3},
        "progressive with restarts": {"progressive": True, "restart_marker_rows": 1},
        "colour 4:4:4": {"color": True, "subsampling": 0},
        "colour 4:2:0": {"color": True, "subsampling": 2},
        "colour 4:2:0, progressive": {"color": True, "subsampling": 2, "progressive": True},
        "colour 4:2:2, progressive, with restarts": {"color": True, "subsampling": 1, "progressive": True, "restart_marker_blocks": 2},
    }.items():
        file = jpeg(grey, **options)
        decoded = np.asarray(Image.open(io.BytesIO(file)))
        yield f"JPEG {name}", file, decoded if decoded.ndim == 2 else decoded[..., 1], 1
    for bits, values in [(8, grey), (12, deep)]:
        file = imagecodecs.jpeg_encode(values, level=90, bitspersample=bits)
        yield f"JPEG of {bits} bits", file, imagecodecs.jpeg_decode(file), 1
    for bits, values in [(8, grey), (12, deep), (16, full)]:
        yield f"JPEG, lossless, {bits} bits", imagecodecs.jpeg_encode(values, lossless=True, bitspersample=bits, predictor=4), values, 0
        yield f"JPEG-LS of {bits} bits", imagecodecs.jpegls_encode(values), values, 0
        # What another library makes of NEAR.
        near = imagecodecs.jpegls_encode(values, level=2)
        yield f"JPEG-LS of {bits} bits, near", near, imagecodecs.jpegls_decode(near), 0
    for name, values in {
        "uint8": grey, "uint16": full, "int16": picture(16, 1).astype(np.int16), "int32": picture(20, 1).astype(np.int32),
        "float32": (full / 7).astype(np.float32), "float64": full / 3,
    }.items():
        for order in "<>":
            yield f"NIfTI {name} {order}", nifti(values, byteorder=order), values, 0
    scaled = picture(12, 1).astype(np.int16)
    yield "NIfTI int16 with slope", nifti(scaled, slope=(0.5, -1000)), 0.5 * scaled - 1000, 0
    yield "NIfTI int16, packed", nifti(scaled, packed=True), scaled, 0


def main():
    parts, count = [], 0
    for name, file, values, levels in cases():
        tolerance, expected = 20, b""
        if values is not None:
            assert values.shape == (HEIGHT, WIDTH), (name, values.shape)
            expected = np.round(shown(values) * 65535).astype("<u2").ravel()[::5].tobytes()
            # Of lossy codes, samples may differ by one, and of colours the three by one each.
            tolerance += round(levels * 2e6 / (255 if values.dtype == np.uint8 else 4095))
        count += 1
        for part in (name.encode(), struct.pack("<I", tolerance), file, expected):
            parts.append(struct.pack("<I", len(part)) + part)
    path = Path(__file__).with_name("pictures.bin.gz")
    path.write_bytes(gzip.compress(b"".join(parts), 9, mtime=0))
    print(count, "cases,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
