"""Reading what providers send: JSON without surprises, whole amounts, clean texts, Hà Nội times."""

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, NoReturn

import msgspec

from core.money import VND_MAX
from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.types import ID_CHARS_MAX, MEMO_CHARS_MAX, NAME_CHARS_MAX

# Việt Nam has kept UTC+7 without daylight saving since 1975; a fixed offset is quicker than a zone.
HANOI_OFFSET: Final = timezone(timedelta(hours=7))
# Beyond this JavaScript rounds whole numbers, so two ids could share one signature.
SAFE_INTEGER_MAX: Final = 2**53 - 1
YEARS: Final = range(2000, 2100)

_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?P<time>[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Controls (also NUL, which PostgreSQL refuses), bidi and zero-width marks, lone surrogates.
_UNWANTED: Final = frozenset({"Cc", "Cf", "Cs"})
_LONE_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
BOM: Final = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


def parse_json(body: bytes) -> Any:
    """Return the JSON value, with repeated keys as JSON.parse has them: the last one counts.

    A byte order mark before it is dropped, which PHP and .NET senders write (RFC 8259 §8.1).
    Half a surrogate pair ("\\ud83d" alone), which JSON.stringify can send, is accepted; clean_text
    removes it. NaN, Infinity, numbers beyond a double and non-UTF-8 are not JSON.

    Raises:
        UnreadableNotice: not JSON, or nested so deep that nobody meant it.
    """
    body = body.removeprefix(BOM)
    try:
        return _decode(body)
    except RecursionError:
        raise UnreadableNotice(Fault.BODY, "nested too deeply") from None
    except ValueError:  # msgspec.DecodeError and UnicodeDecodeError are both ValueErrors
        if not _LONE_SURROGATE.search(body):
            raise UnreadableNotice(Fault.BODY, "not JSON in UTF-8") from None
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise UnreadableNotice(Fault.BODY, "not JSON in UTF-8") from None


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, or raise UnreadableNotice."""
    value = parse_json(body)
    if type(value) is not dict:
        raise UnreadableNotice(Fault.BODY, "not a JSON object")
    return value


def read_amount(value: object) -> int:
    """Return a signed amount in đồng, never 0.

    All four providers document a whole JSON number. 5000.0, 5e3, "5000" and true are refused:
    whoever sends them has changed the contract, and a person should look before money is booked.
    """
    if type(value) is not int:
        raise UnreadableNotice(Fault.AMOUNT, "not a whole JSON number")
    if not 1 <= abs(value) <= VND_MAX:
        raise UnreadableNotice(Fault.AMOUNT, f"not between 1 and {VND_MAX} ₫")
    return value


def read_id(value: object, fault: Fault) -> str:
    """Return an identifier that is compared byte by byte: present, short, printable, unchanged.

    Numbers are accepted up to 2^53 − 1. Unlike free texts an id is never cut or cleaned, since
    two ids could become one.
    """
    if type(value) is int and abs(value) <= SAFE_INTEGER_MAX:
        return str(value)
    if type(value) is not str or not (text := value.strip()):
        raise UnreadableNotice(fault, "missing, or not text or a safe whole number")
    if len(text) > ID_CHARS_MAX or not text.isprintable():
        raise UnreadableNotice(fault, f"over {ID_CHARS_MAX} characters, or not printable")
    return text


def find_id(value: object, fault: Fault) -> str | None:
    """Return an identifier that may be absent: null, "" and spaces are None."""
    if value is None or (type(value) is str and not value.strip()):
        return None
    return read_id(value, fault)


def read_memo(value: object) -> str:
    """Return the transfer memo, cleaned; null is "". Spaces inside are kept as they came.

    Over 1,000 characters the rest is dropped from the credit and "…" says so: a reference stands
    at the front, and the stored raw body keeps every byte.
    """
    if value is None:
        return ""
    if type(value) is not str:
        raise UnreadableNotice(Fault.MEMO, "not text")
    return clean_text(value, MEMO_CHARS_MAX)


def find_name(value: object) -> str | None:
    """Return a payer's name, account or bank. It is only shown, so what is odd is left out."""
    if type(value) is not str:
        return None
    return clean_text(value, NAME_CHARS_MAX) or None


def list_names(*values: object) -> tuple[str, ...]:
    """Return those of some names that are given, cleaned."""
    return tuple(name for name in map(find_name, values) if name is not None)


def clean_text(text: str, chars_max: int) -> str:
    """Make a text safe to store and show: one line, no controls, no NUL, no half characters."""
    if not text.isprintable():
        text = "".join(
            char if unicodedata.category(char) not in _UNWANTED else " " * (char in "\t\n\r")
            for char in text
        )
    text = text.strip()
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def read_instant(value: object) -> tuple[datetime, bool]:
    """Return (aware UTC instant, whether only a date was given).

    "2023-02-04 18:25:00" and "2023-02-04T18:25:00" are Hà Nội time, a zone in the text is obeyed,
    and "2023-02-04" is the first instant of that day in Hà Nội.
    """
    if type(value) is not str or not (found := _INSTANT.fullmatch(value)):
        raise UnreadableNotice(Fault.TIME, "not YYYY-MM-DD HH:MM:SS")
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise UnreadableNotice(Fault.TIME, "no such day or time") from None
    if instant.year not in YEARS:
        raise UnreadableNotice(Fault.TIME, "not between 2000 and 2099")
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=HANOI_OFFSET)
    return instant.astimezone(UTC), found["time"] is None


def read_unix_ms(value: object) -> datetime:
    """Return the instant of a Unix time in milliseconds; seconds are refused, not guessed."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 15:
        value = int(value)
    if type(value) is not int or not 0 <= value <= 10**14:
        raise UnreadableNotice(Fault.TIME, "not a Unix time in milliseconds")
    instant = _EPOCH + timedelta(milliseconds=value)
    if instant.year not in YEARS:
        raise UnreadableNotice(Fault.TIME, "not between 2000 and 2099 in milliseconds")
    return instant


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
