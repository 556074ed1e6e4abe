"""`./phopay tariff`: prices of stays, as the hub makes them; needs no hub.

With --in and --out one JSON object is printed; without them lines of input, JSON objects with
"class", "in" and "out", are answered one by one. An instant without an offset is Hà Nội's.
"""

import contextlib
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from ops.cli.options import add_command, add_group

if TYPE_CHECKING:
    from ops.cli.json_lines import Answer, Lines
    from ops.cli.options import Options, Parsers
    from parking.tariffs.structure import Tariff

QUOTED_KEYS: Final = ("amount_vnd", "lines", "tariff", "class", "in", "out", "minutes", "tax_vnd")
INPUT_KEYS: Final = ("class", "in", "out", "zone", "user_group", "units", "is_ticket_lost")


def add_tariff(commands: "Parsers") -> "Parsers":
    """Add the group of commands; what is returned takes more of them."""
    tariff = add_group(commands, "tariff", "price stays by a tariff")
    quote = add_command(tariff, "quote", _quote, "what a stay costs, line by line, as JSON")
    quote.add_argument(
        "--tariff", metavar="FILE|NAME", required=True, help="a document, or a sample's name"
    )
    quote.add_argument("--class", metavar="C", dest="class", help="car, motorbike, bicycle, …")
    quote.add_argument("--in", metavar="T", dest="in", help="when it came, 2026-11-28T08:00")
    quote.add_argument("--out", metavar="T", dest="out", help="when it leaves")
    quote.add_argument("--zone", metavar="ZONE", help="where the tariff has several")
    quote.add_argument("--user-group", metavar="GROUP", help="such as regular, at a school")
    quote.add_argument("--units", metavar="N", type=int, help="spaces that the vehicle takes (1)")
    quote.add_argument(
        "--lost-ticket", action="store_true", dest="is_ticket_lost", default=None,
        help="without the ticket, and with --out alone if the entry is not known",
    )  # fmt: skip
    add_command(tariff, "samples", _samples, "names of the samples, one JSON object a line")
    return tariff


def run_tariff_quote(tariff: str, given: dict[str, Any], lines: "Lines", out: TextIO) -> int:
    """Answer one stay, or each line of input where no stay is given, with QUOTED_KEYS.

    Returns:
        0, or 2 where the tariff or the one stay is refused (then one {"error"} is printed).
    """
    from core.errors import HubError
    from ops.cli.json_lines import Refused, answer_lines, write_line

    facts = {key: value for key, value in given.items() if value is not None}
    try:
        known = _read_tariff(tariff)
        if "in" in facts or "out" in facts:
            write_line(out, _price(known, facts))
            return 0
    except (HubError, Refused) as error:
        write_line(out, _word_error(error))
        return 2
    return answer_lines(lines, out, lambda line: _price(known, {**facts, **_read_line(line)}))


def run_tariff_samples(out: TextIO) -> int:
    """Print {"name", "title", "classes"} of each sample. Returns 0."""
    from ops.cli.json_lines import write_line
    from parking.tariffs.reading import read_sample, sample_names

    for name in sample_names():
        tariff = read_sample(name)
        classes = sorted(
            {str(one) for table in tariff.rate_tables for one in table.vehicle_classes}
        )
        if not write_line(out, {"name": name, "title": tariff.name, "classes": classes}):
            break
    return 0


def _quote(options: "Options") -> int:
    given = {key: getattr(options, key) for key in INPUT_KEYS}
    return run_tariff_quote(options.tariff, given, sys.stdin.buffer, sys.stdout)


def _samples(options: "Options") -> int:
    return run_tariff_samples(sys.stdout)


