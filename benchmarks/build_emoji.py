"""Builds the packaged emoji from the npm package emoji-datasource-google 16.0.0.

npm pack emoji-datasource-google@16.0.0
python benchmarks/build_emoji.py emoji-datasource-google-16.0.0.tgz
"""

import argparse
import json
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from unite_image.decoding import decode, with_channels
from unite_image.sources import PACKAGED

IMAGES = Path("img") / "google" / "64"

SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
SIGNS = {"2640", "2642", "27A1", "200D", "FE0F"}
"""Woman, man, facing right, and the marks that join and style code points."""
PERSON = {"1F468": "1F9D1", "1F469": "1F9D1"}
"""Man and woman, drawn as the person in other hair."""

HELD_OUT = 0.05


@dataclass
class Emoji:
    """One image; `family` holds those that are drawn alike and therefore share a split."""

    name: str
    code: str
    label: str
    family: str
    png: bytes


def family_of(code: str) -> str:
    """The code without skin tone, gender and direction; the code itself where it is just these."""
    points = [p for p in code.split("-") if p not in SKIN_TONES | SIGNS]
    return "-".join(PERSON.get(point, point) for point in points) or code


def on_white(file: Path) -> bytes:
    """A PNG without alpha, uncompressed: the table compresses many at once, and better."""
    encoded = BytesIO()
    Image.fromarray(with_channels(decode(file.read_bytes()), 3)).save(
        encoded, "PNG", compress_level=0
    )
    return encoded.getvalue()


def read_package(folder: Path) -> Iterator[Emoji]:
    """Every emoji with its skin tones, in Unicode's order within the categories."""
    entries = json.loads((folder / "emoji.json").read_text())
    for entry in sorted(entries, key=lambda entry: (entry["category"], entry["sort_order"])):
        label = entry["category"].split()[0].lower()
        for variant in [entry, *entry.get("skin_variations", {}).values()]:
            code = variant["unified"]
            png = on_white(folder / IMAGES / variant["image"])
            yield Emoji(entry["short_name"], code, label, family_of(code), png)


def join_copies(emoji: list[Emoji]) -> None:
    """Makes one family of those that share a picture (the flags of France and Saint Martin)."""
    joined: dict[str, str] = {}
    first: dict[bytes, str] = {}

    def root(family: str) -> str:
        return root(joined[family]) if family in joined else family

    for one in emoji:
        other, own = root(first.setdefault(one.png, one.family)), root(one.family)
        if own != other:
            joined[own] = other
    for one in emoji:
        one.family = root(one.family)


def split_families(emoji: list[Emoji]) -> dict[str, str]:
    """Each family's split, by the order of its hash: HELD_OUT of a class's images for each."""
    sizes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in emoji:
        sizes[one.label][one.family] += 1
    splits = {}
    for families in sizes.values():
        total, before = sum(families.values()), 0
        for family in sorted(families, key=lambda name: blake2b(name.encode()).digest()):
            middle = (before + families[family] / 2) / total
            held_out = "test" if middle < HELD_OUT else "validation"
            splits[family] = held_out if middle < 2 * HELD_OUT else "train"
            before += families[family]
    return splits


def write_table(emoji: list[Emoji], file: Path) -> None:
    """One page for all images, so that what they have in common is stored once."""
    splits = split_families(emoji)
    columns = {
        "image": pa.array([one.png for one in emoji], pa.binary()),
        "label": [one.label for one in emoji],
        "split": [splits[one.family] for one in emoji],
        "name": [one.name for one in emoji],
        "code": [one.code for one in emoji],
    }
    pq.write_table(
        pa.table(columns),
        file,
        compression="zstd",
        compression_level=19,
        use_dictionary=["label", "split"],
        data_page_size=2**30,
        write_batch_size=len(emoji),
        write_statistics=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="the .tgz, or the folder unpacked from it")
    parser.add_argument("--output", type=Path, default=PACKAGED["emoji"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.package
        if folder.is_file():
            with tarfile.open(folder) as archive:
                archive.extractall(scratch, filter="data")
            folder = Path(scratch) / "package"
        emoji = list(read_package(folder))
    join_copies(emoji)
    write_table(emoji, arguments.output)
    print(f"{len(emoji)} emoji, {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
