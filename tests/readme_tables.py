"""Renews the file map and the lines of equations in README.md: python tests/readme_tables.py."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FOLDERS = {
    "packages/unite-core": "packages/unite-core/src/unite_core",
    "packages/unite-image": "packages/unite-image/src/unite_image",
    "packages/unite-molecule": "packages/unite-molecule/src/unite_molecule",
    "benchmarks": "benchmarks",
}
"""The map's headings, each with the folder that it lists."""

EQUATION = re.compile(r"\[`(?P<name>[\w.]+)`\]\((?P<path>[\w/.-]+\.py)#L\d+\)")


def line_of(path: Path, name: str) -> int:
    """Where a function, class or Class.method is defined."""
    body = ast.parse(path.read_text()).body
    for part in name.split("."):
        (node,) = (
            n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part
        )
        body = node.body
    return node.lineno


def equation(found: re.Match[str]) -> str:
    """The link with the line as it is now."""
    name, path = found["name"], found["path"]
    return f"[`{name}`]({path}#L{line_of(ROOT / path, name)})"


def purpose(path: Path) -> str:
    """The first paragraph of a module's docstring."""
    paragraph = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def table(folder: str) -> str:
    """The map of a folder."""
    rows = ["| file | what it is for |", "| --- | --- |"]
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT / folder).as_posix()
        rows.append(f"| [`{name}`]({folder}/{name}) | {purpose(path)} |")
    return "\n".join(rows) + "\n"


def renewed(text: str) -> str:
    """README with both brought up to date."""
    text = EQUATION.sub(equation, text)
    for heading, folder in FOLDERS.items():
        place = re.compile(rf"(?<=\n### {heading}\n\n)(?:\|.*\n)+")
        text = place.sub(lambda _, folder=folder: table(folder), text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
