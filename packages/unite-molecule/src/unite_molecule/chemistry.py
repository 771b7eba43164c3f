"""RDKit's judgement of a molecule as it stands: is it valid, and what is it called?"""

from dataclasses import dataclass

from rdkit import Chem, rdBase

from unite_molecule.conversion import to_rdkit
from unite_molecule.types import Molecule


@dataclass(frozen=True)
class Verdict:
    """`whole`: sanitisation passes. `strict`: and it is one closed-shell piece, no hydrogen missing.

    `smiles` names the largest fragment, with hydrogens added where it lacks some; None where even
    the fragment fails.
    """

    whole: bool
    strict: bool
    smiles: str | None


INVALID = Verdict(whole=False, strict=False, smiles=None)


def sanitised(mol: Chem.Mol) -> bool:
    """Sanitises in place; whether that passed."""
    return bool(Chem.SanitizeMol(mol, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE)


def complete(mol: Chem.Mol) -> bool:
    """Whether no atom of a sanitised molecule has a radical electron or a hydrogen left implicit."""
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
    bare = Chem.RemoveHs(saturated(mol), sanitize=False)
    return str(Chem.MolToSmiles(bare, isomericSmiles=False))


def assess(molecule: Molecule) -> Verdict:
    """The verdict on a molecule by its bonds and charges."""
    if len(molecule) == 0:
        return INVALID
    with rdBase.BlockLogs():
        mol = to_rdkit(molecule)
        fragments = Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=False)
        largest = max(fragments, key=Chem.Mol.GetNumAtoms)
        if not sanitised(largest):
            return INVALID
        whole = len(fragments) == 1 or sanitised(mol)
        strict = len(fragments) == 1 and complete(largest)
        return Verdict(whole, strict, canonical_smiles(largest))


def inchi(molecule: Molecule) -> str | None:
    """InChI with the stereochemistry of the coordinates; None where there is none."""
    with rdBase.BlockLogs():
        mol = to_rdkit(molecule)
        if not sanitised(mol):
            return None
        Chem.AssignStereochemistryFrom3D(mol)
        return Chem.MolToInchi(mol) or None
