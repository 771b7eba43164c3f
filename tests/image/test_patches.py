import math

import pytest
import torch
from unite_core.parameters import tagged_adamw
from unite_core.types import AppendedTokens, PairedTokens
from unite_image.config import ImageConfig
from unite_image.patches import AppendedPatches, PairedPatches, grid_code, unpatchify
from unite_image.types import ImageBatch


def config(channels: int = 3, patch: int = 4) -> ImageConfig:
    return ImageConfig(resolution=12, patch=patch, channels=channels)


@pytest.mark.parametrize(("channels", "patch"), [(1, 4), (3, 4), (3, 3), (3, 12)])
def test_patch_then_unpatch_is_the_identity(channels, patch):
    """With a convolution that copies each patch out in the order (row, column, channel)."""
    tokenizer = AppendedPatches(config(channels, patch), width=patch * patch * channels)
    copy = torch.eye(patch * patch * channels).unflatten(1, (patch, patch, channels))
    tokenizer.projection.weight.data = copy.permute(0, 3, 1, 2)
    image = torch.rand(2, channels, 12, 12)
    tokens = tokenizer(ImageBatch(image, None))
    torch.testing.assert_close(unpatchify(tokens.x, patch), image)


def test_patches_come_in_reading_order():
    patches = torch.arange(4.0)[None, :, None].expand(1, 4, 12)
    image = unpatchify(patches, 2)
    expected = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
    torch.testing.assert_close(image, expected.expand(1, 3, 4, 4))


def test_code_equals_its_formula():
    side, width = 3, 8
    code = grid_code(side, width)
    for row in range(side):
        for column in range(side):
            expected = [
                wave(position / 10000 ** (i / 2))
                for position in (column, row)
                for wave in (math.sin, math.cos)
                for i in range(2)
            ]
            assert code[row * side + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_every_token_is_real_and_the_optimizer_is_told():
    for made, tokens in ((AppendedPatches, AppendedTokens), (PairedPatches, PairedTokens)):
        tokenizer = made(config(), width=8)
        found = tokenizer(ImageBatch(torch.rand(2, 3, 12, 12), None))
        assert isinstance(found, tokens)
        assert found.mask.shape == (2, 9)
        assert found.mask.all()
        assert all(tagged_adamw(parameter) for parameter in tokenizer.parameters())


def test_a_patch_sees_its_own_pixels_alone():
    tokenizer = PairedPatches(config(), width=8)
    image = torch.rand(1, 3, 12, 12)
    changed = image.clone()
    changed[..., 4:8, 8:12] += 1  # patch in row 1, column 2
    difference = tokenizer(ImageBatch(changed, None)).x - tokenizer(ImageBatch(image, None)).x
    assert difference.abs().sum(-1).nonzero().tolist() == [[0, 5]]
