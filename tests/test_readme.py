"""The README's tables are true of the code."""

import readme_tables
from readme_tables import EQUATION, FOLDERS, README, renewed


def test_the_map_and_the_equations_are_up_to_date() -> None:
    """Where it fails: python tests/readme_tables.py."""
    assert README.read_text() == renewed(README.read_text())


def test_every_part_is_mapped_and_equations_are_linked() -> None:
    text = README.read_text()
    assert all(f"\n### {heading}\n\n| file |" in text for heading in FOLDERS)
    assert len(EQUATION.findall(text)) > 10


def test_every_file_says_what_it_is_for() -> None:
    for folder in FOLDERS.values():
        for path in (readme_tables.ROOT / folder).rglob("*.py"):
            assert readme_tables.purpose(path).endswith((".", "?")), path
