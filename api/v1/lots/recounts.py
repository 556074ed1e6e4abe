"""Control of a lot: a day's leakage figures, and recounts of what is inside."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api.http.deps import Now, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.fields import Body, Day, Read, ReasonText
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from core.clock import hanoi_day
from core.errors import InvalidRequest, Violation
from core.paging import BadCursor
from core.sealing import derive_key
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.overview.leakage import Leakage, read_leakage
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot
from parking.recounts import queries, service
from parking.recounts.errors import RecountIdTaken
from parking.recounts.rules import COUNTED_MAX, MOMENTS, RecountFacts, draw_moment
from parking.sessions.rules import check_entry_id
from parking.vehicles import VehicleClass

router = APIRouter(prefix="/v1/lots", tags=["parking"])

Inspector = Annotated[Caller, requires(Permission.PARKING_INSPECT)]
Counted = Annotated[int, Field(strict=True, ge=0, le=COUNTED_MAX)]


class LeftRead(Read):
    """Vehicles that left for one reason."""

    reason: str
    count: int
    without_photo: int
    price_vnd: int
    paid_vnd: int = Field(description="In money.")
    waived_vnd: int
    unpaid: int = Field(description="Vehicles that still owe.")
    unpaid_vnd: int


class LeakageRead(Read):
    """A lot's day: its stays against their photos, their payments and their tickets."""

    day: date
    entered: int
    entered_without_photo: int
    entered_on_same_photo: int = Field(description="Beyond the first vehicle on each photo.")
    left: list[LeftRead] = Field(description="By the reason; `unconfirmed` was never matched.")
    unpaid_vnd: int
    missing_tickets: int = Field(description="Of books that were given out that day.")
    stray_tickets: int = Field(description="Used though no book had them that was out.")
    opened_by_hand: int
    corrected: int = Field(description="Plates and classes typed anew.")
    undone: int = Field(description="Cash that was taken that day and taken back.")
    undone_vnd: int


class RecountCreate(Body):
    """What somebody counted inside."""

    id: UUID = Field(description="A UUIDv7 of your own making. Repeating it answers the same.")
    counted: dict[VehicleClass, Counted] = Field(
        description="Vehicles by class; each class that the lot takes is named.",
        examples=[{"motorbike": 120}],
    )
    note: ReasonText | None = None


class RecountLineRead(Read):
    """One class."""

    vehicle_class: VehicleClass
    counted: int
    expected: int = Field(description="What the hub had inside at that moment.")
    difference: int = Field(description="Counted less expected.")


class RecountRead(Read):
    """A recount beside the hub's own figures."""

    id: UUID
    lot_id: UUID
    lines: list[RecountLineRead]
    counted: int
    expected: int
    difference: int
    is_random: bool = Field(description="It was made at the moment drawn for that day.")
    note: str | None
    counted_by: UUID
    counted_by_name: str | None
    counted_at: datetime


class RecountPage(Read):
    """A page of recounts, newest first."""

    random_at: datetime = Field(description="The moment drawn for today.")
    recounts: list[RecountRead]
    next_cursor: str | None

    @classmethod
    def of(
        cls, found: Sequence[RecountFacts], cursor: str | None, random_at: datetime
    ) -> "RecountPage":
        """Make the answer."""
        recounts = [RecountRead.model_validate(one) for one in found]
        return cls(random_at=random_at, recounts=recounts, next_cursor=cursor)


@router.get("/{lot_id}/leakage", responses=may_answer(LotNotFound))
async def show_leakage(
    lot_id: UUID,
    caller: Inspector,
    tx: Tx,
    now: Now,
    day: Annotated[Day | None, Query(description="In Hà Nội; today if left out.")] = None,
) -> LeakageRead:
    """Show where a day's stays lack a photo, a payment or a ticket."""
    await get_lot(tx, caller.org_id, lot_id)
    wanted = day or hanoi_day(now)
    found = await read_leakage(tx, caller.org_id, lot_id, wanted, now=now)
    return write_leakage(found, wanted)


@router.post(
    "/{lot_id}/recounts",
    status_code=201,
    response_model=RecountRead,
    responses=may_answer(LotNotFound, RecountIdTaken),
)
async def make_recount(
    lot_id: UUID, body: RecountCreate, caller: Inspector, tx: Tx, settings: TheSettings, now: Now
) -> RecountFacts:
    """Record what you counted inside; the hub keeps its own figure of this moment beside it."""
    if fault := check_entry_id(body.id, now=now):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    return await service.record_recount(
        tx,
        caller.org_id,
        body.id,
        lot_id=lot_id,
        counted={name.value: count for name, count in body.counted.items()},
        note=body.note,
        moments_key=derive_key(settings.secret_key.get_secret_value(), MOMENTS),
        actor=caller.actor,
        now=now,
    )


@router.get("/{lot_id}/recounts", responses=may_answer(LotNotFound, BadCursor))
async def list_recounts(
    lot_id: UUID,
    caller: Inspector,
    tx: Tx,
    settings: TheSettings,
    now: Now,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> RecountPage:
    """List a lot's recounts, newest first, with the random moment of today."""
    await get_lot(tx, caller.org_id, lot_id)
    key = derive_key(settings.secret_key.get_secret_value(), MOMENTS)
    found = await queries.list_recounts(
        tx, caller.org_id, lot_id, before_id=read_cursor(cursor), limit=limit + 1
    )
    return RecountPage.of(
        found[:limit],
        next_cursor(found, limit),
        draw_moment(key, caller.org_id, lot_id, hanoi_day(now)),
    )


def write_leakage(found: Leakage, day: date) -> LeakageRead:
    """Return the figures as the API shows them."""
    return LeakageRead(
        day=day,
        entered=found.entered,
        entered_without_photo=found.entered_without_photo,
        entered_on_same_photo=found.entered_on_same_photo,
        left=[LeftRead.model_validate(one) for one in found.left],
        unpaid_vnd=found.unpaid_vnd,
        missing_tickets=found.missing_tickets,
        stray_tickets=found.stray_tickets,
        opened_by_hand=found.opened_by_hand,
        corrected=found.corrected,
        undone=found.undone,
        undone_vnd=found.undone_vnd,
    )
