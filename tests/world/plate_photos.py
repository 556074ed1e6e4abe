"""Photos of plates, drawn: crops as a phone cuts them, and streets with vehicles in them."""

import io
from functools import cache
from importlib import resources

from PIL import Image, ImageDraw, ImageFont

WHITE, BLACK = (236, 236, 230), (24, 24, 28)
BLUE, YELLOW = (28, 58, 140), (236, 190, 40)
PLATE_HEIGHT_PX = {1: 90, 2: 170}
PLATE_WIDTH_PX = {1: 420, 2: 230}


def a_plate(
    *rows: str, ground: tuple[int, int, int] = WHITE, ink: tuple[int, int, int] = BLACK
) -> Image.Image:
    """Draw a plate of one row (a car's long one) or two."""
    width, height = PLATE_WIDTH_PX[len(rows)], PLATE_HEIGHT_PX[len(rows)]
    plate = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(plate)
    draw.rounded_rectangle((3, 3, width - 4, height - 4), radius=10, outline=ink, width=3)
    for number, row in enumerate(rows):
        middle = (width / 2, height * (2 * number + 1) / (2 * len(rows)))
        size = 62 if len(rows) == 1 else 58
        draw.text(middle, row, fill=ink, font=_font(size), anchor="mm")
    return plate


def a_street(*placed: tuple[Image.Image, tuple[int, int]], turned: float = 0) -> Image.Image:
    """Draw a photo of 960 x 720 with plates at these places (upper left), and a shop's name."""
    street = Image.new("RGB", (960, 720), (126, 130, 128))
    draw = ImageDraw.Draw(street)
    draw.rectangle((0, 430, 960, 720), fill=(84, 84, 88))
    draw.rectangle((40, 40, 420, 120), fill=(150, 40, 40))
    draw.text((60, 50), "CAFE SEN", fill=WHITE, font=_font(48))
    for plate, at in placed:
        body = (at[0] - 60, at[1] - 120, at[0] + plate.width + 60, at[1] + plate.height + 40)
        draw.rounded_rectangle(body, radius=30, fill=(40, 70, 60))
        street.paste(plate, at)
    return street.rotate(turned, Image.Resampling.BICUBIC, fillcolor=(126, 130, 128))


def as_jpeg(picture: Image.Image, *, orientation: int = 1) -> bytes:
    """Encode a picture as a phone does, with its EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88, exif=exif)
    return out.getvalue()


def as_png(picture: Image.Image) -> bytes:
    """Encode a picture without loss."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    file = resources.files("fontpkg_be_vietnam_pro") / "files" / "BeVietnamPro-Medium.ttf"
    return ImageFont.truetype(str(file), size)
