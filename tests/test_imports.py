"""Who may import whom, as pyproject.toml says it."""

from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_imports_obey_the_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent.parent)
    assert lint_imports("pyproject.toml", no_cache=True) == EXIT_STATUS_SUCCESS
