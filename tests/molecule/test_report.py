import json
import re
from html.parser import HTMLParser

import pytest
from unite_core.types import Story
from unite_molecule.report import write_report

LOADING = {"src", "href", "data", "action", "srcset", "poster"}


class Loads(HTMLParser):
    """Collects what the page would fetch, and its text outside scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in LOADING and value[0] != "#"]


@pytest.fixture
def page(build, without, tmp_path) -> str:
    ethanol, broken = build("CCO"), without(build("CCO"), -1)
    story = Story(
        title="A <run>",
        command="unite train qm9 -o a.b=1 && true",
        scores={"data": {"valid": 1.0, "molecules": 2}, "samples": {"valid": 0.98765}},
        reconstruction={"test": {"match": 0.5, "rmsd": None}},
        samples=[ethanol, broken],
        pairs=[(ethanol, broken)],
        log=[{"step": 1.0, "total": 2.0}, {"step": 2.0, "total": 1.0}],
        versions={"rdkit": "2026.09.1"},
        statistics={},
    )
    written = write_report(story, tmp_path)
    assert {path.name for path in written} >= {"samples.sdf", "samples.smi", "report.html"}
    assert all(path.stat().st_size for path in written)
    return (tmp_path / "report.html").read_text()


def test_page_loads_nothing(page):
    reader = Loads()
    reader.feed(page)
    assert reader.found == []
    assert "link" not in reader.tags
    assert "@import" not in page.partition("<script>")[0]


def test_page_tells_how_it_was_made(page):
    assert "A &lt;run&gt;" in page
    assert "unite train qm9 -o a.b=1 &amp;&amp; true" in page
    assert "2026.09.1" in page


def test_data_row_comes_last_and_gaps_show(page):
    rows = re.findall(r"<tr><th>(\w+)</th>\s*((?:<td>[^<]*</td>\s*)+)", page)
    assert [name for name, _ in rows][:3] == ["samples", "data", "test"]
    assert re.findall(r"<td>([^<]*)</td>", rows[0][1]) == ["0.9877", "none"]


def test_viewer_has_every_molecule(page):
    scenes = json.loads(re.search(r"const scenes = (.*);", page)[1])
    assert [len(scene["models"]) for scene in scenes] == [1, 1, 2]
    assert all("V2000" in text for scene in scenes for text in scene["models"])
    assert "$3Dmol" in page


def test_pictures_are_inlined(page):
    assert len(re.findall(r"<svg", page.partition("const scenes")[0])) == 4
