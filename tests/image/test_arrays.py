"""Archives of arrays that are not what they say; whole ones are in test_sources.py."""

import struct
import zipfile

import numpy as np
import pytest
from unite_core.errors import ConfigurationError, DataError
from unite_image.sources import find_source

IMAGES = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }"
LABELS = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"


def array(header, content=b"", version=1):
    """An array as .npy files have it, whatever its header says."""
    line = f"{header}\n".encode()
    return b"\x93NUMPY" + struct.pack("<BBH", version, 0, len(line)) + line + content


def archive(path, method=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


PIXELS = array(IMAGES % "(2, 8, 8)", bytes(128))
BROKEN_ARRAYS = {
    "code": ({"x": array("__import__('os').mkdir('ran')")}, "cannot read array 'x'"),
    "unfinished text": ({"x": array("{'descr': '|u1', 'shape': (2L, '''")}, "read array 'x'"),
    "brackets": ({"x": array("(" * 5000)}, "cannot read array 'x'"),
    "version": ({"x": array(IMAGES % "(2, 8, 8)", version=127)}, r"version \(127, 0\)"),
    "count": ({"x": array(IMAGES % "(99999999999, 8, 8)")}, "too short for its shape"),
    "width": ({"x": array(IMAGES % "(1, 99999999999, 8)")}, "too short for its shape"),
    "no integer": ({"x": array(IMAGES % f"({10**40}, 8, 8)")}, "too short for its shape"),
    "negative": ({"x": array(IMAGES % "(-2, -8, 8)")}, "too short for its shape"),
    "no width": ({"x": array(IMAGES % f"({10**15}, 0, 8)")}, "save uint8"),
    "missing images": ({"x": array(IMAGES % "(2, 8, 8)", bytes(64))}, "ends in image 1 of 2"),
    "labels": ({"x": PIXELS, "y": array(LABELS % ("<i8", "(99999999999,)"))}, "'y' is too short"),
    "no Unicode": ({"x": PIXELS, "y": array(LABELS % ("<U1", "(2,)"), b"\xff" * 8)}, "no Unicode"),
    "one name": (
        {"x": PIXELS, "y": PIXELS, "classes": array(LABELS % ("<U1", "()"), b"a\0\0\0")},
        "'classes' .* give names",
    ),
}


@pytest.mark.parametrize("kind", BROKEN_ARRAYS)
def test_arrays_that_are_not_what_they_say(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    members, message = BROKEN_ARRAYS[kind]
    path = archive(tmp_path / "set.npz", **members)
    with pytest.raises(DataError, match=message):
        list(find_source(str(path)).records())
    assert not (tmp_path / "ran").exists()


def test_a_shape_of_truth_values_is_one_of_ones(tmp_path):
    path = archive(tmp_path / "set.npz", x=array(IMAGES % "(True, 8, 8)", bytes(64)))
    assert len(list(find_source(str(path)).records())) == 1


def test_a_file_that_is_no_array_is_not_taken_for_one(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as file:
        file.writestr("images", PIXELS)
    with pytest.raises(ConfigurationError, match="no array images"):
        find_source(str(tmp_path / "set.npz"))


@pytest.mark.parametrize(
    ("local", "central", "value", "message"),
    [(6, 8, 1, "encrypted"), (8, 10, 77, "compression method is not supported")],
)
def test_archives_that_cannot_be_unpacked(tmp_path, local, central, value, message):
    path = archive(tmp_path / "set.npz", x=PIXELS)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\3\4") + local] = value
    content[content.index(b"PK\1\2") + central] = value
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"cannot read .*{message}"):
        find_source(str(path))


def test_a_damaged_lzma_archive(tmp_path):
    path = archive(
        tmp_path / "set.npz",
        zipfile.ZIP_LZMA,
        x=array(IMAGES % "(90, 9, 9)", np.random.default_rng(0).bytes(7290)),
    )
    content = bytearray(path.read_bytes())
    content[5000:5040] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot read"):
        list(find_source(str(path)).records())
