"""Tools for integrators: VietQR codes, references and memos, one JSON object for each line.

They run on the code that the hub runs and need no hub (json_lines). Imports of what is slow to
load (fonts, pictures) are nowhere on these ways.
"""

import json
import secrets
from typing import Any, Final, TextIO

from ops.cli.json_lines import Answer, Lines, Refused, answer_lines, make_error, write_line
from payments.bills.references import (
    SERIAL_COUNT,
    find_references,
    is_org_code,
    make_reference,
)
from payments.vietqr import (
    AdditionalData,
    PointOfInitiation,
    Service,
    VietQr,
    build,
    parse,
)

DECODED_KEYS: Final = (
    "point_of_initiation",
    "bin",
    "account",
    "service",
    "amount_vnd",
    "purpose",
    "merchant_name",
    "merchant_city",
    "additional",
    "crc",
)
SUBFIELDS: Final = {
    "01": "bill_number",
    "02": "mobile",
    "03": "store_label",
    "04": "loyalty_number",
    "05": "reference_label",
    "06": "customer_label",
    "07": "terminal_label",
    "08": "purpose",
    "09": "consumer_request",
}


def run_vietqr_decode(lines: Lines, out: TextIO) -> int:
    """Answer each payload with its fields (DECODED_KEYS), as a scanner's app would read them.

    `additional` maps the subfields of object 62 ("01" … "99") to their text; `crc` is as it
    stands in the payload. Returns 0: a payload that is refused is an answer, not a failure.
    """
    return answer_lines(lines, out, _decode)


def run_vietqr_build(lines: Lines, out: TextIO) -> int:
    """Answer each JSON object with {"payload"}; it takes the keys that decode prints.

    `bin` and `account` are needed. Left out, `service` is QRIBFTTA and `point_of_initiation` is
    "12" with an amount and "11" without; `crc` is not looked at. Returns 0.
    """
    return answer_lines(lines, out, _build)


def run_memo_find(lines: Lines, out: TextIO) -> int:
    """Answer each memo, an empty one too, with {"references": [{"reference", "org", "rule"}]}.

    Returns 0.
    """
    return answer_lines(lines, out, _find)


def run_reference_make(org: str, n: int, out: TextIO) -> int:
    """Print n different references of one organisation code, each {"reference", "org"}.

    They start at a random serial: two runs hardly ever meet. A running hub numbers its own
    bills and knows nothing of these.

    Returns:
        0, or 2 where the arguments are refused (then one {"error"} is printed).
    """
    if not is_org_code(org):
        detail = f"{org[:20]!r} is not four characters of 23456789ABCDEFGHJKMNPQRSTVWXYZ."
        return 2 if write_line(out, make_error("invalid_org_code", detail)) else 0
    if not 0 <= n <= SERIAL_COUNT:
        detail = f"The number of references must lie between 0 and {SERIAL_COUNT}."
        return 2 if write_line(out, make_error("invalid_count", detail)) else 0
    start = secrets.randbelow(SERIAL_COUNT)
    for step in range(n):
        reference = make_reference(org, (start + step) % SERIAL_COUNT)
        if not write_line(out, {"reference": reference, "org": org}):
            break
    return 0


def _decode(line: str) -> Answer:
    code = parse(line)
    data = code.additional
    additional = None
    if data is not None:
        named = ((tag, getattr(data, name)) for tag, name in SUBFIELDS.items())
        additional = {tag: text for tag, text in named if text is not None} | dict(data.others)
    return {
        "point_of_initiation": code.point_of_initiation.value,
        "bin": code.bin,
        "account": code.account,
        "service": code.service and code.service.value,
        "amount_vnd": code.amount_vnd,
        "purpose": code.purpose,
        "merchant_name": code.merchant_name,
        "merchant_city": code.merchant_city,
        "additional": additional,
        "crc": line.strip("\ufeff \t")[-4:],
    }


def _build(line: str) -> Answer:
    facts = _read_object(line)
    if unknown := sorted(facts.keys() - set(DECODED_KEYS)):
        raise Refused("unknown_key", f"{unknown[0][:40]!r} is not one of {list(DECODED_KEYS)}.")
    amount_vnd = facts.get("amount_vnd")
    if amount_vnd is not None and type(amount_vnd) is not int:
        raise Refused("wrong_type", "'amount_vnd' must be a whole number, such as 5000, or null.")
    default = PointOfInitiation.STATIC if amount_vnd is None else PointOfInitiation.DYNAMIC
    point = _read_text(facts, "point_of_initiation") or default.value
    if point not in set(PointOfInitiation):
        raise Refused("vietqr_bad_value", '\'point_of_initiation\' must be "11" or "12".')
    # Absent means ours; null is what decode prints for a code that names none.
    service = _read_text(facts, "service") if "service" in facts else Service.QRIBFTTA.value
    if service is not None and service not in set(Service):
        raise Refused("vietqr_bad_value", f"'service' must be one of {list(map(str, Service))}.")
    code = VietQr(
        point_of_initiation=PointOfInitiation(point),
        bin=_need_text(facts, "bin"),
        account=_need_text(facts, "account"),
        service=None if service is None else Service(service),
        amount_vnd=amount_vnd,
        additional=_read_additional(facts),
        merchant_name=_read_text(facts, "merchant_name"),
        merchant_city=_read_text(facts, "merchant_city"),
    )
    return {"payload": build(code)}


def _find(line: str) -> Answer:
    return {
        "references": [
            {"reference": found.reference, "org": found.org_code, "rule": found.rule.value}
            for found in find_references(line)
        ]
    }


def _read_object(line: str) -> dict[str, Any]:
    """Read one JSON object, in which each key stands once."""

    def refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        facts = dict(pairs)
        if len(facts) != len(pairs):
            raise Refused("repeated_key", "A key stands twice.")
        return facts

    try:
        facts = json.loads(line, object_pairs_hook=refuse_twice)
    except (ValueError, RecursionError):  # ValueError: not JSON, or a number of endless digits
        raise Refused("invalid_json", "The line is not a JSON object.") from None
    if not isinstance(facts, dict):
        raise Refused("invalid_json", "The line is JSON, but not an object.")
    return facts


def _read_text(facts: dict[str, Any], key: str) -> str | None:
    value = facts.get(key)
    if value is not None and not isinstance(value, str):
        raise Refused("wrong_type", f"{key!r} must be text or null.")
    return value


def _need_text(facts: dict[str, Any], key: str) -> str:
    value = _read_text(facts, key)
    if value is None:
        raise Refused("vietqr_missing_field", f"{key!r} is needed.")
    return value


def _read_additional(facts: dict[str, Any]) -> AdditionalData | None:
    additional = facts.get("additional")
    if additional is None:
        additional = {}
    if not isinstance(additional, dict):
        raise Refused("wrong_type", "'additional' must be an object of texts or null.")
    values: dict[str, str] = {}
    for tag, text in additional.items():
        if not (len(tag) == 2 and tag.isascii() and tag.isdigit() and tag != "00"):
            raise Refused("unknown_key", "A key of 'additional' is not one of 01 to 99.")
        if not isinstance(text, str):
            raise Refused("wrong_type", f"'additional' {tag} must be text.")
        values[tag] = text
    purpose = _read_text(facts, "purpose")
    if purpose is not None and values.setdefault("08", purpose) != purpose:
        raise Refused("contradiction", "'purpose' and 'additional' 08 differ.")
    if not values:
        return None
    named = {name: values.pop(tag, None) for tag, name in SUBFIELDS.items()}
    return AdditionalData(**named, others=tuple(sorted(values.items())))
