import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from unite_core.errors import ConfigurationError
from unite_image import similarity as module
from unite_image.perceptual import perceptual_network
from unite_image.similarity import mean, psnr, similarity, ssim
from unite_image.types import Image


def grey(level, side=16):
    return Image(np.full((side, side, 1), level, np.uint8))


def test_known_pair(offline):
    figures = similarity([grey(0), grey(51)], [grey(51), grey(102)], "vgg", None)
    assert figures["l1"] == pytest.approx(0.2)
    assert figures["psnr"] == pytest.approx(-20 * math.log10(0.2), abs=1e-4)


def test_psnr_is_the_mean_over_images(offline):
    figures = similarity([grey(0), grey(0)], [grey(51), grey(255)], "vgg", None)
    assert figures["psnr"] == pytest.approx(-10 * math.log10(0.2), abs=1e-4)


def test_ssim_of_flat_images_is_its_luminance_term():
    constant = 0.01**2
    expected = (2 * 0.2 * 0.4 + constant) / (0.2**2 + 0.4**2 + constant)
    assert mean(ssim, [grey(51)], [grey(102)]) == pytest.approx(expected, abs=1e-4)


def test_equal_images(pictures, offline):
    images = pictures(3, side=16)
    figures = similarity(images, images, "vgg", None)
    assert figures["l1"] == 0
    half_a_level = (0.5 / 255) ** 2 / images[0].pixels.size
    assert figures["psnr"] == pytest.approx(-10 * math.log10(half_a_level), abs=1e-4)
    assert figures["ssim"] == pytest.approx(1.0, abs=1e-5)


def test_figures_do_not_move_with_batch_size(pictures, monkeypatch):
    images, others = pictures(5, side=16), pictures(5, side=16, seed=1)
    expected = [mean(measure, images, others) for measure in (psnr, ssim)]
    monkeypatch.setattr(module, "BATCH", 2)
    found = [mean(measure, images, others) for measure in (psnr, ssim)]
    assert found == pytest.approx(expected, rel=1e-6)


def test_missing_network_stands_in_place_of_the_figure(pictures, offline):
    images = pictures(2, side=16)
    perceptual_network.cache_clear()
    assert similarity(images, images, "vgg", None)["lpips (vgg)"] == "needs vgg16-397923af.pth"
    with pytest.raises(ConfigurationError, match="no-such-file"):
        similarity(images, images, "vgg", Path("no-such-file"))  # asked for: no figure in its place


def test_image_too_small_for_lpips_stands_in_place_of_the_figure(pictures, offline):
    images = pictures(2, side=12)
    assert similarity(images, images, "vgg", None)["lpips (vgg)"] == "needs 16 pixels"


def test_lpips_where_its_network_is_in_the_cache(pictures, offline, squeezenet, monkeypatch):
    network = perceptual_network("squeeze", squeezenet, module.torch.device("cpu"))
    for name in ("unite_image.similarity", "unite_image.perceptual"):
        monkeypatch.setattr(f"{name}.perceptual_network", lambda *key: network)
    images = pictures(2, side=32)
    changed = [replace(image, pixels=255 - image.pixels) for image in images]
    assert similarity(images, images, "squeeze", None)["lpips (squeeze)"] == 0
    assert similarity(images, changed, "squeeze", None)["lpips (squeeze)"] > 0
