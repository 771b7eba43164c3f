from io import BytesIO

import numpy as np
import PIL.features
import PIL.Image
import pytest
from unite_image.decoding import (
    BOMB,
    DAMAGED,
    EMPTY,
    FLOATING,
    HEIC,
    NO_IMAGE,
    Rejected,
    decode,
    fit,
    with_channels,
)
from unite_image.types import Image

RNG = np.random.default_rng(3)
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def noise(height=12, width=20, channels=3):
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def encode(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def reason(content):
    with pytest.raises(Rejected) as caught:
        decode(content)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back(kind):
    pixels = noise()
    np.testing.assert_array_equal(decode(encode(PIL.Image.fromarray(pixels), kind)), pixels)


def test_grey_stays_grey():
    pixels = noise()[..., 0]
    np.testing.assert_array_equal(
        decode(encode(PIL.Image.fromarray(pixels), "PNG"))[..., 0], pixels
    )


def test_zero_bytes():
    assert reason(b"") == EMPTY


def test_no_image():
    assert reason(b"<html>404 Not Found</html>") == NO_IMAGE


def test_heic_is_told_by_name():
    assert reason(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == HEIC
    assert reason(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == HEIC
    assert reason(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") == NO_IMAGE  # a film


@pytest.mark.skipif(not PIL.features.check("avif"), reason="this Pillow has no AVIF")
def test_avif():
    red = decode(encode(PIL.Image.new("RGB", (16, 16), RED), "AVIF"))
    np.testing.assert_allclose(red, np.broadcast_to(RED, (16, 16, 3)), atol=3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated(kind, share):
    content = encode(PIL.Image.fromarray(noise(80, 80)), kind)
    assert reason(content[: int(len(content) * share)]) == DAMAGED


def test_damaged_png():
    content = bytearray(encode(PIL.Image.fromarray(noise(80, 80)), "PNG"))
    content[len(content) // 2] ^= 255
    assert reason(bytes(content)) == DAMAGED


@pytest.mark.parametrize("factor", [0.4, 0.9])
def test_bombs_are_refused_though_pillow_only_warns(monkeypatch, factor):
    content = encode(PIL.Image.fromarray(noise(40, 40)), "PNG")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", int(1600 * factor))
    assert reason(content) == BOMB


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_where_warnings_are_off(monkeypatch):
    content = encode(PIL.Image.fromarray(noise(40, 40)), "PNG")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1599)
    assert reason(content) == BOMB


def test_formats_that_start_programs_are_not_images():
    assert reason(encode(PIL.Image.fromarray(noise()), "EPS")) == NO_IMAGE


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animations_give_their_first_frame(kind):
    frames = [PIL.Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode(content), np.broadcast_to(RED, (16, 16, 3)), atol=3)


def test_cmyk_jpeg():
    cyan = PIL.Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    pixels = decode(encode(cyan, "JPEG"))
    np.testing.assert_allclose(pixels, np.broadcast_to((0, 255, 255), (16, 16, 3)), atol=3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_keep_their_eight_highest(kind):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    pixels = decode(encode(PIL.Image.fromarray(levels), kind))
    np.testing.assert_array_equal(pixels[..., 0], np.arange(256).reshape(16, 16))


def test_floating_point_is_refused():
    image = PIL.Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    assert reason(encode(image, "TIFF")) == FLOATING


def test_palette():
    image = PIL.Image.fromarray(np.eye(8, dtype=np.uint8), "P")
    image.putpalette([*BLUE, *RED])
    pixels = decode(encode(image, "PNG"))
    np.testing.assert_array_equal(pixels[0, 0], RED)
    np.testing.assert_array_equal(pixels[0, 1], BLUE)


def test_one_bit():
    image = PIL.Image.fromarray(np.eye(8, dtype=bool))
    np.testing.assert_array_equal(decode(encode(image, "PNG"))[..., 0], np.eye(8) * 255)


def test_transparency_lies_on_white():
    image = PIL.Image.new("RGBA", (3, 1))
    for place, alpha in enumerate((0, 51, 255)):
        image.putpixel((place, 0), (*RED, alpha))
    np.testing.assert_array_equal(decode(encode(image, "PNG"))[0], [WHITE, (255, 204, 204), RED])


def test_transparent_palette_lies_on_white():
    image = PIL.Image.fromarray(np.eye(8, dtype=np.uint8), "P")
    image.putpalette([*BLUE, *RED])
    pixels = decode(encode(image, "PNG", transparency=0))
    np.testing.assert_array_equal(pixels[0, :2], [RED, WHITE])


def test_transparent_grey_stays_grey():
    image = PIL.Image.new("LA", (4, 4), (0, 0))
    np.testing.assert_array_equal(decode(encode(image, "PNG")), np.full((4, 4, 1), 255))


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (6, lambda x: np.rot90(x, -1)),
        (8, np.rot90),
    ],
)
def test_exif_turns(orientation, turned):
    pixels = noise()
    exif = PIL.Image.Exif()
    exif[274] = orientation
    content = encode(PIL.Image.fromarray(pixels), "PNG", exif=exif)
    np.testing.assert_array_equal(decode(content), turned(pixels))


def test_a_broken_exif_block_turns_nothing():
    pixels = noise()
    content = encode(PIL.Image.fromarray(pixels), "PNG", exif=b"Exif\x00\x00XXjunk")
    np.testing.assert_array_equal(decode(content), pixels)


def test_luma_and_back():
    grey = with_channels(np.array([[[255, 0, 0], [9, 9, 9]]], dtype=np.uint8), 1)
    np.testing.assert_array_equal(grey[0, :, 0], [76, 9])  # 0.299 of 255
    np.testing.assert_array_equal(with_channels(grey, 3)[0], [[76] * 3, [9] * 3])


def test_fit_of_the_right_size_changes_nothing():
    image = Image(noise(16, 16), label=4)
    fitted = fit(image, 16, 3)
    np.testing.assert_array_equal(fitted.pixels, image.pixels)
    assert fitted.label == 4


def test_halving_is_the_mean_of_four():
    image = Image(noise(32, 32))
    blocks = image.pixels.reshape(16, 2, 16, 2, 3).mean((1, 3))
    np.testing.assert_allclose(fit(image, 16, 3).pixels, blocks, atol=1)  # rounded twice


@pytest.mark.parametrize("shape", [(16, 30), (30, 16)])
def test_crop_is_the_middle(shape):
    image = Image(noise(*shape))
    top, left = (shape[0] - 16) // 2, (shape[1] - 16) // 2
    middle = image.pixels[top : top + 16, left : left + 16]
    np.testing.assert_array_equal(fit(image, 16, 3).pixels, middle)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(17, 65), (100, 33), (31, 31)])
def test_fit_gives_the_size_and_keeps_flat_colours(shape, channels):
    image = Image(np.full((*shape, 3), 90, dtype=np.uint8))
    np.testing.assert_array_equal(
        fit(image, 16, channels).pixels, np.full((16, 16, channels), 90, dtype=np.uint8)
    )


def test_small_images_are_named_unless_they_may_grow():
    image = Image(noise(16, 15))
    with pytest.raises(Rejected, match="smaller than 16 x 16"):
        fit(image, 16, 3)
    assert fit(image, 16, 3, enlarge=True).pixels.shape == (16, 16, 3)
