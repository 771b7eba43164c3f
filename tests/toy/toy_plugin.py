"""How the tests' toy modality announces itself; it is discovered as any stranger's is."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from unite_core.config import Section
from unite_core.plugins import INTERFACE_VERSION, Plugin


class ToyConfig(Section):
    """`count` point sets, up to `longest` points each."""

    count: int = 64
    longest: int = 5
    conditional: bool = True


class ToyOptions(Section):
    """`point_count` points in every sample."""

    point_count: Annotated[int, Field(ge=2, le=5)] | None = None


plugin = Plugin(
    name="toy",
    interface_version=INTERFACE_VERSION,
    config=ToyConfig,
    sample_options=ToyOptions,
    trained_for=("longest", "conditional"),
    implementation="toy_modality:ToyModality",
    suffixes=(".json",),
    writes=(".json",),
    archives=(".json",),
    packages=("numpy",),
    recipes=Path(__file__).parent / "recipes",
    weights=Path(__file__).parent / "weights",
    converters={"toy-sizes": "toy_modality:convert"},
)
