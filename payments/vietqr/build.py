"""Write VietQR payloads: only what every bank's app is known to read."""

import re
from collections.abc import Callable
from typing import Final

from core.money import TRANSFER_VND_MAX
from payments.vietqr.crc import crc16
from payments.vietqr.errors import VietQrNotWritable, VietQrTooLong
from payments.vietqr.model import (
    ACCOUNT_CHARS_MAX,
    COUNTRY_VN,
    CURRENCY_VND,
    GUID_NAPAS,
    LABEL_CHARS_MAX,
    MERCHANT_CITY_CHARS_MAX,
    MERCHANT_NAME_CHARS_MAX,
    PAYLOAD_CHARS_MAX,
    POSTAL_CODE_CHARS_MAX,
    PURPOSE_CHARS_MAX,
    AdditionalData,
    AlternateLanguage,
    Others,
    Service,
    VietQr,
)
from payments.vietqr.tlv import VALUE_CHARS_MAX, write_tlv

Match = Callable[[str], object]

GUID_TLV: Final = write_tlv("00", GUID_NAPAS)
SERVICE_TLV: Final = {service: write_tlv("02", service.value) for service in Service}

# EMVCo's common character set: printable ASCII.
PRINTABLE: Final = re.compile(r"[ -~]+").fullmatch
IS_BIN: Final = re.compile(r"[0-9]{6}").fullmatch
IS_ACCOUNT: Final = re.compile(rf"[0-9A-Za-z]{{1,{ACCOUNT_CHARS_MAX}}}").fullmatch
IS_CATEGORY: Final = re.compile(r"[0-9]{4}").fullmatch
IS_CONSUMER_REQUEST: Final = re.compile(r"(?!.*(.).*\1)[AME]{1,3}").fullmatch
IS_PERCENT: Final = re.compile(r"(?![0.]+\Z)[0-9]{1,2}(\.[0-9]{1,2})?").fullmatch
IS_LANGUAGE: Final = re.compile(r"[A-Za-z]{2}").fullmatch

IS_OTHER_ROOT: Final = re.compile(
    r"0[2-9]|[12][0-9]|3[0-79]|4[0-9]|5[01]|6[5-9]|[789][0-9]"
).fullmatch
IS_OTHER_ADDITIONAL: Final = re.compile(r"[1-9][0-9]").fullmatch
IS_OTHER_LANGUAGE: Final = re.compile(r"0[3-9]|[1-9][0-9]").fullmatch


def build(code: VietQr) -> str:
    """Write a code as the text that a QR picture carries, so that parse gives back the same code.

    Strict: printable ASCII only; account of 1–19 letters and digits; purpose ≤ 19; whole đồng
    within what NAPAS carries; a service, currency 704 and country VN always; an amount in every
    dynamic code but cash withdrawals; nothing empty. Objects stand in ascending order.

    Raises:
        VietQrNotWritable: a field breaks the profile; `field` says which.
        VietQrTooLong: the fields are each allowed, together they are too long for one code.
    """
    _check_profile(code)
    before: list[str] = []
    between: list[str] = []
    after: list[str] = []
    if code.others:
        before, between, after = _split_others(code.others)
    parts = ["000201", write_tlv("01", code.point_of_initiation.value), *before]
    parts += [_write_account(code), *between]
    if code.merchant_category is not None:
        parts.append(_write("52", code.merchant_category, IS_CATEGORY, "four digits"))
    parts.append("5303704")
    if code.amount_vnd is not None:
        parts.append(_write_amount("54", code.amount_vnd))
    if _has_tip(code):
        parts.append(_write_tip(code))
    parts.append("5802VN")
    parts += _write_merchant(code)
    if code.additional is not None:
        parts.append(_write_additional(code.additional))
    if code.alternate_language is not None:
        parts.append(_write_language(code.alternate_language))
    parts += after
    parts.append("6304")
    text = "".join(parts)
    if len(text) + 4 > PAYLOAD_CHARS_MAX:
        raise VietQrTooLong(f"The code would have more than {PAYLOAD_CHARS_MAX} characters.")
    return text + crc16(text.encode("ascii"))


def _check_profile(code: VietQr) -> None:
    """Refuse what other issuers write and some apps do not take."""
    if code.service is None:
        raise VietQrNotWritable("38.02", "a service must be named.")
    if code.beneficiary_others or code.account_others:
        raise VietQrNotWritable("38", "must hold bank, account and service only.")
    if code.currency != CURRENCY_VND:
        raise VietQrNotWritable("53", "the currency must be 704.")
    if code.country != COUNTRY_VN:
        raise VietQrNotWritable("58", "the country must be VN.")
    if code.amount_vnd is None and code.is_dynamic and code.service is not Service.QRCASH:
        raise VietQrNotWritable("54", "a dynamic code must name its amount.")


def _write_account(code: VietQr) -> str:
    assert code.service is not None
    wanted = f"1 to {ACCOUNT_CHARS_MAX} letters and digits without accents"
    beneficiary = _write("38.01.00", code.bin, IS_BIN, "six digits")
    beneficiary += _write("38.01.01", code.account, IS_ACCOUNT, wanted)
    return write_tlv("38", GUID_TLV + write_tlv("01", beneficiary) + SERVICE_TLV[code.service])


