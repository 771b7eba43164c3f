"""The README's tables are true of the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LINES = re.findall(r"\[`([\w.]+)`\]\(([\w/.-]+\.py)#L(\d+)\)", README)
SOURCES = [*ROOT.glob("packages/*/src/**/*.py"), *ROOT.glob("benchmarks/*.py")]


def line_of(path: Path, name: str) -> int:
    """Where a function, class or Class.method is defined."""
    body = ast.parse(path.read_text()).body
    for part in name.split("."):
        (node,) = (
            n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part
        )
        body = node.body
    return node.lineno


@pytest.mark.parametrize(("name", "path", "line"), LINES)
def test_equations_are_where_they_are_said_to_be(name: str, path: str, line: str) -> None:
    assert line_of(ROOT / path, name) == int(line)


def test_some_equations_are_linked() -> None:
    assert len(LINES) > 10


def test_the_map_names_every_file() -> None:
    mapped = set(re.findall(r"\]\(((?:packages|benchmarks)/[\w/.-]+\.py)\)", README))
    assert mapped == {path.relative_to(ROOT).as_posix() for path in SOURCES}
