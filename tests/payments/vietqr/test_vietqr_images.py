"""Pictures of codes: other people's readers read them, and the words on cards are right."""

import io
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
import zxingcpp
from PIL import Image, ImageFont

from payments.vietqr import build, transfer_code
from payments.vietqr.cards import (
    HEADER_PX,
    TEXT_PX,
    WIDTH_PX,
    QrCard,
    _fit,
    _font_path,
    render_card_png,
    render_card_svg,
)
from payments.vietqr.images import (
    PICTURES_KEPT,
    find_matrix,
    render_png,
    render_svg,
)

SVG = "{http://www.w3.org/2000/svg}"
VIETNAMESE = "Phở Lan Nguyễn Thị Ánh Đường"
# Every letter that Vietnamese has besides plain ASCII.
LETTERS = (
    "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ"
    "ÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬĐÈÉẺẼẸÊỀẾỂỄỆÌÍỈĨỊÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢÙÚỦŨỤƯỪỨỬỮỰỲÝỶỸỴ₫…·"
)
PAYLOAD = build(
    transfer_code(
        bin="970422",
        account="VQRQAEJCI2814",
        amount_vnd=20_000,
        purpose="PPHNDXCJF3X84",
        is_dynamic=True,
        merchant_name="PHO LAN",
        merchant_city="HA NOI",
    )
)


def a_card(**facts: object) -> QrCard:
    known = {
        "payload": PAYLOAD,
        "bank_name": "MB Bank",
        "account_name": VIETNAMESE,
        "account_number": "VQRQAEJCI2814",
        "amount_vnd": 20_000,
        "reference": "PPHNDXCJF3X84",
        "expires_at": datetime(2026, 11, 21, 3, 15, tzinfo=UTC),
    }
    return QrCard(**(known | facts))  # type: ignore[arg-type]


def opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def read_by_another(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture.convert("L"))]


def rastered(svg: bytes, scale: int) -> Image.Image:
    """Draw the SVG's runs of modules by themselves, as any renderer would."""
    root = ElementTree.fromstring(svg)
    size = int(root.attrib["viewBox"].split()[2])
    picture = Image.new("L", (size, size), 255)
    for run in root.findall(f"{SVG}path")[1].attrib["d"].strip("M").split("M"):
        x, rest = run.split(" ")
        y, width = rest.split("v")[0].split("h")
        picture.paste(0, (int(x), int(y), int(x) + int(width), int(y) + 1))
    return picture.resize((size * scale, size * scale), Image.Resampling.NEAREST)


@pytest.mark.parametrize("module_px", [2, 4, 10])
def test_a_plain_code_is_read_by_another_reader(module_px: int) -> None:
    picture = opened(render_png(PAYLOAD, module_px=module_px))

    assert read_by_another(picture) == [PAYLOAD]
    assert picture.width == (len(find_matrix(PAYLOAD)) + 8) * module_px


def test_four_light_modules_lie_around_a_code() -> None:
    picture = opened(render_png(PAYLOAD, module_px=1)).convert("L")

    size = picture.width
    dark = picture.point(lambda grey: 255 - grey).getbbox()
    assert dark == (4, 4, size - 4, size - 4)


def test_the_svg_draws_the_same_modules() -> None:
    assert read_by_another(rastered(render_svg(PAYLOAD), 4)) == [PAYLOAD]
    drawn = rastered(render_svg(PAYLOAD), 1)
    assert drawn.tobytes() == opened(render_png(PAYLOAD, module_px=1)).convert("L").tobytes()


def test_a_card_is_read_by_another_reader() -> None:
    picture = opened(render_card_png(a_card()))

    assert picture.width == WIDTH_PX
    assert read_by_another(picture) == [PAYLOAD]


def test_a_card_shrunk_to_a_phones_width_is_still_read() -> None:
    picture = opened(render_card_png(a_card()))
    phone = picture.resize((360, picture.height * 360 // picture.width), Image.Resampling.LANCZOS)

    assert read_by_another(phone) == [PAYLOAD]


def words_of(card: QrCard) -> list[str]:
    root = ElementTree.fromstring(render_card_svg(card))
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def test_a_card_says_whom_how_much_what_for_and_until_when() -> None:
    assert words_of(a_card()) == [
        "MB Bank",
        "Quét bằng ứng dụng ngân hàng bất kỳ",
        VIETNAMESE,
        "VQRQAEJCI2814",
        "20.000\u00a0₫",
        "Nội dung: PPHNDXCJF3X84",
        "Hết hạn: 10:15 · 21/11/2026",
    ]


def test_a_printed_card_without_amount_leaves_out_what_it_has_not() -> None:
    card = a_card(amount_vnd=None, reference=None, expires_at=None, language="en")

    assert words_of(card)[-2:] == ["VQRQAEJCI2814", "The payer keys the amount"]
    assert read_by_another(opened(render_card_png(card))) == [PAYLOAD]


def test_words_from_people_cannot_break_the_picture() -> None:
    card = a_card(account_name='<script>"&\x00\ud800' + "x" * 500, bank_name="")

    shown = words_of(card)[2]
    assert shown.startswith('<script>"&')
    assert shown.endswith("…")
    assert render_card_png(card)


def test_the_cards_font_has_every_vietnamese_letter() -> None:
    for weight in ("Regular", "Medium", "Bold"):
        font = ImageFont.truetype(_font_path(weight), 40)  # type: ignore[arg-type]
        nothing = bytes(font.getmask("\uffff"))
        for letter in LETTERS:
            assert bytes(font.getmask(letter)) != nothing, (weight, letter)


def test_accents_reach_the_drawn_card() -> None:
    plain = render_card_png(a_card(account_name="Pho Lan Nguyen Thi Anh Duong"))
    below_header = (0, HEADER_PX + 600, WIDTH_PX, HEADER_PX + 640)

    assert opened(render_card_png(a_card())).crop(below_header) != opened(plain).crop(below_header)


@pytest.mark.parametrize("text", [VIETNAMESE, VIETNAMESE * 2, "W" * 300, ""])
def test_a_line_never_leaves_its_card(text: str) -> None:
    fitted, size_px = _fit(text, 38, "Bold")

    assert ImageFont.truetype(_font_path("Bold"), size_px).getlength(fitted) <= TEXT_PX


def test_a_picture_is_drawn_once_and_the_store_is_bounded() -> None:
    assert render_svg(PAYLOAD) is render_svg(PAYLOAD)
    assert render_card_png(a_card()) is render_card_png(a_card())
    for cached in (render_svg, render_png, render_card_png, render_card_svg):
        assert cached.cache_info().maxsize == PICTURES_KEPT


def test_pictures_carry_no_script_and_no_style_of_their_own() -> None:
    for svg in (render_svg(PAYLOAD), render_card_svg(a_card())):
        assert not any(word in svg for word in (b"style", b"script", b"href", b"url("))
