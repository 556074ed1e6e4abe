"""Read any issuer's VietQR: tolerant where issuers differ, strict where money could stray."""

import re
from collections.abc import Iterable
from typing import Final

from core.text import strip_unseen
from payments.vietqr.crc import crc16
from payments.vietqr.errors import (
    VietQrBadValue,
    VietQrCrcMismatch,
    VietQrError,
    VietQrMalformed,
    VietQrMissingField,
    VietQrNotText,
    VietQrOtherScheme,
    VietQrTooLong,
)
from payments.vietqr.model import (
    CURRENCY_VND,
    GUID_NAPAS,
    PAYLOAD_CHARS_MAX,
    AdditionalData,
    AlternateLanguage,
    Others,
    PointOfInitiation,
    Service,
    VietQr,
)
from payments.vietqr.tlv import read_tlv

POINTS: Final = {point.value: point for point in PointOfInitiation}
SERVICES: Final = {service.value: service for service in Service}

ROOT_TAGS: Final = frozenset(["00", "01", "38", *map(str, range(52, 65))])
ACCOUNT_TAGS: Final = frozenset(["00", "01", "02"])
BENEFICIARY_TAGS: Final = frozenset(["00", "01"])
ADDITIONAL_TAGS: Final = frozenset(f"{n:02d}" for n in range(1, 10))
LANGUAGE_TAGS: Final = frozenset(["00", "01", "02"])
SCHEME_TAGS: Final = frozenset(map(str, range(26, 52)))  # EMVCo: templates of payment schemes

# Control characters, and those that turn the direction of writing: they could dress up a name.
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
CRC: Final = re.compile(r"[0-9A-Fa-f]{4}", re.ASCII)
BIN: Final = re.compile(r"[0-9]{6}")
# EMVCo lets an amount have decimals (4.7.4.1), and some issuers write them. "20.000" has three:
# that is grouping, which no amount may have.
AMOUNT: Final = re.compile(r"([0-9]{1,13})(?:\.0{0,2})?")


def parse(payload: str | bytes) -> VietQr:
    """Read a payload as it came from a scanner, a picture or a paste.

    Read although we would not write it: a checksum in lower case, a purpose of up to 99
    characters, values of length zero, an amount such as "50000." or "50000.00", a missing
    currency or country, any printable text. White space and what nobody sees around the payload
    is dropped.

    Raises:
        VietQrError: nothing else, whatever comes in. First the structure is judged, then the
            checksum, then the scheme, then the values; the class says which of them failed.
    """
    text = _read_text(payload)
    root = read_tlv(text)
    if not text.startswith("000201"):
        raise VietQrMalformed("The code does not begin with 000201.", at=0)
    checksum = root.pop("63", None)
    if checksum is None or text[-8:-4] != "6304" or text[-4:] != checksum:
        raise VietQrMalformed("The code does not end in a checksum (63).", at=len(text))

    account = read_tlv(root["38"], "38.") if "38" in root else {}
    is_napas = account.get("00") == GUID_NAPAS
    beneficiary = read_tlv(account["01"], "38.01.") if is_napas and "01" in account else {}
    additional = read_tlv(root["62"], "62.") if "62" in root else {}
    language = read_tlv(root["64"], "64.") if "64" in root else None

    _check_crc(text, checksum)
    if not is_napas:
        raise _name_scheme(root, account)
    service = account.get("02")
    return VietQr(
        point_of_initiation=_read_point(root.get("01")),
        bin=_read_bin(beneficiary.get("00")),
        account=_read_account(beneficiary.get("01")),
        service=None if service is None else _read_service(service),
        amount_vnd=_read_amount("54", root.get("54")),
        additional=_read_additional(additional) if additional else None,
        merchant_category=root.get("52"),
        currency=_read_currency(root.get("53")),
        tip_indicator=root.get("55"),
        tip_fixed_vnd=_read_amount("56", root.get("56")),
        tip_percent=root.get("57"),
        country=root.get("58"),
        merchant_name=root.get("59"),
        merchant_city=root.get("60"),
        postal_code=root.get("61"),
        alternate_language=None if language is None else _read_language(language),
        beneficiary_others=_others(beneficiary, BENEFICIARY_TAGS),
        account_others=_others(account, ACCOUNT_TAGS),
        others=_others(root, ROOT_TAGS),
    )


