"""The report on a run of images: samples by class, and originals with their reconstructions."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from unite_core.page import inline_png, template, write_page
from unite_core.types import Story

from unite_image.grids import WIDTH, draw_grid, draw_pairs, draw_rows
from unite_image.types import Image

ROWS = 10
"""Rows of samples in the report, a class each where there are classes."""
COLUMNS = 10
"""Images in a row, or fewer where they would not fit at their own size."""
PAIRS = 20
"""Originals in the report."""


def by_class(images: Sequence[Image], names: Sequence[str]) -> list[tuple[str, list[Image]]]:
    """The images of each class, under its name; those without a label are left out."""
    classes: defaultdict[int, list[Image]] = defaultdict(list)
    for image in images:
        if image.label is not None:
            classes[image.label].append(image)
    return [(names[label], classes[label]) for label in sorted(classes)]


def draw_samples(images: Sequence[Image], names: Sequence[str], path: Path) -> None:
    """A picture of the first samples: of each class, where they have one; StorageError."""
    columns = max(1, min(COLUMNS, WIDTH // images[0].pixels.shape[1]))
    classes = by_class(images, names)
    if classes:
        draw_rows([(name, drawn[:columns]) for name, drawn in classes[:ROWS]], path)
    else:
        draw_grid(images[: ROWS * columns], path, columns)


def write_report(story: Story, directory: Path) -> list[Path]:
    """samples.png, reconstructions.png and the page with its curves; StorageError."""
    samples, pairs = directory / "samples.png", directory / "reconstructions.png"
    drawn = {}
    if story.samples:
        draw_samples(story.samples, story.statistics["classes"], samples)
        drawn["Samples"] = samples
    if story.pairs:
        draw_pairs(story.pairs[:PAIRS], pairs)
        drawn["Originals, each with its reconstruction"] = pairs
    pictures = {name: inline_png(path, name) for name, path in drawn.items()}
    return [*drawn.values(), *write_page(story, pictures, directory, template())]
