"""The molecule modality: what the core asks of a plug-in, answered for 3D molecules."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from scipy.spatial.transform import Rotation
from torch import Tensor
from unite_core.errors import ConfigurationError, DataError
from unite_core.modality import ConditionEmbedding, Modality, Unconditional
from unite_core.types import Layout, Story

from unite_molecule.assignment import Beliefs, assign
from unite_molecule.atoms import (
    AugmentedAtoms,
    Frame,
    FramedAtoms,
    FramedMolecules,
    InertialAtoms,
    OrderedAtoms,
)
from unite_molecule.config import FrameConfig, MoleculeConfig, MoleculeSampleOptions
from unite_molecule.data import PARENTS, MoleculeDataset, gather, open_dataset
from unite_molecule.decoder import MoleculeDecoder, MoleculePrediction
from unite_molecule.drawing import COLUMNS, draw_grid
from unite_molecule.formats import read_molecules, write_molecules
from unite_molecule.layout import MoleculeBatch, concatenate, fold, token_states, unfold
from unite_molecule.losses import molecule_loss
from unite_molecule.metrics import score_reconstruction, score_table
from unite_molecule.own_data import trainable, with_bonds
from unite_molecule.prepare import prepare
from unite_molecule.reconstruction import compare
from unite_molecule.template import Rejected
from unite_molecule.types import Molecule


def equivariant_atoms(width: int, frame: FrameConfig) -> FramedAtoms:
    """Those of the learned frame."""
    from unite_molecule.equivariant import EquivariantAtoms  # e3nn takes two seconds to import

    return EquivariantAtoms(width, frame.stem)


TOKENIZERS: dict[str, Callable[[int, FrameConfig], FramedAtoms]] = {
    "augmented": lambda width, _: AugmentedAtoms(width),
    "inertial": lambda width, _: InertialAtoms(width),
    "ordered": lambda width, _: OrderedAtoms(width),
    "equivariant": equivariant_atoms,
}
"""The frames by their names in the configuration."""


FEWEST_HELD_OUT = 1000
"""Held-out molecules that even a few samples are compared with."""


def open_sets(config: BaseModel, reference: str | None) -> tuple[MoleculeDataset, MoleculeDataset]:
    """All training and test molecules of `reference`, by default of the configured source."""
    assert isinstance(config, MoleculeConfig)
    source = config.source if reference is None else reference
    config = config.model_copy(update={"source": source, "limit": None})
    return open_dataset(config, "train"), open_dataset(config, "test")


def as_molecule(sample: Any) -> Molecule:
    """A molecule as it is, PyG's Data converted."""
    if isinstance(sample, Molecule):
        return sample
    from unite_molecule.pyg import from_pyg  # PyG takes two seconds to import

    return from_pyg(sample)


def lookup(values: Sequence[int], span: int) -> Tensor:
    """Class of each value in -span..span, addressed by value + span; -1 for unknown ones."""
    table = torch.full((2 * span + 1,), -1)
    table[torch.tensor(values) + span] = torch.arange(len(values))
    return table


