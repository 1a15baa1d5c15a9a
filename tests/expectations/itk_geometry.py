"""Writes itk_geometry.tsv: where ITK places images of many kinds, which is where 3D Slicer has them.

    pip install SimpleITK==2.5.7 && python tests/expectations/itk_geometry.py

Each row describes a small file, which tests/tests/infer/placement.rs makes as well, and the spacing, origin and direction
(rows of the matrix) that ITK reads from it; `refused` where ITK does not read it. Slicer reads every image into three
dimensions: what a picture lacks is that of itk::ImageFileReader.
"""

import itertools
import os
import struct
import tempfile
import zlib

import SimpleITK as sitk

SIDE = 32
STORAGE = "1.2.840.10008.5.1.4.1.1."

# ---- DICOM -------------------------------------------------------------------------------------------------------------------

LONG = ("OB", "OW", "SQ", "UN", "UT")


def element(tag, vr, value):
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    group, number = tag
    head = struct.pack("<HH", group, number) + vr.encode()
    head += struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))
    return head + value


def tag_of(text):
    return tuple(int(part, 16) for part in text.split(","))


def data_set(items):
    """The bytes of a data set: {tag: (vr, bytes or list of data sets)}."""
    written = b""
    for tag, (vr, value) in sorted(items.items()):
        if vr == "SQ":
            sets = [data_set(item) for item in value]
            value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(own)) + own for own in sets)
        written += element(tag, vr, value)
    return written


def parse(description):
    """The elements of `PATH VR VALUE; ...`, where a path leads through first items of sequences; `*2` doubles the items."""
    items = {}
    for part in filter(None, description.split("; ")):
        path, vr, *value = part.split(" ", 2)
        *outer, last = path.split("/")
        place = items
        for step in outer:
            place = place.setdefault(tag_of(step), ("SQ", [{}]))[1][0]
        if vr == "SQ":
            place[tag_of(last)] = (vr, [{} for _ in range(int(value[0]))])
        else:
            place[tag_of(last)] = (vr, (value[0] if value else "").encode())
    return items