def _read_tariff(named: str) -> "Tariff":
    from ops.cli.json_lines import Refused
    from parking.tariffs.reading import (
        DOCUMENT_BYTES_MAX,
        read_sample,
        read_tariff,
        sample_names,
    )

    path = Path(named)
    is_name = not (path.suffix or "/" in named or path.exists())
    if named in sample_names() or is_name:
        return read_sample(named)
    try:
        with path.open("rb") as file:
            return read_tariff(file.read(DOCUMENT_BYTES_MAX + 1))
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "that is no name of a file"
        raise Refused("file_not_readable", f"{named[:200]!r}: {reason}.") from None


def _price(tariff: "Tariff", facts: dict[str, Any]) -> "Answer":
    from api.pages.tariff_lines import present_line
    from parking.tariffs.charges import Stay, instant_of, local_minute
    from parking.tariffs.pricing import price_stay_by_versions

    if unknown := sorted(facts.keys() - set(INPUT_KEYS)):
        raise _refused("unknown_key", f"{unknown[0][:40]!r} is not one of {list(INPUT_KEYS)}.")
    entered_at = _read_instant(facts, "in") if "in" in facts else None
    left_at = _read_instant(facts, "out")
    stay = Stay(
        vehicle_class=_read_class(facts),
        entered_at=entered_at,
        zone=_read_text(facts, "zone"),
        user_group=_read_text(facts, "user_group"),
        units=_read_units(facts),
        is_ticket_lost=facts.get("is_ticket_lost", False) is True,
    )
    if entered_at is None and not stay.is_ticket_lost:
        raise _refused("missing", "'in' is needed: when the vehicle came.")
    price = price_stay_by_versions([tariff], stay, left_at=left_at)
    entered, left = (local_minute(one) if one else None for one in (entered_at, left_at))
    return {
        "amount_vnd": price.amount_vnd,
        "lines": [
            {
                "code": line.code.value,
                "amount_vnd": line.amount_vnd,
                **line.facts,
                "text": present_line("vi", line),
                "text_en": present_line("en", line),
            }
            for line in price.lines
        ],
        "tariff": tariff.code,
        "class": stay.vehicle_class.value,
        "in": entered and instant_of(entered).isoformat(),
        "out": left and instant_of(left).isoformat(),
        "minutes": entered and left and left - entered,
        "tax_vnd": price.tax_vnd,
    }


def _read_line(line: str) -> dict[str, Any]:
    import json

    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise _refused("invalid_json", "The line is not a JSON object.")
    return facts


def _read_instant(facts: dict[str, Any], key: str) -> datetime:
    from core.clock import HANOI

    with contextlib.suppress(ValueError, TypeError):
        instant = datetime.fromisoformat(facts.get(key, ""))
        return instant if instant.tzinfo else instant.replace(tzinfo=HANOI)
    raise _refused("bad_value", f"{key!r} must be an instant such as 2026-11-28T09:30:00+07:00.")


def _read_class(facts: dict[str, Any]) -> Any:
    from parking.vehicles import VehicleClass

    with contextlib.suppress(ValueError):
        return VehicleClass(str(facts.get("class")))
    raise _refused("bad_value", f"'class' must be one of {', '.join(VehicleClass)}.")


def _read_text(facts: dict[str, Any], key: str) -> str | None:
    value = facts.get(key)
    if value is not None and not isinstance(value, str):
        raise _refused("wrong_type", f"{key!r} must be text or null.")
    return value


def _read_units(facts: dict[str, Any]) -> int:
    units = facts.get("units", 1)
    if type(units) is not int or not 1 <= units <= 100:
        raise _refused("bad_value", "'units' must be a whole number from 1 to 100.")
    return units


def _refused(code: str, detail: str) -> Exception:
    from ops.cli.json_lines import Refused

    return Refused(code, detail)


def _word_error(error: Exception) -> "Answer":
    from ops.cli.json_lines import make_error

    answer = make_error(getattr(error, "code", "refused"), str(error))
    if violations := getattr(error, "violations", ()):
        answer["error"]["violations"] = [
            {"field": one.field, "code": one.code, "detail": one.detail} for one in violations
        ]
    return answer
