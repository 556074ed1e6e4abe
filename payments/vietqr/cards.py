"""The framed card: a code with the words that let a payer check whom and what they pay.

In the layout that people know from VietQR: bank above, code, name, account, amount and memo
below. It carries nobody's logo.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib import resources
from typing import Final, Literal
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from PIL import Image, ImageDraw, ImageFont

from core.money import format_vnd
from payments.vietqr.images import (
    PICTURES_KEPT,
    QUIET_MODULES,
    find_matrix,
    render_modules,
    write_path,
    write_png,
)

LOCAL: Final = ZoneInfo("Asia/Ho_Chi_Minh")

WIDTH_PX: Final = 720
MARGIN_PX: Final = 28
RADIUS_PX: Final = 36
HEADER_PX: Final = 136
QR_PX: Final = 500
TEXT_PX: Final = WIDTH_PX - 2 * MARGIN_PX - 56
SMOOTHING: Final = 4  # the frame is drawn this much larger, then shrunk: smooth corners

GROUND: Final = "#e6f0ee"
PANEL: Final = "#ffffff"
ACCENT: Final = "#0b5c55"
INK: Final = "#12201e"
MUTED: Final = "#51625f"

Weight = Literal["Regular", "Medium", "Bold"]
SVG_WEIGHT: Final = {"Regular": 400, "Medium": 500, "Bold": 700}
FONT_FAMILY: Final = "Be Vietnam Pro, Noto Sans, Roboto, Arial, sans-serif"

WORDS: Final = {
    "vi": (
        "Quét bằng ứng dụng ngân hàng bất kỳ",
        "Số tiền do người trả nhập",
        "Nội dung",
        "Hết hạn",
    ),
    "en": ("Scan with any Vietnamese banking app", "The payer keys the amount", "Memo", "Expires"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QrCard:
    """Everything a card shows. Two cards with the same facts are one picture."""

    payload: str  # what the code carries, from build
    bank_name: str  # the bank's short name
    account_name: str  # the holder, accents and all
    account_number: str
    amount_vnd: int | None = None  # None: the payer keys it
    reference: str | None = None  # the memo
    expires_at: datetime | None = None  # aware; shown in Vietnamese time
    language: Literal["vi", "en"] = "vi"


@dataclass(frozen=True, slots=True)
class _Line:
    """One centred line of text: its baseline, and its size after fitting it to the card."""

    text: str
    y_px: int
    size_px: int
    weight: Weight
    colour: str


@lru_cache(maxsize=PICTURES_KEPT)
def render_card_png(card: QrCard) -> bytes:
    """Draw the card as a PNG, 720 pixels wide."""
    lines, height_px = _lay_out(card)
    picture = _frame(height_px).copy()
    modules = render_modules(find_matrix(card.payload))
    module_px = _module_px(modules.width)
    size_px = modules.width * module_px
    corner = ((WIDTH_PX - size_px) // 2, _qr_top_px() + (QR_PX - size_px) // 2)
    picture.paste(modules.resize((size_px, size_px), Image.Resampling.NEAREST), corner)
    pen = ImageDraw.Draw(picture)
    for line in lines:
        font = _font(line.weight, line.size_px)
        pen.text((WIDTH_PX // 2, line.y_px), line.text, fill=line.colour, font=font, anchor="ms")
    return write_png(picture)


@lru_cache(maxsize=PICTURES_KEPT)
def render_card_svg(card: QrCard) -> bytes:
    """Draw the card as an SVG of the same layout; its words stay text, for readers and search."""
    lines, height_px = _lay_out(card)
    matrix = find_matrix(card.payload)
    module_px = _module_px(len(matrix))
    size_px = len(matrix) * module_px
    left_px, top_px = (WIDTH_PX - size_px) // 2, _qr_top_px() + (QR_PX - size_px) // 2
    code = (
        f'<path shape-rendering="crispEdges" transform="translate({left_px} {top_px}) '
        f'scale({module_px})" d="{write_path(matrix, 0)}"/>'
    )
    words = "".join(
        f'<text x="{WIDTH_PX // 2}" y="{line.y_px}" font-size="{line.size_px}" '
        f'font-weight="{SVG_WEIGHT[line.weight]}" fill="{line.colour}">{escape(line.text)}</text>'
        for line in lines
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height_px}" '
        f'width="{WIDTH_PX}" height="{height_px}">{_write_frame(height_px)}{code}'
        f'<g font-family="{FONT_FAMILY}" text-anchor="middle">{words}</g></svg>'
    ).encode()


def _lay_out(card: QrCard) -> tuple[list[_Line], int]:
    """Place the card's lines from top to bottom; return them and the card's height."""
    scan, open_amount, memo, expires = WORDS[card.language]
    lines: list[_Line] = []

    def put(text: str, y_px: int, size_px: int, weight: Weight, colour: str) -> None:
        text, size_px = _fit(_clean(text), size_px, weight)
        lines.append(_Line(text, y_px, size_px, weight, colour))

    put(card.bank_name, MARGIN_PX + 64, 46, "Bold", PANEL)
    put(scan, MARGIN_PX + 108, 25, "Regular", PANEL)
    y_px = _qr_top_px() + QR_PX + 66
    put(card.account_name, y_px, 38, "Bold", INK)
    y_px += 50
    put(card.account_number, y_px, 36, "Medium", INK)
    if card.amount_vnd is not None:
        y_px += 86
        put(format_vnd(card.amount_vnd), y_px, 68, "Bold", ACCENT)
    else:
        y_px += 56
        put(open_amount, y_px, 28, "Regular", MUTED)
    if card.reference:
        y_px += 62
        put(f"{memo}: {card.reference}", y_px, 32, "Medium", INK)
    if card.expires_at is not None:
        assert card.expires_at.tzinfo is not None
        y_px += 48
        at = card.expires_at.astimezone(LOCAL)
        put(f"{expires}: {at:%H:%M} · {at:%d/%m/%Y}", y_px, 26, "Regular", MUTED)
    return lines, y_px + 44 + MARGIN_PX


def _clean(text: str) -> str:
    """Drop what no font draws and no XML file may hold: control characters and half ones."""
    return "".join(c if c.isprintable() or c == "\u00a0" else " " for c in text)


def _fit(text: str, size_px: int, weight: Weight) -> tuple[str, int]:
    """Shrink a line to the card's width, down to half; what is longer still is cut with "…"."""
    smallest_px = size_px // 2
    while size_px > smallest_px and _font(weight, size_px).getlength(text) > TEXT_PX:
        size_px -= 2
    font = _font(weight, size_px)
    if font.getlength(text) > TEXT_PX:
        # No character is narrower than this, so the loop below is short for any text.
        text = text[: TEXT_PX * 8 // size_px]
        while text and font.getlength(text + "…") > TEXT_PX:
            text = text[:-1]
        text = text.rstrip() + "…"
    return text, size_px


def _module_px(modules: int) -> int:
    return QR_PX // (modules + 2 * QUIET_MODULES)


def _qr_top_px() -> int:
    return MARGIN_PX + HEADER_PX + 36


def _brackets() -> list[tuple[int, int, int, int]]:
    """Return the bars of the four corner marks around the code, as (x0, y0, x1, y1)."""
    left, top = (WIDTH_PX - QR_PX) // 2, _qr_top_px()
    right, bottom = left + QR_PX, top + QR_PX
    long, thick = 64, 8
    return [
        (left, top, left + long, top + thick),
        (left, top, left + thick, top + long),
        (right - long, top, right, top + thick),
        (right - thick, top, right, top + long),
        (left, bottom - thick, left + long, bottom),
        (left, bottom - long, left + thick, bottom),
        (right - long, bottom - thick, right, bottom),
        (right - thick, bottom - long, right, bottom),
    ]


@lru_cache(maxsize=16)  # there are six heights: with and without amount, memo and expiry
def _frame(height_px: int) -> Image.Image:
    """Draw what all cards of one height share."""
    large = Image.new("RGB", (WIDTH_PX * SMOOTHING, height_px * SMOOTHING), GROUND)
    pen = ImageDraw.Draw(large)
    right_px, bottom_px = WIDTH_PX - MARGIN_PX, height_px - MARGIN_PX
    radius = RADIUS_PX * SMOOTHING
    box = [at * SMOOTHING for at in (MARGIN_PX, MARGIN_PX, right_px, bottom_px)]
    pen.rounded_rectangle(box, radius, fill=PANEL)
    box[3] = (MARGIN_PX + HEADER_PX) * SMOOTHING
    pen.rounded_rectangle(box, radius, fill=ACCENT, corners=(True, True, False, False))
    for bar in _brackets():
        x0, y0, x1, y1 = (at * SMOOTHING for at in bar)
        pen.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), 3 * SMOOTHING, fill=ACCENT)
    return large.resize((WIDTH_PX, height_px), Image.Resampling.BOX)