def dicom(description):
    items = parse(description)
    storage = items.pop((2, 2), None)
    words = {0x0002: 1, 0x0010: SIDE, 0x0011: SIDE, 0x0100: 8, 0x0101: 8, 0x0102: 7, 0x0103: 0}
    for number, word in words.items():
        items[(0x28, number)] = ("US", struct.pack("<H", word))
    items[(0x28, 4)] = ("CS", b"MONOCHROME2")
    items[(0x7FE0, 0x10)] = ("OW", bytes(range(256)) * (SIDE * SIDE // 256))
    meta = (element((2, 2), *storage) if storage else b"") + element((2, 0x10), "UI", b"1.2.840.10008.1.2.1")
    return bytes(128) + b"DICM" + element((2, 0), "UL", struct.pack("<I", len(meta))) + meta + data_set(items)


IMAGER, SPACING, NOMINAL, PLANE = "0018,1164", "0028,0030", "0018,2010", "3002,0011"
RATIO, SLICES, POSITION, ORIENTATION = "0028,0034", "0018,0088", "0020,0032", "0020,0037"
SHARED, FRAME = "5200,9229", "5200,9230"
OBLIQUE = r"0.8\0.6\0\0\0\-1"

CLASSES = """1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3 3.1 4 4.1 4.3 4.4 5 6 6.1 6.2 7 7.1 7.2 7.3 7.4 12.1 12.1.1 12.2 12.2.1
12.3 13.1.1 13.1.2 13.1.3 13.1.4 13.1.5 14.1 14.2 20 66.4 77.1.1 77.1.1.1 77.1.2 77.1.2.1 77.1.4 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.4 77.1.6 128 128.1
130 481.1 481.2""".split()
OTHERS = ["1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30", "1.2.392.200036.9125.1.1.2", "1.2.392.200036.9125.1.1.4",
          "1.2.840.113619.4.2", "1.2.840.113619.4.26", "1.3.46.670589.5.0.10", "1.2.840.113543.6.6.1.3.10002", "1.2.3.4.5"]
CLASSES = [STORAGE + part for part in CLASSES] + OTHERS
CR, SC, CT, MR, NM, US = (STORAGE + part for part in ("1", "7", "2", "4", "20", "6.1"))


def of_class(uid, *parts):
    return "; ".join([f"0008,0016 UI {uid}", *parts])


def dicom_cases():
    imager, spacing, nominal = rf"{IMAGER} DS 0.2\0.1", rf"{SPACING} DS 0.4\0.3", rf"{NOMINAL} DS 0.6\0.5"
    plane, ratio = rf"{PLANE} DS 0.8\0.7", rf"{RATIO} IS 4\3"
    place = [rf"{POSITION} DS -10\20.5\30", f"{ORIENTATION} DS {OBLIQUE}", f"{SLICES} DS 2.5"]
    groups = [
        rf"{SHARED}/0028,9110/{SPACING} DS 1.2\1.1", f"{SHARED}/0028,9110/{SLICES} DS 3.5",
        rf"{FRAME}/0020,9113/{POSITION} DS 1\2\3", f"{SHARED}/0020,9116/{ORIENTATION} DS {OBLIQUE}",
    ]
    for uid in CLASSES:
        yield of_class(uid)
        yield of_class(uid, imager, spacing, nominal, plane, ratio)
        yield of_class(uid, *place, imager, spacing, nominal, plane, ratio)
        yield of_class(uid, *place, imager, spacing, nominal, *groups)
    for uid in [CR, SC, CT, US]:
        for some in itertools.combinations([imager, spacing, nominal], 1):
            yield of_class(uid, *some)
    for uid in [STORAGE + "4.1", STORAGE + "7.2", STORAGE + "77.1.5.4"]:
        yield of_class(uid, groups[0])
        yield of_class(uid, groups[0], f"{FRAME} SQ 1")
        yield of_class(uid, *place, groups[0])
        yield of_class(uid, *place, groups[0], f"{FRAME} SQ 0")
        yield of_class(uid, groups[0], groups[3])
        yield of_class(uid, groups[0], groups[3], f"{FRAME} SQ 1")
        yield of_class(uid, groups[0], f"{FRAME} SQ 1", rf"{ORIENTATION} DS 1\0\0\1\0\0")
        yield of_class(uid, groups[0], f"{FRAME} SQ 0")
        yield of_class(uid, rf"{FRAME}/0028,9110/{SPACING} DS 1.2\1.1", f"{FRAME}/0028,9110/{SLICES} DS 3.5")
        yield of_class(uid, rf"{SHARED}/0028,9110/{SPACING} DS 0\1.1", f"{FRAME} SQ 1")
        yield of_class(uid, f"{SHARED}/0020,9116/{ORIENTATION} DS 2\\0\\0\\1\\1\\0", rf"{SHARED}/0020,9113/{POSITION} DS 1\2\3",
                       rf"{FRAME}/0020,9113/{POSITION} DS 4\5\6")
        yield of_class(uid, groups[0], f"{SHARED}/0028,9110/{SLICES} DS 0", f"{FRAME} SQ 1")
    detector = [rf"0054,0022/{POSITION} DS 1\2\3", f"0054,0022/{ORIENTATION} DS {OBLIQUE}"]
    for some in ([], detector, detector[:1], detector[1:], ["0054,0022 SQ 0"], ["0054,0022 SQ 1"]):
        yield of_class(NM, *place[:2], spacing, *some)
    # Values that are wrong or unusual.
    for uid, name in [(CR, IMAGER), (CT, SPACING), (SC, NOMINAL), (US, SPACING), (STORAGE + "481.1", PLANE)]:
        for value in [r"0\0.1", r"0.2\0", r"0\0", "0.2", "0", r"-0.2\0.1", r"0.2\-0.1", r"0.2\0.1\0.3", " 0.2 \\ 0.1 ", "", r"2e-1\+.1",
                      r"0.00001\0.00001"]:
            yield of_class(uid, f"{name} DS {value}")
    yield of_class(SC, f"{SPACING} DS ", nominal)
    for uid in [CR, CT, MR, SC]:
        for value in ["0", "-2.5", "", "0.00000001"]:
            yield of_class(uid, f"{SLICES} DS {value}")
        yield of_class(uid, "0018,0050 DS 7")
    for value in [r"1\0\0\0\1\0", r"2\0\0\0\3\0", r"1\0\0\1\0\0", r"1\0\0\0.1\1\0", r"0\0\0\0\0\0", "", r"1.0001\0\0\0.0003\1\0",
                  r"0\1\0\1\0\0", r"-1\0\0\0\-1\0"]:
        yield of_class(CR, imager, f"{ORIENTATION} DS {value}")
    yield of_class(CT, f"{POSITION} DS ")
    # No SOP class, or only in the meta group, or another there.
    for modality in ["CR", "DX", "MG", "IO", "PX", "XA", "RF", "CT", "MR", "US", "NM", "PT", "OT", "RTIMAGE", "XX", ""]:
        yield "; ".join([f"0008,0060 CS {modality}", *place, imager, spacing, nominal, plane])
    yield "; ".join([imager, spacing, nominal])
    yield "; ".join([f"0002,0002 UI {CR}", imager, spacing, nominal])
    yield "; ".join([f"0002,0002 UI {CT}", f"0008,0016 UI {CR}", imager, spacing, nominal])
    yield "; ".join([f"0002,0002 UI {CR}", "0008,0016 UI ", imager, spacing, nominal])
    yield "; ".join([f"0002,0002 UI {CR}", "0008,0016 UI 1.2.3.4.5", "0008,0060 CS CR", imager, spacing, nominal])


# ---- pictures ------------------------------------------------------------------------------------------------------------


def chunk(kind, data, broken=False):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ broken)


def png(description):
    early, late = b"", b""
    for part in filter(None, description.split("; ")):
        words = part.split(" ")
        is_late, is_broken = "late" in words, "broken" in words
        kind, *values = [word for word in words if word not in ("late", "broken")]
        if kind == "sCAL":
            data = bytes([int(values[0])]) + "\0".join(values[1:]).encode()
        else:
            data = struct.pack(">IIB", int(values[1]), int(values[2]), int(values[0]))
        made = chunk(kind.encode(), data, is_broken)
        early, late = (early, late + made) if is_late else (early + made, late)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0))
    rows = b"".join(b"\0" + bytes(range(row, row + SIDE)) for row in range(SIDE))
    return b"\x89PNG\r\n\x1a\n" + head + early + chunk(b"IDAT", zlib.compress(rows)) + late + chunk(b"IEND", b"")


