"""A lot's day as one list: stays beside payments, what banks reported, and photos."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api.http.deps import Now, Tx, requires
from api.http.errors import may_answer
from api.http.fields import Day, Read
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from core.clock import hanoi_day
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.overview.compared import Difference, list_day, read_day
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot

router = APIRouter(prefix="/v1/lots", tags=["parking"])

Inspector = Annotated[Caller, requires(Permission.PARKING_INSPECT)]


class ComparedStayRead(Read):
    """A stay that left, and what stands beside it."""

    id: UUID
    left_at: datetime
    vehicle_class: str
    plate: str | None = Field(description="Masked.")
    ticket: str | None
    exit_reason: str | None
    price_vnd: int
    waived_vnd: int
    paid_vnd: int = Field(description="As the stay says.")
    bank_vnd: int = Field(description="That a bank reported for its bills; no statement is asked.")
    other_vnd: int = Field(description="Of its bills by toll account or in cash.")
    written_off_vnd: int = Field(description="Of its bills: given up, and paid by nobody.")
    collected_vnd: int = Field(description="At the gate: cash, and what was paid on behalf.")
    differences: list[Difference]


class ComparedDayRead(Read):
    """A lot's day: its sums and counts over all stays that left, and a page of them."""

    day: date
    stays: int
    odd: int = Field(description="Stays with a difference.")
    price_vnd: int
    waived_vnd: int
    paid_vnd: int
    bank_vnd: int
    other_vnd: int
    written_off_vnd: int
    collected_vnd: int
    differences: dict[Difference, int] = Field(description="How many stays have each.")
    rows: list[ComparedStayRead]
    next_cursor: str | None


@router.get("/{lot_id}/compared", responses=may_answer(LotNotFound, BadCursor))
async def show_compared(
    lot_id: UUID,
    caller: Inspector,
    tx: Tx,
    now: Now,
    day: Annotated[Day | None, Query(description="In Hà Nội; today if left out.")] = None,
    odd_only: Annotated[bool, Query(description="Only stays with a difference.")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ComparedDayRead:
    """Hold the stays that left on a day against payments, banks' reports and photos."""
    await get_lot(tx, caller.org_id, lot_id)
    wanted = day or hanoi_day(now)
    sums = await read_day(tx, caller.org_id, lot_id, wanted)
    found = await list_day(
        tx,
        caller.org_id,
        lot_id,
        wanted,
        odd_only=odd_only,
        after_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return ComparedDayRead(
        day=wanted,
        **sums._asdict(),
        rows=[ComparedStayRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )
