"""Discovery of modalities: a broken one breaks nobody else."""

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from toy_modality import ToyModality, convert
from unite_core.errors import ConfigurationError
from unite_core.locations import shipped_models
from unite_core.plugins import (
    Plugin,
    load_plugin,
    only_plugin,
    plugin_converting,
    plugin_for,
    working_plugins,
)
from unite_core.recipes import recipe_paths

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package whose module has the given source and registers `plugin` as a modality."""

    def package(name: str, source: str) -> None:
        (tmp_path / f"{name}_plugin.py").write_text(source)
        metadata = tmp_path / f"{name}_modality-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}-modality\nVersion: 1.0\n"
        )
        entry = f"[unite.modalities]\n{name} = {name}_plugin:plugin\n"
        (metadata / "entry_points.txt").write_text(entry)
        monkeypatch.delitem(sys.modules, f"{name}_plugin", raising=False)

    monkeypatch.syspath_prepend(tmp_path)
    return package


CHANGED = "import dataclasses, toy_plugin\nplugin = dataclasses.replace(toy_plugin.plugin, {})\n"


def test_a_modality_is_found_by_its_entry_point() -> None:
    assert load_plugin("toy").load() is ToyModality


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "'broken' does not load: ModuleNotFoundError"),
        ("1 / 0", "'broken' does not load: ZeroDivisionError"),
        ("plugin = 3", "gives 3, not a unite_core Plugin"),
        (CHANGED.format("interface_version=99"), "interface 99, this unite-core speaks 1"),
    ],
)
def test_a_broken_plugin_is_named_and_breaks_no_other(
    install: Install, source: str, message: str
) -> None:
    install("broken", source)
    found = dict(working_plugins())
    assert message in str(found["broken"])
    assert isinstance(found["toy"], Plugin)
    assert "toy-small" in recipe_paths()
    shipped_models()
    with pytest.raises(ConfigurationError) as caught:
        load_plugin("broken")
    assert message in str(caught.value)


def test_the_nearest_modality_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no modality named 'tyo'; did you mean 'toy'"):
        load_plugin("tyo")


def test_the_only_modality_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unite_core.plugins.names", lambda: ["toy"])
    assert only_plugin().name == "toy"


def test_several_modalities_need_one(install: Install) -> None:
    install("other", CHANGED.format("name='other'"))
    with pytest.raises(ConfigurationError, match=r"--modality; installed: .*other.*toy"):
        only_plugin()


def test_a_format_goes_to_the_modality_that_converts_it(install: Install) -> None:
    assert plugin_converting("toy-sizes").converter("toy-sizes") is convert
    with pytest.raises(ConfigurationError, match="no format 'sizes'; did you mean 'toy-sizes'"):
        plugin_converting("sizes")
    install("other", CHANGED.format("name='other'"))
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
    install("other", CHANGED.format("name='other'"))
    with pytest.raises(ConfigurationError, match=r"more than one modality reads .json"):
        plugin_for(Path("points.json"))
