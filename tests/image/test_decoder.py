import pytest
import torch
import torch.nn.functional as F
from unite_image.config import ImageConfig, ImageDecoderConfig
from unite_image.decoder import DecoderBlock, ImageDecoder
from unite_image.patches import grid_code, unpatchify

SIZES = ImageDecoderConfig(depth=2, width=16, heads=2, mlp=24, inner=12)


@pytest.fixture
def decoder() -> ImageDecoder:
    torch.manual_seed(0)
    config = ImageConfig(resolution=12, patch=4, channels=1, decoder=SIZES)
    return ImageDecoder(config, latent_dim=5)


def mask(z: torch.Tensor) -> torch.Tensor:
    return torch.ones(z.shape[:2], dtype=torch.bool)


def test_pixels_have_the_shape_of_the_image(decoder):
    z = torch.randn(3, 9, 5)
    assert decoder(z, mask(z)).shape == (3, 1, 12, 12)


def test_without_its_blocks_each_latent_gives_its_own_patch(decoder):
    """Position code, final norm and the first token's removal, by hand."""
    for block in decoder.blocks:
        for layer in (block.out, block.down):
            torch.nn.init.zeros_(layer.weight)
    z = torch.randn(2, 9, 5)
    x = decoder.embed(decoder.latent_in(z)) + grid_code(3, 16)
    x = F.layer_norm(x, (16,), eps=1e-12)
    torch.testing.assert_close(decoder(z, mask(z)), unpatchify(decoder.pixels(x), 4))


def test_first_token_is_seen_by_the_others(decoder):
    z = torch.randn(1, 9, 5)
    before = decoder(z, mask(z))
    torch.nn.init.normal_(decoder.first)
    assert (decoder(z, mask(z)) - before).abs().max() > 1e-4


def test_block_agrees_with_torch():
    """torch's own encoder layer, given the same weights."""
    torch.manual_seed(0)
    block = DecoderBlock(width=16, heads=2, mlp=24)
    theirs = torch.nn.TransformerEncoderLayer(
        16,
        2,
        dim_feedforward=24,
        dropout=0.0,
        activation="gelu",
        layer_norm_eps=1e-12,
        batch_first=True,
        norm_first=True,
    )
    pairs = {
        "self_attn.in_proj_": "qkv.",
        "self_attn.out_proj.": "out.",
        "linear1.": "up.",
        "linear2.": "down.",
        "norm1.": "norm1.",
        "norm2.": "norm2.",
    }
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    own = block.state_dict()
    theirs.load_state_dict(
        {a + end: own[b + end] for a, b in pairs.items() for end in ("weight", "bias")}
    )
    x = torch.randn(2, 7, 16)
    torch.testing.assert_close(block(x), theirs(x), atol=1e-5, rtol=1e-5)
