from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from unite_core.config import MuonConfig, ObjectiveConfig
from unite_core.errors import ConfigurationError
from unite_core.modality import Unconditional
from unite_core.model import UniteModel
from unite_core.objective import JointObjective
from unite_core.optim import make_optimizers, set_rates, warmup_cosine
from unite_core.types import Layout
from unite_image.condition import ClassEmbedding
from unite_image.config import ImageConfig, ImageSampleOptions
from unite_image.modality import ImageModality, to_images
from unite_image.patches import AppendedPatches, PairedPatches
from unite_image.types import Image, ImageBatch

CLASSES = ["cat", "dog", "crane", "crane", "7"]


@pytest.fixture
def small_model() -> Callable[..., UniteModel]:
    """An untrained model of 8 x 8 images in four patches."""

    def make(classes: list[str], width: int = 32, **data: Any) -> UniteModel:
        torch.manual_seed(0)
        decoder = {"depth": 2, "width": width, "heads": 2, "mlp": 2 * width, "inner": width}
        settings = {"resolution": 8, "patch": 4, "decoder": decoder, "loss": {"perceptual": 0.0}}
        return UniteModel(
            "image",
            data={**settings, **data},
            encoder={"width": width, "depth": 2, "heads": 2, "latent_dim": 8},
            statistics={"classes": classes},
        )

    return make


def modality(classes: list[str] = CLASSES, **data: Any) -> ImageModality:
    config = ImageConfig.model_validate({"resolution": 8, "patch": 4, **data})
    return ImageModality(config, {"classes": classes})


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def asked(name: str) -> ImageSampleOptions:
    return ImageSampleOptions.model_validate({"class": name})


def drawn(counts: list[int], samples: int, **data: Any) -> list[int]:
    """The classes of samples, of a model that was trained on `counts` images of each."""
    config = ImageConfig.model_validate({"resolution": 8, "patch": 4, **data})
    statistics = {"classes": CLASSES[: len(counts)], "counts": counts}
    layout = ImageModality(config, statistics).sample_layout(samples, rng(), ImageSampleOptions())
    assert layout.sizes.tolist() == [4] * samples
    return layout.condition.tolist()


def test_classes_are_drawn_in_turn_where_their_counts_are_equal_or_unknown():
    in_turn = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    layout = modality().sample_layout(12, rng(), None)
    assert layout.condition.tolist() == drawn([7] * 5, 12) == in_turn
    assert drawn([1, 2, 3, 4, 5], 12, class_shares="equal") == in_turn


def test_samples_have_the_classes_of_the_training_images():
    counts = [5, 1, 0, 30, 14]
    for samples in (50, 500):
        found = np.bincount(drawn(counts, samples), minlength=5)
        assert found.tolist() == [samples // 50 * count for count in counts]


def test_the_class_of_a_sample_is_the_same_however_many_are_drawn():
    assert drawn([3, 1, 6], 100)[:37] == drawn([3, 1, 6], 37)


@pytest.mark.parametrize(("name", "index"), [("dog", 1), ("0", 0), ("3", 3), ("7", 4)])
def test_a_class_goes_by_its_name_or_else_its_number(name, index):
    layout = modality().sample_layout(3, rng(), asked(name))
    assert layout.condition.tolist() == [index] * 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dgo", "did you mean 'dog'"), ("5", "5 classes"), ("-1", "number"), ("crane", "one of 2, 3")],
)
def test_a_class_that_is_not_one_is_named(name, hint):
    with pytest.raises(ConfigurationError, match=rf"--class {name}.*{hint}"):
        modality().sample_layout(1, rng(), asked(name))


def test_a_model_without_classes_has_none_to_ask_for():
    unconditional = modality([])
    assert unconditional.sample_layout(2, rng(), None).condition is None
    assert isinstance(unconditional.condition_embedding(8), Unconditional)
    with pytest.raises(ConfigurationError, match="without classes"):
        unconditional.sample_layout(2, rng(), asked("dog"))


def test_condition_and_tokenizer_follow_the_configuration():
    assert isinstance(modality().condition_embedding(8), ClassEmbedding)
    assert modality().condition_embedding(8).table.weight.shape == (len(CLASSES) + 2, 8)
    assert isinstance(modality().tokenizer(8), AppendedPatches)
    assert isinstance(modality(tokens="paired").tokenizer(8), PairedPatches)
    assert modality(resolution=16).registers() == 16


