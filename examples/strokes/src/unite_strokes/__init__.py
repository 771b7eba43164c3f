"""A UNITE plug-in for characters as pen strokes, one latent for each stroke."""

from pathlib import Path

from unite_core.plugins import Plugin

from unite_strokes.config import StrokesConfig, StrokesSampleOptions

plugin = Plugin(
    name="strokes",
    interface_version=1,
    config=StrokesConfig,
    sample_options=StrokesSampleOptions,
    trained_for=("width", "depth", "heads"),
    implementation="unite_strokes.modality:StrokesModality",
    suffixes=(".json",),
    writes=(".png", ".json"),
    archives=(".json",),
    packages=("unite-strokes", "kanjivg"),
    recipes=Path(__file__).parent / "recipes",
    weights=Path(__file__).parent / "weights",
)
