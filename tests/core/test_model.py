"""UniteModel from Python: tokenize, reconstruct, generate, save and load."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core.test_objective import toy_batch, toy_model
from safetensors.torch import load_file, save_file
from toy_plugin import ToyOptions
from unite_core.errors import ConfigurationError, StorageError
from unite_core.model import UniteModel, load_model


def test_generation_does_not_depend_on_the_batch_size() -> None:
    model = toy_model().eval()
    whole = model.generate(24, steps=4, precision="no")
    pieces = model.generate(24, steps=4, batch_size=5, precision="no")
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("solver", ["euler", "heun", "dopri5", "stochastic"])
def test_generation_repeats_by_seed(solver: str) -> None:
    model = toy_model().eval()
    first, again, other = (
        model.generate(4, steps=3, solver=solver, seed=seed)  # type: ignore[arg-type]
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.fixture
def far() -> UniteModel:
    """A model far from its start, where outputs hardly depend on inputs."""
    model = toy_model().eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def test_strength_zero_is_euler_and_the_default_the_modalitys(far: UniteModel) -> None:
    def made(**how: Any) -> np.ndarray:
        return np.concatenate(far.generate(4, steps=3, precision="no", **how))

    near = partial(np.allclose, rtol=1e-5, atol=1e-7)
    assert near(made(strength=0.0), made(solver="euler"))
    assert near(made(), made(strength=far.modality.strength))
    assert not near(made(), made(strength=1.0))


def test_a_trajectory_has_the_strength_that_it_is_given(far: UniteModel) -> None:
    ends = [strip[-1] for strip in far.trajectories(4, 2, steps=3, strength=1.0)]
    others = [strip[-1] for strip in far.trajectories(4, 2, steps=3)]
    assert not all(np.allclose(a, b, rtol=1e-5) for a, b in zip(ends, others, strict=True))


@pytest.mark.slow
def test_compiled_the_samples_are_the_same(unchecked: None, far: UniteModel) -> None:
    """One compilation serves batches of any number, and a round needs none."""

    def made(count: int, rounds: int) -> list[np.ndarray]:
        how: dict[str, Any] = {"steps": 3, "batch_size": 3, "precision": "no", "rounds": rounds}
        return far.generate(count, **how, options=ToyOptions(point_count=4))

    graphs = torch._dynamo.utils.counters["stats"]
    plain = [*made(3, rounds=0), *made(5, rounds=1)]
    far.compile_blocks()
    compiled, so_far = made(3, rounds=0), graphs["unique_graphs"]
    compiled += made(5, rounds=1)
    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert graphs["unique_graphs"] == so_far > 0


def test_only_the_stochastic_solver_has_a_strength() -> None:
    with pytest.raises(ConfigurationError, match="strength 2 is of the solver stochastic"):
        toy_model().generate(1, solver="heun", strength=2.0)


def test_a_round_passes_samples_through_latents_and_back(far: UniteModel) -> None:
    samples = far.generate(5, steps=3, precision="no", rounds=0)
    for a, b in zip(samples, far.generate(5, steps=3, precision="no"), strict=True):
        assert np.array_equal(a, b)  # the toy's own number of rounds
    for rounds in (1, 2):
        samples = far.again(samples, precision="no")
        made = far.generate(5, steps=3, precision="no", rounds=rounds)
        for a, b in zip(samples, made, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_samples_that_are_not_accepted_stay_in_a_round(
    far: UniteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = far.generate(4, steps=3)
    expected = far.again(samples, precision="no")

    def accept(one: list[np.ndarray]) -> tuple[list[np.ndarray], dict[str, int]]:
        refused = one[0] is samples[1] or one[0] is samples[2]
        return ([], {"refused": 1}) if refused else (one, {})

    monkeypatch.setattr(far.modality, "accept", accept)
    found = far.again(samples, precision="no")
    assert found[1] is samples[1]
    assert found[2] is samples[2]
    for place in (0, 3):
        np.testing.assert_allclose(found[place], expected[place], rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(far.modality, "accept", lambda one: ([], {"refused": 1}))
    assert all(a is b for a, b in zip(far.again(samples), samples, strict=True))


def test_tokenize_ignores_batch_mates() -> None:
    model = toy_model().eval()
    data = model.modality.dataset("train")
    together = model.tokenize(toy_batch(model))  # type: ignore[arg-type]
    alone = model.tokenize(data.batch(np.array([1]), None))
    n = alone.z.shape[1]
    torch.testing.assert_close(together.z[1:2, :n], alone.z)


@pytest.mark.parametrize("ablation", [{}, {"denoiser": "separate"}, {"latent_norm": False}])
def test_save_and_load_give_the_same_samples(tmp_path: Path, ablation: dict[str, object]) -> None:
    model = toy_model(**ablation).eval()
    model.save_pretrained(tmp_path)
    loaded = UniteModel.from_pretrained(tmp_path).eval()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    for a, b in zip(model.generate(6, steps=3), loaded.generate(6, steps=3), strict=True):
        assert np.array_equal(a, b)


def test_saved_models_say_what_they_are(tmp_path: Path) -> None:
    toy_model().save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "library_name: unite" in card
    assert "both tokenizer and generator" in card


def test_a_run_directory_opens_its_model(tmp_path: Path) -> None:
    toy_model().save_pretrained(tmp_path / "model")
    assert load_model(tmp_path).modality.statistics == {"longest": 5}


def test_unknown_modality_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'tay'; did you mean 'toy'"):
        UniteModel("tay", {}, {}, {})


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no model"):
        load_model(tmp_path)


def test_truncated_weights_are_named(tmp_path: Path) -> None:
    toy_model().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(StorageError, match="cannot load a model"):
        load_model(tmp_path)


def test_weights_that_lack_a_tensor_are_named(tmp_path: Path) -> None:
    """Else what it lacks would stay at random."""
    toy_model().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["decoder.out.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(StorageError, match=r"decoder\.out\.weight"):
        load_model(tmp_path)


def test_the_samples_of_some_rows_are_those_of_all() -> None:
    model = toy_model().eval()
    whole = model.generate(9, steps=3, precision="no")
    some = model.generate(9, steps=3, precision="no", rows=[7, 2, 5])
    for a, row in zip(some, (7, 2, 5), strict=True):
        np.testing.assert_allclose(a, whole[row], atol=1e-5)
    assert model.generate(9, steps=3, rows=[]) == []


def test_batches_that_are_done_are_told() -> None:
    done: list[int] = []
    toy_model().generate(7, steps=1, batch_size=3, rows=[1, 2, 4, 5, 6], on_batch=done.append)
    assert sum(done) == 5
    assert max(done) <= 3


def test_guidance_one_is_conditional_and_zero_unconditional() -> None:
    model = toy_model().eval()
    layout = model.draw_layout(6, 0, None, 1.0)
    z = torch.randn(*layout.mask.shape, 4) * layout.mask[..., None]
    given = model.condition(layout.condition, torch.zeros(6, dtype=torch.bool))
    null = model.condition.null(6)
    assert not torch.allclose(given, null)
    for level, unguided in ((0.05, given), (0.5, null)):
        t = torch.full((6,), level)
        for scale, condition in ((0.0, unguided), (1.0, given)):
            expected = model.denoise(z, t, condition, layout.mask)
            assert torch.equal(model.guided(layout, scale)(z, t), expected)


def test_samples_follow_guidance() -> None:
    model = toy_model().eval()
    plain, one, two = (
        model.generate(4, steps=3, **how) for how in ({}, {"guidance": 1.0}, {"guidance": 2.0})
    )
    assert all(np.array_equal(a, b) for a, b in zip(plain, one, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(plain, two, strict=True))


def test_guidance_without_a_condition_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = toy_model(data={"conditional": False}).eval()
    assert len(model.generate(2, steps=2, guidance=1.0)) == 2
    monkeypatch.setattr(model, "denoise", None)
    for draw in (model.generate, lambda n, **how: model.trajectories(n, 2, **how)):
        with pytest.raises(
            ConfigurationError, match=r"guidance 1\.4 needs a model with a condition"
        ):
            draw(2, guidance=1.4)


@pytest.mark.parametrize("solver", ["euler", "heun", "dopri5", "stochastic"])
def test_a_trajectory_has_every_level(solver: str) -> None:
    model = toy_model().eval()
    strips = model.trajectories(5, 4, steps=6, solver=solver)  # type: ignore[arg-type]
    samples = model.generate(5, steps=6, solver=solver)  # type: ignore[arg-type]
    for strip, sample in zip(strips, samples, strict=True):
        assert [points.shape for points in strip] == [sample.shape] * 4
        assert not np.array_equal(strip[0], strip[-1])


def test_a_stochastic_trajectory_ends_at_the_sample() -> None:
    model = toy_model().eval()
    strips = model.trajectories(5, 3, steps=6, guidance=2.0, seed=2)
    samples = model.generate(5, steps=6, guidance=2.0, seed=2)
    assert all(np.array_equal(strip[-1], end) for strip, end in zip(strips, samples, strict=True))


def test_a_trajectory_starts_with_the_estimate_from_noise() -> None:
    model = toy_model().eval()
    (first, _), *_ = model.trajectories(3, 2, steps=5, precision="no")
    once = model.generate(3, steps=1, precision="no")
    np.testing.assert_allclose(first, once[0], atol=1e-5)


def test_more_levels_than_steps_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="9 levels need as many steps, not 4"):
        toy_model().trajectories(2, 9, steps=4)


@pytest.mark.parametrize("ablation", [{}, {"latent_norm": False}])
def test_an_interpolation_goes_from_one_reconstruction_to_the_other(
    ablation: dict[str, object],
) -> None:
    model = toy_model(**ablation).eval()
    batch = model.modality.dataset("train").batch(np.array([2, 6]), None)
    between = model.interpolate(batch, 5)
    start, end = model.reconstruct(batch)
    np.testing.assert_allclose(between[0], start, atol=1e-5)
    np.testing.assert_allclose(between[-1], end, atol=1e-5)
    assert len({points.tobytes() for points in between}) == 5


def test_an_interpolation_needs_equally_many_latents() -> None:
    model = toy_model().eval()
    batch = model.modality.dataset("train").batch(np.array([0, 1]), None)
    with pytest.raises(ConfigurationError, match="between 2 and 3 latents"):
        model.interpolate(batch, 5)


def test_a_config_from_before_the_ablations_still_loads(tmp_path: Path) -> None:
    model = toy_model().eval()
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    assert set(config["encoder"]) == {"width", "depth", "heads", "latent_dim"}
    assert "conditional" not in config["data"]
    assert load_model(tmp_path).denoiser is None
