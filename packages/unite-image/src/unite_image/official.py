"""Published UNITE checkpoints (arXiv 2603.22283) as directories of `from_pretrained`."""

from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor
from torchvision.models import ResNet50_Weights
from unite_core.errors import StorageError
from unite_core.layers import rotary
from unite_core.model import UniteModel

from unite_image.patches import grid_code

TRAINING_DATA = "hub:ILSVRC/imagenet-1k"
"""What the published checkpoints were trained on."""

IN_CONTEXT_START = 4
"""First block with in-context tokens, which no tensor tells, where no config.yaml says it."""

NAMES = (
    ("._orig_mod.", "."),
    ("latent_tokens", "encoder.register_code"),
    ("encoder_layer_norm.", "encoder.output.latent_norm."),
    ("up_sample_decoder.", "decoder.latent_in."),
    ("patch_embed.patch_embeddings.", "tokenizer."),
    ("encoder.y_embedder.embedding_table.", "condition.table."),
    ("encoder.up_sample.", "encoder.latent_in."),
    ("encoder.in_context_posemb", "encoder.in_context.code"),
    ("encoder.t_embedder.W", "encoder.time.rates"),
    ("encoder.t_embedder.", "encoder.time."),
    ("encoder.final_layer.norm_final.", "encoder.output.norm."),
    ("encoder.final_layer.", "encoder.output."),
    (".adaLN_modulation.1.", ".modulation."),
    (".attn.proj.", ".attention.out."),
    (".attn.", ".attention."),
    (".mlp.w12.", ".mlp.up."),
    (".mlp.w3.", ".mlp.down."),
    ("decoder.trainable_cls_token", "decoder.first"),
    ("decoder.decoder_layers.", "decoder.blocks."),
    ("decoder.decoder_embed.", "decoder.embed."),
    ("decoder.decoder_norm.", "decoder.norm."),
    ("decoder.decoder_pred.", "decoder.pixels."),
    (".layernorm_before.", ".norm1."),
    (".layernorm_after.", ".norm2."),
    (".attn_proj.", ".out."),
    (".ffn_up.", ".up."),
    (".ffn_down.", ".down."),
)
"""Parts of the published names, in the order in which ours replace them."""

UNREAD = ("lpips_loss.", "encoder.pos_embed", "encoder.time.special_time_emb")
"""Starts of names that the published network carries without computing with them."""

LEADING_ONE = ("encoder.register_code", "encoder.in_context.code")
"""Tensors published with a first axis of length one."""


def convert(source: Path, output: Path) -> None:
    """Writes the averaged weights of a published .pt into `output`; runs no code of the file's.

    Sizes are read off the tensors. A config.yaml beside the file is read for the one figure that
    they do not tell. StorageError where the file is not in the published layout.
    """
    tensors = renamed(read_average(source))
    try:
        arguments = describe(tensors, read_in_context_start(source.with_name("config.yaml")))
        check_constants(tensors, arguments)
        model = UniteModel(**arguments)
        model.load_state_dict(tensors)
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        raise StorageError(f"{source} is not a published UNITE checkpoint: {error}") from error
    try:
        model.save_pretrained(output)
    except OSError as error:
        raise StorageError(f"cannot write to {output}: {error}") from error


