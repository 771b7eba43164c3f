import numpy as np
from unite_image.image_sets import Blurred, ImageList, batches
from unite_image.types import Image


def test_batches_are_all_images_in_order(pictures):
    images = pictures(5)
    found = list(batches(ImageList(images), 2))
    assert [len(batch) for batch in found] == [2, 2, 1]
    assert [image for batch in found for image in batch] == images


def test_blur_of_a_point_is_the_gaussian():
    pixels = np.zeros((31, 31, 3), np.uint8)
    pixels[15, 15] = (255, 0, 128)
    (image,) = Blurred(ImageList([Image(pixels, 4)]), 1.0).images(np.array([0]))
    peak = 255 / (2 * np.pi)  # the density of a Gaussian of one pixel at its middle
    assert abs(int(image.pixels[15, 15, 0]) - peak) < 1
    assert abs(int(image.pixels[15, 16, 0]) - peak * np.exp(-0.5)) < 1
    assert not image.pixels[..., 1].any()
    assert image.label == 4


def test_flat_image_stays_flat_to_its_border():
    flat = Image(np.full((8, 8, 1), 200, np.uint8))
    (image,) = Blurred(ImageList([flat]), 2.0).images(np.array([0]))
    assert np.array_equal(image.pixels, flat.pixels)
