"""The filter of parking sessions, as the list and its exports read it from an address."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Query

from api.manage.page_context import ManagerContext, TheManager
from core.clock import day_bounds, hanoi_day
from parking.exits.rules import SessionStatus
from parking.overview.stays import StayFilter
from parking.vehicles import VehicleClass

DAYS_MAX: Final = 31
YEARS: Final = range(2000, 2100)


@dataclass(frozen=True, kw_only=True)
class AskedStays:
    """What was asked for: as texts for the form and addresses, and as a filter."""

    form: dict[str, str]
    wanted: StayFilter
    is_cut: bool  # the range was longer than a list may be


async def read_filter(
    manager: TheManager,
    day: Annotated[str, Query(max_length=10)] = "",
    until: Annotated[str, Query(max_length=10)] = "",
    lot: Annotated[str, Query(max_length=40)] = "",
    vehicle: Annotated[str, Query(max_length=30)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    find: Annotated[str, Query(max_length=60)] = "",
) -> AskedStays:
    """Read the filter; what cannot be read is left out, and today is the day."""
    today = hanoi_day(manager.now)
    first = _day(day) or today
    last = max(first, _day(until) or first)
    is_cut = last - first >= timedelta(days=DAYS_MAX)
    last = min(last, first + timedelta(days=DAYS_MAX - 1))
    vehicle = vehicle if vehicle in set(VehicleClass) else ""
    state = state if state in {*SessionStatus, "owing"} else ""
    lot_id = _id(lot)
    return AskedStays(
        form={
            "day": first.isoformat(),
            "until": last.isoformat(),
            "lot": str(lot_id) if lot_id else "",
            "vehicle": vehicle,
            "state": state,
            "find": find.strip(),
        },
        wanted=StayFilter(
            since=day_bounds(first)[0],
            until=day_bounds(last)[1],
            lot_id=lot_id,
            vehicle_class=vehicle or None,
            status=state if state in set(SessionStatus) else None,
            find=find,
            only_owing=state == "owing",
        ),
        is_cut=is_cut,
    )


TheStays = Annotated[AskedStays, Depends(read_filter)]


def path_of(manager: ManagerContext, path: str, asked: AskedStays, **more: object) -> str:
    """Return an address that asks for the same."""
    return manager.path(path, **asked.form, **more)


def _day(typed: str) -> date | None:
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        return None
    return day if day.year in YEARS else None


def _id(typed: str) -> UUID | None:
    try:
        return UUID(typed) if typed else None
    except ValueError:
        return None
