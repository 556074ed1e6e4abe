"""Photos as they arrive: the right way up, and refused before they cost anything."""

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from parking.plate_reading.errors import PhotoTooLarge, PhotoUnreadable
from parking.plate_reading.photos import PHOTO_BYTES_MAX, open_photo
from tests.world.plate_photos import a_plate, a_street, as_jpeg, as_png

RED_LEFT = Image.new("RGB", (200, 100), (0, 0, 255))
RED_LEFT.paste((255, 0, 0), (0, 0, 100, 100))


def encoded(picture: Image.Image, form: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds nothing: whoever decodes it makes the room."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("orientation", "red_at"), [(1, (20, 50)), (3, (180, 50))])
def test_a_photo_is_turned_as_the_phone_was_held(orientation: int, red_at: tuple[int, int]) -> None:
    opened = open_photo(as_jpeg(RED_LEFT, orientation=orientation), side_max=960)

    red, _, blue = opened.getpixel(red_at)  # type: ignore[misc]
    assert red > 200 > 60 > blue


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_phone_that_was_held_upright_gives_an_upright_photo(orientation: int) -> None:
    assert open_photo(as_jpeg(RED_LEFT, orientation=orientation), side_max=960).size == (100, 200)


def test_a_large_photo_is_made_smaller_and_a_small_one_is_left() -> None:
    large = Image.new("RGB", (4000, 3000))

    assert open_photo(as_jpeg(large), side_max=960).size == (960, 720)
    assert open_photo(as_jpeg(a_plate("51H-040.73")), side_max=960).size == (420, 90)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "YCbCr"])
def test_every_kind_of_picture_becomes_red_green_and_blue(mode: str) -> None:
    picture = a_plate("51H-040.73")
    converted = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert(mode)
    form = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"

    assert open_photo(encoded(converted, form), side_max=960).mode == "RGB"


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_000, 5_001), (65_000, 60_000)])
def test_a_bomb_of_pixels_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(PhotoTooLarge):
        open_photo(png_header(width, height), side_max=960)


def test_more_bytes_than_a_photo_has_are_refused() -> None:
    with pytest.raises(PhotoTooLarge):
        open_photo(b"\xff" * (PHOTO_BYTES_MAX + 1), side_max=960)


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (8_000, 16)])
def test_a_picture_that_no_plate_fits_in_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoUnreadable):
        open_photo(as_png(Image.new("RGB", size)), side_max=960)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "PPM"])
def test_what_phones_do_not_make_is_refused(form: str) -> None:
    with pytest.raises(PhotoUnreadable, match="no JPEG, PNG or WebP"):
        open_photo(encoded(a_plate("51H-040.73"), form), side_max=960)


@pytest.mark.parametrize("photo", [b"", b"\xff\xd8", b"not a photo", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_picture_are_refused(photo: bytes) -> None:
    with pytest.raises(PhotoUnreadable):
        open_photo(photo, side_max=960)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_photo_that_was_cut_off_is_refused(part: float) -> None:
    whole = as_jpeg(a_street((a_plate("51H-040.73"), (300, 500))))

    with pytest.raises(PhotoUnreadable, match="damaged or cut off"):
        open_photo(whole[: int(len(whole) * part)], side_max=960)


@pytest.mark.parametrize("of_several", [{}, {"save_all": True, "append_images": [RED_LEFT]}])
def test_a_photo_that_draws_itself_over_again_is_refused(of_several: dict[str, Any]) -> None:
    out = io.BytesIO()
    street = a_street((a_plate("51H-040.73"), (300, 500)))
    street.save(out, "MPO" if of_several else "JPEG", progressive=True, **of_several)
    photo = out.getvalue()
    end = photo.index(b"\xff\xd9")
    last = photo.rindex(b"\xff\xda", 0, end)

    assert open_photo(photo, side_max=960)
    with pytest.raises(PhotoUnreadable, match="over again"):
        open_photo(photo[:end] + photo[last:end] * 100 + photo[end:], side_max=960)


def test_damaged_metadata_do_not_cost_the_photo() -> None:
    photo = as_jpeg(RED_LEFT, orientation=6)
    at = photo.index(b"\x01\x12\x00\x03")  # orientation, a short number: of which there is one
    broken = photo[: at + 4] + b"\x7f\xff\xff\xff" + photo[at + 8 :]

    assert open_photo(broken, side_max=960).size == (200, 100)


@given(st.data())
def test_damaged_bytes_end_in_a_picture_or_in_an_error_of_ours(data: st.DataObject) -> None:
    photo = bytearray(WHOLE[data.draw(st.sampled_from(sorted(WHOLE)))])
    for _ in range(data.draw(st.integers(1, 12))):
        photo[data.draw(st.integers(0, len(photo) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PhotoUnreadable, PhotoTooLarge):
        assert open_photo(bytes(photo), side_max=960).mode == "RGB"


PLATE = a_plate("29-B1", "123.45")
WHOLE = {
    "JPEG": as_jpeg(PLATE, orientation=6),
    "PNG": as_png(PLATE),
    "WEBP": encoded(PLATE, "WEBP"),
}