def read_average(source: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, mapped from the disk; StorageError."""
    try:
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except UnpicklingError as error:
        raise StorageError(
            f"{source} holds more than tensors and plain values, and reading it could run code: "
            f"refused ({str(error).splitlines()[0]})"
        ) from error
    except OSError as error:
        raise StorageError(f"cannot read {source}: {error.strerror}") from error
    except RuntimeError as error:  # of many lines, with advice for those who saved it
        raise StorageError(f"cannot read {source}: damaged, or no file of torch.save") from error
    average = content.get("ema") if isinstance(content, dict) else None
    if not isinstance(average, dict) or not all(isinstance(x, Tensor) for x in average.values()):
        raise StorageError(f"{source} is not a published UNITE checkpoint: no tensors under 'ema'")
    return average


def read_in_context_start(config: Path) -> int:
    """`gen_tok.in_content_start` of a published config.yaml; the published value without one."""
    if not config.is_file():
        return IN_CONTEXT_START
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
        return int(values["gen_tok"]["in_content_start"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise StorageError(f"{config} does not say gen_tok.in_content_start: {error!r}") from error


def renamed(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that the published network computes with, under our names."""
    tensors: dict[str, Tensor] = {}
    for key, tensor in published.items():
        for theirs, ours in NAMES:
            key = key.replace(theirs, ours)
        if key in tensors:
            raise StorageError(f"the checkpoint holds {key} twice")
        if not key.startswith(UNREAD):
            tensors[key] = tensor.squeeze(0) if key in LEADING_ONE else tensor
    return tensors


def describe(tensors: Mapping[str, Tensor], in_context_start: int) -> dict[str, Any]:
    """Arguments of the `UniteModel` that the tensors are of."""
    width, latent_dim = tensors["encoder.latent_in.weight"].shape
    (head_dim,) = tensors["encoder.blocks.0.attention.q_norm.weight"].shape
    _, channels, patch, _ = tensors["tokenizer.projection.weight"].shape
    registers, _ = tensors["encoder.register_code"].shape
    rows, _ = tensors["condition.table.weight"].shape
    in_context = tensors.get("encoder.in_context.code")
    return {
        "modality": "image",
        "data": {
            "path": TRAINING_DATA,
            "resolution": patch * isqrt(registers),
            "channels": channels,
            "enlarge": True,
            "patch": patch,
            "decoder": describe_decoder(tensors, head_dim),
        },
        "encoder": {
            "width": width,
            "depth": depth(tensors, "encoder.blocks."),
            "heads": width // head_dim,
            "latent_dim": latent_dim,
            "in_context": None
            if in_context is None
            else {"start": in_context_start, "length": len(in_context)},
        },
        "statistics": {"classes": class_names(rows - 2)},
    }


def describe_decoder(tensors: Mapping[str, Tensor], head_dim: int) -> dict[str, int]:
    """The decoder's sizes. Its heads are as wide as the encoder's in every published model."""
    width, inner = tensors["decoder.embed.weight"].shape
    mlp, _ = tensors["decoder.blocks.0.up.weight"].shape
    return {
        "depth": depth(tensors, "decoder.blocks."),
        "width": width,
        "heads": width // head_dim,
        "mlp": mlp,
        "inner": inner,
    }


def depth(tensors: Mapping[str, Tensor], blocks: str) -> int:
    """How many blocks have tensors."""
    return len({key[len(blocks) :].split(".")[0] for key in tensors if key.startswith(blocks)})


def class_names(count: int) -> list[str]:
    """ImageNet's names where there are as many classes, numbers otherwise."""
    imagenet: list[str] = ResNet50_Weights.DEFAULT.meta["categories"]
    return imagenet if count == len(imagenet) else [str(index) for index in range(count)]


def check_constants(tensors: dict[str, Tensor], arguments: Mapping[str, Any]) -> None:
    """Takes out the tensors that we compute by formula; ValueError where one says otherwise."""
    for key, values in constants(tensors, arguments).items():
        stored = tensors.pop(key, values)
        if stored.shape != values.shape or not torch.allclose(stored.float(), values, atol=1e-3):
            raise ValueError(f"{key} is not the constant of the published models")


def constants(tensors: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Fixed codes under their published names: of patches none, of the grid, of the sequence."""
    encoder, decoder = arguments["encoder"], arguments["data"]["decoder"]
    registers, width = tensors["encoder.register_code"].shape
    in_context = encoder["in_context"]
    own = torch.arange(2.0 * registers)
    ahead = F.pad(own, (0 if in_context is None else in_context["length"], 0))
    grid = F.pad(grid_code(isqrt(registers), decoder["width"]), (0, 0, 1, 0))
    found = {
        "patch_embed.position_embeddings": torch.zeros(1, registers + 1, width),
        "decoder.decoder_pos_embed": grid[None],
    }
    for name, positions in (("feat_rope", own), ("feat_rope_incontext", ahead)):
        cos, sin = rotary(positions, width // encoder["heads"])
        found[f"encoder.{name}.freqs_cos"] = cos.repeat_interleave(2, dim=1)
        found[f"encoder.{name}.freqs_sin"] = sin.repeat_interleave(2, dim=1)
    return found
