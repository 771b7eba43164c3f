"""What the transformer parts compute."""

import math
from unittest import mock

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor
from unite_core import layers
from unite_core.errors import ConfigurationError


def test_rotary_scores_depend_on_the_distance_of_positions() -> None:
    q, k = torch.randn(2, 1, 1, 1, 8).expand(2, 1, 6, 1, 8)
    near = layers.rotary(torch.arange(6.0), 8)
    far = layers.rotary(torch.arange(6.0) + 11, 8)
    scores = [(layers.rotate(q, r)[0, :, 0] @ layers.rotate(k, r)[0, :, 0].T) for r in (near, far)]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores[0][1:, 1:], scores[0][:-1, :-1], atol=1e-4, rtol=1e-4)


def test_rotary_turns_interleaved_pairs() -> None:
    x = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 1, 4)
    turned = layers.rotate(x, layers.rotary(torch.tensor([math.pi / 2]), 4, theta=1e30))
    torch.testing.assert_close(
        turned.flatten(), torch.tensor([0.0, 1.0, 1.0, 0.0]), atol=1e-6, rtol=0
    )


def test_position_code_is_the_published_formula() -> None:
    code = layers.sincos_code(7, 10)
    angle = 3 * 10000 ** (-2 * 2 / 10)
    assert code[3, 2].item() == pytest.approx(math.sin(angle))
    assert code[3, 7].item() == pytest.approx(math.cos(angle))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_is_computed_in_float32(dtype: torch.dtype) -> None:
    x = (100 * torch.randn(5, 16)).to(dtype)
    wide = x.double()
    expected = wide / wide.square().mean(-1, keepdim=True).add(1e-6).sqrt()
    torch.testing.assert_close(layers.RMSNorm(16)(x), expected.to(dtype))


@pytest.mark.parametrize("length", [6, 70])
def test_all_attention_paths_agree(length: int) -> None:
    """Of sequences short and long, with gradients and without."""
    q, k, v = torch.randn(3, 2, 4, length, 8)
    mask = torch.arange(length) < torch.tensor([[length], [3]])
    bias = layers.attention_bias(mask, torch.float32)
    fused = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(layers.attend(q, k, v, bias), fused, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(layers.attend(q, k, v, bias), fused, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [5, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_row_softmax_is_softmax(length: int, dtype: torch.dtype) -> None:
    """Of rows short and long; of scores whose exponentials are no numbers, and of masked ones."""
    scores = (1000 * torch.randn(7, length)).to(dtype)
    scores[:, 1] = float("-inf")
    torch.testing.assert_close(layers.row_softmax(scores), scores.softmax(-1))


def test_no_bias_where_nothing_is_masked() -> None:
    assert layers.attention_bias(torch.ones(2, 3, dtype=torch.bool), torch.float32) is None


def test_swiglu_gates_by_the_first_half() -> None:
    mlp = layers.SwiGLU(6)
    assert mlp.down.in_features == int(2 / 3 * 4 * 6)
    x = torch.randn(3, 6)
    gate, value = mlp.up(x)[:, :16], mlp.up(x)[:, 16:]
    torch.testing.assert_close(mlp(x), mlp.down(gate * gate.sigmoid() * value))


def test_fresh_adaln_block_is_its_post_norm() -> None:
    block = layers.AdaLNBlock(16, 2)
    x, c = torch.randn(2, 5, 16), torch.randn(2, 16)
    out = block(x, c, layers.rotary(torch.arange(5.0), 8), None)
    torch.testing.assert_close(out, block.norm3(x))


def test_time_frequencies_are_stored_and_not_trained() -> None:
    embedding = layers.TimeEmbedding(16)
    assert "rates" in embedding.state_dict()
    assert not embedding.rates.requires_grad


@torch.no_grad()
def test_pairs_in_halves_give_the_same_attention() -> None:
    attention = layers.Attention(16, 2)
    for parameter in attention.parameters():
        nn.init.normal_(parameter)
    x, rotation = torch.randn(3, 5, 16), layers.rotary(torch.arange(5.0), 8)
    plain = attention(x, rotation, None)
    q, k, v = attention.turned_halves(x, rotation)
    first, second, third = attention.turned(x, rotation)
    assert not torch.allclose(q, first)
    torch.testing.assert_close(q @ k.mT, first @ second.mT, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(v, third)
    with mock.patch.object(torch.compiler, "is_compiling", return_value=True):
        torch.testing.assert_close(attention(x, rotation, None), plain, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_compiled_blocks_give_the_same_numbers_and_gradients(unchecked: None) -> None:
    torch.manual_seed(0)
    blocks = nn.ModuleList([layers.Block(16, 2), layers.AdaLNBlock(16, 2)])
    for parameter in blocks.parameters():
        nn.init.normal_(parameter, std=0.2)
    rotation = layers.rotary(torch.arange(5.0), 8)
    bias = layers.attention_bias(torch.arange(5) < torch.tensor([[5], [3], [4]]), torch.float32)
    x, pulls = torch.randn(2, 3, 5, 16)
    c = torch.randn(3, 16)

    def outcome() -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        y = blocks[1](blocks[0](x, rotation, bias), c, rotation, bias)
        return y, torch.autograd.grad((y * pulls).sum(), list(blocks.parameters()))

    plain, plain_gradients = outcome()
    names = list(blocks.state_dict())
    layers.compile_blocks(blocks)
    compiled, gradients = outcome()
    torch.testing.assert_close(compiled, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients, plain_gradients, atol=1e-4, rtol=1e-4)
    assert list(blocks.state_dict()) == names


def test_without_a_compiler_the_remedy_is_told() -> None:
    nowhere = inductor.patch({"cpp.cxx": ("/nowhere/g++",)})
    message = r"C\+\+ compiler.*install g\+\+"
    with nowhere, pytest.raises(ConfigurationError, match=message):
        layers.compile_blocks(nn.ModuleList([layers.Block(16, 2)]))
