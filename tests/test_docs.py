"""What the guides say is so: their commands run, their code is the example's."""

import os
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "adding-a-modality.md"
SECONDS = 2
"""What each training of a guide is cut to."""


def blocks(language: str) -> list[str]:
    """The guide's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables of a virtual environment of its own that also sees what is installed here.

    pip takes nothing from an index: what a package needs is there already.
    """
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    tools = Path(sys.executable).parent
    here = next(path for path in sys.path if path.endswith("site-packages"))
    site = next(place.glob("lib/python*/site-packages"))
    (site / "outer.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    for name, module in (("unite", "unite_core.cli"), ("pip", "pip"), ("pytest", "pytest")):
        script = place / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {place}/bin/python -m {module} "$@"\n')
        script.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{place}/bin:{tools}:{os.environ['PATH']}",
        "PYTHONPATH": "",
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads the negation of this one
    }


@pytest.mark.slow
def test_every_command_of_the_guide_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    try:
        version("kanjivg")
    except PackageNotFoundError:
        pytest.skip("the example's data are not installed: pip install examples/strokes")
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples", checkout / "examples")
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert commands
    for command in commands:
        if command.startswith("unite train"):
            command += f" -o training.minutes={SECONDS / 60}"
        done = subprocess.run(
            command, shell=True, cwd=checkout, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_every_excerpt_of_the_guide_is_the_examples() -> None:
    sources = [path.read_text() for path in (ROOT / "examples").rglob("*.py")]
    assert blocks("python")
    for block in blocks("python"):
        assert any(block in source for source in sources), f"no example has:\n{block}"
