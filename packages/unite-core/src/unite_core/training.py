"""The training loop; the only module that imports accelerate."""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from unite_core import checkpoint
from unite_core.batching import NOISE, BatchPlan, Share, derive_seed, load_batches
from unite_core.clock import Clock
from unite_core.config import AdamWConfig, MuonConfig, TrainingConfig
from unite_core.ema import averaged
from unite_core.errors import ConfigurationError, NonFiniteError, StorageError
from unite_core.interruption import EXIT_CODE, StopRequest, exclusive, stop_on_signal
from unite_core.layers import compile_blocks
from unite_core.modality import Dataset
from unite_core.optim import fraction_done, make_optimizers, set_rates, warmup_cosine
from unite_core.run_log import RunLog
from unite_core.types import Losses

Preview = Callable[[nn.Module, int], None]


class Trainer:
    """Trains `objective`: its `forward(batch)` gives Losses, its `model` is kept and averaged.

    Everything random is a function of the seed, the update's number and the rank, so a run resumes
    bit for bit from a checkpoint, except that with `minutes` the learning rate follows the clock.
    In `output`: checkpoints/, model/ (averaged weights), log.jsonl, tensorboard/, config.yaml.
    """

    def __init__(
        self,
        objective: nn.Module,
        dataset: Dataset,
        config: TrainingConfig,
        optimizer: AdamWConfig | MuonConfig,
        output: Path,
        run_config: Mapping[str, Any],
    ) -> None:
        self.accelerator = Accelerator(
            mixed_precision=config.precision, gradient_accumulation_steps=config.accumulation
        )
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        share = Share(config.accumulation, rank, world)
        self.plan = BatchPlan(dataset, config.batch_size, config.seed, share)
        if config.compile:
            compile_blocks(objective)
        self.objective: nn.Module = self.accelerator.prepare(objective)
        self.model = objective.get_submodule("model")
        self.optimizers = make_optimizers(self.model, optimizer)
        self.ema = averaged(self.model, config.ema_decay)
        self.config, self.output, self.run_config = config, output, run_config
        self.steps_done, self.seconds, self.saved_step = 0, 0.0, -1

    def train(
        self, resume: Literal["auto"] | Path | None = None, on_preview: Preview | None = None
    ) -> None:
        """Train to the end, saving on the way.

        `resume`: a checkpoint's directory, "auto" for the newest in `output` if there is one, or
        None for a start in a fresh `output`. `on_preview(averaged model, step)` is called on the
        main process every `preview_steps`. Raises ConfigurationError, StorageError, NonFiniteError;
        SystemExit(143) after SIGTERM, SIGINT or SIGUSR1, once the state is saved.
        """
        with ExitStack() as stack:
            if self.accelerator.is_main_process:
                stack.enter_context(exclusive(self.output))
            self.accelerator.wait_for_everyone()
            self.restore(resume)
            stop = stack.enter_context(stop_on_signal())
            log = None
            if self.accelerator.is_main_process:
                log = stack.enter_context(RunLog(self.output, self.steps_done, self.run_config))
            self.loop(stop, log, on_preview)

    def loop(self, stop: StopRequest, log: RunLog | None, on_preview: Preview | None) -> None:
        """Updates until the run is over or a stop is asked for."""
        config = self.config
        batches = load_batches(self.plan, self.steps_done, config.steps, config.workers)
        clock = Clock(self.seconds, self.fraction, self.steps_done)
        self.objective.train()
        while self.fraction < 1.0:
            values, stopping = self.step(batches, clock, stop)
            if log and (self.steps_done % config.log_steps == 0 or self.fraction >= 1.0):
                speed = clock.speed(self.steps_done) * config.batch_size
                pace = {"samples_per_second": speed, "seconds": self.seconds}
                floats = {name: float(value) for name, value in values.items()}
                left = clock.seconds_left(self.fraction)
                log.write(self.steps_done, self.fraction, left, floats | pace)
            if on_preview and log and is_due(self.steps_done, config.preview_steps):
                on_preview(self.ema.module, self.steps_done)
            if stopping or is_due(self.steps_done, config.checkpoint_steps):
                self.save()
            if stopping:
                raise SystemExit(EXIT_CODE)
        self.save()

    def step(
        self, batches: Iterator[Any], clock: Clock, stop: StopRequest
    ) -> tuple[dict[str, Tensor], bool]:
        """One update of the weights. Gives the values to log, and whether any rank is to stop."""
        config = self.config
        losses = [self.backward(next(batches), piece) for piece in range(config.accumulation)]
        limit = math.inf if config.clip is None else config.clip
        norm = self.accelerator.clip_grad_norm_(self.objective.parameters(), limit)
        total = torch.stack([loss.total.detach() for loss in losses]).mean()
        bad, stopping, seconds = self.agree(not (total + norm).isfinite(), stop, clock)
        if bad:
            self.stop_before_update(float(total), float(norm))
        factor = warmup_cosine(
            self.steps_done, config.warmup_steps, self.fraction, config.final_rate
        )
        set_rates(self.optimizers, factor)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.ema.update_parameters(self.model)
        self.steps_done, self.seconds = self.steps_done + 1, seconds
        terms = {
            name: torch.stack([loss.terms[name] for loss in losses]).mean()
            for name in losses[0].terms
        }
        rate = torch.tensor(self.optimizers[0].param_groups[0]["lr"])
        return {"loss": total, **terms, "gradient_norm": norm, "learning_rate": rate}, stopping

    def backward(self, batch: Any, piece: int) -> Losses:
        """Add a piece's gradients; processes exchange theirs at the update's last piece."""
        rank = self.accelerator.process_index
        torch.manual_seed(derive_seed(self.config.seed, NOISE, self.steps_done, piece, rank))
        last = piece == self.config.accumulation - 1
        with nullcontext() if last else self.accelerator.no_sync(self.objective):
            losses: Losses = self.objective(batch.to(self.accelerator.device))
            self.accelerator.backward(losses.total)
        return losses

    def agree(self, bad: bool, stop: StopRequest, clock: Clock) -> tuple[bool, bool, float]:
        """Whether any rank has a bad value, whether any is to stop, and the common clock."""
        mine = torch.tensor([float(bad), float(stop.requested), clock.seconds()])
        ranks = self.accelerator.gather(mine.to(self.accelerator.device)).view(-1, 3)
        anybody_bad, anybody_stopping, seconds = ranks.amax(dim=0).tolist()
        return bool(anybody_bad), bool(anybody_stopping), seconds

    def stop_before_update(self, loss: float, norm: float) -> None:
        """Save the last good state and the samples at fault, and raise."""
        self.save()
        path = self.output / "nonfinite.json"
        if self.accelerator.is_main_process:
            indices = self.plan.update_indices(self.steps_done).tolist()
            report = {"step": self.steps_done, "loss": str(loss), "gradient_norm": str(norm)}
            path.write_text(json.dumps({**report, "samples": indices}))
        raise NonFiniteError(
            f"loss {loss} or gradient norm {norm} is not finite at step {self.steps_done}: the "
            f"update was not made, the state is saved, its samples are in {path}; "
            "lower the learning rate or look at those samples"
        )

    @property
    def fraction(self) -> float:
        """Share of the run that is over."""
        return fraction_done(self.steps_done, self.config.steps, self.seconds, self.config.minutes)

    @property
    def identity(self) -> dict[str, int]:
        """What must be the same for a resumed run to see the same batches and noise."""
        return {
            "processes": self.accelerator.num_processes,
            "batch_size": self.config.batch_size,
            "accumulation": self.config.accumulation,
            "seed": self.config.seed,
            "samples": len(self.plan.dataset),
        }

    def save(self) -> None:
        """Write the checkpoint of this step, unless it is there, and the averaged weights."""
        if self.accelerator.is_main_process and self.saved_step != self.steps_done:
            progress = {"step": self.steps_done, "seconds": self.seconds}
            state = {
                "model": self.model.state_dict(),
                "ema": self.ema.state_dict(),
                "optimizers": [optimizer.state_dict()["state"] for optimizer in self.optimizers],
                "run": {"progress": progress, "identity": self.identity},
            }
            folder = self.output / "checkpoints"
            checkpoint.save(folder, self.steps_done, state, self.config.keep_checkpoints)
            export(self.ema.module, self.output / "model")
        self.saved_step = self.steps_done
        self.accelerator.wait_for_everyone()

    def restore(self, resume: Literal["auto"] | Path | None) -> None:
        """Take up the checkpoint that `resume` asks for."""
        folder = self.output / "checkpoints"
        if resume is None:
            if checkpoint.found(folder):
                raise ConfigurationError(
                    f"{self.output} holds checkpoints: go on with --resume auto, "
                    "or choose another --output"
                )
            return
        newest = (
            checkpoint.latest(folder) if resume == "auto" else (resume, checkpoint.load(resume))
        )
        if newest is not None:
            self.load_state(*newest)
            self.refuse_later_checkpoints(newest[0])

    def refuse_later_checkpoints(self, path: Path) -> None:
        """Two histories in one directory would be mixed up by the next automatic resume."""
        newest = checkpoint.latest(self.output / "checkpoints")
        if newest is not None and checkpoint.step_of(newest[0]) > self.steps_done:
            raise ConfigurationError(
                f"{newest[0]} is later than {path}: go on with --resume auto, "
                "or choose another --output"
            )

    def load_state(self, path: Path, state: Mapping[str, Any]) -> None:
        """Copy a checkpoint into the model, its average, the optimizers and the counters."""
        try:
            self.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            pairs = list(zip(self.optimizers, state["optimizers"], strict=True))
            for optimizer, saved in pairs:
                groups = optimizer.state_dict()["param_groups"]  # the rates are this run's
                optimizer.load_state_dict({"state": saved, "param_groups": groups})
        except (RuntimeError, ValueError, KeyError) as error:
            raise StorageError(f"{path} is of another model or optimizer: {error!r}") from error
        for name, now in self.identity.items():
            then = state["run"]["identity"][name]
            if then != now:
                raise ConfigurationError(
                    f"{path} was made with {name} {then}, this run has {now}: resume with {then}, "
                    "or start anew in another --output"
                )
        progress = state["run"]["progress"]
        self.steps_done, self.seconds = progress["step"], progress["seconds"]
        self.saved_step = self.steps_done


def is_due(step: int, every: int | None) -> bool:
    """Whether something done `every` so many steps is to be done after this one."""
    return every is not None and step % every == 0


def export(model: Any, directory: Path) -> None:
    """`model.save_pretrained(directory)`, replacing it only once the new one is written."""
    fresh = directory.with_name(f".tmp-model-{uuid4().hex}")
    try:
        model.save_pretrained(fresh)
        shutil.rmtree(directory, ignore_errors=True)
        fresh.rename(directory)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise StorageError(f"cannot write weights to {directory}: {error}") from error
