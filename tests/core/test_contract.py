"""Each fault of a modality fails the check that is there for it, with words that say where."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_modality import Points, ToyDataset, ToyDecoder, ToyLabels, ToyModality, ToyTokenizer
from unite_core.model import build_model
from unite_core.plugins import load_plugin
from unite_core.recipes import load_recipe
from unite_core.testing import ModalityContract
from unite_core.testing.runs import run
from unite_core.testing.setting import lively, of_all_sizes, shortened
from unite_core.types import Layout

embed, build, decode = ToyTokenizer.forward, ToyDecoder.__init__, ToyDecoder.forward
draw, finish, write = ToyModality.sample_layout, ToyModality.finish, ToyModality.write
batch_of = ToyDataset.batch


class Toy(ModalityContract):
    recipe = "toy-small"


def outcome(check: str, directory: Path) -> None:
    """Runs one check on the toy modality as it is now."""
    config = shortened(load_recipe(Toy.recipe))
    model = lively(build_model(config)).eval()
    data = model.modality.dataset("train")
    given: dict[str, Callable[[], Any]] = {
        "model": lambda: model,
        "config": lambda: config,
        "tiny": lambda: config,
        "plugin": lambda: load_plugin("toy"),
        "batch": lambda: data.batch(of_all_sizes(data), None),
        "finished": lambda: run(config, directory / "finished"),
        "tmp_path": lambda: directory,
    }
    method = getattr(Toy(), check)
    method(**{name: given[name]() for name in signature(method).parameters})


def loss_of_padding(self: Any, prediction: Any, batch: Points, context: None) -> Any:
    return (prediction - batch.x).square().mean(), {}


def loss_of_each_sample(self: Any, prediction: Any, batch: Points, context: None) -> Any:
    return (prediction - batch.x).square().mean((1, 2)), {}


def tokens_less_the_largest(self: Any, batch: Points) -> Any:
    return embed(self, replace(batch, x=batch.x - batch.x.max()))


def tokens_of_finite_numbers(self: Any, batch: Points) -> Any:
    if not batch.x.isfinite().all():
        raise ValueError("points that are not finite")
    return embed(self, batch)


def rows_less_their_mean(self: Any, prediction: Any, layout: Layout, context: None) -> Any:
    return finish(self, prediction - prediction.mean(1, keepdim=True), layout, context)


def finish_but_one(self: Any, prediction: Any, layout: Layout, context: None) -> Any:
    return finish(self, prediction, layout, context)[1:]


def decode_by_chance(self: Any, z: Any, mask: Any) -> Any:
    return decode(self, z, mask) + torch.rand(1)


def decode_detached(self: Any, z: Any, mask: Any) -> Any:
    return decode(self, z.detach(), mask)


def decoder_with_idle_weights(self: Any, latent_dim: int) -> None:
    build(self, latent_dim)
    self.idle = torch.nn.Linear(2, 2)


def decoder_with_unsaved_numbers(self: Any, latent_dim: int) -> None:
    build(self, latent_dim)
    self.out.register_buffer("shift", torch.rand(()), persistent=False)
    self.out.register_forward_hook(lambda module, inputs, output: output + module.shift)


def null_of_another_kind(self: Any, count: int) -> Any:
    return self.table.weight[1].expand(count, -1)


def layout_by_global_chance(self: Any, count: int, rng: Any, options: Any) -> Layout:
    return draw(self, count, np.random.default_rng(), options)


def layout_of_one_size_more(self: Any, count: int, rng: Any, options: Any) -> Layout:
    return replace(draw(self, count, rng, options), sizes=torch.arange(count) % 5 + 1)


def layout_without_condition(self: Any, count: int, rng: Any, options: Any) -> Layout:
    return Layout(draw(self, count, rng, options).sizes)


def noise_of_the_call(self: Any, indices: Any, seed: int | None) -> Points:
    batch = batch_of(self, indices, seed)
    return replace(batch, x=batch.x + torch.rand(1))


def noise_of_what_came_before(self: Any, indices: Any, seed: int | None) -> Points:
    self.calls = getattr(self, "calls", 0) + 1
    batch = batch_of(self, indices, seed)
    return replace(batch, x=batch.x + 0.1 * self.calls)


def statistics_of_numbers(config: Any) -> Mapping[Any, Any]:
    return {"longest": config.longest, "seen": {2: 1}}


def write_rounded(samples: Any, path: Path) -> None:
    write([sample.round(1) for sample in samples], path)


def write_without_words(samples: Any, path: Path) -> None:
    path.write_text(str(samples))


def read_without_words(path: Path) -> Any:
    return path.read_text(encoding="utf-8"), {}


def figures_of_numpy(config: Any, samples: Any, reference: Any) -> Any:
    return {"samples": {"radius": np.float32(1)}, "data": {"radius": 1.0}}


def figures_that_are_nan(config: Any, originals: Any, reconstructions: Any) -> Any:
    return {"error": float("nan")}


def report_with_a_font(story: Any, directory: Path) -> list[Path]:
    page = directory / "report.html"
    page.write_text('<link href="https://fonts.example/sans">')
    return [page]


@pytest.mark.parametrize(
    ("owner", "method", "fault", "check", "words"),
    [
        (
            ToyModality, "reconstruction_loss", loss_of_padding,
            "padding_has_no_part_in_the_loss", "look at the mask in `reconstruction_loss`",
        ),
        (
            ToyModality, "reconstruction_loss", loss_of_each_sample,
            "both_losses_reach_the_shared_weights", "not a scalar: take its mean",
        ),
        (
            ToyTokenizer, "forward", tokens_less_the_largest,
            "batch_mates_and_padding_change_nothing", "look at the mask in the tokenizer",
        ),
        (
            ToyTokenizer, "forward", tokens_of_finite_numbers,
            "numbers_that_are_not_finite_stop_the_run", "let NaN through to the loss",
        ),
        (
            ToyModality, "finish", rows_less_their_mean,
            "batch_mates_and_padding_change_nothing", "look at the mask in the decoder",
        ),
        (
            ToyModality, "finish", finish_but_one,
            "latents_and_reconstructions_have_the_stated_shapes", "makes 3 samples of a batch of 4",
        ),
        (
            ToyDecoder, "forward", decode_by_chance,
            "samples_repeat_by_seed", "random numbers in decoder and `finish`",
        ),
        (
            ToyDecoder, "forward", decode_detached,
            "both_losses_reach_the_shared_weights", "look for detach",
        ),
        (
            ToyDecoder, "__init__", decoder_with_idle_weights,
            "every_weight_has_a_part_in_the_loss", "decoder.idle.weight",
        ),
        (
            ToyDecoder, "__init__", decoder_with_unsaved_numbers,
            "a_saved_model_is_the_same", "a loaded model gives other samples",
        ),
        (
            ToyLabels, "null", null_of_another_kind,
            "no_condition_is_what_dropped_rows_get", "rows with `dropped` differ from `null`",
        ),
        (
            ToyModality, "sample_layout", layout_by_global_chance,
            "layouts_of_generation_repeat_by_their_generator", "chance in `sample_layout`",
        ),
        (
            ToyModality, "sample_layout", layout_of_one_size_more,
            "layouts_of_generation_match_those_of_training", r"sizes \[1\] are generated",
        ),
        (
            ToyModality, "sample_layout", layout_without_condition,
            "layouts_of_generation_match_those_of_training", "NoneType in `sample_layout`",
        ),
        (
            ToyDataset, "batch", noise_of_the_call,
            "augmentation_depends_on_seed_and_index_alone", "random numbers in `Dataset.batch`",
        ),
        (
            ToyDataset, "batch", noise_of_what_came_before,
            "a_resumed_run_equals_an_uninterrupted_one", "batches that depend on those before",
        ),
        (
            ToyModality, "measure", staticmethod(statistics_of_numbers),
            "statistics_are_plain_json", "look at `measure`; differing: 'seen'",
        ),
        (
            ToyModality, "write", staticmethod(write_rounded),
            "archives_keep_samples_whole", "look at `write` and `read` of .json",
        ),
        (
            ToyModality, "write", staticmethod(write_without_words),
            "a_place_that_cannot_be_written_is_named", "make it a StorageError",
        ),
        (
            ToyModality, "read", staticmethod(read_without_words),
            "files_of_something_else_are_named", "make it a DataError",
        ),
        (
            ToyModality, "score", staticmethod(figures_of_numpy),
            "figures_stand_beside_the_datas", "`score` gives figures that are not JSON",
        ),
        (
            ToyModality, "score_reconstruction", staticmethod(figures_that_are_nan),
            "figures_stand_beside_the_datas", "`score_reconstruction` gives .*: make them finite",
        ),
        (
            ToyModality, "report", staticmethod(report_with_a_font),
            "the_report_needs_no_network", "loads from the network: 'href=",
        ),
    ],
)  # fmt: skip
def test_a_fault_fails_its_check(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    owner: type,
    method: str,
    fault: Any,
    check: str,
    words: str,
) -> None:
    monkeypatch.setattr(owner, method, fault)
    with pytest.raises((AssertionError, pytest.fail.Exception), match=words):
        outcome(f"test_{check}", tmp_path)
