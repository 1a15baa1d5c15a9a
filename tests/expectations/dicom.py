"""Writes dicom.bin.gz: DICOM files of every transfer syntax that infomark reads, and what pydicom shows of each.

    pip install pydicom==3.0.2 numpy pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg pyjpegls python-gdcm imagecodecs
    python dicom.py

The file is packed by gzip. For each case: its name, the tolerance in millionths of full scale, the DICOM file, and every fifth pixel as it is
shown, 0 to 65535 in 16 bits. Each part has its length before it, in 32 bits; all numbers are little endian. tests/tests/infer/dicom/reference.rs
reads it.

Pixels are decoded by two libraries where two are at hand, which have to agree: to the value where the code is lossless, else within one.
"""

import gzip
import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import Dataset, Sequence, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import UID, generate_uid

WIDTH, HEIGHT = 37, 35

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
BASELINE = "1.2.840.10008.1.2.4.50"
EXTENDED = "1.2.840.10008.1.2.4.51"
LOSSLESS = "1.2.840.10008.1.2.4.57"
LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"

# Bits stored, signed, high bit.
LAYOUTS = [(8, 0, 7), (8, 1, 7), (10, 0, 9), (12, 0, 11), (12, 1, 11), (12, 0, 15), (16, 0, 15), (16, 1, 15)]
VOI = ["none", "linear", "linear_exact", "sigmoid", "lut8", "lut12", "lut16", "modality_lut", "rescale"]

# Decoders of pydicom for each transfer syntax; the first counts.
DECODERS = {
    RLE: ["pydicom"],
    BASELINE: ["pylibjpeg", "gdcm"],
    EXTENDED: ["pylibjpeg"],
    LOSSLESS: ["pylibjpeg", "gdcm"],
    LOSSLESS_SV1: ["pylibjpeg", "gdcm"],
    JPEG_LS: ["pyjpegls", "gdcm"],
    JPEG_LS_NEAR: ["pyjpegls", "gdcm"],
    JPEG_2000_LOSSLESS: ["pylibjpeg", "gdcm"],
    JPEG_2000: ["pylibjpeg", "gdcm"],
}