def png_cases():
    yield ""
    for unit in range(4):
        yield f"sCAL {unit} 0.3 0.25"
    for size in ["0 0.3", "-0.3 0.25", "inf 0.25", "nan 0.25", "0.3", "3e-1 +0.25", ".3 25.", "0x1 1", "0,3 0.25", "0.3 0.25x"]:
        yield f"sCAL 1 {size}"
    yield "broken sCAL 1 0.3 0.25"
    yield "late sCAL 1 0.3 0.25"
    yield "sCAL 1 0.3 0.25; sCAL 1 0.5 0.5"
    yield "sCAL 0 0.3 0.25; sCAL 1 0.5 0.5"
    yield "broken sCAL 1 0.3 0.25; sCAL 1 0.5 0.5"
    yield "pHYs 1 3000 4000"
    yield "pHYs 1 3000 4000; sCAL 1 0.3 0.25"


def jpeg(description):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.jpg")
        sitk.WriteImage(sitk.GaussianSource(sitk.sitkUInt8, [SIDE, SIDE], [9, 9], [16, 16]), path)
        with open(path, "rb") as file:
            data = file.read()
    assert data[6:11] == b"JFIF\0"
    unit, x, y = map(int, description.split(" "))
    return data[:13] + struct.pack(">BHH", unit, x, y) + data[18:]


def jpeg_cases():
    yield from ["0 1 1", "0 300 300", "1 254 127", "2 40 20", "1 0 0", "1 254 0", "3 254 254", "1 72 72", "2 1 65535"]


TYPES = {"SHORT": (3, "H"), "LONG": (4, "I"), "RATIONAL": (5, "II"), "FLOAT": (11, "f"), "DOUBLE": (12, "d")}


def tiff(description):
    order, *parts = description.split("; ")
    mark = ">" if order == "MM" else "<"
    fields = [(256, "SHORT", str(SIDE)), (257, "SHORT", str(SIDE)), (258, "SHORT", "8"), (259, "SHORT", "1"), (262, "SHORT", "1"),
              (273, "LONG", "512"), (277, "SHORT", "1"), (278, "SHORT", str(SIDE)), (279, "LONG", str(SIDE * SIDE))]
    fields += [(int(tag), kind, value) for tag, kind, value in (part.split(" ") for part in parts)]
    directory, extra = struct.pack(mark + "H", len(fields)), b""
    start = 8 + 2 + 12 * len(fields) + 4
    for tag, kind, value in sorted(fields):
        code, layout = TYPES[kind]
        numbers = [float(part) if kind in ("FLOAT", "DOUBLE") else int(part) for part in value.split("/")]
        data = struct.pack(mark + layout, *numbers)
        directory += struct.pack(mark + "HHI", tag, code, 1)
        if len(data) > 4:
            directory += struct.pack(mark + "I", start + len(extra))
            extra += data
        else:
            directory += data.ljust(4, b"\0")
    head = (b"MM" if order == "MM" else b"II") + struct.pack(mark + "HI", 42, 8)
    file = (head + directory + struct.pack(mark + "I", 0) + extra).ljust(512, b"\0")
    return file + bytes((row + column) % 256 for row in range(SIDE) for column in range(SIDE))


