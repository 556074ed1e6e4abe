"""Reading a code as a bank app does: from text, or from a picture of it."""

from dataclasses import dataclass
from io import BytesIO

import zxingcpp
from PIL import Image, UnidentifiedImageError

from payments.vietqr.errors import VietQrError
from payments.vietqr.parse import parse
from sandbox.errors import CodeUnreadable
from sandbox.settings import IMAGE_PIXELS_MAX


@dataclass(frozen=True, kw_only=True)
class Code:
    """What a bank app takes from a VietQR."""

    bin: str
    number: str
    amount_vnd: int | None
    memo: str
    # Most apps lock the amount of a dynamic code; that of a static one they only suggest.
    is_amount_locked: bool


def read_payload(payload: str) -> Code:
    """Read a code's text.

    Raises:
        CodeUnreadable: it is no VietQR; the message says why.
    """
    try:
        code = parse(payload)
    except VietQrError as error:
        raise CodeUnreadable(str(error)) from error
    purpose = code.purpose or ""
    return Code(
        bin=code.bin,
        number=code.account,
        amount_vnd=code.amount_vnd,
        memo="" if purpose == "***" else purpose,
        is_amount_locked=code.is_dynamic and code.amount_vnd is not None,
    )


def read_picture(picture: bytes) -> str:
    """Return the text of the first QR code in a JPEG, PNG or WebP picture. Takes some ms of CPU.

    Raises:
        CodeUnreadable: no picture, too large a picture, or no QR code in it.
    """
    try:
        with Image.open(BytesIO(picture), formats=("JPEG", "PNG", "WEBP")) as image:
            if image.width * image.height > IMAGE_PIXELS_MAX:
                raise CodeUnreadable(f"The picture has more than {IMAGE_PIXELS_MAX} pixels.")
            grey = image.convert("L")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise CodeUnreadable("This is no JPEG, PNG or WebP picture.") from error
    except Image.DecompressionBombError as error:
        raise CodeUnreadable("The picture is too large.") from error
    # Made anew: one that lives as long as the process is reported as leaked at its end.
    qr_only = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    found = zxingcpp.read_barcodes(grey, formats=qr_only)
    if not found:
        raise CodeUnreadable("There is no QR code in the picture.")
    return found[0].text
