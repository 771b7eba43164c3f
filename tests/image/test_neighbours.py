import numpy as np
import pytest
from unite_image import features
from unite_image.image_sets import ImageList
from unite_image.neighbours import nearest
from unite_image.types import Image


@pytest.mark.parametrize("batch", [2, 16])
def test_copies_are_found_at_zero(pictures, pooled, monkeypatch, batch):
    monkeypatch.setattr(features, "BATCH", batch)
    training = pictures(9)
    indices, distances = nearest(
        ImageList([training[i] for i in (7, 2, 4)]), ImageList(training), pooled
    )
    assert indices.tolist() == [7, 2, 4]
    assert distances.tolist() == pytest.approx([0, 0, 0], abs=1e-5)


def test_distance_is_that_of_features(pooled):
    black, white = (Image(np.full((8, 8, 3), level, np.uint8)) for level in (0, 255))
    indices, distances = nearest(ImageList([black]), ImageList([white]), pooled)
    assert indices.tolist() == [0]
    assert distances.item() == pytest.approx(np.sqrt(12), rel=1e-5)
