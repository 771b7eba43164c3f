"""Published checkpoints: the same numbers out of the same file.

`../shared/fixtures/official-tiny` holds a checkpoint with the published code's own outputs, and
decides. It is too large to keep here, so `golden/` holds a smaller one in the same format, drawn at
random, with the outputs that this package gave when it agreed with the fixture to 2e-5: it says
whether anything has moved since. Its raw weights are the averaged ones plus 0.5.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from unite_core import flow, sampling
from unite_core.errors import StorageError
from unite_core.model import UniteModel, load_model
from unite_image.official import class_names, convert, read_average
from unite_image.types import ImageBatch

GOLDEN = Path(__file__).parent / "golden"
FIXTURE = Path(__file__).parents[3] / "shared" / "fixtures" / "official-tiny"

SOURCES = [
    GOLDEN,
    pytest.param(
        FIXTURE,
        marks=[
            pytest.mark.shared,
            pytest.mark.slow,
            pytest.mark.skipif(not FIXTURE.is_dir(), reason=f"{FIXTURE} is not there"),
        ],
    ),
]


class Case:
    """A converted checkpoint with its inputs and expected outputs."""

    def __init__(self, source: Path, directory: Path) -> None:
        convert(source / "checkpoint.pt", directory)
        self.model = load_model(directory)
        self.golden = load_file(source / "golden.safetensors")
        self.mask = torch.ones(self["z_t"].shape[:2], dtype=torch.bool)
        nothing_dropped = torch.zeros(len(self.mask), dtype=torch.bool)
        self.condition = self.model.condition(self["labels"], nothing_dropped)
        self.null = self.model.condition.null(len(self.mask))

    def __getitem__(self, name: str) -> Tensor:
        return self.golden[name]

    def denoise(self, z: Tensor, t: Tensor) -> Tensor:
        return self.model.denoise(z, t, self.condition, self.mask)

    def denoise_freely(self, z: Tensor, t: Tensor) -> Tensor:
        return self.model.denoise(z, t, self.null, self.mask)

    def decode(self, z: Tensor) -> Tensor:
        return self.model.decoder(z, self.mask)


@pytest.fixture(scope="module", params=SOURCES, ids=lambda path: path.name)
def case(request, tmp_path_factory) -> Iterator[Case]:
    with torch.no_grad():
        yield Case(request.param, tmp_path_factory.mktemp("converted") / "model")


def assert_near(found: Tensor, expected: Tensor, atol: float = 1e-4) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def test_latents(case):
    tokens = case.model.tokenizer(ImageBatch(case["image"], None))
    z = case.model.encoder(case["register_noise"], case["t_tokenize"], case.null, case.mask, tokens)
    assert_near(z, case["latents"])


def test_reconstruction(case):
    pixels = case.decode(case["latents"])
    assert_near(pixels, case["reconstruction"])
    assert_near((pixels - case["image"]).abs().mean()[None], case["reconstruction_l1"])


def test_denoising(case):
    z, t = case["z_t"], case["t_denoise"]
    assert_near(case.denoise(z, t), case["denoised_conditional"])
    assert_near(case.denoise_freely(z, t), case["denoised_unconditional"])


def test_flow_loss(case):
    z, t = case["latents"], case["t_denoise"]
    estimate = case.denoise(flow.interpolate(z, case["flow_loss_noise"], t), t)
    loss = ((estimate - z).square().mean((1, 2)) * flow.loss_weight(t)).mean()
    assert_near(loss[None], case["flow_loss"])


def test_guided_sample(case):
    denoise = sampling.guided(case.denoise, case.denoise_freely, 2.4)
    times = flow.time_grid(49, case.model.modality.time_shift)
    z = sampling.dopri5(denoise, case["register_noise"], times)
    assert_near(z, case["sampled_latents_dopri5_cfg2.4"], atol=1e-3)
    assert_near(case.decode(z), case["sampled_image_dopri5_cfg2.4"], atol=1e-3)


def test_sizes_are_read_off_the_tensors(tmp_path):
    convert(GOLDEN / "checkpoint.pt", tmp_path / "model")
    model = load_model(tmp_path / "model")
    encoder, config = model.encoder.config, model.modality.config
    assert (encoder.width, encoder.depth, encoder.heads, encoder.latent_dim) == (16, 5, 2, 8)
    assert (encoder.in_context.start, encoder.in_context.length) == (4, 3)
    assert (config.resolution, config.patch, config.channels) == (16, 4, 3)
    decoder = config.decoder
    assert (decoder.depth, decoder.width, decoder.heads) == (2, 16, 2)
    assert (decoder.mlp, decoder.inner) == (32, 24)
    assert model.modality.classes == ["0", "1", "2", "3", "4"]


def test_a_thousand_classes_have_imagenets_names():
    names = class_names(1000)
    assert len(names) == 1000
    assert (names[207], names[0]) == ("golden retriever", "tench")


@contextmanager
def rewritten(directory: Path) -> Iterator[tuple[Path, dict]]:
    """A copy of the small checkpoint, to be changed inside the `with`."""
    content = torch.load(GOLDEN / "checkpoint.pt", weights_only=True)
    path = directory / "checkpoint.pt"
    yield path, content
    torch.save(content, path)


def converted(path: Path) -> UniteModel:
    output = path.with_name("model")
    convert(path, output)
    return load_model(output)


def test_averaged_weights_are_taken_not_raw_ones(tmp_path):
    with rewritten(tmp_path) as (path, content):
        raw, average = content["model"], content["ema"]
    loaded = converted(path).decoder.pixels.bias
    assert torch.equal(loaded, average["decoder._orig_mod.decoder_pred.bias"])
    assert not torch.equal(loaded, raw["decoder._orig_mod.decoder_pred.bias"])


def test_compiled_and_plain_names_load_alike(tmp_path):
    with rewritten(tmp_path) as (path, content):
        content["ema"] = {
            key.replace("._orig_mod.", "."): tensor for key, tensor in content["ema"].items()
        }
    convert(GOLDEN / "checkpoint.pt", tmp_path / "compiled")
    compiled, plain = load_model(tmp_path / "compiled").state_dict(), converted(path).state_dict()
    assert compiled.keys() == plain.keys()
    assert all(torch.equal(compiled[key], plain[key]) for key in plain)


def test_start_of_in_context_tokens_comes_from_a_config_beside(tmp_path):
    with rewritten(tmp_path) as (path, _):
        config = tmp_path / "config.yaml"
        config.write_text("gen_tok:\n  in_content_start: 2\n")
    assert converted(path).encoder.config.in_context.start == 2
    config.write_text("training: {}\n")
    with pytest.raises(StorageError, match=r"config.yaml does not say"):
        converted(path)


def test_works_without_in_context_tokens(tmp_path):
    with rewritten(tmp_path) as (path, content):
        for key in [key for key in content["ema"] if "in_context" in key or "incontext" in key]:
            del content["ema"][key]
    assert converted(path).encoder.in_context is None


def drop_a_tensor(average: dict) -> None:
    del average["encoder.blocks.3.mlp.w3.bias"]


def drop_a_size(average: dict) -> None:
    del average["latent_tokens"]


def add_a_tensor(average: dict) -> None:
    average["encoder.blocks.0.attn.gate"] = torch.zeros(1)


def add_a_name_twice(average: dict) -> None:
    average["decoder.decoder_pred.bias"] = torch.zeros(48)


def turn_otherwise(average: dict) -> None:
    average["encoder.feat_rope.freqs_sin"] *= -1


def give_patches_a_place(average: dict) -> None:
    average["patch_embed.position_embeddings"] += 1


def cut_a_tensor(average: dict) -> None:
    average["encoder_layer_norm.bias"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (drop_a_tensor, "encoder.blocks.3.mlp.down.bias"),
        (drop_a_size, "encoder.register_code"),
        (add_a_tensor, "encoder.blocks.0.attention.gate"),
        (add_a_name_twice, "decoder.pixels.bias twice"),
        (turn_otherwise, "encoder.feat_rope.freqs_sin is not the constant"),
        (give_patches_a_place, "patch_embed.position_embeddings is not the constant"),
        (cut_a_tensor, "encoder.output.latent_norm.bias"),
    ],
)
def test_every_tensor_is_used_and_every_parameter_filled(tmp_path, change, named):
    with rewritten(tmp_path) as (path, content):
        change(content["ema"])
    with pytest.raises(StorageError, match=named):
        converted(path)
    assert not path.with_name("model").exists()


class Intruder:
    """A pickle that makes a directory when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    trace = tmp_path / "trace"
    with rewritten(tmp_path) as (path, content):
        content["scheduler"] = Intruder(trace)
    with pytest.raises(StorageError, match="could run code: refused"):
        converted(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # it would have


def test_other_files_are_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(StorageError, match="cannot read"):
        read_average(path)
    path.write_bytes((GOLDEN / "checkpoint.pt").read_bytes()[:100_000])
    with pytest.raises(StorageError, match="cannot read"):
        read_average(path)
    torch.save({"model": {}}, path)
    with pytest.raises(StorageError, match="no tensors under 'ema'"):
        read_average(path)
    with pytest.raises(StorageError, match="cannot read"):
        read_average(tmp_path / "absent.pt")
