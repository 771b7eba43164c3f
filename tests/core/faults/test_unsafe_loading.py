"""No code of ours reads a format that can run code, except in the mode that cannot."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[3] / "packages"
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "BaseLoader", "PlainLoader"}
"""PlainLoader is a BaseLoader: it makes strings, lists and dicts alone."""
NEVER = {
    *(f"{module}.{name}" for module in ("pickle", "dill", "cloudpickle", "marshal", "joblib")
      for name in ("load", "loads", "Unpickler")),
    "shelve.open", "pandas.read_pickle", "pd.read_pickle", "yaml.unsafe_load", "yaml.full_load",
    "eval", "exec", "torch.jit.load", "torch.package.PackageImporter",
}  # fmt: skip


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Line and call of everything in a module that could run a file's code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and any(
            f"{node.module}.{name.name}" in NEVER | {"torch.load", "yaml.load", "numpy.load"}
            for name in node.names
        ):
            yield node.lineno, f"from {node.module}: call it by its module's name"
        if isinstance(node, ast.Call) and not is_safe(node):
            yield node.lineno, ast.unparse(node)


def is_safe(call: ast.Call) -> bool:
    """Whether a call cannot run code that a file holds."""
    name = ast.unparse(call.func)
    words = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if name == "torch.load":
        return words.get("weights_only") == "True"
    if name == "yaml.load":
        return words.get("Loader", "").rpartition(".")[2] in SAFE_LOADERS
    return name not in NEVER and words.get("allow_pickle", "False") == "False"


@pytest.mark.parametrize(
    "bad",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "pickle.load(file)",
        "pickle.Unpickler(file).load()",
        "from pickle import loads",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text)",
        "yaml.unsafe_load(text)",
        "pd.read_pickle(path)",
    ],
)
def test_unsafe_loading_is_noticed(bad: str) -> None:
    assert list(faults(bad))


@pytest.mark.parametrize(
    "good",
    [
        "torch.load(path, weights_only=True, mmap=True)",
        "np.load(path)",
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "from pickle import UnpicklingError",
    ],
)
def test_safe_loading_is_left_alone(good: str) -> None:
    assert not list(faults(good))


def test_the_packages_load_safely() -> None:
    modules = sorted(PACKAGES.glob("*/src/**/*.py"))
    assert len(modules) > 50
    found = [
        f"{path.relative_to(PACKAGES)}:{line}: {call}"
        for path in modules
        for line, call in faults(path.read_text())
    ]
    assert not found
