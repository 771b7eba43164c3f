import pytest
import torch
from torch import nn
from unite_molecule.config import MoleculeDecoderConfig
from unite_molecule.decoder import MoleculeDecoder, pair_distances

FIELDS = ("elements", "charges", "hydrogens", "coordinates", "offsets")


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    config = MoleculeDecoderConfig(width=32, depth=2, heads=2)
    decoder = MoleculeDecoder(config, latent_dim=8, registers=9, elements=5, charges=3)
    for parameter in decoder.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return decoder.eval()


def latents(b=3, n=9):
    return torch.randn(b, n, 8, generator=torch.Generator().manual_seed(1))


def test_bond_logits_are_symmetric(decoder):
    bonds = decoder(latents(), torch.ones(3, 9, dtype=torch.bool)).bonds
    torch.testing.assert_close(bonds, bonds.transpose(1, 2), atol=1e-5, rtol=0)
    assert bonds.std() > 1e-3


def test_padding_changes_nothing(decoder):
    z, mask = latents(), torch.arange(9).expand(3, 9) < torch.tensor([[9], [6], [4]])
    whole = decoder(z, mask)
    noisy = decoder(torch.where(mask[..., None], z, 50.0), mask)
    for row, n in enumerate(mask.sum(1).tolist()):
        alone = decoder(z[row : row + 1, :n], mask[row : row + 1, :n])
        for other in (whole, noisy):
            for name in FIELDS:
                found, expected = getattr(other, name)[row, :n], getattr(alone, name)[0]
                torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(
                other.bonds[row, :n, :n], alone.bonds[0], atol=1e-4, rtol=1e-4
            )


def test_every_latent_matters_to_every_token(decoder):
    mask = torch.ones(1, 9, dtype=torch.bool)
    z = latents(b=1).requires_grad_()
    (slope,) = torch.autograd.grad(decoder(z, mask).coordinates[0, 0].sum(), z)
    assert (slope.abs().amax(-1) > 0).all()


def test_autocast_leaves_coordinates_in_full_precision(decoder):
    with torch.autocast("cpu", torch.bfloat16):
        prediction = decoder(latents(), torch.ones(3, 9, dtype=torch.bool))
    for name in ("coordinates", "offsets", "bonds"):
        assert getattr(prediction, name).dtype == torch.float32, name


def test_pair_distances_of_a_triangle():
    x = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]])
    expected = torch.tensor([[[0.0, 3, 4], [3, 0, 5], [4, 5, 0]]])
    torch.testing.assert_close(pair_distances(x), expected, atol=2e-4, rtol=0)


def test_coincident_atoms_have_a_finite_gradient():
    x = torch.zeros(1, 3, 3, requires_grad=True)
    pair_distances(x).sum().backward()
    assert x.grad.isfinite().all()
