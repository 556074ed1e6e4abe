"""Tariffs from documents: TOML or JSON in, a Tariff out, or every fault with its path.

The shape is in docs/tariffs.md. Nothing is guessed: an unknown key is a fault, and says which one
was perhaps meant.
"""

import json
import re
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any, Final

from core.errors import Violation
from parking.places.rules import PaymentTiming
from parking.tariffs.document import Part, read_part
from parking.tariffs.errors import TariffNotReadable, TariffSampleNotFound
from parking.tariffs.structure import (
    DAY_MINUTES,
    ORDINARY_DAY,
    AmountRounding,
    BlockRounding,
    BoundaryRule,
    DayRule,
    DayType,
    FreeMinutesRule,
    Ladder,
    LostTicketRule,
    MonthlyPrice,
    MonthlyScope,
    RateLine,
    RateLineCollection,
    RateLineType,
    RateTable,
    Rounding,
    Seller,
    SpecialDay,
    Tariff,
    Window,
)
from parking.vehicles import VehicleClass

FORMAT: Final = 1
DOCUMENT_BYTES_MAX: Final = 65_536
TABLES_MAX: Final = 40
COLLECTIONS_MAX: Final = 10
LINES_MAX: Final = 40
SPECIAL_DAYS_MAX: Final = 200
NAMES_MAX: Final = 50
PRICE_VND_MAX: Final = 100_000_000  # for one line; a month's price too
LINE_MINUTES_MAX: Final = 366 * DAY_MINUTES
FREE_MINUTES_MAX: Final = DAY_MINUTES
GRACE_MINUTES_MAX: Final = 240

SAMPLES: Final = Path(__file__).with_name("samples")
_CODE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAX_CODE: Final = re.compile(r"\d{10}(-\d{3})?|\d{12}")


def read_tariff(document: str | bytes) -> Tariff:
    """Return the tariff that a document describes, in TOML or, where it begins with `{`, in JSON.

    Raises:
        TariffNotReadable: it has faults; all of them are listed, each with its path.
    """
    return build_tariff(_parse(document))


def read_document(document: str | bytes) -> dict[str, Any]:
    """Return a document in the values of JSON, as it is stored; what it says is not looked at.

    Raises:
        TariffNotReadable: it is neither TOML nor JSON, or too large.
    """
    plain: dict[str, Any] = _to_json(_parse(document))
    return plain


def build_tariff(facts: dict[str, Any]) -> Tariff:
    """Return the tariff of a document that is parsed already.

    Raises:
        TariffNotReadable: as read_tariff.
    """
    part = read_part(facts)
    tariff = _read_tariff(part)
    if part.faults:
        raise TariffNotReadable(part.faults)
    return tariff


def sample_names() -> list[str]:
    """Return the names of the tariffs that ship with the product."""
    return sorted(path.stem for path in SAMPLES.glob("*.toml"))


def read_sample(name: str) -> Tariff:
    """Return a tariff that ships with the product: an unverified sample.

    Raises:
        TariffSampleNotFound: there is none of this name.
    """
    return build_tariff(read_sample_document(name))


def read_sample_document(name: str) -> dict[str, Any]:
    """Return the document of a sample, to start from.

    Raises:
        TariffSampleNotFound: there is none of this name.
    """
    if name not in sample_names():
        raise TariffSampleNotFound(name, sample_names())
    return read_document((SAMPLES / f"{name}.toml").read_bytes())


def read_sample_facts(name: str) -> dict[str, Any]:
    """Return a sample's document as it is stored: plain JSON values.

    Raises:
        TariffSampleNotFound: there is none of this name.
    """
    read_sample(name)
    facts = _parse((SAMPLES / f"{name}.toml").read_bytes())
    plain: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return plain


def _parse(document: str | bytes) -> dict[str, Any]:
    raw = document.encode() if isinstance(document, str) else document
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise _unreadable(f"It is larger than {DOCUMENT_BYTES_MAX} bytes.")
    try:
        text = raw.decode("utf-8-sig")
        facts = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"It is neither TOML nor JSON: {error}"[:300]) from None
    assert isinstance(facts, dict)
    return facts


def _to_json(value: Any) -> Any:
    """Write TOML's days and times of day as texts, which build_tariff reads alike."""
    if isinstance(value, dict):
        return {key: _to_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_to_json(one) for one in value]
    if isinstance(value, time):
        return value.strftime("%H:%M")
    return value.isoformat() if isinstance(value, date) else value


def _unreadable(detail: str) -> TariffNotReadable:
    return TariffNotReadable([Violation(field="document", code="unreadable", detail=detail)])


