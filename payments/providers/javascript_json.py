"""JSON as JavaScript writes it, because payOS and Casso sign what their Node servers print.

Source: ECMA-262, Number::toString, SerializeJSONProperty (JSON.stringify) and
OrdinaryOwnPropertyKeys (keys such as "10" come first, as numbers). Held against a real Node
in tests/payments/providers/test_provider_javascript.py where one is installed.
"""

import json
import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.fields import SAFE_INTEGER_MAX

# Real notices are two levels deep; a limit of our own comes long before Python's recursion limit.
DEPTH_MAX: Final = 16

_ARRAY_INDEX: Final = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)
_ARRAY_INDEX_MAX: Final = 2**32 - 2
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_write_text = json.JSONEncoder(ensure_ascii=False).encode


def js_number(number: Any) -> str:
    """Write a JSON number as String(number) does: 5000.0 → 5000, 1e21 → 1e+21, 1e-7 → 1e-7.

    Every number of JavaScript is a double: 2**53 + 1 is written 9007199254740992.

    Raises:
        UnreadableNotice: the number is beyond a double.
    """
    if type(number) is int:
        if abs(number) <= SAFE_INTEGER_MAX:
            return str(number)
        try:
            number = number / 1  # the nearest double
        except OverflowError:
            raise UnreadableNotice(Fault.BODY, "a number beyond a double") from None
    if not isfinite(number):
        raise UnreadableNotice(Fault.BODY, "a number beyond a double")
    if number == 0:
        return "0"  # also for -0
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)  # where the decimal point stands, counted in digits
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    return sign + _place_point(digits, point)


def js_text(value: Any, *, is_sorted: bool = True) -> str:
    """Write a value as JSON.stringify does, with the keys of every object sorted.

    Args:
        value: what parse_json returned.
        is_sorted: False keeps the order in which keys came.

    Raises:
        UnreadableNotice: nested over 16 levels, or a number beyond a double.
    """
    return _write(value, is_sorted, DEPTH_MAX)


def js_sorted_keys(keys: Iterable[str]) -> list[str]:
    """Return keys in the order in which Node enumerates a sorted copy of an object.

    Array.sort compares UTF-16 code units; keys that look like array indexes come first.
    """
    ordered = sorted(keys)
    if not "".join(ordered).isascii():
        ordered.sort(key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    indexes = [key for key in ordered if _is_array_index(key)]
    if not indexes:
        return ordered
    rest = [key for key in ordered if not _is_array_index(key)]
    return sorted(indexes, key=int) + rest


def to_utf8(text: str) -> bytes:
    """Encode as Node does when it hashes a string: half a surrogate pair becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def _write(value: Any, is_sorted: bool, depth_left: int) -> str:
    if isinstance(value, str):
        return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", _write_text(value))
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, list | dict):
        return js_number(value)
    if not depth_left:
        raise UnreadableNotice(Fault.BODY, f"nested over {DEPTH_MAX} levels")
    if isinstance(value, list):
        return f"[{','.join([_write(item, is_sorted, depth_left - 1) for item in value])}]"
    keys = js_sorted_keys(value) if is_sorted else value
    members = [
        f"{_write(key, is_sorted, 0)}:{_write(value[key], is_sorted, depth_left - 1)}"
        for key in keys
    ]
    return f"{{{','.join(members)}}}"


def _is_array_index(key: str) -> bool:
    return _ARRAY_INDEX.fullmatch(key) is not None and int(key) <= _ARRAY_INDEX_MAX


def _place_point(digits: str, point: int) -> str:
    """Write digits with the decimal point after `point` of them (ECMA-262, Number::toString)."""
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{tail}e{point - 1:+d}"
