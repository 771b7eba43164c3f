"""Laws of the Generative Encoder."""

import torch
from torch import Tensor, nn
from unite_core.config import EncoderConfig, InContextConfig
from unite_core.encoder import GenerativeEncoder
from unite_core.types import AppendedTokens, PairedTokens

PLAIN = EncoderConfig(width=16, depth=3, heads=2, latent_dim=4)
IN_CONTEXT = PLAIN.model_copy(update={"in_context": InContextConfig(start=1, length=3)})


def trained(config: EncoderConfig = PLAIN) -> GenerativeEncoder:
    """Zero initialisation would hide mistakes, so every weight is drawn."""
    torch.manual_seed(0)
    encoder = GenerativeEncoder(config, registers=6).double()
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3)
    return encoder


def inputs(b: int = 3, n: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    z, c = torch.randn(b, n, 4).double(), torch.randn(b, 16).double()
    return z, torch.rand(b).double(), c, torch.ones(b, n, dtype=torch.bool)


def test_padding_and_batch_mates_change_nothing() -> None:
    for config in (PLAIN, IN_CONTEXT):
        encoder = trained(config)
        z, t, c, mask = inputs()
        alone = encoder(z[:1, :3], t[:1], c[:1], mask[:1, :3])
        mask[0, 3:] = False
        together = encoder(z, t, c, mask)
        torch.testing.assert_close(together[:1, :3], alone)
        assert torch.equal(together[0, 3:], torch.zeros(2, 4).double())


def test_padded_contents_change_nothing() -> None:
    encoder = trained()
    z, t, c, mask = inputs()
    x = torch.randn(3, 5, 16).double()
    mask[1, 2:] = False
    for kind in (AppendedTokens, PairedTokens):
        clean = encoder(z, t, c, mask, kind(x, mask, None))
        dirty = encoder(z, t, c, mask, kind(torch.where(mask[..., None], x, 1e3), mask, None))
        torch.testing.assert_close(clean, dirty)


def test_latents_have_the_scale_of_the_layer_norm() -> None:
    encoder = trained()
    nn.init.ones_(encoder.output.latent_norm.weight)
    nn.init.zeros_(encoder.output.latent_norm.bias)
    z = encoder(*inputs())
    torch.testing.assert_close(z.mean(-1), torch.zeros(3, 5).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        z.var(-1, unbiased=False), torch.ones(3, 5).double(), atol=1e-3, rtol=0
    )


def test_without_latent_norm_latents_are_the_linear_layer() -> None:
    encoder = trained(PLAIN.model_copy(update={"latent_norm": False}))
    assert not [name for name, _ in encoder.named_parameters() if "latent_norm" in name]
    z, normed = encoder(*inputs()), trained()(*inputs())
    assert z.shape == normed.shape
    lengths = (z - z.mean(-1, keepdim=True)).norm(dim=-1)
    assert lengths.std() > 0.05 * lengths.mean()


def test_condition_time_order_and_tokens_are_read() -> None:
    for config in (PLAIN, IN_CONTEXT):
        encoder = trained(config)
        z, t, c, mask = inputs()
        out = encoder(z, t, c, mask)
        tokens = AppendedTokens(torch.randn(3, 2, 16).double(), mask[:, :2], None)
        assert not torch.allclose(encoder(z, t + 0.1, c, mask), out)
        assert not torch.allclose(encoder(z, t, c + 0.1, mask), out)
        assert not torch.allclose(encoder(z.flip(1), t, c, mask).flip(1), out)
        assert not torch.allclose(encoder(z, t, c, mask, tokens), out)


def test_in_context_tokens_are_dropped_at_the_end() -> None:
    encoder = trained(IN_CONTEXT)
    z, t, c, mask = inputs()
    lengths = []
    hooks = [
        b.register_forward_hook(lambda *a: lengths.append(a[2].shape[1])) for b in encoder.blocks
    ]
    assert encoder(z, t, c, mask).shape == z.shape
    assert lengths == [5, 8, 8]
    for hook in hooks:
        hook.remove()


def test_fresh_encoder_writes_the_latent_norm_bias() -> None:
    encoder = GenerativeEncoder(PLAIN, registers=6)
    z, t, c, mask = inputs()
    assert torch.equal(encoder(z.float(), t.float(), c.float(), mask), torch.zeros(3, 5, 4))


def test_activation_checkpointing_changes_no_gradient() -> None:
    """In spans of two blocks; in-context tokens come in the middle of the second."""
    config = IN_CONTEXT.model_copy(
        update={"depth": 5, "in_context": InContextConfig(start=3, length=3)}
    )
    gradients = []
    for checkpointing in (False, True):
        encoder = trained(config)
        encoder.activation_checkpointing = checkpointing
        encoder(*inputs()).square().sum().backward()
        gradients.append([p.grad for p in encoder.parameters() if p.requires_grad])
    torch.testing.assert_close(gradients[0], gradients[1])