def _read_tariff(part: Part) -> Tariff:
    if part.number("format", most=1_000) != FORMAT:
        part.fault("format", "not_supported", f"Write format = {FORMAT}.")
    code = part.text("code", chars_max=60)
    if code and not _CODE.fullmatch(code):
        part.fault("code", "bad_value", "Use small letters, digits and single hyphens.")
    name = part.text("name")
    valid_from_on = part.day("valid_from_on") or date.max
    valid_until_on = part.day("valid_until_on", is_needed=False)
    if valid_until_on and valid_until_on <= valid_from_on != date.max:
        part.fault("valid_until_on", "bad_value", "It must come after valid_from_on.")
    tariff = Tariff(
        code=code,
        name=name,
        name_en=part.text("name_en", is_needed=False) or name,
        legal_basis=part.text("legal_basis"),
        source=part.text("source", is_needed=False),
        is_unverified_sample=part.flag("is_unverified_sample", default=False),
        seller=_read_seller(part.part("seller")),
        valid_from_on=valid_from_on,
        valid_until_on=valid_until_on,
        payment_timing=part.choice("payment_timing", PaymentTiming),
        tax_rate_bps=part.number("tax_rate_bps", most=10_000, is_needed=False),
        free_minutes=part.number("free_minutes", most=FREE_MINUTES_MAX, default=0),
        free_minutes_rule=part.choice(
            "free_minutes_rule", FreeMinutesRule, default=FreeMinutesRule.WHOLE_STAY
        ),
        exit_grace_minutes=part.number("exit_grace_minutes", most=GRACE_MINUTES_MAX, default=0),
        rounding=_read_rounding(part.part("rounding", is_needed=False)),
        minimum_vnd=part.number("minimum_vnd", most=PRICE_VND_MAX, default=0),
        lost_ticket_vnd=part.number("lost_ticket_vnd", most=PRICE_VND_MAX, is_needed=False),
        lost_ticket_rule=part.choice(
            "lost_ticket_rule", LostTicketRule, default=LostTicketRule.ADDED
        ),
        day_rule=part.choice("day_rule", DayRule, default=DayRule.START),
        boundary_rule=part.choice("boundary_rule", BoundaryRule, default=BoundaryRule.FINISH_BLOCK),
        special_days=tuple(
            map(_read_special_day, part.parts("special_days", most=SPECIAL_DAYS_MAX, least=0))
        ),
        rate_tables=tuple(map(_read_table, part.parts("rate_tables", most=TABLES_MAX))),
    )
    _refuse_what_no_gate_does(part)
    part.refuse_unknown_keys()
    return tariff


def _refuse_what_no_gate_does(part: Part) -> None:
    """Refuse the values of two rules that no gate follows; their defaults may be written."""
    if part.one_of("version_rule", ["entry", "clock"], default="entry") == "clock":
        part.fault(
            "version_rule", "not_supported",
            "A stay keeps the version that held when it began: leave version_rule out.",
        )  # fmt: skip
    if part.flag("refunds_unused", default=False):
        part.fault(
            "refunds_unused", "not_supported",
            "What was paid ahead and not used is not given back: leave refunds_unused out.",
        )  # fmt: skip


def _read_seller(part: Part) -> Seller:
    seller = Seller(part.text("name"), part.text("address"), part.text("tax_code", chars_max=20))
    if seller.tax_code and not _TAX_CODE.fullmatch(seller.tax_code):
        part.fault(
            "tax_code",
            "bad_value",
            "A tax code has 10 digits, 10 and -NNN, or the 12 of a citizen.",
        )
    part.refuse_unknown_keys()
    return seller


def _read_rounding(part: Part) -> Rounding:
    rounding = Rounding(
        blocks=part.choice("blocks", BlockRounding, default=BlockRounding.STARTED),
        amount=part.choice("amount", AmountRounding, default=AmountRounding.UP),
        amount_step_vnd=part.number("amount_step_vnd", least=1, most=100_000, default=1),
    )
    part.refuse_unknown_keys()
    return rounding


def _read_special_day(part: Part) -> SpecialDay:
    kinds = [*DayType][:4]
    written = part.one_of("type", [*kinds, ORDINARY_DAY])
    day = SpecialDay(
        on=part.day("on") or date.max,
        type=None if written in ("", ORDINARY_DAY) else DayType(written),
        name=part.text("name", is_needed=False),
    )
    part.refuse_unknown_keys()
    return day


