"""Image files as pixels, however they are stored; what cannot be used has a named reason."""

from contextlib import suppress
from io import BytesIO

import numpy as np
import PIL.Image
from PIL.Image import Resampling
from PIL.ImageOps import exif_transpose

from unite_image.types import Image

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
"""What is read. Pillow knows more, some of which start other programs (EPS)."""

GREY = ("1", "L", "LA", "La")

UNREADABLE = "file that cannot be opened"
EMPTY = "empty file"
NO_IMAGE = "not an image of a known format"
HEIC = "HEIC, which is not read: save it as JPEG or PNG"
HEIC_BRANDS = (b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"mif1", b"msf1")
BOMB = "more pixels than an image can reasonably have"
DAMAGED = "truncated or damaged"
FLOATING = "pixels that are not integers of 8 or 16 bits"


class Rejected(Exception):
    """Why an image cannot be used; the message is the reason's name in the report."""


def decode(content: bytes) -> np.ndarray:
    """Pixels [h, w, c] uint8 of an encoded image, c 1 where it is grey and otherwise 3.

    Of an animation the first frame; turned as its EXIF says; on white where it is transparent.
    Rejected where there is no image in it, or more than PIL.Image.MAX_IMAGE_PIXELS.
    """
    if not content:
        raise Rejected(EMPTY)
    try:
        image = PIL.Image.open(BytesIO(content), formats=FORMATS)
        refuse_bomb(image)
        image.load()
    except PIL.UnidentifiedImageError as error:
        heic = content[4:8] == b"ftyp" and content[8:12] in HEIC_BRANDS
        raise Rejected(HEIC if heic else NO_IMAGE) from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise Rejected(BOMB) from error
    except Rejected:
        raise
    except Exception as error:  # Pillow's formats raise many kinds, all meaning this
        raise Rejected(DAMAGED) from error
    with suppress(Exception):  # a broken EXIF block turns nothing, and the pixels are whole
        exif_transpose(image, in_place=True)
    return eight_bits(image)


def refuse_bomb(image: PIL.Image.Image) -> None:
    """Rejected above Pillow's limit, at which Pillow itself only warns."""
    limit = PIL.Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Rejected(BOMB)


def eight_bits(image: PIL.Image.Image) -> np.ndarray:
    """Pixels [h, w, c] uint8 of a decoded image, grey (c = 1) or RGB (c = 3)."""
    if image.mode == "F":
        raise Rejected(FLOATING)
    if image.mode.startswith("I"):
        return from_sixteen_bits(np.asarray(image).astype(np.int64))[..., None]
    grey = image.mode in GREY
    if image.has_transparency_data:
        canvas = PIL.Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def from_sixteen_bits(values: np.ndarray) -> np.ndarray:
    """The nearest of 256 levels, 65535 being white."""
    if values.min() < 0 or values.max() > 65535:
        raise Rejected(FLOATING)
    levels: np.ndarray = ((values * 255 + 32767) // 65535).astype(np.uint8)
    return levels


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels [h, w, channels]: RGB made grey by its luma (ITU-R 601), grey repeated."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 1:
        return np.asarray(PIL.Image.fromarray(pixels).convert("L"))[..., None]
    return np.repeat(pixels, 3, axis=2)


def crop(image: PIL.Image.Image, resolution: int) -> PIL.Image.Image:
    """The middle square, `resolution` wide, of the image made as small as that allows.

    Halved by a box filter while twice too large, then bicubic: the crop of ADM (arXiv 2105.05233).
    """
    while min(image.size) >= 2 * resolution:
        image = image.resize((image.width // 2, image.height // 2), Resampling.BOX)
    scale = resolution / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    image = image.resize(size, Resampling.BICUBIC)
    left, top = (image.width - resolution) // 2, (image.height - resolution) // 2
    return image.crop((left, top, left + resolution, top + resolution))


def fit(image: Image, resolution: int, channels: int, enlarge: bool = False) -> Image:
    """The image as a model takes it: pixels [resolution, resolution, channels].

    Rejected where it is smaller than that, unless `enlarge`.
    """
    pixels = with_channels(image.pixels, channels)
    if min(pixels.shape[:2]) < resolution and not enlarge:
        raise Rejected(f"smaller than {resolution} x {resolution}")
    flat = pixels[..., 0] if channels == 1 else pixels
    cropped = np.asarray(crop(PIL.Image.fromarray(flat), resolution))
    return Image(cropped.reshape(resolution, resolution, channels), image.label)