def tiff_cases():
    x, y = "282 RATIONAL 254/1", "283 RATIONAL 1270/10"
    yield "II"
    for order in ["II", "MM"]:
        for unit in [1, 2, 3, 4]:
            yield f"{order}; {x}; {y}; 296 SHORT {unit}"
    yield f"II; {x}; {y}"
    yield f"II; {x}; 296 SHORT 2"
    yield f"II; {y}; 296 SHORT 2"
    yield f"II; 282 RATIONAL 0/0; {y}; 296 SHORT 2"
    yield f"II; 296 SHORT 2"
    yield f"II; 282 RATIONAL 254/0; {y}; 296 SHORT 2"
    yield f"II; 282 RATIONAL 0/1; {y}; 296 SHORT 2"
    yield f"II; 282 RATIONAL 1000/3; 283 RATIONAL 1000/3; 296 SHORT 3"
    yield f"II; 282 SHORT 254; 283 LONG 127; 296 SHORT 2"
    yield f"II; 282 FLOAT 254; 283 DOUBLE 127; 296 SHORT 2"


def bmp(description):
    x, y = map(int, description.split(" "))
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    start = 14 + 40 + len(palette)
    pixels = bytes((row + column) % 256 for row in range(SIDE) for column in range(SIDE))
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 0, len(pixels), x, y, 256, 0)
    return head + info + palette + pixels


# ---- NIfTI ---------------------------------------------------------------------------------------------------------------


def nifti(description):
    head = bytearray(352)
    put = lambda at, layout, *values: struct.pack_into("<" + layout, head, at, *values)
    put(0, "i", 348)
    put(70, "hh", 2, 8)
    put(108, "ff", 352, 1)
    head[344:348] = b"n+1\0"
    voxels = 1
    for part in description.split("; "):
        name, *values = part.split(" ")
        numbers = [float(value) for value in values]
        if name == "dim":
            put(40, "8H", len(numbers), *map(int, numbers), *[1] * (7 - len(numbers)))
            for number in numbers:
                voxels *= int(number)
        elif name == "pixdim":
            put(76, f"{len(numbers)}f", *numbers)
        elif name == "units":
            put(123, "B", int(numbers[0]))
        elif name == "intent":
            put(68, "h", int(numbers[0]))
        elif name == "qform":
            put(252, "h", int(numbers[0]))
            put(256, "6f", *numbers[1:])
        elif name == "sform":
            put(254, "h", int(numbers[0]))
            put(280, "12f", *numbers[1:])
    return bytes(head) + bytes(index % 256 for index in range(voxels))


