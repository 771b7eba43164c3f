"""unite new-modality: a package to begin with."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from unite_core.cli.terminal import show_made
from unite_core.errors import ConfigurationError, StorageError
from unite_core.plugins import INTERFACE_VERSION, names

TEMPLATES = "templates/new_modality"
FILES = {
    "pyproject.toml": "pyproject.toml",
    "package/__init__.py": "unite_{name}/__init__.py",
    "package/modality.py": "unite_{name}/modality.py",
    "package/recipes/tiny.yaml": "unite_{name}/recipes/{name}-tiny.yaml",
    "tests/test_contract.py": "tests/test_contract.py",
}
"""Each template, and where what is made of it goes."""


def new_modality(
    name: Annotated[str, typer.Argument(help="What the modality is called, as waves.")],
    output: Annotated[
        Path | None, typer.Option(help="The directory to make.", show_default="NAME")
    ] = None,
) -> None:
    """Write a package for a new kind of data, which runs as it is."""
    check_name(name)
    directory = Path(name) if output is None else output
    if directory.exists():
        raise ConfigurationError(f"{directory} is there already: choose another --output")
    files = {path.format(name=name): text for path, text in texts(name).items()}
    write(directory, files)
    made = [directory / path for path in files]
    show_made(made, f"pip install -e {directory} && unite train {name}-tiny")


def check_name(name: str) -> None:
    """ConfigurationError for what cannot name a modality, or does so already."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ConfigurationError(
            f"{name!r} cannot name a modality: use lower-case letters and digits, begin with a "
            "letter, and part words by one _, as pen_strokes"
        )
    if name in names() or find_spec(f"unite_{name}") is not None:
        raise ConfigurationError(f"there is a modality or package unite_{name}: choose another")


def texts(name: str) -> dict[str, str]:
    """What each file holds."""
    # here: no other command needs it to start
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("unite_core", TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return {
        path: environment.get_template(f"{template}.jinja").render(
            name=name, version=INTERFACE_VERSION
        )
        for template, path in FILES.items()
    }


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Makes the directory with all of its files, or nothing and StorageError."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=directory.parent) as aside:
            package = Path(aside) / directory.name
            for name, text in files.items():
                path = package / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            package.rename(directory)
    except OSError as error:
        raise StorageError(f"cannot write {directory}: {error.strerror}") from error
