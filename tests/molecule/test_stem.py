from dataclasses import replace

import pytest
import torch
from e3nn import o3
from unite_molecule.atoms import centred
from unite_molecule.config import StemConfig
from unite_molecule.geometry import random_rotations
from unite_molecule.stem import EquivariantStem, envelope, radial_basis, surroundings

SMILES = ("C[C@H](N)C(=O)O", "NC=O", "Cc1ncoc1F")


def stem_and_features(batch, **sizes):
    torch.manual_seed(0)
    stem = EquivariantStem(StemConfig(**sizes))
    return stem, stem(centred(batch))


@pytest.mark.usefixtures("float64")
def test_features_turn_as_their_kinds_say(batch_of, moved):
    batch = batch_of(*SMILES)
    batch = replace(batch, coordinates=batch.coordinates.double(), offsets=batch.offsets.double())
    r = random_rotations(1, torch.Generator().manual_seed(2))[0]
    stem, before = stem_and_features(batch)
    after = stem(centred(moved(batch, r, 3.0)))
    torch.testing.assert_close(after, before @ stem.kinds.D_from_matrix(r).mT, atol=1e-9, rtol=0)


def test_pseudoscalars_tell_mirror_images_apart(batch_of, moved):
    batch = batch_of("C[C@H](N)C(=O)O")
    stem, before = stem_and_features(batch)
    after = stem(centred(moved(batch, torch.diag(torch.tensor([-1.0, 1, 1])))))
    at = stem.kinds.slices()[1]
    assert stem.kinds[1].ir == o3.Irrep("0o")
    assert before[..., at].abs().max() > 1e-3
    torch.testing.assert_close(after[..., at][..., 0].sign(), -before[..., at][..., 0].sign())


def test_every_atom_of_a_small_molecule_is_seen(batch_of):
    batch = batch_of("NCCCCCCCCCCF")
    small, large = (
        stem_and_features(batch, cutoff=2.0, full_graph=size, layers=1)[1] for size in (32, 1)
    )
    assert (small - large).abs().max() > 1e-3


def test_atoms_beyond_the_cutoff_do_not_count(batch_of):
    batch = batch_of("NCCCCCCCCCCF")
    far = batch.elements.clone()
    far[batch.elements == 9] = 8
    first, second = (
        stem_and_features(replace(batch, elements=e), cutoff=3.0, full_graph=1, layers=1)[1]
        for e in (batch.elements, far)
    )
    same = (first - second).abs().amax(-1) < 1e-6
    distance = (batch.coordinates - batch.coordinates[batch.elements == 9]).norm(dim=-1)
    torch.testing.assert_close(same, distance >= 3.0)


def test_envelope_is_smooth_at_both_ends():
    x = torch.tensor([0.0, 6.0, 7.0], dtype=torch.float64, requires_grad=True)
    value = envelope(x, 6.0)
    torch.testing.assert_close(value, torch.tensor([1.0, 0, 0], dtype=torch.float64))
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert slope.abs().max() < 1e-12


def test_envelope_falls():
    assert (envelope(torch.linspace(0, 6, 50), 6.0).diff() < 0).all()


def test_radial_basis_tells_distances_apart():
    basis = radial_basis(torch.tensor([0.0, 1.0, 1.1, 5.0, 8.0, 100.0]))
    gaps = torch.cdist(basis, basis) + torch.eye(6)
    assert gaps.min() > 0.05


def test_coincident_atoms_have_finite_gradients():
    x = torch.zeros(1, 3, 3, requires_grad=True)
    around = surroundings(x, torch.ones(1, 3, dtype=torch.bool), StemConfig())
    (around.basis.sum() + around.harmonics.sum() + around.weight.sum()).backward()
    assert x.grad.isfinite().all()
    assert not around.weight.diagonal(dim1=1, dim2=2).any()
