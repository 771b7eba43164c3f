"""The shipped weights do what their card says."""

import numpy as np
import pytest
from unite_core.evaluation import reconstruct_split
from unite_core.model import load_model
from unite_image.config import ImageSampleOptions
from unite_image.similarity import mean, psnr


@pytest.mark.slow
def test_held_out_emoji_come_back_at_26_decibels():
    pairs = reconstruct_split(load_model("emoji-small"), "test", 1000, 256)
    assert len(pairs) == 187
    assert mean(psnr, [a for a, _ in pairs], [b for _, b in pairs]) > 26


@pytest.mark.slow
def test_smileys_are_yellow_and_flags_are_not():
    def yellow(name):
        """The share of samples whose middle has far more red and green than blue."""
        options = ImageSampleOptions(class_name=name)
        samples = load_model("emoji-small").generate(24, steps=20, options=options)
        middles = np.stack([sample.pixels[8:24, 8:24].mean((0, 1)) for sample in samples])
        return np.mean(middles[:, :2].min(1) > middles[:, 2] + 60)

    assert yellow("smileys") > 0.6
    assert yellow("flags") < 0.3
