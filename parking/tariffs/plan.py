"""The plan of a tariff: all that a phone needs to price stays of one class without a network.

It says in plain JSON what `charges` and `pricing` read from a tariff: hours, ladders, caps, and
which rate table holds on which day, so that a phone needs no calendar. The phone walks through it
as the hub walks through the tariff (api/gate/static/js/gate_price.js; a test holds both together).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.tariffs import queries
from parking.tariffs.charges import Stay, find_table, local_minute
from parking.tariffs.in_force import LotRate, pick_rate
from parking.tariffs.reading import build_tariff
from parking.tariffs.records_errors import LotHasNoTariff
from parking.tariffs.structure import (
    DAY_MINUTES,
    BoundaryRule,
    DayRule,
    FreeMinutesRule,
    Hours,
    Ladder,
    RateLineCollection,
    RateLineType,
    RateTable,
    Tariff,
)
from parking.vehicles import VehicleClass

# Who came before is not priced without a network. A phone keeps what it could not send for 72 h.
PLANNED_BEHIND: Final = timedelta(days=31)
PLANNED_AHEAD: Final = timedelta(days=4)
_FIRST_DAY: Final = date(1970, 1, 1).toordinal() - 1  # in days since the first of year 1

One = TypeVar("One", Ladder, RateLineCollection, RateTable)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRates:
    """What a lot takes of who comes in from an instant on, class by class (with rates)."""

    from_at: datetime
    plans: dict[VehicleClass, dict[str, Any]]


async def read_plans(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    zone: str | None,
    classes: Collection[VehicleClass],
    now: datetime,
) -> tuple[PlannedRates, ...]:
    """Plan what a lot took, takes and will take, as far back and ahead as a phone may need it.

    Raises:
        LotHasNoTariff: it takes none at any time of these.
    """
    begin, end = now - PLANNED_BEHIND, now + PLANNED_AHEAD
    rates = (await queries.list_rates(session, org_id, [lot_id]))[lot_id]
    held = _list_held(rates, begin, end)
    version_ids = [rate.version_id for _, rate in held if rate is not None]
    if not version_ids:
        raise LotHasNoTariff(lot_id)
    documents = await queries.find_documents(session, org_id, version_ids)
    tariffs = {id_: build_tariff(document) for id_, document in documents.items()}
    planned = []
    for from_at, rate in held:
        plans = {}
        for vehicle_class in classes if rate is not None else ():
            assert rate is not None
            plan = plan_tariff(
                tariffs[rate.version_id], vehicle_class, zone=zone, begin=begin, end=end
            )
            if plan is not None:
                plans[vehicle_class] = plan
        planned.append(PlannedRates(from_at=from_at, plans=plans))
    return tuple(planned)


def plan_tariff(
    tariff: Tariff,
    vehicle_class: VehicleClass,
    *,
    zone: str | None,
    begin: datetime,
    end: datetime,
) -> dict[str, Any] | None:
    """Return the plan of one class for stays within a time; None where the tariff has no rates.

    Durations are minutes, `first_day` counts the days since 1970-01-01 in Hà Nội.
    """
    stay = Stay(vehicle_class=vehicle_class, entered_at=None, zone=zone)
    first, last = local_minute(begin) // DAY_MINUTES, local_minute(end) // DAY_MINUTES
    days = range(first, last + 1 if tariff.has_day_rates else first + 1)
    tables: list[RateTable] = []
    picks: list[list[list[int | None]]] = []
    picked = []
    for day in days:
        pick = _pick_tables(tariff, stay, day * DAY_MINUTES, tables)
        if pick not in picks:
            picks.append(pick)
        picked.append(picks.index(pick))
    if not tables:
        return None
    ladders: list[Ladder] = []
    collections: list[RateLineCollection] = []
    hours = [[_write_hours(one, ladders, collections) for one in table.hours] for table in tables]
    lost_vnd = tariff.lost_ticket_vnd
    return {
        "free_minutes": tariff.free_minutes,
        "is_rest_only": tariff.free_minutes_rule is FreeMinutesRule.REST_ONLY,
        "minimum_vnd": tariff.minimum_vnd,
        "rounding": tariff.rounding.amount.value,
        "step_vnd": tariff.rounding.amount_step_vnd,
        "blocks": tariff.rounding.blocks.value,
        "is_cut": tariff.boundary_rule is BoundaryRule.CUT,
        "is_by_clock": tariff.day_rule is DayRule.CLOCK,
        "grace_minutes": tariff.exit_grace_minutes,
        "lost_ticket": lost_vnd
        if lost_vnd is None
        else {"amount_vnd": lost_vnd, "rule": tariff.lost_ticket_rule.value},
        "first_day": first - _FIRST_DAY,
        "days": picked if tariff.has_day_rates else [],  # none: all are the first pick
        "picks": picks,
        "tables": hours,
        "ladders": [_write_ladder(one, collections) for one in ladders],
        "collections": [_write_collection(one) for one in collections],
    }


def _list_held(
    rates: Sequence[LotRate], begin: datetime, end: datetime
) -> list[tuple[datetime, LotRate | None]]:
    """Return what holds from the beginning on, and from each change on until the end."""
    instants = {at for rate in rates for at in (rate.from_at, rate.valid_from) if begin < at <= end}
    held: list[tuple[datetime, LotRate | None]] = []
    for at in sorted({begin, *instants}):
        rate = pick_rate(rates, at)
        if not held or held[-1][1] != rate:
            held.append((at, rate))
    return held


def _pick_tables(
    tariff: Tariff, stay: Stay, midnight: int, tables: list[RateTable]
) -> list[list[int | None]]:
    """Return which table holds until which minute of a day, for a period that begins then."""
    windows = [table.entry_window for table in tariff.rate_tables if table.entry_window]
    edges = {edge % DAY_MINUTES for window in windows for edge in (window.start, window.end)}
    starts = sorted(edges | {0})
    found: list[list[int | None]] = []
    for start, end in zip(starts, [*starts[1:], DAY_MINUTES], strict=True):
        table = find_table(tariff, stay, midnight + start)
        found.append([end, None if table is None else _index_of(table, tables)])
    return found


def _write_hours(
    hours: Hours, ladders: list[Ladder], collections: list[RateLineCollection]
) -> list[int | None]:
    """Write when hours begin, how long they are and which ladder holds in them."""
    if hours.ladder is None or hours.collection is None:
        return [hours.start, hours.length, None]
    _index_of(hours.collection, collections)
    return [hours.start, hours.length, _index_of(hours.ladder, ladders)]


def _write_ladder(ladder: Ladder, collections: Sequence[RateLineCollection]) -> dict[str, Any]:
    """Write each line as its start, its end, its block (0: charged once) and what it adds."""
    own = next(c for c in collections if any(one is ladder for one in c.ladders))
    lines = [
        [
            line.duration_start,
            line.duration_end,
            line.increment if line.type is RateLineType.INCREMENTING_RATE else 0,
            ladder.step_vnd(index),
        ]
        for index, line in enumerate(ladder.lines)
    ]
    return {"collection": _index_of(own, [*collections]), "lines": lines}


def _write_collection(collection: RateLineCollection) -> dict[str, Any]:
    return {
        "cap_vnd": collection.max_value_vnd,
        "reset_time": collection.reset_time,
        "reset_after": collection.reset_after,
        "restarts": collection.restarts_each_window,
    }


def _index_of(wanted: One, known: list[One]) -> int:
    """Return where one stands, itself and not an equal one; it is added where it is new."""
    for index, one in enumerate(known):
        if one is wanted:
            return index
    known.append(wanted)
    return len(known) - 1
