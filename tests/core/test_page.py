import pytest
from unite_core.errors import StorageError
from unite_core.page import columns, data_last, embedded, figure_text, template, write_page
from unite_core.types import Story


@pytest.fixture
def story() -> Story:
    return Story(
        title="T",
        command="unite train <x>",
        scores={"samples": {"a": 0.98765, "<b>": 3}},
        reconstruction={},
        samples=[],
        pairs=[],
        log=[],
        versions={"numpy": "2.4"},
        statistics={},
    )


def test_figures_are_short():
    assert [figure_text(v) for v in (None, 0.98765, 12345.6, 3, "Lite0")] == [
        "none",
        "0.9877",
        "1.235e+04",
        "3",
        "Lite0",
    ]


def test_columns_are_those_of_every_row_in_order():
    assert columns({"x": {"b": 1, "a": 2}, "y": {"a": 3, "c": 4}}) == ["b", "a", "c"]


def test_rows_of_the_data_come_last():
    table = {"data": {}, "data blurred": {}, "database-run": {}, "samples": {}}
    assert list(data_last(table)) == ["database-run", "samples", "data", "data blurred"]


def test_embedded_svg_has_no_header():
    assert embedded("<?xml version='1.0'?><!DOCTYPE svg>\n<svg><g/></svg>") == "<svg><g/></svg>"


def test_text_is_escaped_and_pictures_are_not(story, tmp_path):
    (report,) = write_page(story, {"Grid": "<img alt='x'>"}, tmp_path, template())
    page = report.read_text()
    assert "unite train &lt;x&gt;" in page
    assert "<th>&lt;b&gt;</th>" in page
    assert "<h2>Grid</h2>\n<img alt='x'>" in page
    assert "Reconstruction" not in page, "no table without rows"
    assert "Training" not in page, "no curves without a log"


def test_unwritable_directory_is_named(story, tmp_path):
    with pytest.raises(StorageError, match="missing: No such file"):
        write_page(story, {}, tmp_path / "missing", template())
