"""The readers of files that are fuzzed, each with small whole files to spoil."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
from mutations import Mutation, spoil, spoil_archive, spoil_image
from rdkit import Chem
from rdkit.Chem import AllChem
from unite_core.recipes import load_recipe, recipe_paths
from unite_image.arrays import array_source
from unite_image.decoding import FORMATS, fit
from unite_image.decoding import Rejected as RejectedImage
from unite_image.records import Record
from unite_image.statistics import holds_statistics, read_statistics
from unite_image.tables import table_source
from unite_image.types import Image
from unite_molecule.conversion import from_rdkit
from unite_molecule.formats import read_molecules, write_molecules
from unite_molecule.own_data import trainable
from unite_molecule.template import Rejected as RejectedMolecule

SMILES = ("CCO", "c1ccoc1", "[NH3+]CC(=O)[O-]", "CC#N", "C[C@H](N)O")
OVERRIDES = (
    *("training.minutes=5", "data.limit=null", "optimizer={name: adamw, betas: [0.8, 0.9]}"),
    *("encoder.depth=2", "training.clip=~", "modality=image", "data={}", "output=runs/a b"),
)

Counts = Mapping[str, int]


@dataclass(frozen=True)
class Reader:
    """`read` gives how many samples of a file it rejected for which reason.

    `files` makes whole ones, `mutate` spoils one of them.
    """

    ending: str
    files: Callable[[], Sequence[bytes]]
    read: Callable[[Path], Counts]
    mutate: Mutation = spoil

    def case(self, seed: int, number: int) -> bytes:
        """The spoilt file of a number, the same in every run."""
        rng = np.random.default_rng([seed, number])
        files = made(self.files)
        return self.mutate(files[int(rng.integers(len(files)))], rng, files)


@cache
def made(files: Callable[[], Sequence[bytes]]) -> Sequence[bytes]:
    """What `files` gives, made once."""
    return files()


def embedded() -> list[Chem.Mol]:
    """A few molecules with hydrogens and a geometry."""
    mols = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in SMILES]
    for mol in mols:
        AllChem.EmbedMolecule(mol, randomSeed=7)
    return mols


def sdf_files() -> list[bytes]:
    """Records of either version, with and without aromatic bonds; the last file has them all."""
    records = [
        Chem.MolToMolBlock(mol, kekulize=kekulize, forceV3000=v3000) + "> <p>\n1\n\n$$$$\n"
        for mol in embedded()
        for kekulize in (True, False)
        for v3000 in (True, False)
    ]
    return [text.encode() for text in (*records, "".join(records))]


def xyz_files() -> list[bytes]:
    """All molecules in one file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "all.xyz")
        write_molecules([from_rdkit(mol) for mol in embedded()], path)
        return [path.read_bytes()]


def read_molecule_file(path: Path) -> Counts:
    """As training data is read, but for missing bonds, which processes of their own perceive."""
    molecules, rejected = read_molecules(path)
    for molecule in (molecule for molecule in molecules if len(molecule.bonds)):
        try:
            trainable(molecule)
        except RejectedMolecule as reason:
            rejected[str(reason)] += 1
    return rejected


def image_files() -> list[bytes]:
    """Noise in every format, in every mode that Pillow writes there."""
    rng = np.random.default_rng(0)
    noise = PIL.Image.fromarray(rng.integers(0, 256, (12, 9, 3), dtype=np.uint8))
    deep = PIL.Image.fromarray(rng.integers(0, 65536, (12, 9), dtype=np.uint16))
    modes = [noise.convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")]
    files = []
    for kind in FORMATS:
        for image in (*modes, deep):
            file = BytesIO()
            try:
                image.save(file, kind)
            except (OSError, ValueError):  # the format does not have this mode
                continue
            files.append(file.getvalue())
    return files


def count_rejected(records: Iterable[Record]) -> Counts:
    """Why images cannot be made ready for a model."""
    reasons: Counter[str] = Counter()
    for record in records:
        try:
            fit(Image(record.load()[1]), 8, 3, enlarge=True)
        except RejectedImage as reason:
            reasons[str(reason)] += 1
    return reasons


def array_files() -> list[bytes]:
    """Images with labels, and statistics of images; packed and not."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    kinds: list[dict[str, np.ndarray]] = [
        {"images": images, "labels": np.arange(6) % 2, "classes": np.array(["u", "v"])},
        {"x": images[..., 0], "y": np.array(list("abcabc"))},
        {"mu": rng.normal(size=4), "sigma": np.eye(4), "features": np.zeros((0, 4))},
    ]
    files = []
    for arrays in kinds:
        for save in (np.savez, np.savez_compressed):
            file = BytesIO()
            save(file, **arrays)
            files.append(file.getvalue())
    return files


def read_arrays(path: Path) -> Counts:
    """Statistics where the file has some, and otherwise images."""
    if holds_statistics(path):
        read_statistics(path, SimpleNamespace(name="any", width=4))
        return {}
    return count_rejected(array_source(path).records())


NOTE = {"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
"""Beside a table of encoded images, as `datasets` writes it."""


def table_files() -> list[bytes]:
    """Images as bytes, as structs, and beside the table, with labels and splits; packed and not."""
    images = image_files()[:6]
    named = [f"{row}.png" for row in range(len(images))]
    structs = [{"bytes": image, "path": None} for image in images]
    beside = [{"bytes": None, "path": name} for name in named]
    labels, splits = list("uvuvuv"), ["train", "test"] * 3
    tables = [
        pa.table({"image": images, "label": labels, "split": splits}),
        pa.table({"img": structs, "labels": labels}),
        pa.table({"image": structs[:3] + beside[3:], "label": [0, 1] * 3}).replace_schema_metadata(
            {"huggingface": json.dumps(NOTE)}
        ),
    ]
    files = []
    for table in tables:
        for packing in ("none", "snappy", "zstd"):
            file = BytesIO()
            pq.write_table(table, file, compression=packing)
            files.append(file.getvalue())
    return files


def read_recipe(path: Path) -> Counts:
    """A recipe by its path."""
    load_recipe(str(path))
    return {}


def read_override(path: Path) -> Counts:
    """A recipe changed by the file's text, as an argument would give it."""
    load_recipe("qm9-small", [path.read_text(encoding="utf-8", errors="surrogateescape")])
    return {}


READERS = {
    "sdf": Reader(".sdf", sdf_files, read_molecule_file),
    "xyz": Reader(".xyz", xyz_files, read_molecule_file),
    "image": Reader(
        ".png", image_files, lambda p: count_rejected([Record(p.name, p)]), spoil_image
    ),
    "npz": Reader(".npz", array_files, read_arrays, spoil_archive),
    "parquet": Reader(
        ".parquet", table_files, lambda path: count_rejected(table_source(path).records())
    ),
    "recipe": Reader(
        ".yaml", lambda: [path.read_bytes() for path in recipe_paths().values()], read_recipe
    ),
    "override": Reader(".txt", lambda: [text.encode() for text in OVERRIDES], read_override),
}
