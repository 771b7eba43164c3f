"""The training loop; the only module that imports accelerate."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from torch import Tensor, nn
from torch.distributed.fsdp import CPUOffloadPolicy

from unite_core import checkpoint, nonfinite
from unite_core.batching import NOISE, BatchPlan, Share, derive_seed, load_batches
from unite_core.clock import Clock
from unite_core.config import AdamWConfig, MuonConfig, RunConfig, TrainingConfig
from unite_core.ema import averaged
from unite_core.errors import ConfigurationError, NonFiniteError, StorageError, UniteError
from unite_core.export import export
from unite_core.interruption import (
    EXIT_CODE,
    StopRequest,
    exclusive,
    outlive_signals,
    stop_on_signal,
)
from unite_core.layers import compile_blocks
from unite_core.log_window import LogWindow
from unite_core.modality import Dataset
from unite_core.model import UniteModel
from unite_core.objective import JointObjective
from unite_core.optim import fraction_done, make_optimizers, set_rates, warmup_cosine
from unite_core.precision import autocast, name_of, number_type
from unite_core.recorded import RecordedPass
from unite_core.resuming import Resume, require_same_run, starting_checkpoint, take_up
from unite_core.run_log import RunLog
from unite_core.sharding import gathered, shard, whole
from unite_core.storage import bytes_to_keep, require_room, writing
from unite_core.types import Losses

logger = logging.getLogger(__name__)
FOREIGN = (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
"""Kinds of launch that bring optimizers and checkpoints of their own."""

Preview = Callable[[nn.Module, int], None]


class Trainer:
    """Trains `objective`: its `forward(batch)` gives Losses, its `model` is kept and averaged.

    Everything random is a function of the seed, the update's number and the rank, so a run resumes
    bit for bit from a checkpoint, except that with `minutes` the learning rate follows the clock.
    In `output`: checkpoints/, model/ (averaged weights), log.jsonl, tensorboard/, config.yaml.
    Under FSDP each process holds a shard of weights, gradients and optimizer state, and the whole
    average. ConfigurationError for launches by DeepSpeed, Megatron or FSDP's first version.
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
            mixed_precision="no",  # `both_ways` rounds, as is best on the device, not known yet
            gradient_accumulation_steps=config.accumulation,
        )
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        share = Share(config.accumulation, rank, world)
        self.plan = BatchPlan(dataset, config.batch_size, config.seed, share)
        self.model = objective.get_submodule("model")
        self.ema = averaged(self.model, config.ema_decay)
        self.ema.module.to(self.accelerator.device)  # not its count, which the host reads
        if config.compile:
            compile_blocks(objective)
        self.objective = self.prepared(objective)
        self.optimizers = make_optimizers(self.model, optimizer)
        device, kind = self.accelerator.device, self.accelerator.distributed_type
        alone_on_gpu = device.type == "cuda" and kind is DistributedType.NO
        self.recorded = config.cuda_graphs and alone_on_gpu
        self.passes = RecordedPass(self.both_ways, device) if self.recorded else self.both_ways
        self.config, self.output, self.run_config = config, output, run_config
        self.steps_done, self.seconds, self.saved_step, self.skipped = 0, 0.0, -1, 0
        self.window = LogWindow()

    @classmethod
    def of_run(cls, config: RunConfig, model: UniteModel, data: Dataset, output: Path) -> "Trainer":
        """The trainer of a model as a run's configuration says, but for where it writes."""
        objective = JointObjective(model, config.objective)
        run_config = config.model_dump(mode="json")
        return cls(objective, data, config.training, config.optimizer, output, run_config)

    def prepared(self, objective: nn.Module) -> nn.Module:
        """The objective on this process's device, its weights in shards under FSDP."""
        kind = self.accelerator.distributed_type
        if kind in FOREIGN:
            raise ConfigurationError(
                f"{kind.value} brings optimizers and checkpoints of its own: launch with torchrun, "
                "or with accelerate's --multi_gpu or --use_fsdp --fsdp_version 2"
            )
        if kind is not DistributedType.FSDP:
            prepared: nn.Module = self.accelerator.prepare(objective)
            return prepared
        plugin = self.accelerator.state.fsdp_plugin
        if plugin.fsdp_version != 2:
            raise ConfigurationError(
                f"FSDP's version {plugin.fsdp_version} flattens weights, and Muon needs matrices: "
                "add --fsdp_version 2"
            )
        if plugin.activation_checkpointing:
            raise ConfigurationError(
                "the recipe says what is computed again: objective.activation_checkpointing "
                "in place of --fsdp_activation_checkpointing"
            )
        if isinstance(plugin.cpu_offload, CPUOffloadPolicy):
            raise ConfigurationError("weights stay on the GPUs: leave --fsdp_offload_params out")
        device, processes = self.accelerator.device, self.accelerator.num_processes
        shard(objective, device, processes, plugin.reshard_after_forward)
        return objective

    def train(self, resume: Resume = None, on_preview: Preview | None = None) -> None:
        """Train to the end, saving on the way.

        `resume`: a checkpoint's directory, "auto" for the newest in `output` if there is one, or
        None for a start in a fresh `output`. `on_preview(averaged model, step)` is called on the
        main process every `preview_steps` and at the end, where these are set. Raises
        ConfigurationError, StorageError, NonFiniteError; SystemExit(143) after SIGTERM, SIGINT or
        SIGUSR1, once the state is saved.
        """
        with ExitStack() as stack:
            if self.accelerator.is_main_process:
                stack.enter_context(exclusive(self.output))
            self.accelerator.wait_for_everyone()
            self.restore(resume)
            if self.accelerator.is_main_process:
                self.require_room()
            stop = stack.enter_context(stop_on_signal())
            log = None
            if self.accelerator.is_main_process:
                log = stack.enter_context(RunLog(self.output, self.steps_done, self.run_config))
            self.loop(stop, log, on_preview)

    def loop(self, stop: StopRequest, log: RunLog | None, on_preview: Preview | None) -> None:
        """Updates until the run is over or a stop is asked for."""
        config = self.config
        batches = load_batches(
            self.plan, self.steps_done, config.steps, config.workers, outlive_signals
        )
        clock = Clock(self.seconds, self.fraction, self.steps_done)
        if log and self.fraction < 1.0:
            device = self.accelerator.device
            products = name_of(number_type(config.precision, device))
            log.tell(self.fraction, f"starts on {device}, products in {products}")
        self.objective.train()
        self.window.restart()
        while self.fraction < 1.0:
            values, stopping = self.step(batches, clock, stop)
            over = self.fraction >= 1.0
            if log and (over or is_due(self.steps_done, config.log_steps)):
                speed = clock.speed(self.steps_done) * config.batch_size
                pace = {"samples_per_second": speed, "seconds": self.seconds}
                pace |= self.window.shares()
                self.window.restart()
                floats = {name: value for name, value in values.items() if math.isfinite(value)}
                left = clock.seconds_left(self.fraction)
                log.write(self.steps_done, self.fraction, left, floats | pace)
            if stopping or over or is_due(self.steps_done, config.checkpoint_steps):
                self.save()
            if stopping:
                raise SystemExit(EXIT_CODE)
            every = config.preview_steps
            if on_preview and log and every and (over or is_due(self.steps_done, every)):
                self.preview(on_preview)

    def preview(self, on_preview: Preview) -> None:
        """Show the averaged model; a run goes on where that cannot be."""
        try:
            with writing(f"the preview of step {self.steps_done}"):
                on_preview(self.ema.module, self.steps_done)
        except UniteError as error:
            logger.warning("no preview of step %d: %s", self.steps_done, error)

    def step(
        self, batches: Iterator[Any], clock: Clock, stop: StopRequest
    ) -> tuple[dict[str, float], bool]:
        """One update of the weights. Gives the values to log, means over all ranks, and whether
        any of these is to stop.
        """
        config = self.config
        pieces = range(config.accumulation)
        losses = [self.backward(self.window.draw(batches), piece) for piece in pieces]
        limit = math.inf if config.clip is None else config.clip
        norm = whole(self.accelerator.clip_grad_norm_(self.objective.parameters(), limit))
        terms = [{"loss": loss.total.detach(), **loss.terms} for loss in losses]
        means = {name: torch.stack([each[name] for each in terms]).mean() for name in terms[0]}
        numbers, values, stopping, seconds = self.agree(means, norm, stop, clock)
        if numbers.finite:
            self.update()
        else:
            self.pass_over(numbers)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=not self.recorded)
        self.window.count(norm > limit)
        self.steps_done, self.seconds = self.steps_done + 1, seconds
        rate = self.optimizers[0].param_groups[0]["lr"]
        values |= {"gradient_norm": numbers.gradient_norm[0], "learning_rate": rate}
        if config.on_nonfinite == "skip":
            values["skipped"] = self.skipped
        return values, stopping

    def backward(self, batch: Any, piece: int) -> Losses:
        """Add a piece's gradients; processes exchange theirs at the update's last piece."""
        rank = self.accelerator.process_index
        torch.manual_seed(derive_seed(self.config.seed, NOISE, self.steps_done, piece, rank))
        last = piece == self.config.accumulation - 1
        with nullcontext() if last else self.accelerator.no_sync(self.objective):
            return self.passes(batch)

    def both_ways(self, batch: Any) -> Losses:
        """A forward and a backward pass."""
        device = self.accelerator.device
        with autocast(self.config.precision, device):
            losses: Losses = self.objective(batch.to(device))
        self.accelerator.backward(losses.total)
        return losses

    def agree(
        self, terms: Mapping[str, Tensor], norm: Tensor, stop: StopRequest, clock: Clock
    ) -> tuple[nonfinite.Numbers, dict[str, float], bool, float]:
        """Every rank's numbers, the mean of each term, whether any is to stop, the common clock."""
        asked = torch.tensor([stop.requested, clock.seconds()], device=norm.device)
        mine = torch.cat([asked, torch.stack([norm, self.size_of_weights(), *terms.values()])])
        stopping, seconds, norms, sizes, *shares = self.gather(mine)
        means = {name: mean(share) for name, share in zip(terms, shares, strict=True)}
        numbers = nonfinite.Numbers(shares[0], norms, sizes)
        return numbers, means, any(stopping), max(seconds)

    def gather(self, mine: Tensor) -> list[list[float]]:
        """The numbers [n] of all ranks: n lists."""
        ranks: list[list[float]] = self.accelerator.gather(mine[None]).T.tolist()
        return ranks

    def size_of_weights(self) -> Tensor:
        """The norm of weights and average: not finite where one of them is not."""
        # torch takes plain tensors together, parameters one by one
        parts = ([p.detach() for p in part.parameters()] for part in (self.model, self.ema))
        sizes = [nn.utils.get_total_norm(part) for part in parts]
        size: Tensor = torch.stack([whole(size) for size in sizes]).norm()
        return size.detach()

    def update(self) -> None:
        """Move the weights by the gradient, and the average after them."""
        config = self.config
        factor = warmup_cosine(
            self.steps_done, config.warmup_steps, self.fraction, config.final_rate
        )
        set_rates(self.optimizers, factor)
        for optimizer in self.optimizers:
            optimizer.step()
        self.ema.update_parameters(self.model)

    def pass_over(self, numbers: nonfinite.Numbers) -> None:
        """Keep the samples of an update that is not made; raise unless it may be skipped."""
        config = self.config
        if self.accelerator.is_main_process:
            samples = self.plan.update_indices(self.steps_done).tolist()
            nonfinite.keep(self.output, self.steps_done, numbers, samples)
        limit = config.nonfinite_limit if config.on_nonfinite == "skip" else 0
        fault = f"not finite at step {self.steps_done}: {numbers.describe()}; no update was made"
        kept = f"its samples are in {self.output / nonfinite.REPORT}"
        if self.skipped < limit and numbers.weights_finite:
            self.skipped += 1
            logger.warning("%s, %d of %d that may be; %s", fault, self.skipped, limit, kept)
            return
        self.save()
        advice = "lower the learning rate or look at those samples"
        raise NonFiniteError(f"{fault}, the state is saved, {kept}; {advice}")

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

    def require_room(self) -> None:
        """StorageError where the disk cannot hold what the run will keep: before its first step."""
        config = self.config
        copies = 1 + min(config.keep_checkpoints, config.steps // config.checkpoint_steps)
        require_room(self.output, ["checkpoints", "model"], bytes_to_keep(self.model, copies))

    def save(self) -> None:
        """Write the checkpoint of this step, unless it is there, and the averaged weights.

        NonFiniteError in place of a checkpoint with weights that are not finite on any rank.
        """
        if self.saved_step == self.steps_done:
            return
        (sizes,) = self.gather(self.size_of_weights()[None])
        nonfinite.require_finite(sizes, self.steps_done)
        progress = {"step": self.steps_done, "seconds": self.seconds, "skipped": self.skipped}
        own = {
            "model": dict(self.model.state_dict()),
            "ema": dict(self.ema.state_dict()),
            "optimizers": [optimizer.state_dict()["state"] for optimizer in self.optimizers],
            "run": {"progress": progress, "identity": self.identity},
        }
        state = gathered(own, keep=self.accelerator.is_main_process)
        if self.accelerator.is_main_process:
            folder = self.output / "checkpoints"
            checkpoint.save(folder, self.steps_done, state, self.config.keep_checkpoints)
            export(self.ema.module, self.output / "model")
        self.saved_step = self.steps_done
        self.accelerator.wait_for_everyone()

    def restore(self, resume: Resume) -> None:
        """Take up the checkpoint that `resume` asks for, the same on all ranks."""
        found = starting_checkpoint(self.output / "checkpoints", resume)
        if found is not None:
            self.load_state(*found)
        (steps,) = self.gather(torch.tensor([self.steps_done], device=self.accelerator.device))
        if len(set(steps)) > 1:
            raise StorageError(
                f"the processes resume from different steps {steps}: do they all see the same "
                f"{self.output}, and can they read all of it?"
            )
        if found is not None and self.accelerator.is_main_process:
            export(self.ema.module, self.output / "model")  # the run may have died before it could

    def load_state(self, path: Path, state: Mapping[str, Any]) -> None:
        """Copy a checkpoint into the model, its average, the optimizers and the counters."""
        take_up(path, state, self.model, self.ema, self.optimizers)
        require_same_run(path, state["run"]["identity"], self.identity)
        progress = state["run"]["progress"]
        self.steps_done, self.seconds = progress["step"], progress["seconds"]
        self.skipped = progress.get("skipped", 0)  # checkpoints of earlier versions have no count
        self.saved_step = self.steps_done


def is_due(step: int, every: int) -> bool:
    """Whether something done `every` so many steps is to be done after this one."""
    return step % every == 0
