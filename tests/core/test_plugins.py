"""Discovery of modalities: a broken one breaks nobody else."""

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from toy_modality import ToyModality, convert
from unite_core.cli.inventory import show_list
from unite_core.errors import ConfigurationError
from unite_core.locations import shipped_models
from unite_core.plugins import (
    Plugin,
    imported,
    load_plugin,
    only_plugin,
    plugin_converting,
    plugin_for,
    working_plugins,
)
from unite_core.recipes import recipe_paths

Install = Callable[..., Path]

CHANGED = "import dataclasses, toy_plugin\nplugin = dataclasses.replace(toy_plugin.plugin, {})\n"
WORKS = CHANGED.format("name='other'")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package whose module has the given source and registers `plugin` as a modality.

    The distribution is called after the modality unless it gets a name. Gives the module's file.
    """

    def package(modality: str, source: str, distribution: str | None = None) -> Path:
        module = f"{distribution or modality}_plugin"
        path = tmp_path / f"{module}.py"
        path.write_text(source)
        metadata = tmp_path / f"{distribution or modality}_modality-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution or modality}-modality\nVersion: 1.0\n"
        )
        entry = f"[unite.modalities]\n{modality} = {module}:plugin\n"
        (metadata / "entry_points.txt").write_text(entry)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return path

    monkeypatch.syspath_prepend(tmp_path)
    return package


def test_a_modality_is_found_by_its_entry_point() -> None:
    assert load_plugin("toy").load() is ToyModality


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "\nimport no_such_module",
            "ModuleNotFoundError(\"No module named 'no_such_module'\") at {}:2",
        ),
        ("\n\n1 / 0", "ZeroDivisionError('division by zero') at {}:3"),
        (
            "import json\n\njson.loads('')",
            "JSONDecodeError('Expecting value: line 1 column 1 (char 0)') at {}:3",
        ),
        ("x = 1\nplugin = (", "at {}:2"),
        ("raise SystemExit(3)", "SystemExit(3) at {}:1"),
        ("plugin = 3", "broken_plugin:plugin is 3, not a unite_core Plugin"),
        ("", "module 'broken_plugin' has no attribute 'plugin'"),
        (CHANGED.format("later_field=1"), "unexpected keyword argument 'later_field'\") at {}:2"),
        (
            CHANGED.format("interface_version=99"),
            "modality 'broken' of broken-modality 1.0 is written for plug-in interface 99, "
            "this unite-core speaks 1: update unite-core",
        ),
        (
            CHANGED.format("interface_version=0"),
            "written for plug-in interface 0, this unite-core speaks 1: update broken-modality",
        ),
        (CHANGED.format("name='othre'"), "calls itself 'othre'"),
    ],
)
def test_a_broken_plugin_is_named_and_breaks_no_other(
    install: Install, capsys: pytest.CaptureFixture[str], source: str, message: str
) -> None:
    path = install("broken", source)
    message = message.format(path)
    found = dict(working_plugins())
    assert message in str(found["broken"])
    assert isinstance(found["toy"], Plugin)
    assert "toy-small" in recipe_paths()
    shipped_models()
    with pytest.raises(ConfigurationError) as caught:
        load_plugin("broken")
    assert message in str(caught.value)
    show_list()
    lines = capsys.readouterr().out.splitlines()
    assert "  toy  works" in lines
    (line,) = (line for line in lines if line.startswith("  broken  broken: "))
    assert message in line


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("interface_version", "1", "Input should be a valid integer"),
        ("recipes", "recipes", "Input should be an instance of Path"),
        ("weights", None, "Input should be an instance of Path"),
        ("converters", None, "Input should be a valid dictionary"),
        ("suffixes", ".json", "Input should be a valid tuple"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_field_of_another_type_is_named_and_breaks_no_other(
    install: Install,
    capsys: pytest.CaptureFixture[str],
    field: str,
    value: str | None,
    reason: str,
) -> None:
    install("broken", CHANGED.format(f"name='broken', {field}={value!r}"))
    show_list()
    lines = capsys.readouterr().out.splitlines()
    assert "  toy  works" in lines
    (line,) = (line for line in lines if line.startswith("  broken  broken: "))
    assert f"broken-modality 1.0 does not fit: Plugin({field}={value!r}), {reason}" in line


def test_the_failing_line_is_the_packages_own(install: Install, tmp_path: Path) -> None:
    """Also where an inner module fails inside another package."""
    inner = tmp_path / "broken_plugin"
    inner.mkdir()
    (inner / "__init__.py").write_text("from broken_plugin import deep\n")
    (inner / "deep.py").write_text("import json\njson.loads('{')\n")
    install("broken", "").unlink()
    with pytest.raises(ConfigurationError, match=rf"at {inner / 'deep.py'}:2$"):
        load_plugin("broken")


def test_a_name_that_two_packages_announce_is_reported(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("other", WORKS, "first")
    install("other", WORKS, "second")
    show_list()
    out = capsys.readouterr().out
    expected = "announced by first-modality 1.0 (first_plugin:plugin) and second-modality 1.0"
    assert out.count(expected) == 1
    assert "  toy  works" in out
    with pytest.raises(ConfigurationError, match="uninstall all of them but one"):
        load_plugin("other")


def test_a_class_that_does_not_load_is_named_with_its_line(
    install: Install, tmp_path: Path
) -> None:
    (tmp_path / "other_modality.py").write_text("import unite_core\nunite_core.no_such_name\n")
    install("other", CHANGED.format("name='other', implementation='other_modality:Other'"))
    plugin = load_plugin("other")
    with pytest.raises(ConfigurationError, match=rf"at {tmp_path / 'other_modality.py'}:2$"):
        plugin.load()


@pytest.mark.parametrize("target", ["toy_plugin:plugin.name", " toy_plugin : plugin.name [extra]"])
def test_an_entry_point_may_name_what_an_object_holds(target: str) -> None:
    assert imported(target) == "toy"


@pytest.mark.parametrize("target", ["", ".toy_plugin:plugin", "toy_plugin", "toy-plugin:plugin"])
def test_what_names_nothing_is_an_error(target: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(target)} does not load"):
        imported(target)


def test_the_nearest_modality_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no modality named 'tyo'; did you mean 'toy'"):
        load_plugin("tyo")


def test_the_only_modality_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unite_core.plugins.names", lambda: ["toy"])
    assert only_plugin().name == "toy"


def test_several_modalities_need_one(install: Install) -> None:
    install("other", WORKS)
    with pytest.raises(ConfigurationError, match=r"--modality; installed: .*other.*toy"):
        only_plugin()


def test_a_format_goes_to_the_modality_that_converts_it(install: Install) -> None:
    assert plugin_converting("toy-sizes").converter("toy-sizes") is convert
    with pytest.raises(ConfigurationError, match="no format 'sizes'; did you mean 'toy-sizes'"):
        plugin_converting("sizes")
    install("other", WORKS)
    with pytest.raises(ConfigurationError, match=r"converts format 'toy-sizes': other, toy"):
        plugin_converting("toy-sizes")


def test_a_plugin_need_not_convert_anything() -> None:
    bare = {f.name: getattr(load_plugin("toy"), f.name) for f in fields(Plugin)}
    del bare["converters"]
    assert Plugin(**bare).converters == {}
    assert len({Plugin(**bare), load_plugin("toy")}) == 2


def test_a_file_goes_to_the_modality_that_reads_its_ending(install: Install) -> None:
    assert plugin_for(Path("points.JSON")).name == "toy"
    with pytest.raises(ConfigurationError, match=r"unknown ending '.jsn'; did you mean '.json'"):
        plugin_for(Path("points.jsn"))
    install("other", WORKS)
    with pytest.raises(
        ConfigurationError, match=r"reads .json files: .*toy; name it with --modality"
    ):
        plugin_for(Path("points.json"))
    assert plugin_for(Path("points.json"), "other").name == "other"
    with pytest.raises(ConfigurationError, match=r"unknown ending '.jsn'; did you mean '.json'"):
        plugin_for(Path("points.jsn"), "other")
