"""The training loop: exact resume, stops, refusals, accumulation."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator, DistributedType
from core.test_checkpoint import assert_same
from core.test_interruption import held_elsewhere
from core.test_objective import ENCODER
from torch import nn
from torch.distributed.fsdp import CPUOffloadPolicy
from toy_modality import Points, ToyDataset
from unite_core import checkpoint, precision, training
from unite_core.config import AdamWConfig, MuonConfig, ObjectiveConfig, TrainingConfig
from unite_core.errors import ConfigurationError, DataError, NonFiniteError, StorageError
from unite_core.export import export
from unite_core.model import UniteModel, load_model
from unite_core.objective import JointObjective
from unite_core.training import Trainer
from unite_core.types import Losses

STEPS = 8


def settings(**changes: Any) -> TrainingConfig:
    values = {
        "steps": STEPS,
        "batch_size": 16,
        "warmup_steps": 2,
        "precision": "no",
        "checkpoint_steps": 3,
        "log_steps": 1,
        "ema_decay": 0.9,
    }
    return TrainingConfig(**(values | changes))


def toy_trainer(
    output: Path,
    kind: type[JointObjective] = JointObjective,
    encoder: dict[str, int] = ENCODER,
    optimizer: AdamWConfig | MuonConfig = MuonConfig(),  # noqa: B008 (frozen)
    **changes: Any,
) -> Trainer:
    torch.manual_seed(0)
    model = UniteModel("toy", {}, encoder, {"longest": 5})
    objective = kind(model, ObjectiveConfig(draws=2))
    return Trainer(objective, ToyDataset(40, 5), settings(**changes), optimizer, output, {})


def newest(output: Path) -> dict[str, Any]:
    found = checkpoint.latest(output / "checkpoints")
    assert found is not None
    return found[1]


def log_lines(output: Path) -> list[dict[str, float]]:
    """Without the times, which no two runs share."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    for line in lines:
        del line["samples_per_second"], line["seconds"], line["waiting_for_data"]
    return lines


def interrupt(model: nn.Module, step: int) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("optimizer", [AdamWConfig(), MuonConfig()])
def test_resumed_in_mid_epoch_equals_uninterrupted(
    tmp_path: Path, optimizer: AdamWConfig | MuonConfig, accumulation: int, workers: int
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    case: dict[str, Any] = {"optimizer": optimizer, "accumulation": accumulation}
    toy_trainer(whole, **case).train()
    first = toy_trainer(parts, preview_steps=4, **case)
    with pytest.raises(SystemExit):
        first.train(on_preview=interrupt)
    assert first.steps_done % first.plan.epoch_length == 1
    second = toy_trainer(parts, workers=workers, **case)
    second.train(resume="auto")
    for part in ("model", "ema", "optimizers"):
        assert_same(newest(whole)[part], newest(parts)[part])
    assert log_lines(whole) == log_lines(parts)
    assert [line["step"] for line in log_lines(whole)] == list(range(1, STEPS + 1))


@pytest.mark.parametrize(("every", "steps"), [(3, [3, 6, 8]), (4, [4, 8]), (50, [8]), (None, [])])
def test_previews_are_shown_on_the_way_and_at_the_end_once_that_is_saved(
    tmp_path: Path, every: int | None, steps: list[int]
) -> None:
    trainer, shown = toy_trainer(tmp_path, preview_steps=every), []

    def show(model: nn.Module, step: int) -> None:
        assert step < STEPS or trainer.saved_step == STEPS
        shown.append(step)

    trainer.train(on_preview=show)
    toy_trainer(tmp_path, preview_steps=every).train("auto", show)  # nothing is left to do
    assert shown == steps


def test_resuming_an_earlier_checkpoint_elsewhere_repeats_the_rest(tmp_path: Path) -> None:
    toy_trainer(tmp_path / "a").train()
    earlier = tmp_path / "a" / "checkpoints" / "step-000000006"
    toy_trainer(tmp_path / "b").train(resume=earlier)
    assert_same(newest(tmp_path / "a")["model"], newest(tmp_path / "b")["model"])


def test_a_run_that_died_before_its_last_export_makes_it_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_trainer(tmp_path / "whole").train()
    cut = toy_trainer(tmp_path / "cut")

    def die_at_the_end(model: Any, directory: Path) -> None:
        if cut.steps_done == STEPS:
            raise SystemExit
        export(model, directory)

    with monkeypatch.context() as patch:
        patch.setattr(training, "export", die_at_the_end)
        with pytest.raises(SystemExit):
            cut.train()
    whole, weights = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert newest(tmp_path / "cut")["run"]["progress"]["step"] == STEPS
    assert whole.read_bytes() != weights.read_bytes()
    toy_trainer(tmp_path / "cut").train(resume="auto")
    assert whole.read_bytes() == weights.read_bytes()


def test_sigterm_saves_and_exits_143(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, checkpoint_steps=1000, preview_steps=2)
    with pytest.raises(SystemExit) as caught:
        trainer.train(on_preview=interrupt)
    assert caught.value.code == 143
    state = newest(tmp_path)
    assert state["run"]["progress"]["step"] == trainer.steps_done == 3
    assert_same(state["model"], dict(trainer.model.state_dict()))


class Failing(JointObjective):
    """Its loss is not a number from the fourth update on."""

    calls = 0

    def forward(self, batch: Points) -> Losses:
        losses = super().forward(batch)
        self.calls += 1
        return losses if self.calls <= 3 else Losses(losses.total * torch.nan, losses.terms)


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, Failing, checkpoint_steps=1000)
    with pytest.raises(NonFiniteError, match="not finite at step 3") as caught:
        trainer.train()
    assert caught.value.exit_code == 4
    assert all(bool(p.isfinite().all()) for p in trainer.model.parameters())
    assert newest(tmp_path)["run"]["progress"]["step"] == 3
    assert_same(newest(tmp_path)["model"], dict(trainer.model.state_dict()))
    report = json.loads((tmp_path / "nonfinite.jsonl").read_text())
    assert report["samples"] == trainer.plan.update_indices(3).tolist()


