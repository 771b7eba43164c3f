"""From a recipe's name or path, and overrides, to a checked RunConfig. Imports no torch."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from unite_core.config import RunConfig
from unite_core.errors import ConfigurationError, nearest
from unite_core.plugins import load_plugin, usable_plugins

Checked = TypeVar("Checked", bound=BaseModel)

SHORTLY = reprlib.Repr()
"""Shows values in messages: aliases make a few lines of YAML unfold to gigabytes."""
SHORTLY.maxlevel, SHORTLY.maxstring = 2, 100


class PlainLoader(yaml.BaseLoader):
    """YAML whose scalars stay text, null aside: the schema, not YAML, says what 1e-4 or no is."""


def text_or_null(loader: PlainLoader, node: yaml.ScalarNode) -> Any:
    """A scalar as text, null as None."""
    return None if node.value in {"null", "~"} else loader.construct_scalar(node)


PlainLoader.add_constructor("tag:yaml.org,2002:str", text_or_null)


def recipe_paths() -> dict[str, Path]:
    """Every recipe that a working plug-in carries, by name."""
    found = [sorted(plugin.recipes.glob("*.yaml")) for plugin in usable_plugins()]
    return {path.stem: path for paths in found for path in paths}


def load_recipe(recipe: str, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration of a recipe by name or YAML path, with overrides "a.b=value".

    Raises ConfigurationError, naming the nearest known name or key.
    """
    values = parse(read(find_recipe(recipe)), recipe)
    if not isinstance(values, dict):
        raise ConfigurationError(f"recipe {recipe!r} is not a mapping of keys to values")
    change(values, overrides)
    return run_config(values)


def run_config(values: Mapping[str, Any]) -> RunConfig:
    """The configuration of a run, with its modality's part of it checked; ConfigurationError."""
    config = check(RunConfig, values, "")
    data = check(load_plugin(config.modality).config, config.data, "data.")
    return config.model_copy(update={"data": data.model_dump(mode="json")})


def data_config(
    schema: type[BaseModel], data: Mapping[str, Any], overrides: Sequence[str]
) -> BaseModel:
    """A modality's configuration with overrides "data.a=value"; ConfigurationError."""
    values = {"data": deepcopy(dict(data))}
    change(values, overrides)
    others = sorted(values.keys() - {"data"})
    if others:
        raise ConfigurationError(f"{others[0]} cannot be changed here: only keys of data can")
    return check(schema, values["data"], "data.")


def change(values: dict[str, Any], overrides: Sequence[str]) -> None:
    """Puts each override "a.b=value" into `values`."""
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigurationError(f"override {override!r}: write key=value, as in a.b=3")
        put(values, key.split("."), parse(text, override))


def find_recipe(recipe: str) -> Path:
    """The file of a recipe by name or path."""
    paths = recipe_paths()
    path = paths.get(recipe) or Path(recipe)
    if not path.is_file():
        raise ConfigurationError(f"no recipe {recipe!r}{nearest(recipe, paths)}")
    return path


def read(path: Path) -> str:
    """A recipe's text; ConfigurationError where it has none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read recipe {path}: {error}") from error


def parse(text: str, source: str) -> Any:
    """A YAML text with scalars as text."""
    try:
        return yaml.load(text, Loader=PlainLoader)  # noqa: S506 (a subclass of BaseLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source} is not YAML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{source} is not a recipe's YAML: nested too deeply") from error


def put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    """Sets values[a][b] for keys [a, b]."""
    for key in keys[:-1]:
        inner = values.get(key)
        if not isinstance(inner, dict):
            inner = values[key] = {}
        values = inner
    values[keys[-1]] = value


def check(schema: type[Checked], values: Mapping[str, Any], prefix: str) -> Checked:
    """`values` by the schema; ConfigurationError lists every key at fault, after `prefix`."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        lines = [describe(schema, detail, prefix) for detail in error.errors()]
        raise ConfigurationError("; ".join(lines)) from error


def describe(schema: type[BaseModel], detail: Mapping[str, Any], prefix: str) -> str:
    """One fault in words."""
    keys = [str(key) for key in detail["loc"]]
    name = prefix + ".".join(written(schema, keys))
    if detail["type"] == "union_tag_invalid":
        tag, expected = detail["ctx"]["tag"], detail["ctx"]["expected_tags"]
        return f"{name}.name: {tag!r} is not one of {expected}"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {name}{nearest(keys[-1], known_keys(schema, keys[:-1]))}"
    if detail["type"] == "missing":
        return f"{name} is missing"
    if detail["type"] == "value_error":  # one of ours, which says all
        return f"{name.rstrip('.')}: {detail['ctx']['error']}"
    return f"{name}: {detail['msg']}, not {SHORTLY.repr(detail['input'])}"


def known_keys(schema: type[BaseModel], keys: Iterable[str]) -> list[str]:
    """The keys of the section at `keys`; a tagged section's tag is one of them."""
    sections = [schema]
    for key in keys:
        sections = tagged(sections, key) or inside(sections, key)
    return [name for section in sections for name in section.model_fields]


def written(schema: type[BaseModel], keys: Iterable[str]) -> list[str]:
    """The keys as a recipe has them: without the tags of tagged sections."""
    sections, own = [schema], []
    for key in keys:
        chosen = tagged(sections, key)
        if not chosen:
            own.append(key)
        sections = chosen or inside(sections, key)
    return own


def tagged(sections: Iterable[type[BaseModel]], tag: str) -> list[type[BaseModel]]:
    """Those of some sections whose tag this is."""
    return [s for s in sections if "name" in s.model_fields and tag in tags(s)]


def inside(sections: Iterable[type[BaseModel]], key: str) -> list[type[BaseModel]]:
    """The sections that `key` of some sections may hold."""
    fields = [s.model_fields[key] for s in sections if key in s.model_fields]
    return [model for field in fields for model in models(field.annotation)]


def tags(section: type[BaseModel]) -> tuple[Any, ...]:
    """What the `name` of a section may be."""
    return get_args(section.model_fields["name"].annotation)


def models(annotation: Any) -> list[type[BaseModel]]:
    """The sections inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models(part)]
