import numpy as np
import PIL.Image
import pytest
from unite_core.errors import ConfigurationError, DataError, StorageError
from unite_image.types import Image
from unite_image.writing import write_images


@pytest.fixture
def images() -> list[Image]:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 4, 3)).astype(np.uint8)
    return [Image(array, label) for array, label in zip(pixels, [2, 0, 1], strict=True)]


@pytest.mark.parametrize("channels", [1, 3])
def test_one_image_is_a_file_of_its_own_size(images, tmp_path, channels):
    pixels = images[0].pixels[..., :channels]
    write_images([Image(pixels)], tmp_path / "a.png")
    with PIL.Image.open(tmp_path / "a.png") as picture:
        again = np.asarray(picture)
    np.testing.assert_array_equal(again.reshape(pixels.shape), pixels)
    assert again.ndim == (2 if channels == 1 else 3), "grey stays grey"


def test_several_images_are_a_grid(images, tmp_path):
    write_images(images, tmp_path / "a.png")
    with PIL.Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 100
        assert set(map(tuple, images[2].pixels.reshape(-1, 3))) <= {
            color for _, color in picture.getcolors(10_000)
        }


@pytest.mark.parametrize("count", [1, 3])
def test_jpeg_is_near(images, tmp_path, count):
    smooth = Image(np.full((16, 16, 3), 90, dtype=np.uint8))
    write_images([smooth] * count, tmp_path / "a.JPG")
    with PIL.Image.open(tmp_path / "a.JPG") as picture:
        assert picture.format == "JPEG"
        middle = picture.getpixel((9, 9))
    np.testing.assert_allclose(middle, 90, atol=2)


@pytest.mark.parametrize("name", ["a.npz", "a.NPZ"])
def test_arrays_round_trip(images, tmp_path, name):
    write_images(images, tmp_path / name)
    with np.load(tmp_path / name) as file:
        assert file.files == ["arr_0", "arr_1"]
        assert file["arr_0"].dtype == np.uint8
        assert file["arr_1"].dtype == np.int64
        np.testing.assert_array_equal(file["arr_0"], [image.pixels for image in images])
        np.testing.assert_array_equal(file["arr_1"], [2, 0, 1])


def test_labels_are_left_out_where_one_is_unknown(images, tmp_path):
    write_images([*images, Image(images[0].pixels)], tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        assert file.files == ["arr_0"]
        assert len(file["arr_0"]) == 4


def test_grey_arrays_have_one_channel_unless_mixed(images, tmp_path):
    grey = [Image(image.pixels[..., :1]) for image in images]
    write_images(grey, tmp_path / "grey.npz")
    write_images([images[0], *grey], tmp_path / "mixed.npz")
    with np.load(tmp_path / "grey.npz") as alone, np.load(tmp_path / "mixed.npz") as mixed:
        assert alone["arr_0"].shape == (3, 6, 4, 1)
        assert mixed["arr_0"].shape == (4, 6, 4, 3)
        np.testing.assert_array_equal(mixed["arr_0"][1:, ..., 2], alone["arr_0"][..., 0])


def test_sizes_that_differ_are_named(images, tmp_path):
    with pytest.raises(ConfigurationError, match=r"\(5, 4\) and \(6, 4\); write a \.png"):
        write_images([*images, Image(images[0].pixels[:5])], tmp_path / "a.npz")


def test_unknown_ending_gets_a_hint(images, tmp_path):
    with pytest.raises(ConfigurationError, match=r"'\.pgn'; did you mean '\.png'"):
        write_images(images, tmp_path / "a.pgn")


def test_nothing_is_not_written(tmp_path):
    with pytest.raises(DataError, match="no images"):
        write_images([], tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.npz"])
@pytest.mark.parametrize("count", [1, 3])
def test_unwritable_path_is_named(images, tmp_path, name, count):
    with pytest.raises(StorageError, match=f"missing/{name}: No such file"):
        write_images(images[:count], tmp_path / "missing" / name)
