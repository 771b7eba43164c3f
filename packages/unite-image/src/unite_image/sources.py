"""Finds the source of images that a path means."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from os.path import expanduser  # Path's own fails where there is no home directory
from pathlib import Path

from unite_core.errors import ConfigurationError, nearest

from unite_image.arrays import array_source
from unite_image.folders import folder_source, images_in
from unite_image.records import Source, reading
from unite_image.tables import table_source

PACKAGED = {"emoji": Path(__file__).parent / "emoji" / "emoji.parquet"}
"""The sources that come with the package."""

HUB = "hub:"

READERS = {".npz": array_source, ".parquet": table_source}


def locate(path: str) -> Path:
    """The file or folder of a path; ConfigurationError for an unknown one."""
    place = PACKAGED.get(path, Path(expanduser(path)))
    if place.is_dir() or (place.is_file() and place.suffix.lower() in READERS):
        return place
    if place.exists():
        raise ConfigurationError(
            f"data.path {path!r} is no set of images: give a folder, {' or '.join(READERS)}"
        )
    raise ConfigurationError(
        f"no data.path {path!r}: give a folder, {', '.join(READERS)}, {HUB}OWNER/NAME or "
        f"{', '.join(PACKAGED)}{nearest(path, PACKAGED)}"
    )


def find_source(path: str) -> Source:
    """The images of a packaged set's name, a folder, a file or "hub:OWNER/NAME".

    ConfigurationError for what is none of these, DataError where it cannot be read.
    """
    if path.startswith(HUB):
        from unite_image.hub import hub_source  # datasets is slow to import

        return hub_source(path.removeprefix(HUB))
    place = locate(path)
    source = folder_source(place) if place.is_dir() else READERS[place.suffix.lower()](place)
    return replace(source, enlarge=path in PACKAGED)


def identity(path: str) -> Iterator[str]:
    """What tells a source from another: its files' names, sizes and times; its name on the hub.

    A local copy of a data set of the hub has both.
    """
    files: Iterator[Path]
    if path.startswith(HUB):
        yield path
        place = Path(path.removeprefix(HUB)).resolve()
        files = (file for file in sorted(place.rglob("*")) if file.is_file())
    else:
        place = locate(path).resolve()
        files = images_in(place) if place.is_dir() else iter([place])
    with reading(place):
        for file in files:
            try:
                status = file.stat()
            except OSError:
                status = file.lstat()  # a link to nothing
            yield f"{file}|{status.st_size}|{status.st_mtime_ns}"


def fingerprint(path: str) -> str:
    """A hash of a source that changes with its files."""
    digest = blake2b(digest_size=8)
    for line in identity(path):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()