def test_deepspeed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator, "distributed_type", DistributedType.DEEPSPEED)
    with pytest.raises(ConfigurationError, match=r"DEEPSPEED brings optimizers.*--fsdp_version 2"):
        toy_trainer(tmp_path)


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ({"fsdp_version": 1}, "add --fsdp_version 2"),
        ({"activation_checkpointing": True}, "objective.activation_checkpointing in place of"),
        ({"cpu_offload": CPUOffloadPolicy()}, "leave --fsdp_offload_params out"),
    ],
)
def test_what_fsdp_may_not_do_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: dict[str, object], remedy: str
) -> None:
    usual = {"fsdp_version": 2, "activation_checkpointing": False, "cpu_offload": None}
    Accelerator().state.fsdp_plugin = SimpleNamespace(**(usual | option))
    monkeypatch.setattr(Accelerator, "distributed_type", DistributedType.FSDP)
    with pytest.raises(ConfigurationError, match=remedy):
        toy_trainer(tmp_path)


@pytest.mark.parametrize(("has", "computed"), [(True, torch.bfloat16), (False, torch.float32)])
def test_automatic_precision_is_that_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: bool, computed: torch.dtype
) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: has)
    trainer = toy_trainer(tmp_path / "run", precision="auto", steps=1)
    seen = set()
    linear = next(part for part in trainer.model.encoder.modules() if isinstance(part, nn.Linear))
    linear.register_forward_hook(lambda layer, given, made: seen.add(made.dtype))
    trainer.train()
    assert seen == {computed}


def test_an_output_in_use_is_refused(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path)
    with held_elsewhere(tmp_path), pytest.raises(ConfigurationError, match="another run is using"):
        trainer.train()


def test_a_fresh_start_over_checkpoints_is_refused(tmp_path: Path) -> None:
    toy_trainer(tmp_path).train()
    with pytest.raises(ConfigurationError, match="go on with --resume auto"):
        toy_trainer(tmp_path).train()


def test_an_earlier_checkpoint_in_the_same_output_is_refused(tmp_path: Path) -> None:
    toy_trainer(tmp_path).train()
    with pytest.raises(ConfigurationError, match=r"step-000000008 is later than"):
        toy_trainer(tmp_path).train(resume=tmp_path / "checkpoints" / "step-000000006")


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    toy_trainer(tmp_path).train()
    with pytest.raises(StorageError, match=r"another model: .* is \[.*\] there, missing here and"):
        toy_trainer(tmp_path, encoder={**ENCODER, "depth": 1}).train(resume="auto")


