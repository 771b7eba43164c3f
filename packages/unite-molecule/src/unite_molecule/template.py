"""Bonds from a geometry and a SMILES: the geometry says who is bonded, the SMILES how."""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem

from unite_molecule.types import Molecule

PERIODIC = Chem.GetPeriodicTable()
RADII = np.array([PERIODIC.GetRcovalent(number) for number in range(119)])  # angstrom

LONGEST_BOND = 1.4
"""Bonds reach this far, in sums of covalent radii: the longest of QM9 is at 1.29."""


class Rejected(Exception):
    """Why a molecule cannot be used; the message is the reason's name in the report."""


def walk(mol: Chem.Mol) -> tuple[str, np.ndarray]:
    """Canonical SMILES without stereo, and each atom's place in it [n].

    Neighbours in a SMILES are mostly bonded, which RDKit's bare canonical ranks do not give.
    """
    smiles = Chem.MolToSmiles(mol, isomericSmiles=False)
    order = list(
        mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
    )
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return smiles, places


def canonical_order(elements: np.ndarray, bonds: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Atoms [n]: the heavy ones by rank first, then hydrogens by their parent's place.

    A hydrogen without a heavy neighbour comes last, by its own rank.
    """
    count = len(elements)
    light = elements == 1
    place = np.full(count, count)
    heavy = np.flatnonzero(~light)
    place[heavy[np.argsort(ranks[heavy])]] = np.arange(len(heavy))
    parent = np.full(count, count)
    for a, b in ((bonds[:, 0], bonds[:, 1]), (bonds[:, 1], bonds[:, 0])):
        folded = light[a] & ~light[b]
        parent[a[folded]] = place[b[folded]]
    return np.lexsort((ranks, np.where(light, parent, place), light))


def reorder(molecule: Molecule, order: np.ndarray) -> Molecule:
    """The molecule with atom order[i] at place i; bonds sorted, i < j."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ends = np.sort(place[molecule.bonds[:, :2]].reshape(-1, 2), axis=1)
    bonds = np.column_stack([ends, molecule.bonds[:, 2]]).astype(np.int16)
    return Molecule(
        elements=molecule.elements[order],
        coordinates=molecule.coordinates[order],
        charges=molecule.charges[order],
        bonds=bonds[np.lexsort((bonds[:, 1], bonds[:, 0]))],
        smiles=molecule.smiles,
        properties=molecule.properties,
    )


def labelled(
    elements: Sequence[int], hydrogens: Sequence[int], pairs: Sequence[Sequence[int]]
) -> Chem.Mol:
    """A graph of heavy atoms to be matched by element, hydrogen count and connections alone."""
    graph = Chem.RWMol()
    for element, count in zip(elements, hydrogens, strict=True):
        atom = Chem.Atom(int(element))
        # RDKit's matching compares isotopes, zero meaning any: they carry the hydrogen count
        atom.SetIsotope(int(count) + 1)
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    for i, j in pairs:
        graph.AddBond(int(i), int(j), Chem.BondType.SINGLE)
    return graph


def closest_pairs(elements: np.ndarray, coordinates: np.ndarray, count: int) -> np.ndarray:
    """The `count` pairs [count, 2] nearest to each other in sums of covalent radii."""
    first, second = np.triu_indices(len(elements), 1)
    gaps = np.linalg.norm(coordinates[first] - coordinates[second], axis=1)
    stretch = gaps / (RADII[elements[first]] + RADII[elements[second]])
    nearest = np.argsort(stretch)[:count]
    if len(nearest) < count or (stretch[nearest] > LONGEST_BOND).any():
        raise Rejected("bonds of the SMILES missing in the geometry")
    return np.column_stack([first[nearest], second[nearest]])


def parents(elements: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hydrogens and the heavy atom nearest to each, as atom numbers."""
    hydrogens, heavy = np.flatnonzero(elements == 1), np.flatnonzero(elements != 1)
    if len(heavy) == 0:
        raise Rejected("no heavy atom")
    gaps = np.linalg.norm(coordinates[hydrogens, None] - coordinates[heavy], axis=-1)
    nearest = heavy[gaps.argmin(1)]
    reach = LONGEST_BOND * (RADII[elements[nearest]] + RADII[1])
    if (gaps.min(1, initial=np.inf) > reach).any():
        raise Rejected("hydrogen away from every heavy atom")
    return hydrogens, nearest


def read_template(smiles: str) -> Chem.Mol:
    """The SMILES without stereo, or Rejected."""
    template = Chem.MolFromSmiles(smiles)
    if template is None:
        raise Rejected("SMILES that RDKit cannot read")
    Chem.RemoveStereochemistry(template)
    return template


def kekulised_bonds(mol: Chem.Mol) -> np.ndarray:
    """Atom, atom and order (1, 2 or 3) of each bond [m, 3]."""
    copy = Chem.Mol(mol)
    Chem.Kekulize(copy, clearAromaticFlags=True)
    bonds = [
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondTypeAsDouble()))
        for b in copy.GetBonds()
    ]
    return np.array(bonds, dtype=np.int64).reshape(-1, 3)


def best_match(
    template: Chem.Mol, graph: Chem.Mol, bonds: np.ndarray, coordinates: np.ndarray
) -> np.ndarray:
    """Heavy atom of the geometry for each atom of the template [n].

    Where a symmetric skeleton can be matched in several ways, higher orders go to shorter bonds.
    """
    query = labelled(
        [atom.GetAtomicNum() for atom in template.GetAtoms()],
        [atom.GetTotalNumHs() for atom in template.GetAtoms()],
        bonds[:, :2].tolist(),
    )
    matches = np.array(graph.GetSubstructMatches(query, uniquify=False, maxMatches=1000))
    if len(matches) == 0:
        raise Rejected("geometry does not match the SMILES")
    ends = coordinates[matches[:, bonds[:, :2]]]
    lengths = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=-1)
    best: np.ndarray = matches[(lengths @ bonds[:, 2]).argmin()]
    return best


def from_template(smiles: str, elements: np.ndarray, coordinates: np.ndarray) -> Molecule:
    """The molecule in canonical order with the SMILES's bond orders and charges, or Rejected.

    elements [n] atomic numbers with every hydrogen, coordinates [n, 3] in angstrom. The geometry's
    graph of heavy atoms, hydrogen counts included, must equal the SMILES's.
    """
    template = read_template(smiles)
    bonds = kekulised_bonds(template)
    hydrogens, holders = parents(elements, coordinates)
    heavy = np.flatnonzero(elements != 1)
    if len(heavy) != template.GetNumAtoms():
        raise Rejected("atoms differ from the SMILES")
    pairs = closest_pairs(elements[heavy], coordinates[heavy], len(bonds))
    counts = np.bincount(holders, minlength=len(elements))[heavy]
    graph = labelled(elements[heavy].tolist(), counts.tolist(), pairs.tolist())
    match = heavy[best_match(template, graph, bonds, coordinates[heavy])]
    charges = np.zeros(len(elements), dtype=np.int8)
    charges[match] = [atom.GetFormalCharge() for atom in template.GetAtoms()]
    ranks = np.arange(len(elements))
    canonical, ranks[match] = walk(template)
    own = np.column_stack([match[bonds[:, :2]].reshape(-1, 2), bonds[:, 2]])
    to_hydrogens = np.column_stack([holders, hydrogens, np.ones_like(hydrogens)])
    molecule = Molecule(
        elements=elements.astype(np.uint8),
        coordinates=coordinates.astype(np.float32),
        charges=charges,
        bonds=np.concatenate([own, to_hydrogens]).astype(np.int16),
        smiles=canonical,
    )
    return reorder(molecule, canonical_order(molecule.elements, molecule.bonds, ranks))