class MoleculeModality(Modality):
    """3D molecules, one latent for each heavy atom or each atom."""

    name = "molecule"
    strength = 1.5
    rounds = 2
    config: MoleculeConfig

    def __init__(self, config: BaseModel, statistics: Mapping[str, Any]) -> None:
        super().__init__(config, statistics)
        self.elements = list(statistics["elements"])
        self.charges = list(statistics["charges"])
        self.states = np.array(
            [
                (self.elements.index(element), self.charges.index(charge), hydrogens, order)
                for element, charge, hydrogens, order in statistics["states"]
            ]
        )
        self.totals = tuple(statistics["total_charges"])
        self.histogram = {int(size): count for size, count in statistics["sizes"].items()}
        self.tables: dict[torch.device, tuple[Tensor, Tensor]] = {}

    @classmethod
    def prepare(cls, source: str) -> str:
        """Builds the cache of a source and says what was kept and what was rejected."""
        return str(prepare(source))

    @classmethod
    def measure(cls, config: BaseModel) -> dict[str, Any]:
        """Elements, charges and states of tokens, least and greatest total charge, sizes."""
        assert isinstance(config, MoleculeConfig)
        data = open_dataset(config, "train")
        sizes, counts = np.unique(data.sizes, return_counts=True)
        atoms = gather(data.store, data.rows)
        parents = PARENTS[config.layout](atoms)
        own = parents < 0
        totals = np.bincount(atoms.molecule, atoms.charges, minlength=len(data))
        return {
            "elements": np.unique(atoms.elements[own]).tolist(),
            "charges": np.unique(atoms.charges[own]).tolist(),
            "total_charges": [int(totals.min()), int(totals.max())],
            "states": token_states(atoms, parents).tolist(),
            "sizes": {str(size): int(count) for size, count in zip(sizes, counts, strict=True)},
            "molecules": len(data),
        }

    def registers(self) -> int:
        largest, multiple = max(self.histogram), self.config.multiple
        return -(-largest // multiple) * multiple

    def tokenizer(self, width: int) -> FramedAtoms:
        return TOKENIZERS[self.config.frame.kind](width, self.config.frame)

    def decoder(self, latent_dim: int) -> MoleculeDecoder:
        return MoleculeDecoder(
            self.config.decoder,
            latent_dim,
            self.registers(),
            elements=len(self.elements),
            charges=len(self.charges),
        )

    def condition_embedding(self, width: int) -> ConditionEmbedding:
        return Unconditional(width)

    def dataset(self, split: str) -> MoleculeDataset:
        return open_dataset(self.config, split)

    def layout(self, batch: MoleculeBatch) -> Layout:
        return Layout(sizes=batch.mask.sum(1), length=batch.mask.shape[1])

    def sample_layout(
        self, count: int, rng: np.random.Generator, options: BaseModel | None
    ) -> Layout:
        sizes = np.array(sorted(self.histogram))
        if isinstance(options, MoleculeSampleOptions) and options.heavy_atoms is not None:
            drawn = np.full(count, self.checked_size(options.heavy_atoms))
        else:
            weights = np.array([self.histogram[size] for size in sizes], dtype=np.float64)
            drawn = rng.choice(sizes, size=count, p=weights / weights.sum())
        # from a stream of its own, so that how a molecule lies does not depend on their number
        quaternions = rng.spawn(1)[0].normal(size=(count, 4))
        rotations = torch.from_numpy(Rotation.from_quat(quaternions, scalar_first=True).as_matrix())
        frame = Frame(rotations.to(torch.get_default_dtype()), torch.zeros(count, 3))
        return Layout(sizes=torch.from_numpy(drawn), context=frame)

    def checked_size(self, heavy_atoms: int) -> int:
        """A size that the model can make, or ConfigurationError."""
        if self.config.layout != "heavy":
            raise ConfigurationError(
                "--heavy-atoms needs a model with a latent per heavy atom, not one per atom"
            )
        if heavy_atoms > max(self.histogram):
            raise ConfigurationError(
                f"--heavy-atoms {heavy_atoms}: this model knows up to {max(self.histogram)}"
            )
        return heavy_atoms

    def reconstruction_loss(
        self, prediction: MoleculePrediction, batch: MoleculeBatch, context: FramedMolecules
    ) -> tuple[Tensor, dict[str, Tensor]]:
        target = context.target
        elements, charges = self.classes_on(batch.mask.device)
        return molecule_loss(
            prediction,
            target,
            elements[target.elements + 118].where(target.mask, 0),
            charges[target.charges + 9].where(target.mask, 0),
            self.config.loss,
        )

    def classes_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tables of the elements' and charges' classes: they stay there, since a recorded pass
        cannot bring them.
        """
        if device not in self.tables:
            elements, charges = lookup(self.elements, 118), lookup(self.charges, 9)
            self.tables[device] = elements.to(device), charges.to(device)
        return self.tables[device]

    def finish(
        self,
        prediction: MoleculePrediction,
        layout: Layout,
        context: FramedMolecules | Frame,
    ) -> list[Molecule]:
        frame = context.frame if isinstance(context, FramedMolecules) else context
        mask = layout.mask
        frame = Frame(frame.rotation.to(mask.device), frame.origin.to(mask.device))
        return unfold(frame.leave(self.decide(prediction, mask)))

    def decide(self, prediction: MoleculePrediction, mask: Tensor) -> MoleculeBatch:
        """The likeliest molecules whose valences fit, in the tokenizer's frame."""
        heads = (prediction.elements, prediction.charges, prediction.hydrogens, prediction.bonds)
        logs = [head.float().log_softmax(-1).cpu().numpy() for head in heads]
        b, n = mask.shape
        elements, charges, hydrogens = (np.zeros((b, n), dtype=np.int64) for _ in range(3))
        bonds = np.zeros((b, n, n), dtype=np.int64)
        sizes = mask.sum(1).tolist()
        beliefs = [
            self.beliefs([log[row, :size] for log in logs]) for row, size in enumerate(sizes)
        ]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # the solver leaves the GIL
            for row, (size, found) in enumerate(zip(sizes, pool.map(assign, beliefs), strict=True)):
                elements[row, :size] = np.take(self.elements, found.elements)
                charges[row, :size] = np.take(self.charges, found.charges)
                hydrogens[row, :size] = found.hydrogens
                bonds[row, :size, :size] = found.bonds
        classes = (torch.from_numpy(x).to(mask.device) for x in (elements, charges, hydrogens))
        element, charge, hydrogen = classes
        return MoleculeBatch(
            elements=element,
            coordinates=prediction.coordinates * mask[..., None],
            charges=charge,
            hydrogens=hydrogen,
            offsets=prediction.offsets,
            bonds=torch.from_numpy(bonds).to(mask.device),
            mask=mask,
        )

    def beliefs(self, logs: Sequence[np.ndarray]) -> Beliefs:
        """What the heads say of one molecule's tokens: log-probabilities, bonds [n, b, 4] last."""
        elements, charges, hydrogens, bonds = logs
        return Beliefs(
            elements,
            charges,
            hydrogens,
            bonds[:, : len(elements)],
            self.states,
            np.array(self.charges),
            self.totals,
        )

    def originals(self, batch: MoleculeBatch) -> list[Molecule]:
        return unfold(batch)

    @classmethod
    def read(cls, path: Path) -> tuple[list[Molecule], Mapping[str, int]]:
        """Molecules of an SDF or XYZ file; bonds are perceived where the file gives none."""
        molecules, rejected = read_molecules(path)
        pairs = zip(molecules, with_bonds(molecules), strict=True)
        return [bare if bonded is None else bonded for bare, bonded in pairs], rejected

    def accept(self, samples: Any) -> tuple[list[Molecule], Mapping[str, int]]:
        """Takes molecules, PyG's Data, or a Batch of these."""
        accepted: list[Molecule] = []
        refused: Counter[str] = Counter()
        # iterating a Batch itself would give its fields
        for sample in samples.to_data_list() if hasattr(samples, "to_data_list") else samples:
            try:
                molecule = as_molecule(sample)
                accepted.append(self.checked(trainable(molecule if len(molecule.bonds) else None)))
            except (Rejected, DataError) as reason:
                refused[str(reason)] += 1
        return accepted, refused

    def checked(self, molecule: Molecule) -> Molecule:
        """The molecule, or Rejected where this model knows nothing of its like."""
        atoms = concatenate([molecule])
        own = PARENTS[self.config.layout](atoms) < 0
        if own.sum() > self.registers():
            raise Rejected(f"more than the model's {self.registers()} latents")
        if not set(atoms.elements[own].tolist()) <= set(self.elements):
            raise Rejected("element that the model was not trained on")
        if not set(atoms.charges[own].tolist()) <= set(self.charges):
            raise Rejected("formal charge that the model was not trained on")
        return molecule

    def collate(self, samples: Sequence[Molecule]) -> MoleculeBatch:
        atoms = concatenate(list(samples))
        return fold(atoms, PARENTS[self.config.layout](atoms), self.config.multiple)

    @classmethod
    def write(cls, samples: Sequence[Molecule], path: Path) -> None:
        write_molecules(samples, path)

    @classmethod
    def check_score(cls, config: BaseModel, reference: str | None) -> None:
        open_sets(config, reference)

    @classmethod
    def score(
        cls, config: BaseModel, samples: Sequence[Molecule], reference: str | None
    ) -> dict[str, dict[str, Any]]:
        """Against held-out molecules of `reference`, by default of the configured source."""
        train, test = open_sets(config, reference)
        known, held = ({d.store.smiles(int(row)) for row in d.rows} for d in (train, test))
        count = max(len(samples), FEWEST_HELD_OUT)
        held_out = [test.store[int(row)] for row in test.rows[:count]]
        return score_table(samples, held_out, known, held - known)

    @classmethod
    def score_reconstruction(
        cls,
        config: BaseModel,
        originals: Sequence[Molecule],
        reconstructions: Sequence[Molecule],
    ) -> dict[str, Any]:
        return score_reconstruction(originals, reconstructions)

    @classmethod
    def errors(
        cls, originals: Sequence[Molecule], reconstructions: Sequence[Molecule]
    ) -> list[float]:
        """RMSD of each pair in angstrom, infinite where the numbers of atoms differ."""
        pairs = zip(originals, reconstructions, strict=True)
        found = [compare(a, b).rmsd for a, b in pairs]
        return [float("inf") if rmsd is None else rmsd for rmsd in found]

    @classmethod
    def preview(cls, samples: Sequence[Molecule], path: Path, columns: int | None = None) -> None:
        draw_grid(samples, path, COLUMNS if columns is None else columns)

    @classmethod
    def report(cls, story: Story, directory: Path) -> list[Path]:
        # here: matplotlib takes a third of a second to import, and only reports draw
        from unite_molecule.report import write_report

        return write_report(story, directory)
