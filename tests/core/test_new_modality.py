"""`unite new-modality` makes a whole package or none."""

import ast
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml
from unite_core.cli.new_modality import new_modality
from unite_core.errors import ConfigurationError, StorageError

LINES = 200
"""The most that the guide says of a new package."""


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_the_files_are_made_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "deep" / "waves"
    new_modality("waves", made)
    assert [str(path.relative_to(made)) for path in files(made)] == [
        "pyproject.toml",
        "tests/test_contract.py",
        "unite_waves/__init__.py",
        "unite_waves/modality.py",
        "unite_waves/recipes/waves-tiny.yaml",
    ]
    out = capsys.readouterr().out
    assert all(f"wrote {path}\n" in out for path in files(made))
    assert out.endswith(f"next: pip install -e {made} && unite train waves-tiny\n")
    assert [path.name for path in made.parent.iterdir()] == ["waves"]


def test_the_directory_is_called_after_the_modality(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    new_modality("waves")
    assert len(files(tmp_path / "waves")) == 5


def test_a_new_package_is_short(tmp_path: Path) -> None:
    new_modality("waves", tmp_path / "waves")
    assert sum(len(path.read_text().splitlines()) for path in files(tmp_path)) <= LINES


@pytest.mark.parametrize(
    "name", ["waves", "a", "a1_b2", "class", "import", "null", "true", "on", "yes", "n"]
)
def test_every_good_name_makes_files_that_can_be_read(tmp_path: Path, name: str) -> None:
    """Words that mean something to YAML or Python among them."""
    new_modality(name, tmp_path / "made")
    for path in (tmp_path / "made").rglob("*.py"):
        ast.parse(path.read_text())
    (recipe,) = (tmp_path / "made").rglob("*.yaml")
    assert yaml.safe_load(recipe.read_text())["modality"] == name
    project = tomllib.loads((tmp_path / "made" / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"unite-{name}"
    (entry,) = project["entry-points"]["unite.modalities"].items()
    assert entry == (name, f"unite_{name}:plugin")
    assert EntryPoint(*entry, "unite.modalities").module == f"unite_{name}"


@pytest.mark.parametrize(
    "name",
    ["", "Waves", "1d", "pen-strokes", "pen strokes", "a_", "_a", "a__b", "é", "a\n", "../a"],
)
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a modality: use lower-case letters"):
        new_modality(name, tmp_path / "made")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["toy", "core"])
def test_a_taken_name_is_refused(tmp_path: Path, name: str) -> None:
    """That of a modality, and that of a package which is none."""
    with pytest.raises(ConfigurationError, match=f"package unite_{name}: choose another"):
        new_modality(name, tmp_path / "made")


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "waves").mkdir()
    with pytest.raises(ConfigurationError, match=r"waves is there already: choose another"):
        new_modality("waves", tmp_path / "waves")
    assert not list((tmp_path / "waves").iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write .*file/waves: "):
        new_modality("waves", tmp_path / "file" / "waves")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full by the third file, say."""
    write, written = Path.write_text, []

    def full(path: Path, text: str, encoding: str) -> int:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, text, encoding)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="waves: No space left on device"):
        new_modality("waves", tmp_path / "waves")
    assert len(written) == 2
    assert not list(tmp_path.iterdir())