def test_of_a_checkpoint_of_another_model_one_difference_is_named(tmp_path: Path) -> None:
    toy_trainer(tmp_path).train()
    width = ENCODER["width"]
    other = toy_trainer(tmp_path, encoder={**ENCODER, "width": 2 * width})
    now, then = other.model.state_dict(), newest(tmp_path)["model"]
    differing = [name for name in now if now[name].shape != then[name].shape]
    first = differing[0]
    with pytest.raises(StorageError) as caught:
        other.train(resume="auto")
    said = str(caught.value)
    sizes = f"{first} is {list(then[first].shape)} there, {list(now[first].shape)} here"
    assert f"{sizes} and {len(differing) - 1} more differ; resume with" in said
    assert "\n" not in said


@pytest.mark.parametrize("then", [AdamWConfig(), MuonConfig()])
def test_a_checkpoint_of_another_optimizer_is_refused(
    tmp_path: Path, then: AdamWConfig | MuonConfig
) -> None:
    now = MuonConfig() if isinstance(then, AdamWConfig) else AdamWConfig()
    toy_trainer(tmp_path, optimizer=then).train()
    with pytest.raises(StorageError, match="is of another model or optimizer"):
        toy_trainer(tmp_path, optimizer=now).train(resume="auto")


@pytest.mark.parametrize("change", [{"batch_size": 8}, {"accumulation": 2}, {"seed": 1}])
def test_a_run_that_would_see_other_batches_is_refused(
    tmp_path: Path, change: dict[str, int]
) -> None:
    toy_trainer(tmp_path).train()
    with pytest.raises(ConfigurationError, match=f"was made with {next(iter(change))}"):
        toy_trainer(tmp_path, **change).train(resume="auto")


def test_a_path_without_a_checkpoint_is_never_a_fresh_start(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not a checkpoint"):
        toy_trainer(tmp_path).train(resume=tmp_path / "none")
    assert not (tmp_path / "log.jsonl").exists()


def test_auto_starts_afresh_where_there_is_nothing(tmp_path: Path) -> None:
    toy_trainer(tmp_path).train(resume="auto")
    assert newest(tmp_path)["run"]["progress"]["step"] == STEPS


def test_the_exported_model_is_the_average(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path)
    trainer.train()
    exported = load_model(tmp_path).state_dict()
    assert_same(dict(exported), dict(trainer.ema.module.state_dict()))
    assert not torch.equal(exported["decoder.out.weight"], trainer.model.decoder.out.weight)


def test_previews_see_the_average_when_due(tmp_path: Path) -> None:
    seen: list[tuple[nn.Module, int]] = []
    trainer = toy_trainer(tmp_path, preview_steps=4)
    trainer.train(on_preview=lambda model, step: seen.append((model, step)))
    assert [step for _, step in seen] == [4, 8]
    assert all(model is trainer.ema.module for model, _ in seen)


def test_a_preview_that_cannot_be_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(model: nn.Module, step: int) -> None:
        raise DataError("no validation molecule")

    trainer = toy_trainer(tmp_path, preview_steps=4)
    trainer.train(on_preview=refuse)
    assert trainer.steps_done == STEPS
    assert "no preview of step 8: no validation molecule" in caplog.text


def test_a_preview_comes_after_the_checkpoint_of_its_step(tmp_path: Path) -> None:
    def crash(model: nn.Module, step: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        toy_trainer(tmp_path, checkpoint_steps=4, preview_steps=4).train(on_preview=crash)
    assert newest(tmp_path)["run"]["progress"]["step"] == 4


def test_the_run_ends_when_its_minutes_are_spent(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, steps=10**6, minutes=1e-6)
    trainer.train()
    assert trainer.steps_done == 1


class Deterministic(nn.Module):
    """Mean over samples of a loss without noise."""

    def __init__(self, model: nn.Linear) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Points) -> Losses:
        error = self.model(batch.x).square().sum(-1) * batch.mask
        total = error.sum(1).mean()
        return Losses(total, {"error": total.detach()})


def accumulated_gradient(output: Path, pieces: int) -> torch.Tensor:
    torch.manual_seed(0)
    linear = nn.Linear(2, 2)
    config = settings(accumulation=pieces)
    objective = Deterministic(linear)
    trainer = Trainer(objective, ToyDataset(40, 5), config, AdamWConfig(), output, {})
    for piece in range(pieces):
        trainer.backward(trainer.plan[piece], piece)
    assert linear.weight.grad is not None
    return linear.weight.grad


def test_accumulated_pieces_have_the_larger_batchs_gradient(tmp_path: Path) -> None:
    whole, pieces = accumulated_gradient(tmp_path, 1), accumulated_gradient(tmp_path, 4)
    torch.testing.assert_close(pieces, whole)
    assert whole.abs().max() > 0.01
