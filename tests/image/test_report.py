import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from unite_core.errors import StorageError
from unite_core.types import Story
from unite_image.grids import GAP
from unite_image.report import COLUMNS, ROWS, write_report
from unite_image.types import Image

LOADING = {"src", "href", "data", "action", "srcset", "poster", "xlink:href"}
VOID = {"meta", "img", "br", "link", "path", "use", "rect"}


class Reader(HTMLParser):
    """Collects what the page would fetch, and checks that its tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in LOADING and value[0] != "#"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def image(label: int | None = None) -> Image:
    """Plain, in a colour of its class."""
    pixels = np.full((8, 8, 3), 0 if label is None else 20 * (label + 1), dtype=np.uint8)
    return Image(pixels, label)


@pytest.fixture
def story() -> Story:
    return Story(
        title="A <run>",
        command="unite train emoji -o a.b=1 && true",
        scores={
            "data": {"gFID (Lite0)": 1.25, "images": 400},
            "data blurred by 2 px": {"gFID (Lite0)": 88.125},
            "runs/emoji": {"gFID (Lite0)": 12.3456, "images": 500},
        },
        reconstruction={"runs/emoji": {"PSNR dB": 27.5, "rFID (Lite0)": None}},
        samples=[image(label) for _ in range(12) for label in (1, 0)],
        pairs=[(image(1), image(2))] * 3,
        log=[{"step": 1.0, "total": 2.0}, {"step": 2.0, "total": 1.0}],
        versions={"torch": "2.12.0"},
        statistics={"classes": [f"class {number}" for number in range(ROWS + 2)]},
    )


def test_page_nests_and_loads_nothing(story, tmp_path):
    written = write_report(story, tmp_path)
    names = ["samples.png", "reconstructions.png", "curves.png", "report.html"]
    assert [path.name for path in written] == names
    text = written[-1].read_text()
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    assert len(reader.loads) == 2
    assert all(address.startswith("data:image/png;base64,") for address in reader.loads)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "@import" not in text


def test_pictures_in_the_page_are_the_files(story, tmp_path):
    samples, pairs, _, page = write_report(story, tmp_path)
    inline = re.findall(r"base64,([^\"]*)", page.read_text())
    assert [b64decode(data) for data in inline] == [samples.read_bytes(), pairs.read_bytes()]
    with PIL.Image.open(BytesIO(b64decode(inline[1]))) as picture:
        assert picture.getpixel((GAP, GAP)) == (40, 40, 40)


def test_every_figure_is_in_its_row_and_the_data_come_last(story, tmp_path):
    page = write_report(story, tmp_path)[-1].read_text()
    rows = re.findall(r"<tr><th>([^<]+)</th>\s*((?:<td>[^<]*</td>\s*)+)", page)
    cells = {name: re.findall(r"<td>([^<]*)</td>", row) for name, row in rows[:3]}
    assert list(cells.items()) == [
        ("runs/emoji", ["12.35", "500"]),
        ("data", ["1.25", "400"]),
        ("data blurred by 2 px", ["88.12", "none"]),
    ]
    assert re.findall(r"<td>([^<]*)</td>", rows[3][1]) == ["27.5", "none"]
    assert page.count("<th>gFID (Lite0)</th>") == 1


def test_page_tells_how_it_was_made(story, tmp_path):
    page = write_report(story, tmp_path)[-1].read_text()
    assert "A &lt;run&gt;" in page
    assert "unite train emoji -o a.b=1 &amp;&amp; true" in page
    assert "<td>2.12.0</td>" in page
    assert ">total<" in page


def colors(path) -> np.ndarray:
    with PIL.Image.open(path) as picture:
        return np.asarray(picture)


def test_samples_stand_by_class(story, tmp_path):
    sheet = colors(write_report(story, tmp_path)[0])
    edge = (sheet.shape[0] - 3 * GAP) // 2
    first, second = sheet[GAP + edge // 2], sheet[2 * GAP + edge + edge // 2]
    for row, value in ((first, 20), (second, 40)):
        images = (row == value).all(axis=1)
        assert images.sum() == COLUMNS * edge
    assert sheet.shape[1] > COLUMNS * (edge + GAP) + 40, "names at the left"


def test_many_classes_are_cut(story, tmp_path):
    many = replace(story, samples=[image(label) for label in range(ROWS + 2)])
    sheet = colors(write_report(many, tmp_path)[0])
    shown = {int(value) for value in np.unique(sheet[:, -GAP - 1])} - {255}
    assert shown == {20 * (label + 1) for label in range(ROWS)}


def test_samples_without_classes_are_a_grid(story, tmp_path):
    plain = replace(story, samples=[image()] * 25, pairs=[], log=[])
    written = write_report(plain, tmp_path)
    assert [path.name for path in written] == ["samples.png", "report.html"]
    height, width, _ = colors(written[0]).shape
    assert round(width / height * 3) == COLUMNS


def test_unwritable_directory_is_named(story, tmp_path):
    with pytest.raises(StorageError, match="missing"):
        write_report(story, tmp_path / "missing")
