from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import PIL.Image
import pytest
import torch
from unite_core.errors import ConfigurationError, DataError
from unite_image import features
from unite_image.features import Inception, encode, encode_all, open_network, stack
from unite_image.image_sets import ImageList
from unite_image.types import Image


def test_lite0_gives_features_and_classes(pictures):
    encoded = encode_all(open_network("lite0"), ImageList(pictures(3)))
    assert encoded.features.shape == (3, 1280)
    assert encoded.logits.shape == (3, 1000)
    assert (encoded.features >= 0).all()  # they come after a ReLU6 and a mean
    assert (encoded.features <= 6).all()


def test_lite0_reads_grey_as_equal_channels(pictures):
    grey = pictures(2, channels=1)
    colour = [replace(image, pixels=image.pixels.repeat(3, axis=2)) for image in grey]
    network = open_network("lite0")
    a, b = (encode_all(network, ImageList(images)).features for images in (grey, colour))
    torch.testing.assert_close(a, b)


def test_lite0_knows_a_photograph():
    path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    square = PIL.Image.open(path).crop((0, 0, 512, 512))
    logits = encode_all(open_network("lite0"), ImageList([Image(np.asarray(square))])).logits
    assert logits.argmax() == 652  # military uniform


def test_encoding_does_not_depend_on_the_batch(pictures, pooled, monkeypatch):
    images = ImageList(pictures(7))
    expected = encode_all(pooled, images)
    monkeypatch.setattr(features, "BATCH", 3)
    assert [len(part.features) for part in encode(pooled, images)] == [3, 3, 1]
    assert torch.equal(encode_all(pooled, images).features, expected.features)


def test_images_of_several_sizes_are_named(pictures):
    with pytest.raises(DataError, match=r"\(8, 8, 3\), \(9, 9, 3\)"):
        stack([*pictures(1), *pictures(1, side=9)])


def test_missing_inception_names_the_file_and_the_remedies(offline):
    with pytest.raises(ConfigurationError) as caught:
        open_network("inception")
    message = str(caught.value)
    for part in ("weights-inception-2015-12-05-6726825d.pth", "https://", str(offline), "lite0"):
        assert part in message


def test_file_that_is_not_inception_is_named(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ConfigurationError, match=r"other\.pth does not hold FID's Inception"):
        Inception(tmp_path / "other.pth")


def test_inception_gives_features_and_classes(pictures, tmp_path, monkeypatch):
    torch.save({}, tmp_path / "none.pth")
    extractor = features.FeatureExtractorInceptionV3
    monkeypatch.setattr(extractor, "load_state_dict", lambda self, state: None)
    encoded = encode_all(Inception(tmp_path / "none.pth"), ImageList(pictures(2)))
    assert encoded.features.shape == (2, 2048)
    assert encoded.logits.shape == (2, 1008)