def _read_table(part: Part) -> RateTable:
    zones, groups = part.texts("zones", most=NAMES_MAX), part.texts("user_groups", most=NAMES_MAX)
    monthly = tuple(
        map(_read_monthly, part.parts("monthly_prices", most=len(MonthlyScope), least=0))
    )
    collections = part.parts("rate_line_collections", most=COLLECTIONS_MAX)
    table = RateTable(
        name=part.text("name", is_needed=False),
        name_en=part.text("name_en", is_needed=False),
        vehicle_classes=part.choices("vehicle_classes", VehicleClass),
        zones=frozenset(zones),
        user_groups=frozenset(groups),
        days=part.choices("days", DayType),
        entry_window=part.window("entry_window"),
        monthly=monthly,
        collections=tuple(map(_read_collection, collections)),
    )
    part.refuse_unknown_keys()
    return table


def _read_monthly(part: Part) -> MonthlyPrice:
    scope = part.choice("scope", MonthlyScope)
    price = MonthlyPrice(scope, part.number("value_vnd", most=PRICE_VND_MAX))
    part.refuse_unknown_keys()
    return price


def _read_collection(part: Part) -> RateLineCollection:
    window = part.window("window")
    lines = part.parts("rate_lines", most=LINES_MAX)
    reset_after = part.number(
        "reset_after_minutes", least=1, most=LINE_MINUTES_MAX, is_needed=False
    )
    reset_time = part.clock("reset_time")
    if reset_after is not None and reset_time is not None:
        part.fault("reset_time", "contradiction", "Give reset_time or reset_after_minutes.")
    collection = RateLineCollection(
        name=part.text("name", is_needed=False),
        name_en=part.text("name_en", is_needed=False),
        max_value_vnd=part.number("max_value_vnd", most=PRICE_VND_MAX, is_needed=False),
        reset_time=None if reset_time is None else reset_time % DAY_MINUTES,
        reset_after=reset_after,
        restarts_each_window=part.flag("restarts_each_window", default=True),
        ladders=_read_ladders(part, [(one, _read_line(one, window)) for one in lines]),
    )
    part.refuse_unknown_keys()
    return collection


def _read_line(part: Part, window: Window | None) -> RateLine:
    type_ = part.choice("type", RateLineType)
    start = part.number("duration_start_minutes", most=LINE_MINUTES_MAX, default=0)
    end = part.number("duration_end_minutes", most=LINE_MINUTES_MAX, is_needed=False)
    if end is not None and end <= start:
        part.fault("duration_end_minutes", "bad_value", f"It must be more than {start}.")
    increment = 0
    if type_ is RateLineType.INCREMENTING_RATE:
        increment = part.number("increment_minutes", least=1, most=LINE_MINUTES_MAX)
        if end is not None and end > start and increment and (end - start) % increment:
            part.fault(
                "duration_end_minutes", "bad_value",
                f"From {start} to {end} minutes is no whole number of blocks of {increment}.",
            )  # fmt: skip
    line = RateLine(
        type=type_,
        value_vnd=part.number("value_vnd", most=PRICE_VND_MAX),
        duration_start=start,
        duration_end=end,
        increment=increment,
        blocks=part.number("blocks", least=1, most=100, default=1)
        if type_ is RateLineType.FLAT_RATE
        else 1,
        window=part.window("window") or window,
        name=part.text("name", is_needed=False),
        name_en=part.text("name_en", is_needed=False),
    )
    part.refuse_unknown_keys()
    return line


def _read_ladders(part: Part, lines: list[tuple[Part, RateLine]]) -> tuple[Ladder, ...]:
    """Group lines by window, in their order, and hold each group to what a ladder is."""
    groups: dict[Window | None, list[tuple[Part, RateLine]]] = {}
    for one in lines:
        groups.setdefault(one[1].window, []).append(one)
    for group in groups.values():
        _check_ladder(group)
    return tuple(Ladder(window, tuple(line for _, line in g)) for window, g in groups.items())


def _check_ladder(group: list[tuple[Part, RateLine]]) -> None:
    expected: int | None = 0
    highest_vnd = 0
    is_tiered = group[0][1].type is RateLineType.FLAT_RATE_TIER
    for part, line in group:
        if expected is None:
            part.fault(
                "duration_start_minutes", "bad_value",
                "The line before it has no end: give that one duration_end_minutes.",
            )  # fmt: skip
        elif line.duration_start != expected:
            part.fault(
                "duration_start_minutes", "bad_value",
                f"Lines of one window follow each other: this one must start at {expected}.",
            )  # fmt: skip
        if (line.type is RateLineType.FLAT_RATE_TIER) != is_tiered:
            part.fault("type", "contradiction", "flatRateTier stands with flatRateTier only.")
        elif is_tiered and line.value_vnd < highest_vnd:
            part.fault("value_vnd", "bad_value", "A longer stay may not cost less than a shorter.")
        highest_vnd = max(highest_vnd, line.value_vnd)
        expected = line.duration_end