def nifti_cases():
    plain, mm = "dim 40 36 1; pixdim 1 0.5 0.25 2", "units 2"
    for dim in ["40 36", "40 36 1", "40 1 36", "1 40 36", "40 36 1 1", "40 36 1 1 1"]:
        for forms in ["", "; qform 1 0 0 0 10 20 30", "; sform 1 -0.5 0 0 10 0 -0.25 0 20 0 0 2 30",
                      "; sform 2 0 0 2 -7 0.5 0 0 8 0 -0.25 0 9"]:
            yield f"dim {dim}; pixdim 1 0.5 0.25 2; {mm}{forms}"
    for units in [0, 1, 3, 2 + 8]:
        yield f"{plain}; units {units}; qform 1 0 0 0 10 20 30"
    yield f"{plain}; {mm}; qform 1 0.1 0.2 0.3 10 20 30"
    yield f"dim 40 36 1; pixdim -1 0.5 0.25 2; {mm}; qform 1 0.1 0.2 0.3 10 20 30"
    yield f"{plain}; {mm}; qform 1 0.6 0.8 0 10 20 30"
    yield f"{plain}; {mm}; qform 1 2 3 4 10 20 30"
    turned = "sform {} 0.3 -0.2 0 5 0.4 0.15 0 6 0 0 2 7"
    straight = "sform {} 0.5 0 0 10 0 0.25 0 20 0 0 2 30"
    skewed = "sform {} 0.5 0.1 0 10 0 0.25 0 20 0 0 2 30"
    moved = "sform {} 0.5 0 0 10.001 0 0.25 0 20 0 0 2 30"
    near = "sform {} 0.5 0.00005 0 10.00002 0 0.25 0 20 0 0 2 30"
    mirrored = "sform {} -0.5 0 0 10 0 0.25 0 20 0 0 2 30"
    other = "sform {} 0.6 0 0 10 0 0.25 0 20 0 0 2 30"
    singular = "sform {} 0.5 0 0 10 0.5 0 0 20 0 0 2 30"
    zero = "sform {} 0 0 0 0 0 0 0 0 0 0 0 0"
    for sform in [turned, straight, skewed, moved, near, mirrored, other, singular, zero]:
        for code in [1, 2]:
            yield f"{plain}; {mm}; {sform.format(code)}"
            for qcode in [1, 2]:
                yield f"{plain}; {mm}; qform {qcode} 0 0 0 10 20 30; {sform.format(code)}"
    yield f"{plain}; {mm}; qform 0 0.1 0.2 0.3 10 20 30; {turned.format(0)}"
    yield f"{plain}; {mm}; qform -1 0.1 0.2 0.3 10 20 30; {turned.format(-1)}"
    for pixdim in ["1 0 0.25 2", "1 -0.5 0.25 2", "1 0.5 -0.25 -2", "1 nan 0.25 2", "1 0.5 0.25 0", "0 0.3 0.1 2", "1 inf 1 1"]:
        yield f"dim 40 36 1; pixdim {pixdim}; {mm}"
        yield f"dim 40 36 1; pixdim {pixdim}; {mm}; qform 1 0.1 0.2 0.3 10 20 30"
    for intent in [1004, 1006, 1007]:
        yield f"{plain}; {mm}; intent {intent}; qform 1 0 0 0 10 20 30"
    yield f"dim 40 1 36; pixdim 1 0.5 0.25 2; {mm}; intent 1007; qform 1 0 0 0 10 20 30"


KINDS = {"dicom": (dicom, ".dcm", dicom_cases), "png": (png, ".png", png_cases), "jpeg": (jpeg, ".jpg", jpeg_cases),
         "tiff": (tiff, ".tif", tiff_cases), "bmp": (bmp, ".bmp", lambda: ["0 0", "3000 4000"]), "nifti": (nifti, ".nii", nifti_cases)}


def text(numbers):
    return " ".join(f"{number + 0.0:.9g}" for number in numbers)


def geometry(path):
    """Spacing, origin and direction in three dimensions."""
    try:
        image = sitk.ReadImage(path, sitk.sitkFloat32)
    except RuntimeError:
        try:
            image = sitk.ReadImage(path)
        except RuntimeError:
            return ["refused", "", ""]
    count = image.GetDimension()
    spacing, origin, direction = list(image.GetSpacing()), list(image.GetOrigin()), image.GetDirection()
    rows = [list(direction[count * row:count * row + count]) for row in range(count)]
    if count == 2:
        spacing, origin = spacing + [1.0], origin + [0.0]
        rows = [rows[0] + [0.0], rows[1] + [0.0], [0.0, 0.0, 1.0]]
    rows = [row[:3] for row in rows[:3]]
    return [text(spacing[:3]), text(origin[:3]), text(sum(rows, []))]


def main():
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    version = sitk.Version()
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "itk_geometry.tsv"), "w", encoding="utf-8", newline="\n") as table, \
            tempfile.TemporaryDirectory() as folder:
        table.write(f"# SimpleITK {version.VersionString()}, ITK {version.ITKVersionString()}; made by itk_geometry.py\n")
        table.write("# kind\tfile\tspacing\torigin\tdirection\n")
        for kind, (make, ending, cases) in KINDS.items():
            for description in dict.fromkeys(cases()):
                path = os.path.join(folder, "a" + ending)
                with open(path, "wb") as file:
                    file.write(make(description))
                table.write("\t".join([kind, description, *geometry(path)]) + "\n")


if __name__ == "__main__":
    main()
