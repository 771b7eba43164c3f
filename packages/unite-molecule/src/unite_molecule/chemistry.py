"""RDKit's judgement of a molecule as it stands: is it valid, and what is it called?"""

from dataclasses import dataclass

from rdkit import Chem, rdBase

from unite_molecule.conversion import sanitised, to_rdkit
from unite_molecule.types import Molecule


@dataclass(frozen=True)
class Verdict:
    """`whole`: sanitisation passes. `strict`: and it is one closed-shell piece without gaps.

    `smiles` names the largest fragment, with hydrogens added where it lacks some; None where even
    the fragment fails.
    """

    whole: bool
    strict: bool
    smiles: str | None


INVALID = Verdict(whole=False, strict=False, smiles=None)


def complete(mol: Chem.Mol) -> bool:
    """Whether no atom of a sanitised molecule has a radical electron or an implicit hydrogen."""
    return all(
        atom.GetNumRadicalElectrons() == 0 and atom.GetTotalNumHs() == 0 for atom in mol.GetAtoms()
    )


def saturated(mol: Chem.Mol) -> Chem.Mol:
    """A copy whose radicals are taken for missing hydrogens."""
    filled = Chem.Mol(mol)
    for atom in filled.GetAtoms():
        atom.SetNoImplicit(False)
        atom.SetNumRadicalElectrons(0)
    filled.UpdatePropertyCache(strict=False)
    return filled


def canonical_smiles(mol: Chem.Mol) -> str:
    """Canonical SMILES of a sanitised molecule without hydrogens and stereo marks."""
    with rdBase.BlockLogs():
        return str(Chem.MolToSmiles(Chem.RemoveHs(mol), isomericSmiles=False))


def assess(molecule: Molecule) -> Verdict:
    """The verdict on a molecule by its bonds and charges."""
    if len(molecule.bonds) == 0:
        return INVALID  # else its first atom, saturated, would pass for a molecule
    mol = to_rdkit(molecule)
    fragments = Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=False)
    largest = sanitised(max(fragments, key=Chem.Mol.GetNumAtoms))
    if largest is None:
        return INVALID
    one = len(fragments) == 1
    return Verdict(
        whole=one or sanitised(mol) is not None,
        strict=one and complete(largest),
        smiles=canonical_smiles(saturated(largest)),
    )


def inchi(molecule: Molecule) -> str | None:
    """InChI with the stereochemistry of the coordinates; None where there is none."""
    mol = sanitised(to_rdkit(molecule))
    if mol is None:
        return None
    with rdBase.BlockLogs():
        Chem.AssignStereochemistryFrom3D(mol)
        return Chem.MolToInchi(mol) or None  # type: ignore[no-untyped-call]
