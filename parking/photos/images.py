"""Re-encoding: what a phone sent is decoded within limits and written anew as JPEG.

So nothing that came in is ever served: no file that is two formats at once, no place where the
photo was taken, no thumbnail of what was cropped away.
"""

import warnings
from hashlib import sha256
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from parking.photos.errors import PhotoNotReadable
from parking.photos.rules import (
    JPEG_QUALITY,
    PHOTO_BYTES_MAX,
    PIXELS_MAX,
    SCANS_MAX,
    SIDE_PX_MAX,
    SIDE_PX_MIN,
    Picture,
)

FORMATS: Final = ("JPEG", "PNG", "WEBP")
ORIENTATION: Final = 0x0112  # EXIF: how the camera was held
SCAN_BEGINS: Final = b"\xff\xda"  # JPEG's marker "start of scan"
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def reencode(sent: bytes) -> Picture:
    """Return the picture upright and at most SIDE_PX_MAX wide or high. Takes 10 to 100 ms.

    Raises:
        PhotoNotReadable: no picture of a format that phones send, too large, too small, or damaged.
    """
    if len(sent) > PHOTO_BYTES_MAX:
        raise PhotoNotReadable(f"A photo has at most {PHOTO_BYTES_MAX:,} bytes. Crop it first.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the camera wrote beside the picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(sent), formats=FORMATS) as opened:
                _check_size(opened)
                if isinstance(opened, JpegImageFile):  # also the first of several: "MPO"
                    _check_scans(sent)
                opened.draft("RGB", (SIDE_PX_MAX, SIDE_PX_MAX))  # a JPEG is decoded smaller
                picture = _turn_upright(opened).convert("RGB")
    except PhotoNotReadable:
        raise
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        ValueError,
        SyntaxError,
        MemoryError,
    ) as error:  # what Pillow raises for damaged files
        raise PhotoNotReadable(
            "The photo cannot be read. Send a JPEG, PNG or WebP of at most 25 megapixels."
        ) from error
    picture.thumbnail((SIDE_PX_MAX, SIDE_PX_MAX))
    written = BytesIO()
    picture.save(written, "JPEG", quality=JPEG_QUALITY, optimize=True)
    jpeg = written.getvalue()
    return Picture(
        jpeg=jpeg, hash=sha256(jpeg).digest(), width=picture.width, height=picture.height
    )


def _turn_upright(opened: Image.Image) -> Image.Image:
    """Turn a photo as its camera was held; what it wrote and nobody can read turns nothing."""
    try:
        turn = _TURNS.get(opened.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow raises whatever damaged EXIF makes it stumble over
        turn = None
    return opened if turn is None else opened.transpose(turn)


def _check_size(opened: Image.Image) -> None:
    width, height = opened.size
    if width * height > PIXELS_MAX:
        raise PhotoNotReadable(f"A photo has at most {PIXELS_MAX:,} pixels.")
    if min(width, height) < SIDE_PX_MIN:
        raise PhotoNotReadable(f"A photo is at least {SIDE_PX_MIN} pixels wide and high.")


def _check_scans(sent: bytes) -> None:
    """Refuse a picture that draws itself over again: 42 bytes more cost 20 ms more each.

    Within a scan a 0xFF of the data is followed by a zero, so this marker begins scans only.
    """
    if sent.count(SCAN_BEGINS) > SCANS_MAX:
        raise PhotoNotReadable("The photo cannot be read. Take it again with a camera.")
