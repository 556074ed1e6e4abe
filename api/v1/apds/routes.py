"""APDS export of an organisation's parking: places, rates, sessions, observations."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.deps import Now, Tx, requires
from api.http.fields import QueryInstant
from api.v1.apds.schemas import (
    Credential,
    IdentifiedArea,
    Observation,
    Observations,
    Place,
    Places,
    Rates,
    RateTable,
    Session,
    Sessions,
    Supply,
    VehicularAccess,
)
from core.errors import InvalidRequest
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from parking.overview import queries_export
from parking.places import queries
from parking.places.models import Lot
from parking.places.rules import Occupied
from parking.plates import mask_plate

router = APIRouter(prefix="/v1/apds", tags=["apds"])

Reader = Annotated[Caller, requires(Permission.PARKING_MANAGE)]
AnyReader = Annotated[Caller, requires(Permission.PARKING_READ)]
LIMIT_MAX: Final = 1_000
RATES_MAX: Final = 200
RANGE_MAX: Final = timedelta(days=31)
MILLION: Final = 1_000_000

Since = Annotated[QueryInstant, Query(description="From this instant on.")]
Until = Annotated[
    QueryInstant | None, Query(description="Before this instant; now, where it is left out.")
]
After = Annotated[UUID | None, Query(description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]


@router.get("/places")
async def list_places(caller: AnyReader, tx: Tx) -> Places:
    """List the lots that are open, with their lanes, areas and how full they are."""
    lots = await queries.list_lots(tx, caller.org_id, only=caller.choices(ScopeKind.LOT))
    occupied = await queries.list_occupancy(tx, caller.org_id, [lot.id for lot in lots])
    return Places(places=[await _to_place(tx, caller, lot, occupied[lot.id]) for lot in lots])


@router.get("/rates")
async def list_rates(
    caller: AnyReader,
    tx: Tx,
    now: Now,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=RATES_MAX)] = RATES_MAX,
) -> Rates:
    """List versions of tariffs with their documents, oldest first; past and withdrawn ones, too."""
    rows = await queries_export.list_rates(tx, caller.org_id, after=after, limit=limit + 1, now=now)
    return Rates(
        rates=[_to_rate(row) for row in rows[:limit]],
        next=rows[limit - 1][0] if len(rows) > limit else None,
    )


@router.get("/sessions")
async def list_sessions(
    caller: Reader,
    tx: Tx,
    now: Now,
    since: Since,
    until: Until = None,
    after: After = None,
    limit: Limit = 500,
) -> Sessions:
    """List stays that began in a range of at most 31 days, oldest first. Plates are masked."""
    rows = await queries_export.list_sessions(
        tx, caller.org_id, limit=limit + 1, after=after, **_range(since, until, now)
    )
    return Sessions(
        sessions=[_to_session(row) for row in rows[:limit]],
        next=rows[limit - 1][0] if len(rows) > limit else None,
    )


@router.get("/observations")
async def list_observations(
    caller: Reader,
    tx: Tx,
    now: Now,
    since: Since,
    until: Until = None,
    after: After = None,
    limit: Limit = 500,
) -> Observations:
    """List sightings in a range of at most 31 days, oldest first. Plates are masked."""
    rows = await queries_export.list_observations(
        tx, caller.org_id, limit=limit + 1, after=after, **_range(since, until, now)
    )
    return Observations(
        observations=[_to_observation(row) for row in rows[:limit]],
        next=rows[limit - 1][0] if len(rows) > limit else None,
    )


def _range(since: datetime, until: datetime | None, now: datetime) -> dict[str, datetime]:
    until = until or now
    if until - since > RANGE_MAX:
        raise InvalidRequest(f"The range has at most {RANGE_MAX.days} days.")
    return {"since": since, "until": until}


async def _to_place(tx: Tx, caller: Caller, lot: Lot, occupied: list[Occupied]) -> Place:
    lanes = await queries.list_accesses(tx, caller.org_id, lot.id)
    areas = await queries.list_areas(tx, caller.org_id, lot.id)
    return Place(
        id=lot.id,
        name=lot.name,
        address=lot.address,
        layer=lot.kind,
        latitude=None if lot.latitude_e6 is None else lot.latitude_e6 / MILLION,
        longitude=None if lot.longitude_e6 is None else lot.longitude_e6 / MILLION,
        payment_timing=lot.payment_timing,
        licence_number=lot.licence_number,
        supply=[
            Supply(
                vehicle_type=one.vehicle_class.value,
                supply_quantity=one.capacity,
                licensed_quantity=one.licensed_capacity,
                occupied_quantity=one.inside_count,
            )
            for one in occupied
        ],
        vehicular_access=[
            VehicularAccess(id=one.id, name=one.name, direction=one.direction) for one in lanes
        ],
        identified_area=[IdentifiedArea(id=one.id, name=one.name) for one in areas],
    )


def _to_rate(row: tuple[Any, ...]) -> RateTable:
    id_, version, name, tariff_id, valid_from, legal_basis, document, standing = row
    return RateTable(
        id=id_,
        version=version,
        name=name,
        rate_table_id=tariff_id,
        version_valid_from=valid_from,
        legal_basis=legal_basis,
        status=standing,
        document=document,
    )


def _to_session(row: tuple[Any, ...]) -> Session:
    id_, lot_id, vehicle, plate, ticket, status, start, end, pass_id, rate_id, *amounts = row
    price, paid, waived = amounts
    credentials = [
        Credential(type=kind, identifier=text)
        for kind, text in (("licensePlate", plate and mask_plate(plate)), ("ticket", ticket))
        if text
    ]
    return Session(
        id=id_,
        version=1 if end is None else 2,
        hierarchy_element_id=lot_id,
        vehicle_type=vehicle,
        credentials=credentials,
        actual_start=start,
        actual_end=end,
        status=status,
        assigned_right_id=pass_id,
        rate_table_version_id=rate_id,
        amount_vnd=price,
        paid_vnd=paid,
        waived_vnd=waived,
    )


def _to_observation(row: tuple[Any, ...]) -> Observation:
    id_, lot_id, session_id, access_id, direction, method, plate, photo, seen_at = row
    seen = Credential(type="licensePlate", identifier=mask_plate(plate)) if plate else None
    return Observation(
        id=id_,
        hierarchy_element_id=lot_id,
        session_id=session_id,
        vehicular_access_id=access_id,
        direction=direction,
        method=method,
        observed_credential=seen,
        has_image=photo is not None,
        start_time=seen_at,
    )