def picture(bits, signed):
    """A disk on a ramp, with fine structure, over all of so many bits."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    value = 0.15 + 0.5 * x / WIDTH + 0.1 * np.sin(y / 2) + 0.2 * (np.hypot(x - 20, y - 17) < 11)
    value = np.clip(value, 0, 1)
    value[0, 0], value[-1, -1] = 0, 1
    value = np.round(value * (2**bits - 1)).astype(np.int64)
    return value - (2 ** (bits - 1) if signed else 0)


def lut(first, bits, entries):
    item = Dataset()
    item.add_new((0x0028, 0x3002), "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.add_new((0x0028, 0x3006), "US", [int(entry) for entry in entries])
    return Sequence([item])


def with_voi(dataset, voi, bits, signed):
    """Adds the elements of a modality and VOI transformation; windows clip a part at each end."""
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    center, width = (least + most) / 2 + 3, (most - least) * 0.8
    if voi in ("linear", "linear_exact", "sigmoid"):
        dataset.WindowCenter, dataset.WindowWidth = round(center, 1), round(width, 1)
        if voi != "linear" or signed:
            dataset.VOILUTFunction = voi.upper()
    elif voi.startswith("lut"):
        # Of a part of the values, and the square of its index.
        entry_bits, count = int(voi[3:]), min(2**bits, 256)
        first = least + (most - least - count + 1) // 2
        entries = np.round((np.arange(count) / (count - 1)) ** 2 * (2**entry_bits - 1))
        dataset.VOILUTSequence = lut(first, entry_bits, entries)
    elif voi == "modality_lut":
        count = min(2**bits, 512)
        first = least + (most - least - count + 1) // 2
        entries = np.round(np.sqrt(np.arange(count) / (count - 1)) * 65535)
        dataset.ModalityLUTSequence = lut(first, 16, entries)
        dataset.ModalityLUTSequence[0].ModalityLUTType = "OD"
        dataset.WindowCenter, dataset.WindowWidth = 32000, 48000
    elif voi == "rescale":
        dataset.RescaleSlope, dataset.RescaleIntercept = 2.5, -1000
        dataset.WindowCenter, dataset.WindowWidth = 2.5 * center - 1000, 2.5 * width


def unsigned(values, bits):
    return (values & (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def compressed(syntax, values, bits, signed, option):
    """The code of a picture, by another library than the one that decodes it where there is one."""
    data = unsigned(values, bits)
    if syntax == BASELINE:
        return imagecodecs.jpeg_encode(data, level=92, **option)
    if syntax == EXTENDED:
        return imagecodecs.jpeg_encode(data, level=92, bitspersample=bits, **option)
    if syntax in (LOSSLESS, LOSSLESS_SV1):
        return imagecodecs.jpeg_encode(data, lossless=True, bitspersample=bits, predictor=option.get("predictor", 1))
    if syntax in (JPEG_LS, JPEG_LS_NEAR):
        return imagecodecs.jpegls_encode(data, level=option.get("near", 0))
    raise ValueError(syntax)


def make(syntax, layout, voi, inverted, option=None):
    bits, signed, high = layout
    values = picture(bits, signed)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    # The same file each time.
    uid = generate_uid(entropy_srcs=["infomark"])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = HEIGHT, WIDTH, 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits <= 8 else 16), bits, high
    dataset.PixelRepresentation = signed
    with_voi(dataset, voi, bits, signed)
    words = unsigned(values, bits).astype(np.uint32) << (high + 1 - bits)
    little = words.astype("<u1" if bits <= 8 else "<u2").tobytes()
    if syntax in (RLE, JPEG_2000_LOSSLESS, JPEG_2000):
        dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
        dataset.PixelData = little + b"\0" * (len(little) % 2)
        dataset["PixelData"].VR = "OW"
        plugin = "pydicom" if syntax == RLE else "pylibjpeg"
        dataset.compress(UID(syntax), encoding_plugin=plugin, generate_instance_uid=False, **(option or {}))
    elif syntax in DECODERS:
        dataset.PixelData = encapsulate([compressed(syntax, values, bits, signed, option or {})])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    else:
        data = words.astype(">u2").tobytes() if syntax == BIG and bits > 8 else little
        data += b"\0" * (len(data) % 2)
        if syntax == BIG and bits <= 8:
            dataset.PixelData, dataset["PixelData"].VR = data, "OB"
        else:
            dataset.PixelData, dataset["PixelData"].VR = data, "OW"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True, little_endian=syntax != BIG, implicit_vr=syntax == IMPLICIT)
    return file.getvalue(), values


def stored(file, syntax, layout):
    """The stored values by pydicom's decoders, which agree."""
    dataset = dcmread(io.BytesIO(file))
    bits, signed, high = layout
    if syntax not in DECODERS:
        if high != bits - 1:
            # pydicom does not go by High Bit; PS3.5, 8.1.1 of before 2014.
            words = np.frombuffer(dataset.PixelData, ">u2" if syntax == BIG else "<u2").reshape(HEIGHT, WIDTH)
            return (words >> (high + 1 - bits)).astype(np.int64), 0
        return dataset.pixel_array.astype(np.int64), 0
    arrays = []
    for decoder in DECODERS[syntax]:
        dataset = dcmread(io.BytesIO(file))
        dataset.pixel_array_options(decoding_plugin=decoder)
        array = dataset.pixel_array.astype(np.int64)
        if signed:
            array = ((array + 2 ** (bits - 1)) % 2**bits) - 2 ** (bits - 1)
        arrays.append(array)
    worst = max(abs(arrays[0] - other).max() for other in arrays)
    lossy = syntax in (BASELINE, EXTENDED, JPEG_2000)
    assert worst <= (1 if lossy else 0), (syntax, layout, worst)
    return arrays[0], 1 if lossy else 0


