"""unite train."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from unite_core.cli.outputs import check_directory
from unite_core.cli.terminal import show_made
from unite_core.config import RunConfig
from unite_core.errors import ConfigurationError, StorageError
from unite_core.locations import MANIFEST
from unite_core.recipes import load_recipe


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see `unite list`) or YAML file.")],
    override: Annotated[
        list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="As training.minutes=5.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="'auto' for the newest checkpoint, or one's directory.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--from", metavar="CHECKPOINT", help="Start from this model's weights."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Directory in place of the recipe's.")] = None,
) -> None:
    """Train a model. Runs on many devices under torchrun or accelerate launch."""
    refuse_lone_process(os.environ)
    if weights is not None and resume not in (None, "auto"):
        raise ConfigurationError(
            f"--resume {resume} has weights of its own: give it or --from {weights}"
        )
    config = load_recipe(recipe, override or [])
    if output is not None:
        config = config.model_copy(update={"output": output})
    start = starting_point(resume)
    check_directory(config.output)
    run(config, start, weights)


def refuse_lone_process(environment: Mapping[str, str]) -> None:
    """`accelerate launch --cpu` starts one process, silently, whatever --num_processes says."""
    several = {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= environment.keys()
    told = {"WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"} & environment.keys()
    if several and not told:
        raise ConfigurationError(
            "accelerate launch started one process where several were asked for: use "
            "torchrun --nproc_per_node N -m unite_core.cli train RECIPE"
        )


def starting_point(resume: str | None) -> Literal["auto"] | Path | None:
    """What `--resume` says, as the trainer takes it; StorageError where it is no checkpoint."""
    if resume is None:
        return None
    if resume == "auto":
        return "auto"
    path = Path(resume)
    if (path / MANIFEST).is_file():
        return path
    near = (path, path / "checkpoints", path.parent, path.parent / "checkpoints")
    found = [file.parent for place in near for file in place.glob(f"step-*/{MANIFEST}")]
    newest = max(found, key=lambda step: step.name, default="one's directory")
    raise StorageError(
        f"{resume} is not a checkpoint: give {newest}, or 'auto' for the newest of --output"
    )


def run(
    config: RunConfig, resume: Literal["auto"] | Path | None, weights: str | None = None
) -> None:
    """Train as `config` says, from `weights` unless there is a run to resume; say what was made."""
    from unite_core import checkpoint
    from unite_core.evaluation import preview
    from unite_core.failures import explain
    from unite_core.model import build_model
    from unite_core.training import Trainer
    from unite_core.warm_start import start_from

    model = build_model(config)
    resumes = resume == "auto" and checkpoint.found(config.output / "checkpoints")
    if weights is not None and not resumes:
        start_from(model, weights)
    trainer = Trainer.of_run(config, model, model.modality.dataset("train"), config.output)
    try:
        trainer.train(resume, partial(preview, directory=config.output / "previews"))
    except Exception as error:
        told = explain(error, config, trainer.steps_done, trainer.accelerator.num_processes)
        if told is None:
            raise
        raise told from error
    if trainer.accelerator.is_main_process:
        made = [config.output / name for name in ("model", "checkpoints", "log.jsonl")]
        show_made(made, f"unite report {config.output}")
