"""The configuration of the strokes modality and its sampling options. Imports no torch."""

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from unite_core.config import Section, check_heads


class StrokesConfig(Section):
    """`width`, `depth` and `heads` are the decoder's.

    `loss_weight` multiplies the mean square error of points. `jitter` is the standard deviation of
    the random affine maps that augment training characters.
    """

    width: PositiveInt = 96
    depth: PositiveInt = 2
    heads: PositiveInt = 3
    loss_weight: PositiveFloat = 100.0
    jitter: NonNegativeFloat = 0.02

    @model_validator(mode="after")
    def heads_fit(self) -> "StrokesConfig":
        """Heads share the width."""
        check_heads(self.width, self.heads)
        return self


class StrokesSampleOptions(Section):
    """`strokes` in every sample; numbers as frequent as in the training data where absent."""

    strokes: PositiveInt | None = None
