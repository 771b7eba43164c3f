"""Writes docs/interface.md, the public names of the core: python tests/interface_page.py."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "interface.md"
SOURCE = ROOT / "packages" / "unite-core" / "src" / "unite_core"
EVERYTHING = ("modality", "types", "config", "errors", "layers", "flow")
"""Modules all of whose names are public."""

CHOSEN = {
    "plugins": ("Plugin", "load_plugin", "INTERFACE_VERSION"),
    "parameters": ("tag_adamw",),
    "cache": ("cache_root", "prepared"),
    "page": ("template", "write_page", "inline_png", "embedded"),
    "model": ("UniteModel", "build_model", "load_model"),
    "testing/contract": ("ModalityContract",),  # to be imported from unite_core.testing
    "testing/setting": ("Setting",),
}
"""Public names of others."""

INTRODUCTION = """\
# Public names of unite_core

What plug-ins and programs may rely on: these names, with these arguments and fields. One that goes
or changes gets a line in the changelog, and where plug-ins have to follow,
`plugins.INTERFACE_VERSION` goes up. Everything else in the core may change at any time.

`python tests/interface_page.py` makes this page from the code; a test fails where the two differ.
"""

Definition = ast.ClassDef | ast.FunctionDef


def is_member(name: str) -> bool:
    """Whether a class shows it: what users call, by name or by an operator."""
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def constants(body: list[ast.stmt]) -> Iterator[str]:
    """Names that a module sets, type variables aside."""
    for node in body:
        if isinstance(node, ast.Assign) and "TypeVar" not in ast.unparse(node.value):
            yield from map(ast.unparse, node.targets)


def call(node: ast.FunctionDef, method: bool) -> str:
    """A function's name, arguments and result; a property's name and type."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if method and "staticmethod" not in decorators:
        node.args.args = node.args.args[1:]
    if "property" in decorators:
        return f"{node.name}: {result.removeprefix(' -> ')}"
    return f"{node.name}({ast.unparse(node.args)}){result}"


def members(node: ast.ClassDef) -> Iterator[str]:
    """A class's own public fields, with their defaults, and methods."""
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and is_member(ast.unparse(part.target)):
            yield ast.unparse(part)
        elif isinstance(part, ast.FunctionDef) and is_member(part.name):
            yield call(part, method=True)


def sentence(node: Definition) -> str:
    """The beginning of what a definition says of itself, up to an example."""
    paragraph = (ast.get_docstring(node) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(":")


def entry(node: Definition) -> str:
    """A line of the page."""
    if isinstance(node, ast.FunctionDef):
        return f"- `{call(node, method=False)}`: {sentence(node)}"
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    name = f"{node.name}({bases})" if bases else node.name
    return "\n".join([f"- `{name}`: {sentence(node)}", *(f"  - `{own}`" for own in members(node))])


def section(module: str) -> str:
    """A module's part of the page. KeyError where a chosen name is not there."""
    tree = ast.parse((SOURCE / f"{module}.py").read_text())
    public = (part for part in tree.body if isinstance(part, Definition) and is_member(part.name))
    entries = {part.name: entry(part) for part in public}
    entries |= {name: f"- `{name}`" for name in constants(tree.body)}
    names = CHOSEN.get(module, entries)
    title = f"## unite_core.{module.replace('/', '.')}"
    lines = [title, "", ast.get_docstring(tree) or "", "", *(entries[name] for name in names)]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *map(section, (*EVERYTHING, *CHOSEN))])


if __name__ == "__main__":
    PAGE.write_text(page())
