"""Requests and answers about shifts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, Read, ReasonText
from core.money import VND_MAX
from parking.shifts.views import ShiftReport

CashVnd = Annotated[int, Field(strict=True, ge=0, le=VND_MAX, examples=[200_000])]


class ShiftCreate(Body):
    """A shift that begins."""

    id: UUID = Field(description="A UUIDv7 of your own making. Repeating it answers the same.")
    lot_id: UUID
    change_vnd: CashVnd = Field(default=0, description="Cash in the bag to give change with.")


class ShiftClose(Body):
    """The count of the cash, before the hub says what it expects."""

    counted_vnd: CashVnd = Field(description="All cash in the bag, with the change it began with.")
    note: ReasonText | None = None


class DepositCreate(Body):
    """The bill for what was paid on behalf of drivers."""

    id: UUID = Field(description="A UUIDv7 of your own making. Repeating it answers the same.")


class TotalRead(Read):
    """How many, and how much."""

    count: int
    amount_vnd: int


class ShiftRead(Read):
    """A shift with its hand-over report; while it is open the cash is not told."""

    id: UUID
    lot_id: UUID
    staff_id: UUID
    opened_at: datetime
    change_vnd: int
    closed_at: datetime | None
    counted_vnd: int | None
    expected_vnd: int | None
    variance_vnd: int | None = Field(description="Counted less expected: below zero, too little.")
    note: str | None
    entered: int
    without_photo: int = Field(description="Of them, where the lot requires a photo.")
    left: int
    inside: dict[str, int] = Field(description="In the lot now, by class.")
    due_vnd: int = Field(description="The prices of those who left.")
    by_rail: dict[str, TotalRead] = Field(
        description="What was collected, and what the bills of those who left were paid: `vietqr`,"
        " `toll`. `pass` and `exempt` say what it would have cost. `cash` once it is counted."
    )
    on_behalf_vnd: int
    deposited_vnd: int = Field(description="Of that, what deposits have paid.")
    unconfirmed: TotalRead
    arrears: TotalRead
    manual_opens: int = Field(
        description="Barriers opened by hand: vehicles let out so, openings with a reason, and"
        " what a phone without network reports."
    )
    reversed: TotalRead


def write_report(report: ShiftReport) -> ShiftRead:
    """Return a report as the API shows it."""
    shift = report.shift
    return ShiftRead(
        id=shift.id,
        lot_id=shift.lot_id,
        staff_id=shift.staff_id,
        opened_at=shift.opened_at,
        change_vnd=shift.change_vnd,
        closed_at=shift.closed_at,
        counted_vnd=shift.counted_vnd,
        expected_vnd=shift.expected_vnd,
        variance_vnd=shift.variance_vnd,
        note=shift.note,
        entered=report.entered,
        without_photo=report.without_photo,
        left=report.left,
        inside=report.inside,
        due_vnd=report.due_vnd,
        by_rail={rail: TotalRead.model_validate(total) for rail, total in report.by_rail.items()},
        on_behalf_vnd=report.on_behalf_vnd,
        deposited_vnd=report.deposited_vnd,
        unconfirmed=TotalRead.model_validate(report.unconfirmed),
        arrears=TotalRead.model_validate(report.arrears),
        manual_opens=report.manual_opens,
        reversed=TotalRead.model_validate(report.reversed),
    )
