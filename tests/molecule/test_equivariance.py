"""The whole model: moved input gives the same latents, and a reconstruction moved alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from unite_molecule.geometry import random_rotations
from unite_molecule.template import reorder

SMILES = ("C[C@H](N)C(=O)O", "NC=O", "Cc1ncoc1F")
SHIFT = 4.0
KINDS = ["inertial", "ordered", "equivariant"]


@pytest.fixture
def rotations():
    return random_rotations(len(SMILES), torch.Generator().manual_seed(2))


def through(model, batch):
    """Latents, and the molecules that the decoder sees, back in the world."""
    with torch.no_grad():
        latents, _, context = model.encode_same(batch, seed=0)
        prediction = model.decoder(latents.z, latents.mask)
    filled = prediction.offsets * batch.filled[..., None]
    seen = replace(context.target, coordinates=prediction.coordinates, offsets=filled)
    return latents.z, context.frame.leave(seen), prediction


def assert_moves_alike(model, batch, moved, rotations, atol):
    z, before, prediction = through(model, batch)
    z_moved, after, prediction_moved = through(model, moved(batch, rotations, SHIFT))
    expected = moved(before, rotations, SHIFT)
    assert z.std() > 0.1
    assert before.coordinates.std() > 0.1
    torch.testing.assert_close(z_moved, z, atol=atol, rtol=0)
    torch.testing.assert_close(after.coordinates, expected.coordinates, atol=atol, rtol=0)
    torch.testing.assert_close(after.offsets, expected.offsets, atol=atol, rtol=0)
    for name in ("elements", "charges", "hydrogens", "bonds"):
        found, same = getattr(prediction_moved, name), getattr(prediction, name)
        torch.testing.assert_close(found[batch.mask], same[batch.mask], atol=10 * atol, rtol=0)


@pytest.mark.parametrize("layout", ["heavy", "atom"])
@pytest.mark.parametrize("kind", KINDS)
def test_reconstruction_moves_with_the_molecule(
    small_model, batch_of, moved, rotations, kind, layout
):
    batch = batch_of(*SMILES, layout=layout)
    assert_moves_alike(small_model(kind, layout), batch, moved, rotations, 1e-4)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", KINDS)
def test_reconstruction_moves_in_double_precision(small_model, batch_of, moved, rotations, kind):
    batch = batch_of(*SMILES)
    batch = replace(batch, coordinates=batch.coordinates.double(), offsets=batch.offsets.double())
    assert_moves_alike(small_model(kind), batch, moved, rotations, 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_finished_molecules_move_with_the_molecule(small_model, batch_of, moved, rotations, kind):
    model, batch = small_model(kind), batch_of(*SMILES)
    turned = model.reconstruct(moved(batch, rotations, SHIFT))
    for before, after, r in zip(model.reconstruct(batch), turned, rotations, strict=True):
        np.testing.assert_array_equal(after.elements, before.elements)
        np.testing.assert_array_equal(after.bonds, before.bonds)
        expected = before.coordinates @ r.numpy().T + SHIFT
        np.testing.assert_allclose(after.coordinates, expected, atol=1e-3)


@pytest.mark.parametrize("layout", ["heavy", "atom"])
@pytest.mark.parametrize("kind", KINDS)
def test_atom_order_of_the_input_does_not_matter(small_model, build, kind, layout):
    """The canonical order undoes it. No two atoms of these molecules are equivalent."""
    model, rng = small_model(kind, layout), np.random.default_rng(0)
    molecules = [build(smiles) for smiles in ("O=CO", "O=CF", "N=CO")]
    shuffled = [reorder(molecule, rng.permutation(len(molecule))) for molecule in molecules]
    accepted, refused = model.modality.accept(shuffled)
    assert not refused
    found, expected = (
        model.tokenize(model.modality.collate(given)).z for given in (accepted, molecules)
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_mirror_images_have_other_latents(small_model, batch_of, moved, kind):
    model, batch = small_model(kind), batch_of("C[C@H](N)C(=O)O")
    mirrored = moved(batch, torch.diag(torch.tensor([-1.0, 1, 1])))
    gap = (model.tokenize(mirrored).z - model.tokenize(batch).z).abs().max()
    assert gap > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_mates_change_nothing(small_model, batch_of, kind):
    model = small_model(kind)
    together = model.tokenize(batch_of(*SMILES, multiple=7)).z
    for row, smiles in enumerate(SMILES):
        alone = model.tokenize(batch_of(smiles)).z[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-4, rtol=0)
        assert not together[row, len(alone) :].any()
