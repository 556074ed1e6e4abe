"""Photos as they arrive: bounded in bytes and pixels, turned the right way up, without metadata."""

import io
import struct
import warnings
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from parking.plate_reading.errors import PhotoTooLarge, PhotoUnreadable

FORMATS: Final = ("JPEG", "PNG", "WEBP")
PHOTO_BYTES_MAX: Final = 16 * 1024 * 1024
PHOTO_PIXELS_MAX: Final = 50_000_000  # what good phones of today make
SCANS_MAX: Final = 64  # of a JPEG: encoders write ten at most, and each more costs 42 bytes
SCAN_BEGINS: Final = b"\xff\xda"
SIDE_PIXELS_MIN: Final = 12
# A strip that is longer is no photo, and would make a line of text that fills the memory.
SIDES_RATIO_MAX: Final = 20


def open_photo(photo: bytes, *, side_max: int) -> Image.Image:
    """Decode a photo, with its sides made no longer than side_max pixels.

    The size is read from the header, and refused, before a pixel is decoded.

    Raises:
        PhotoTooLarge: more than PHOTO_BYTES_MAX or PHOTO_PIXELS_MAX.
        PhotoUnreadable: no JPEG, PNG or WebP, cut off, or too narrow.
    """
    if len(photo) > PHOTO_BYTES_MAX:
        raise PhotoTooLarge(f"{len(photo):,} bytes, of {PHOTO_BYTES_MAX:,} allowed")
    try:
        with warnings.catch_warnings():
            # Pillow warns of metadata that is damaged, where the picture is not, and of a size
            # that is looked at below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(photo), formats=FORMATS) as opened:
                _check_size(*opened.size)
                # Also the first of several pictures in one file, which Pillow calls "MPO".
                is_jpeg = isinstance(opened, JpegImageFile)
                if is_jpeg and photo.count(SCAN_BEGINS) > SCANS_MAX:
                    raise PhotoUnreadable("it draws itself over again more often than a camera's")
                opened.draft("RGB", (side_max, side_max))  # a JPEG is decoded smaller at once
                upright = ImageOps.exif_transpose(opened).convert("RGB")
    except Image.DecompressionBombError as problem:
        raise PhotoTooLarge(f"more than {PHOTO_PIXELS_MAX:,} pixels") from problem
    except UnidentifiedImageError as problem:
        raise PhotoUnreadable("it is no JPEG, PNG or WebP picture") from problem
    # What decoders raise on bytes that are cut off or wrong, and Pillow on metadata that are.
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error) as problem:
        raise PhotoUnreadable("it is damaged or cut off") from problem
    upright.thumbnail((side_max, side_max), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return upright


def _check_size(width: int, height: int) -> None:
    if width * height > PHOTO_PIXELS_MAX:
        raise PhotoTooLarge(f"{width} x {height} pixels, of {PHOTO_PIXELS_MAX:,} allowed")
    if min(width, height) < SIDE_PIXELS_MIN:
        raise PhotoUnreadable(f"{width} x {height} pixels are too few for a plate")
    if max(width, height) > SIDES_RATIO_MAX * min(width, height):
        raise PhotoUnreadable(f"{width} x {height} pixels are a strip, not a photo")
