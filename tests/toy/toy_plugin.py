"""How the tests' toy modality announces itself; it is discovered as any stranger's is."""

from pathlib import Path

from unite_core.config import Section
from unite_core.plugins import INTERFACE_VERSION, Plugin


class ToyConfig(Section):
    """`count` point sets, up to `longest` points each, joined to the registers as `tokens` says."""

    count: int = 64
    longest: int = 5


class ToyOptions(Section):
    """Nothing to choose."""


plugin = Plugin(
    name="toy",
    interface_version=INTERFACE_VERSION,
    config=ToyConfig,
    sample_options=ToyOptions,
    implementation="toy_modality:ToyModality",
    recipes=Path(__file__).parent / "recipes",
    weights=Path(__file__).parent / "weights",
)