def test_classes_come_from_the_data(tmp_path, pictures, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    images = pictures(40, side=8)
    labels = np.arange(40) % 2
    path = tmp_path / "images.npz"
    np.savez(path, images=np.stack([image.pixels for image in images]), labels=labels)
    config = ImageConfig(path=str(path), resolution=8, patch=4)
    measured = ImageModality.measure(config)
    assert measured["classes"] == ["0", "1"]
    assert 0 < measured["images"] < 40
    assert sum(measured["counts"]) == measured["images"]
    assert abs(measured["counts"][0] - measured["counts"][1]) <= 2
    batch = ImageModality(config, measured).dataset("train").batch(np.arange(2), seed=None)
    embedding = ImageModality(config, measured).condition_embedding(8)
    layout = ImageModality(config, measured).layout(batch)
    assert embedding(layout.condition, torch.tensor([False, True])).shape == (2, 8)
    assert ImageModality.measure(config.model_copy(update={"conditional": False}))["classes"] == []


def test_pixels_and_labels_come_back(pictures):
    images = pictures(3, side=8)
    batch = modality().collate(images)
    assert batch.pixels.shape == (3, 3, 8, 8)
    assert batch.pixels.min() >= 0
    assert batch.pixels.max() <= 1
    for before, after in zip(images, modality().originals(batch), strict=True):
        np.testing.assert_array_equal(before.pixels, after.pixels)
        assert before.label == after.label


def test_labels_are_kept_only_where_all_images_have_one(pictures):
    first, second = pictures(2)
    assert modality().collate([first, Image(second.pixels)]).labels is None
    layout = modality().layout(modality().collate([first, Image(second.pixels)]))
    assert layout.condition is None
    assert modality([]).layout(modality().collate([first, second])).condition is None


def test_pixels_outside_the_range_are_cut_off():
    pixels = torch.tensor([-0.5, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7.0]).view(6, 1, 1, 1)
    finished = modality().finish(pixels, Layout(torch.full((6,), 4)), None)
    assert [int(image.pixels.item()) for image in finished] == [0, 0, 0, 1, 255, 255]
    assert finished[0].label is None
    assert to_images(pixels[:2], torch.tensor([3, 1]))[1].label == 1


def test_images_too_small_are_refused_and_counted(pictures):
    large, small = pictures(1, side=16), pictures(2, side=6)
    accepted, refused = modality().accept([*large, *small])
    assert [image.pixels.shape for image in accepted] == [(8, 8, 3)]
    assert refused == {"smaller than 8 x 8": 2}
    assert modality().accept(large)[1] == {}
    assert len(modality(enlarge=True).accept(small)[0]) == 2


def test_errors_are_in_levels():
    black = Image(np.zeros((4, 4, 3), dtype=np.uint8))
    other = np.zeros((4, 4, 3), dtype=np.uint8)
    other[:2] = 200
    found = ImageModality.errors([black, black], [black, Image(other)])
    assert found == [0.0, pytest.approx(200 / 2**0.5)]


def test_samples_have_the_class_that_was_asked_for(small_model):
    model = small_model(["cat", "dog"]).eval()
    samples = model.generate(3, steps=2, options=asked("dog"), precision="no")
    assert [image.label for image in samples] == [1, 1, 1]
    assert all(image.pixels.shape == (8, 8, 3) for image in samples)
    assert [image.label for image in model.generate(3, steps=2, precision="no")] == [0, 1, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_without_classes(small_model, pictures, channels):
    model = small_model([], channels=channels, conditional=False)
    batch = model.modality.collate(pictures(2, channels=channels))
    losses = JointObjective(model, ObjectiveConfig())(batch)
    losses.total.backward()
    assert losses.total.isfinite()
    assert model.reconstruct(batch)[0].pixels.shape == (8, 8, channels)
    assert model.generate(1, steps=2, precision="no")[0].pixels.shape == (8, 8, channels)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("tokens", ["appended", "paired"])
def test_one_batch_is_learned_by_heart(small_model, tokens):
    model = small_model(["cat", "dog"], width=64, tokens=tokens)
    batch = ImageBatch(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1]))
    objective = JointObjective(model, ObjectiveConfig(draws=1, decoder_noise=None))
    optimizers = make_optimizers(model, MuonConfig(learning_rate=0.02, adamw_learning_rate=0.01))
    steps = 250
    for step in range(steps):
        set_rates(optimizers, warmup_cosine(step, 20, step / steps, 0.0))
        losses = objective(batch)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert losses.terms["l1"] < 0.01
