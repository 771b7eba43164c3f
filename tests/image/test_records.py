"""Files that are named as images, and cannot be read as one."""

import os

import PIL.Image
import pytest
from image.test_sources import write_parquet
from unite_image.decoding import Rejected
from unite_image.sources import find_source


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_devices_are_not_waited_for(tmp_path, make):
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    make(tmp_path / "2.png")
    first, second = find_source(str(tmp_path)).records()
    assert first.load()[1].shape == (8, 8, 3)
    with pytest.raises(Rejected, match="cannot be opened"):
        second.load()


def test_a_name_that_no_file_can_have_is_rejected(tmp_path):
    source = write_parquet(tmp_path / "set.parquet", [{"bytes": None, "path": "a\0.png"}])
    (record,) = source.records()
    with pytest.raises(Rejected, match="cannot be opened"):
        record.load()