def _read_text(payload: str | bytes) -> str:
    if len(payload) > 4 * PAYLOAD_CHARS_MAX:
        raise VietQrTooLong(f"The code is longer than {PAYLOAD_CHARS_MAX} characters.")
    if isinstance(payload, bytes):
        try:
            text = payload.decode("utf-8")
        except UnicodeDecodeError as error:
            raise VietQrNotText(f"The bytes are not UTF-8 at byte {error.start}.") from None
    else:
        text = payload
    text = strip_unseen(text)
    if len(text) > PAYLOAD_CHARS_MAX:
        raise VietQrTooLong(
            f"The code has {len(text)} characters, the limit is {PAYLOAD_CHARS_MAX}."
        )
    if not text:
        raise VietQrMalformed("There is no code: the text is empty.", at=0)
    if found := CONTROL.search(text):
        raise VietQrNotText(f"A control character stands at character {found.start()}.")
    return text


def _check_crc(text: str, checksum: str) -> None:
    try:
        expected = crc16(text[:-4].encode("utf-8"))
    except UnicodeEncodeError as error:
        raise VietQrNotText(f"Half a character stands at character {error.start}.") from None
    if checksum.upper() != expected or not CRC.fullmatch(checksum):
        raise VietQrCrcMismatch(found=checksum, expected=expected)


def _name_scheme(root: dict[str, str], account: dict[str, str]) -> VietQrOtherScheme:
    """Say whose code it is: NAPAS's in a wrong field, that of 38, or the first that is named."""
    guids = {tag: guid for tag in root if tag in SCHEME_TAGS and (guid := _find_guid(root[tag]))}
    misplaced = next((tag for tag, guid in guids.items() if guid == GUID_NAPAS), None)
    if misplaced is not None:
        return VietQrOtherScheme(GUID_NAPAS, field=misplaced)
    if "38" in root:
        return VietQrOtherScheme(account.get("00") or None, field="38")
    return VietQrOtherScheme(next(iter(guids.values()), None))


def _find_guid(template: str) -> str | None:
    try:
        return read_tlv(template).get("00")
    except VietQrError:
        return None


def _read_point(value: str | None) -> PointOfInitiation:
    if value is None:
        raise VietQrMissingField("01", "says whether the code is static or dynamic.")
    if value not in POINTS:
        raise VietQrBadValue("01", f"is {value!r}, neither 11 nor 12.")
    return POINTS[value]


def _read_bin(value: str | None) -> str:
    if not value:
        raise VietQrMissingField("38.01.00", "names the bank.")
    if not BIN.fullmatch(value):
        raise VietQrBadValue("38.01.00", f"is {value!r}, not six digits.")
    return value


def _read_account(value: str | None) -> str:
    if not value or value.isspace():
        raise VietQrMissingField("38.01.01", "names the account.")
    return value


def _read_service(value: str) -> Service:
    if value not in SERVICES:
        raise VietQrBadValue("38.02", f"is {value!r}, a service we do not know.")
    return SERVICES[value]


def _read_currency(value: str | None) -> str | None:
    if value and value != CURRENCY_VND:
        raise VietQrBadValue("53", f"is {value!r}, not đồng (704).")
    return value


def _read_amount(tag: str, value: str | None) -> int | None:
    if not value:
        return None
    found = AMOUNT.fullmatch(value)
    if found is None:
        raise VietQrBadValue(tag, f"is {value!r}, not whole đồng.")
    amount_vnd = int(found[1])
    if amount_vnd == 0:
        raise VietQrBadValue(tag, "is zero.")
    return amount_vnd


def _read_additional(values: dict[str, str]) -> AdditionalData:
    get = values.get
    return AdditionalData(
        bill_number=get("01"),
        mobile=get("02"),
        store_label=get("03"),
        loyalty_number=get("04"),
        reference_label=get("05"),
        customer_label=get("06"),
        terminal_label=get("07"),
        purpose=get("08"),
        consumer_request=get("09"),
        others=_others(values, ADDITIONAL_TAGS),
    )


def _read_language(values: dict[str, str]) -> AlternateLanguage:
    return AlternateLanguage(
        language=values.get("00"),
        merchant_name=values.get("01"),
        merchant_city=values.get("02"),
        others=_others(values, LANGUAGE_TAGS),
    )


def _others(values: dict[str, str], known: Iterable[str]) -> Others:
    rest = values.keys() - known
    return tuple((tag, values[tag]) for tag in sorted(rest)) if rest else ()