def _write_frame(height_px: int) -> str:
    """Write what all cards of one height share, as SVG."""
    left, top, right, radius = MARGIN_PX, MARGIN_PX, WIDTH_PX - MARGIN_PX, RADIUS_PX
    panel_px, bottom = height_px - 2 * MARGIN_PX, MARGIN_PX + HEADER_PX
    arc = f"a{radius} {radius} 0 0 1 {radius}"
    bars = "".join(
        f'<rect x="{x0}" y="{y0}" width="{x1 - x0}" height="{y1 - y0}" rx="3" fill="{ACCENT}"/>'
        for x0, y0, x1, y1 in _brackets()
    )
    return (
        f'<rect width="{WIDTH_PX}" height="{height_px}" fill="{GROUND}"/>'
        f'<rect x="{left}" y="{top}" width="{right - left}" height="{panel_px}" rx="{radius}" '
        f'fill="{PANEL}"/><path fill="{ACCENT}" d="M{left} {bottom}V{top + radius}{arc} -{radius}'
        f'H{right - radius}{arc} {radius}V{bottom}z"/>{bars}'
    )


@lru_cache(maxsize=64)
def _font(weight: Weight, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_path(weight), size_px)


@cache
def _font_path(weight: Weight) -> str:
    """Find the font the screens use too; Pillow's own lacks Vietnamese letters.

    Be Vietnam Pro (OFL-1.1) comes as the Python package fontpkg-be-vietnam-pro.
    """
    files = resources.files("fontpkg_be_vietnam_pro") / "files"
    return str(files / f"BeVietnamPro-{weight}.ttf")