def shown(file, values, layout, voi):
    """What pydicom shows of stored values, 0 to 1."""
    dataset = dcmread(io.BytesIO(file))
    bits, signed, _ = layout
    values = values.astype({(8, 0): np.uint8, (8, 1): np.int8, (16, 0): np.uint16, (16, 1): np.int16}[8 if bits <= 8 else 16, signed])
    if voi == "none":
        if bits == 8 and not signed:
            grey = values / 255
        else:
            # As infomark has it: between the 0.1 and the 99.9 percentile.
            ordered = np.sort(values.astype(float), axis=None)
            clipped = int(values.size * 0.001)
            low, high = ordered[clipped], ordered[-1 - clipped]
            grey = np.clip((values - low) / (high - low), 0, 1)
    elif voi.startswith("lut"):
        grey = through_table(values, dataset.VOILUTSequence[0], apply_voi(values, dataset)) / (2 ** int(voi[3:]) - 1)
    else:
        mapped = apply_modality_lut(values, dataset)
        if voi == "modality_lut":
            mapped = through_table(values, dataset.ModalityLUTSequence[0], mapped)
        mapped = mapped.astype(float)
        windowed = apply_windowing(mapped, dataset)
        low, high = apply_windowing(np.array([-1e12, 1e12]), dataset) if voi != "sigmoid" else ends_of_sigmoid(dataset)
        grey = (windowed - low) / (high - low)
    return 1 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def through_table(values, item, by_pydicom):
    """Values mapped by a table (PS3.3, C.11.2.1.1). pydicom 3.0 computes indices in the type of the pixels or entries, where they may wrap."""
    count, first, bits = item.LUTDescriptor
    data = item.LUTData
    # In implicit VR they are words.
    entries = np.frombuffer(data, "<u2").astype(np.int64) if isinstance(data, bytes) else np.asarray(data, dtype=np.int64)
    index = values.astype(np.int64) - first
    mapped = entries[np.clip(index, 0, count - 1)]
    fits = np.iinfo(values.dtype).min <= index.min() and index.max() <= np.iinfo(values.dtype).max
    if fits and (bits > 8 or index.max() < 256):
        assert (mapped == by_pydicom).all()
    return mapped


def ends_of_sigmoid(dataset):
    center, width = float(dataset.WindowCenter), float(dataset.WindowWidth)
    return apply_windowing(np.array([center - 100 * width, center + 100 * width]), dataset)


def cases():
    for index, layout in enumerate(LAYOUTS):
        for turn, voi in enumerate(VOI):
            yield EXPLICIT, layout, voi, (index + turn) % 2 == 1, None
    for syntax in (IMPLICIT, BIG):
        for index, layout in enumerate(LAYOUTS):
            yield syntax, layout, VOI[index % len(VOI)], index % 2 == 0, None
            yield syntax, layout, VOI[(index + 4) % len(VOI)], index % 2 == 1, None
    at_right = [layout for layout in LAYOUTS if layout[2] == layout[0] - 1]
    for syntax in (RLE, LOSSLESS, LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR, JPEG_2000_LOSSLESS):
        for index, layout in enumerate(at_right):
            # The wider the more predictors.
            option = {LOSSLESS: {"predictor": 1 + index}, JPEG_LS_NEAR: {"near": 1 + index % 3}}.get(syntax)
            if syntax == JPEG_LS_NEAR and layout[1]:
                continue
            yield syntax, layout, VOI[(index + 1) % len(VOI)], index % 2 == 1, option
    for index, option in enumerate([{}, {"optimize": True}]):
        yield BASELINE, (8, 0, 7), ["none", "linear"][index], False, option
        yield EXTENDED, (12, 0, 11), ["linear_exact", "none"][index], index == 1, option
        yield EXTENDED, (8, 0, 7), ["lut8", "sigmoid"][index], index == 0, option
    yield JPEG_2000, (12, 0, 11), "linear", False, {"j2k_cr": [8]}
    yield JPEG_2000, (8, 0, 7), "none", True, {"j2k_cr": [4]}


def main():
    parts, names = [], set()
    for syntax, layout, voi, inverted, option in cases():
        bits, signed, high = layout
        name = f"{syntax} {bits}{'s' if signed else 'u'} high bit {high}, {voi}{', MONOCHROME1' if inverted else ''}"
        name += "".join(f", {key} {value}" for key, value in (option or {}).items())
        assert name not in names
        names.add(name)
        file, original = make(syntax, layout, voi, inverted, option)
        values, lossy = stored(file, syntax, layout)
        near = {JPEG_LS_NEAR: (option or {}).get("near", 0)}.get(syntax, 0)
        worst = abs(values - original).max()
        assert lossy or worst <= near, (name, worst)
        grey = shown(file, values, layout, voi)
        # One stored value, through the steepest part of what is shown.
        tolerance = 20
        if lossy:
            other = shown(file, np.clip(values + 1, 0, 2**bits - 1), layout, voi)
            tolerance += round(1e6 * max(abs(other - grey).max(), 3 / 2**bits))
        # In whole numbers, tables of pydicom round.
        expected = np.round(np.clip(grey, 0, 1) * 65535).astype("<u2").ravel()[::5].tobytes()
        for part in (name.encode(), struct.pack("<I", tolerance), file, expected):
            parts.append(struct.pack("<I", len(part)) + part)
        print(name, len(file), "worst", worst, "tolerance", tolerance)
    path = Path(__file__).with_name("dicom.bin.gz")
    path.write_bytes(gzip.compress(b"".join(parts), 9, mtime=0))
    print(len(names), "cases,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
