"""Builds the cache of a source of images once, and opens it."""

import json
import logging
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

from unite_core.cache import prepared
from unite_core.errors import ConfigurationError, DataError

from unite_image.config import ImageConfig
from unite_image.decoding import Rejected, fit
from unite_image.records import Record, Source
from unite_image.rejections import Rejections, usable
from unite_image.sources import find_source, fingerprint
from unite_image.store import ImageStore, Row, write_store
from unite_image.types import Image

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised whenever the stored form changes; older caches are then built anew."""

REPORT = "report.json"
UNLABELLED = "label that is none of the classes"


@dataclass(frozen=True)
class Report:
    """What became of a source's images."""

    classes: list[str]
    kept: int
    rejected: dict[str, int]  # by reason
    examples: dict[str, list[str]]  # names, by reason

    def check(self, path: str, max_rejected: float) -> None:
        """DataError where a larger share than `max_rejected` of the images is unusable."""
        rejections = Rejections(self.rejected, self.examples)
        total = self.kept + rejections.total
        if self.kept == 0:
            raise DataError(
                f"none of the {total:,} images of {path!r} can be used: mend them, or for small "
                f"ones lower data.resolution or set data.enlarge=true\n{rejections}"
            )
        if rejections.total > max_rejected * total:
            raise DataError(
                f"{rejections.total:,} of the {total:,} images of {path!r} cannot be used, and "
                f"data.max_rejected allows {max_rejected:.2%}: mend or remove them, for small ones "
                f"lower data.resolution or set data.enlarge=true, or raise data.max_rejected\n"
                f"{rejections}"
            )


def check_classes(config: ImageConfig, classes: list[str]) -> None:
    """ConfigurationError where a conditional model has no classes to tell apart."""
    if config.conditional and len(classes) < 2:
        found = f"the one class {classes[0]!r}" if classes else "no classes"
        raise ConfigurationError(f"{config.path!r} has {found}: set data.conditional=false")


def make_row(record: Record, source: Source, config: ImageConfig) -> Row:
    """A record as it is stored, or Rejected."""
    if source.classes and not 0 <= record.label < len(source.classes):
        raise Rejected(UNLABELLED)
    content, pixels = record.load()
    enlarge = source.enlarge or config.enlarge
    image = fit(Image(pixels), config.resolution, config.channels, enlarge)
    number = int.from_bytes(blake2b(content, digest_size=8).digest(), "little")
    return Row(image.pixels, record.label, record.split, number)


def fill(config: ImageConfig, directory: Path) -> None:
    """Writes the store of a source and its report; the source's own errors."""
    source, rejections = find_source(config.path), Rejections()
    check_classes(config, source.classes)

    def make(record: Record) -> Row:
        return make_row(record, source, config)

    rows = usable(source.records(), make, rejections)
    kept = write_store(rows, directory, config.resolution, config.channels)
    report = Report(source.classes, kept, rejections.counts, rejections.examples)
    report.check(config.path, 1.0)
    (directory / REPORT).write_text(json.dumps(asdict(report)))


def cache(config: ImageConfig) -> Path:
    """The directory with a source's images and report."""
    size = f"{config.resolution}x{config.channels}{'-enlarged' if config.enlarge else ''}"
    name = f"images-{fingerprint(config.path)}-{size}-v{VERSION}"
    return prepared(name, partial(fill, config))


def read_report(place: Path) -> Report:
    """What `fill` wrote beside the images."""
    return Report(**json.loads((place / REPORT).read_text()))


def tell_rejected(config: ImageConfig) -> None:
    """A warning with the number of images that training does without, and why."""
    report = read_report(cache(config))
    rejections = Rejections(report.rejected, report.examples)
    if rejections.total:
        logger.warning("left out %d images of %r:\n%s", rejections.total, config.path, rejections)


def open_store(config: ImageConfig) -> tuple[ImageStore, list[str]]:
    """The images of the configured source, memory-mapped, with the names of their classes.

    Prepares them where that was not done. DataError where more than `max_rejected` of them are
    unusable, ConfigurationError where a conditional model finds no classes, StorageError where the
    cache cannot be written.
    """
    place = cache(config)
    report = read_report(place)
    check_classes(config, report.classes)
    report.check(config.path, config.max_rejected)
    return ImageStore(place, config.resolution, config.channels), report.classes
