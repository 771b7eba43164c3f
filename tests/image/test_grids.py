import numpy as np
import PIL.Image
import pytest
from unite_core.errors import StorageError
from unite_image.grids import GAP, WIDTH, draw_grid, draw_pairs, draw_rows
from unite_image.types import Image


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return Image(pixels.astype(np.uint8))


def opened(path) -> np.ndarray:
    with PIL.Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.array(picture)


def large(image: Image, scale: int) -> np.ndarray:
    """Known answer: every pixel a block of equal ones, grey in all three channels."""
    pixels = np.kron(image.pixels, np.ones((scale, scale, 1), dtype=np.uint8))
    return pixels if pixels.shape[2] == 3 else np.concatenate([pixels] * 3, axis=2)


def test_images_are_enlarged_in_their_places(tmp_path):
    images = [noise(32, 32, channels=1 + 2 * (i % 2), seed=i) for i in range(7)]
    draw_grid(images, tmp_path / "grid.png")
    sheet = opened(tmp_path / "grid.png")
    scale = (WIDTH - 4 * GAP) // (3 * 32)
    edge = 32 * scale
    assert sheet.shape == (3 * edge + 4 * GAP, 3 * edge + 4 * GAP, 3), "near-square"
    for i, image in enumerate(images):
        top, left = (GAP + place * (edge + GAP) for place in divmod(i, 3))
        block = sheet[top : top + edge, left : left + edge]
        np.testing.assert_array_equal(block, large(image, scale))
        sheet[top : top + edge, left : left + edge] = 255
    assert (sheet == 255).all(), "white between images and in empty cells"


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (5, 3), (9, 3), (10, 4), (64, 8)])
def test_grid_is_near_square(tmp_path, count, columns):
    draw_grid([noise(4, 4)] * count, tmp_path / "grid.png")
    height, width, _ = opened(tmp_path / "grid.png").shape
    assert round(height / width * columns) == -(-count // columns)


@pytest.mark.parametrize("edge", [28, 32, 64, 96])
def test_small_images_fill_the_width(tmp_path, edge):
    draw_grid([noise(edge, edge)] * 16, tmp_path / "grid.png")
    assert 800 <= opened(tmp_path / "grid.png").shape[1] <= WIDTH


def test_large_images_keep_their_size(tmp_path):
    images = [noise(8, 1000, seed=i) for i in range(2)]
    draw_grid(images, tmp_path / "grid.png", columns=2)
    sheet = opened(tmp_path / "grid.png")
    assert sheet.shape == (8 + 2 * GAP, 2000 + 3 * GAP, 3)
    np.testing.assert_array_equal(sheet[GAP:-GAP, GAP : GAP + 1000], images[0].pixels)


def test_columns_make_strips(tmp_path):
    strips = [[noise(3, 5, seed=10 * i + j) for j in range(4)] for i in range(2)]
    draw_grid([image for strip in strips for image in strip], tmp_path / "a.png", columns=4)
    sheet = opened(tmp_path / "a.png")
    scale = (WIDTH - 5 * GAP) // 20
    top, left = GAP + 3 * scale + GAP, GAP + 3 * (5 * scale + GAP)
    block = sheet[top : top + 3 * scale, left : left + 5 * scale]
    np.testing.assert_array_equal(block, large(strips[1][3], scale))


def test_pairs_touch(tmp_path):
    first, second = noise(2, 2, seed=1), noise(2, 2, channels=1, seed=2)
    draw_pairs([(first, second)], tmp_path / "pairs.png")
    sheet = opened(tmp_path / "pairs.png")[GAP:-GAP, GAP:-GAP]
    scale = (WIDTH - 2 * GAP) // 4
    np.testing.assert_array_equal(sheet[:, : 2 * scale], large(first, scale))
    np.testing.assert_array_equal(sheet[:, 2 * scale :], large(second, scale))


def test_rows_are_named_at_the_left(tmp_path):
    rows = [("animals", [noise(32, 32, seed=1)]), ("x", [noise(32, 32, seed=i) for i in (2, 3)])]
    draw_rows(rows, tmp_path / "rows.png")
    sheet = opened(tmp_path / "rows.png")
    assert 800 <= sheet.shape[1] <= WIDTH
    edge = (sheet.shape[0] - 3 * GAP) // 2
    left = sheet.shape[1] - 2 * (edge + GAP)
    for i, (_, images) in enumerate(rows):
        top = GAP + i * (edge + GAP)
        block = sheet[top : top + edge, left : left + edge]
        np.testing.assert_array_equal(block, large(images[0], edge // 32))
    margin = sheet[:, :left]
    upper, lower = np.split(margin, [GAP + edge])
    ink = [int((half < 128).any(axis=2).sum()) for half in (upper, lower)]
    assert ink[0] > ink[1] > 0, "each row has its name, the longer the more ink"
    middle = np.flatnonzero((upper < 128).any(axis=(1, 2))).mean()
    assert abs(middle - edge / 2) < 10
    assert (sheet[GAP : GAP + edge, left + edge :] == 255).all(), "rows may differ in length"


def test_unwritable_path_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"missing/grid\.png: No such file"):
        draw_grid([noise(2, 2)], tmp_path / "missing" / "grid.png")
