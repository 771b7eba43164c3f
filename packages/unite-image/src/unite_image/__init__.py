"""UNITE for images."""

from pathlib import Path

from unite_core.plugins import INTERFACE_VERSION, Plugin

from unite_image.config import ImageConfig, ImageSampleOptions

HERE = Path(__file__).parent
PICTURES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".ppm",
    ".pgm", ".heic", ".heif",
)  # fmt: skip
"""Endings of the picture files that are read, the last two to be counted as rejected."""

plugin = Plugin(
    name="image",
    interface_version=INTERFACE_VERSION,
    config=ImageConfig,
    sample_options=ImageSampleOptions,
    trained_for=("resolution", "channels", "patch", "tokens", "conditional", "decoder"),
    implementation="unite_image.modality:ImageModality",
    suffixes=(*PICTURES, ".npz", ".parquet"),
    writes=(".png", ".jpg", ".npz"),
    archives=(".npz",),
    packages=("lpips", "timm", "torch-fidelity", "torchmetrics", "torchvision", "unite-image"),
    recipes=HERE / "recipes",
    weights=HERE / "weights",
    converters={"official": "unite_image.official:convert"},
)
