"""A modality's own options on the command line of `unite sample`. Imports no torch."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from unite_core.errors import ConfigurationError, nearest

Options = TypeVar("Options", bound=BaseModel)


def option_name(field: str) -> str:
    """--heavy-atoms for heavy_atoms."""
    return "--" + field.replace("_", "-")


def parse_options(schema: type[Options], words: Sequence[str], others: Sequence[str]) -> Options:
    """The options "--name value" or "--name=value" in `words`.

    Raises ConfigurationError, naming the nearest of the schema's options and `others`.
    """
    names = [info.alias or field for field, info in schema.model_fields.items()]
    fields = {option_name(name): name for name in names}
    values: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name not in fields:
            hint = nearest(name, [*fields, *others])
            raise ConfigurationError(f"unexpected argument {name!r}{hint}")
        if not equals:
            value = next(rest, "")
        if not value:
            raise ConfigurationError(f"{name} needs a value")
        values[fields[name]] = value
    return check_options(schema, values)


def check_options(schema: type[Options], values: Mapping[str, str]) -> Options:
    """The values by the schema; ConfigurationError lists every option at fault."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        faults = (
            f"{option_name(str(detail['loc'][0]))}: {detail['msg']}, not {detail['input']!r}"
            for detail in error.errors()
        )
        raise ConfigurationError("; ".join(faults)) from error


def option_lines(schema: type[BaseModel]) -> dict[str, str]:
    """Each option with what it takes."""
    properties = schema.model_json_schema()["properties"] if schema.model_fields else {}
    return {option_name(field): takes(described) for field, described in properties.items()}


def takes(described: Mapping[str, Any]) -> str:
    """A JSON schema's type in words: "integer", or "a | b" of a choice."""
    parts = described.get("anyOf", [described])
    words = ["|".join(part["enum"]) if "enum" in part else part["type"] for part in parts]
    return " or ".join(word for word in words if word != "null")
