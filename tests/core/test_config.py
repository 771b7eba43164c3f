"""What a section of the configuration takes for its values."""

from typing import Literal

import pytest
from pydantic import ValidationError
from unite_core.config import EncoderConfig, Section


class Numbers(Section):
    channels: Literal[1, 3]
    side: Literal[8, 16] | None = None
    name: Literal["1", "a"] = "a"


def test_text_stands_for_a_literal_number_and_stays_text_for_literal_text() -> None:
    read = Numbers.model_validate({"channels": "3", "side": "16", "name": "1"})
    assert (read.channels, read.side, read.name) == (3, 16, "1")


@pytest.mark.parametrize("channels", ["2", "03", "3.0", "", 2, None])
def test_anything_but_the_literals_is_refused(channels: object) -> None:
    with pytest.raises(ValidationError, match="channels"):
        Numbers.model_validate({"channels": channels})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"heads": 5}, "width 48 is no multiple of 10, twice its 5 heads"),
        ({"heads": 16}, "width 48 is no multiple of 32"),
        ({"in_context": {"start": 3, "length": 2}}, "start 3 is beyond the last of 3 blocks"),
    ],
)
def test_sizes_that_no_encoder_can_have_are_named(changes: dict[str, object], fault: str) -> None:
    sizes = {"width": 48, "depth": 3, "heads": 4, "latent_dim": 2}
    fitting = {"heads": 8, "in_context": {"start": 2, "length": 2}}
    assert EncoderConfig.model_validate(sizes | fitting).heads == 8
    with pytest.raises(ValidationError, match=fault):
        EncoderConfig.model_validate(sizes | changes)
