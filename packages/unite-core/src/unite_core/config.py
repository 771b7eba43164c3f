"""The run's configuration: recipes are YAML files of `RunConfig`. Imports no torch."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Precision = Literal["auto", "no", "bf16"]
Solver = Literal["euler", "heun", "dopri5", "stochastic"]


class Section(BaseModel):
    """A strict, immutable piece of configuration: no unknown key, no NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_literals(cls, values: Any) -> Any:
        """Recipes give text, which pydantic does not take for a literal that is a number."""
        if not isinstance(values, dict):
            return values
        fields = {name: _literals(field.annotation) for name, field in cls.model_fields.items()}
        return {
            key: fields.get(key, {}).get(value, value) if isinstance(value, str) else value
            for key, value in values.items()
        }


def _literals(annotation: Any) -> dict[str, Any]:
    """The values of a Literal type, or of those in a union, by their text."""
    if get_origin(annotation) is Literal:
        return {str(value): value for value in get_args(annotation)}
    return {text: value for part in get_args(annotation) for text, value in _literals(part).items()}


def check_heads(width: int, heads: int) -> None:
    """ValueError where a transformer's heads cannot share its width: each takes pairs of features,
    which rotary positions turn.
    """
    if width % (2 * heads):
        raise ValueError(f"width {width} is no multiple of {2 * heads}, twice its {heads} heads")


class InContextConfig(Section):
    """Condition tokens put before the sequence from block `start` on (Base: 4 and 32)."""

    start: int = Field(ge=0)
    length: PositiveInt


class EncoderConfig(Section):
    """Sizes of the Generative Encoder (Base: depth 12, width 768, 12 heads).

    Ablations: a "separate" `denoiser` has weights of its own, of the encoder's shape; without
    `latent_norm` there is no LayerNorm on the latents.
    """

    width: PositiveInt
    depth: PositiveInt
    heads: PositiveInt
    latent_dim: PositiveInt
    in_context: InContextConfig | None = None
    denoiser: Literal["shared", "separate"] = "shared"
    latent_norm: bool = True

    @model_validator(mode="after")
    def sizes_fit(self) -> "EncoderConfig":
        """Heads share the width, and in-context tokens come before some block."""
        check_heads(self.width, self.heads)
        if self.in_context is not None and self.in_context.start >= self.depth:
            raise ValueError(
                f"in_context.start {self.in_context.start} is beyond the last of {self.depth} "
                "blocks, which count from 0"
            )
        return self


class DecoderNoiseConfig(Section):
    """Latents shown to the decoder in training: a `share` of samples at t ~ U[t_min, 1]."""

    share: Fraction = 0.5
    t_min: Fraction = 0.7


class ObjectiveConfig(Section):
    """The joint loss: reconstruction + flow_weight * sum over `draws` of the flow loss.

    `chunk` draws go through the encoder at once (memory); None means all of them. Without
    `stop_gradient` (an ablation) the flow loss also moves the latents that it aims at.
    """

    draws: PositiveInt = 3
    chunk: PositiveInt | None = None
    flow_weight: PositiveFloat = 1.0
    stop_gradient: bool = True
    time_shift: PositiveFloat = 0.5
    register_t_max: Fraction = 0.01
    decoder_noise: DecoderNoiseConfig | None = DecoderNoiseConfig()
    condition_dropout: Fraction = 0.1
    activation_checkpointing: bool = False


class AdamWConfig(Section):
    """AdamW for every parameter."""

    name: Literal["adamw"] = "adamw"
    learning_rate: PositiveFloat = 1e-4
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 0.0


class MuonConfig(Section):
    """Muon for the 2-D weights inside the blocks, AdamW for the rest."""

    name: Literal["muon"] = "muon"
    learning_rate: PositiveFloat = 1e-3
    momentum: Fraction = 0.95
    adamw_learning_rate: PositiveFloat = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 0.0


class TrainingConfig(Section):
    """How long and how to train. The run ends at `steps`, or when `minutes` of training are spent;
    the learning rate falls by a cosine over whichever comes first. `batch_size` counts the samples
    of one update, over all processes and `accumulation` pieces: more pieces need less memory.
    `precision` "bf16" rounds what products take, "no" is float32, "auto" the faster on the device.
    With `cuda_graphs` a process that trains alone on a GPU records a step's passes once and replays
    them: small models wait less for Python. Elsewhere it changes nothing.
    With `on_nonfinite` "skip", up to `nonfinite_limit` updates whose loss or gradient is not finite
    are left out, counted over all starts; with "stop" the first ends the run.
    """

    steps: PositiveInt
    minutes: PositiveFloat | None = None
    batch_size: PositiveInt
    accumulation: PositiveInt = 1
    warmup_steps: int = Field(default=100, ge=0)
    final_rate: Fraction = 0.0
    clip: PositiveFloat | None = 3.0
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.999
    precision: Precision = "auto"
    compile: bool = False
    cuda_graphs: bool = False
    workers: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    on_nonfinite: Literal["stop", "skip"] = "stop"
    nonfinite_limit: PositiveInt = 10
    checkpoint_steps: PositiveInt = 1000
    keep_checkpoints: int = Field(default=2, ge=2)
    preview_steps: PositiveInt | None = None
    log_steps: PositiveInt = 20


class RunConfig(Section):
    """A whole run. `modality` names a plug-in; `data` is checked by the plug-in's own config."""

    modality: str
    data: dict[str, Any] = {}
    encoder: EncoderConfig
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: AdamWConfig | MuonConfig = Field(discriminator="name")
    training: TrainingConfig
    output: Path = Path("runs/default")
