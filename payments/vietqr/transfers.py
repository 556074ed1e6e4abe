"""The codes that the hub itself makes: transfers to one account, with a memo."""

import re
import unicodedata
from typing import Final

from core.text import STROKED_D
from payments.vietqr.model import AdditionalData, PointOfInitiation, Service, VietQr

NOT_PRINTABLE: Final = re.compile(r"[^ -~]+")
SPACES: Final = re.compile(r"\s+")
# What Unicode does not take apart by itself but people read as these letters.
LETTERS: Final = str.maketrans(
    {"₫": "d", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"'}
)


def transfer_code(
    *,
    bin: str,  # noqa: A002  the field's name in the NAPAS profile
    account: str,
    amount_vnd: int | None,
    purpose: str | None,
    is_dynamic: bool,
    service: Service = Service.QRIBFTTA,
    bill_number: str | None = None,
    store_label: str | None = None,
    terminal_label: str | None = None,
    merchant_category: str | None = None,
    merchant_name: str | None = None,
    merchant_city: str | None = None,
) -> VietQr:
    """Describe a transfer; `build` writes it and refuses what the profile does not allow.

    Args:
        amount_vnd: None leaves the amount to the payer; a dynamic code must have one.
        purpose: the memo, at most 19 characters of plain ASCII, best upper-case letters, digits
            and spaces; put the reference first.
        is_dynamic: True for one payment (apps lock the amount), False for a code that is printed
            or whose amount is open.
        merchant_name: at most 25 characters, merchant_city at most 15; see `ascii_text`.
    """
    has_additional = bool(bill_number or store_label or terminal_label or purpose)
    return VietQr(
        point_of_initiation=PointOfInitiation.DYNAMIC if is_dynamic else PointOfInitiation.STATIC,
        bin=bin,
        account=account,
        service=service,
        amount_vnd=amount_vnd,
        additional=AdditionalData(
            bill_number=bill_number or None,
            store_label=store_label or None,
            terminal_label=terminal_label or None,
            purpose=purpose or None,
        )
        if has_additional
        else None,
        merchant_category=merchant_category,
        merchant_name=merchant_name or None,
        merchant_city=merchant_city or None,
    )


def ascii_text(text: str, chars_max: int) -> str:
    """Write Vietnamese as apps need it in 59, 60 and 62: "Phở Đường" → "Pho Duong".

    What has no ASCII form is left out, white space becomes single spaces, and the rest is cut to
    chars_max. May be empty: leave the field out then.

    Source: bank apps refuse codes with accents in these fields (odoo/odoo issue 127689).
    """
    apart = unicodedata.normalize("NFKD", text.translate(STROKED_D).translate(LETTERS))
    plain = NOT_PRINTABLE.sub("", SPACES.sub(" ", apart))
    return SPACES.sub(" ", plain).strip()[:chars_max].rstrip()