def _write_merchant(code: VietQr) -> list[str]:
    texts = (
        ("59", code.merchant_name, MERCHANT_NAME_CHARS_MAX),
        ("60", code.merchant_city, MERCHANT_CITY_CHARS_MAX),
        ("61", code.postal_code, POSTAL_CODE_CHARS_MAX),
    )
    return [_write_text(tag, text, most) for tag, text, most in texts if text is not None]


def _has_tip(code: VietQr) -> bool:
    return (code.tip_indicator, code.tip_fixed_vnd, code.tip_percent) != (None, None, None)


def _write(field: str, value: str, is_right: Match, wanted: str) -> str:
    if is_right(value) is None:
        raise VietQrNotWritable(field, f"must be {wanted}.")
    return write_tlv(field[-2:], value)


def _write_text(field: str, value: str, chars_max: int) -> str:
    if len(value) > chars_max or PRINTABLE(value) is None:
        wanted = f"1 to {chars_max} characters of plain ASCII"
        raise VietQrNotWritable(field, f"must be {wanted}.")
    return write_tlv(field[-2:], value)


def _write_amount(field: str, amount_vnd: int) -> str:
    if not 1 <= amount_vnd <= TRANSFER_VND_MAX:
        detail = f"is {amount_vnd}, must be whole đồng from 1 to {TRANSFER_VND_MAX}."
        raise VietQrNotWritable(field, detail)
    return write_tlv(field, f"{amount_vnd:d}")


def _write_tip(code: VietQr) -> str:
    fixed_vnd, percent = code.tip_fixed_vnd, code.tip_percent
    match code.tip_indicator:
        case "01" if fixed_vnd is None and percent is None:
            return "550201"
        case "02" if fixed_vnd is not None and percent is None:
            return "550202" + _write_amount("56", fixed_vnd)
        case "03" if percent is not None and fixed_vnd is None:
            return "550203" + _write("57", percent, IS_PERCENT, "a percentage below 100")
    raise VietQrNotWritable("55", "must be 01 alone, 02 with a fixed tip or 03 with a percentage.")


def _write_additional(data: AdditionalData) -> str:
    parts = []
    labels = (
        ("62.01", data.bill_number),
        ("62.02", data.mobile),
        ("62.03", data.store_label),
        ("62.04", data.loyalty_number),
        ("62.05", data.reference_label),
        ("62.06", data.customer_label),
        ("62.07", data.terminal_label),
    )
    for field, label in labels:
        if label is not None:
            parts.append(_write_text(field, label, LABEL_CHARS_MAX))
    if data.purpose is not None:
        parts.append(_write_text("62.08", data.purpose, PURPOSE_CHARS_MAX))
    if data.consumer_request is not None:
        wanted = "A, M and E, each at most once"
        parts.append(_write("62.09", data.consumer_request, IS_CONSUMER_REQUEST, wanted))
    if data.others:
        parts += _write_others("62.", data.others, IS_OTHER_ADDITIONAL)
    return _write_template("62", "".join(parts))


def _write_language(data: AlternateLanguage) -> str:
    parts = []
    if data.language is not None:
        parts.append(_write("64.00", data.language, IS_LANGUAGE, "two letters"))
    if data.merchant_name is not None:
        parts.append(_write_text("64.01", data.merchant_name, MERCHANT_NAME_CHARS_MAX))
    if data.merchant_city is not None:
        parts.append(_write_text("64.02", data.merchant_city, MERCHANT_CITY_CHARS_MAX))
    if data.others:
        parts += _write_others("64.", data.others, IS_OTHER_LANGUAGE)
    return _write_template("64", "".join(parts))


def _write_template(tag: str, content: str) -> str:
    if not 1 <= len(content) <= VALUE_CHARS_MAX:
        wanted = f"1 to {VALUE_CHARS_MAX} with all its fields"
        raise VietQrNotWritable(tag, f"has {len(content)} characters, must have {wanted}.")
    return write_tlv(tag, content)


def _split_others(others: Others) -> tuple[list[str], list[str], list[str]]:
    """Write other objects: those before 38, those between it and 52, and those after 64."""
    written = _write_others("", others, IS_OTHER_ROOT)
    before = sum(tag < "38" for tag, _ in others)
    after = sum(tag > "64" for tag, _ in others)
    end = len(written) - after
    return written[:before], written[before:end], written[end:]


def _write_others(path: str, others: Others, is_right: Match) -> list[str]:
    tags = [tag for tag, _ in others]
    if tags != sorted(set(tags)):
        raise VietQrNotWritable(path or "others", "other objects must stand once, in order.")
    written = []
    for tag, value in others:
        if is_right(tag) is None:
            raise VietQrNotWritable(path + tag, "is not one of the other objects.")
        written.append(_write_text(path + tag, value, VALUE_CHARS_MAX))
    return written
