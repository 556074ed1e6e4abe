"""Changes that owners are notified of: of their bills, and sales on their static codes. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from payments.bills.rules import BillState

BACK_OFF_START: Final = timedelta(seconds=5)
BACK_OFF_MAX: Final = timedelta(minutes=10)


class SubjectKind(StrEnum):
    """What changed."""

    BILL = "bill"
    CREDIT = "credit"  # a counter sale on an owner's static code


class SaleStatus(StrEnum):
    """What a counter sale on an owner's static code is to its owner."""

    RECEIVED = "received"
    WITHDRAWN = "withdrawn"  # a person said that it is something else


@dataclass(frozen=True, kw_only=True, slots=True)
class NewChange:
    """A change that an owner is to be notified of."""

    subject_kind: SubjectKind
    subject_id: UUID
    owner_kind: str
    owner_id: UUID
    from_status: str | None
    to_status: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A change as its owner receives it. The same one may come again: its id says so."""

    id: UUID
    org_id: UUID
    subject_kind: SubjectKind
    subject_id: UUID
    seq: int
    owner_kind: str
    owner_id: UUID
    from_status: str | None
    to_status: str
    created_at: datetime
    attempts: int


def list_changes(bills: Iterable[BillState]) -> list[NewChange]:
    """List the changes for owners, from what the bills were when they were locked."""
    return [
        NewChange(
            subject_kind=SubjectKind.BILL,
            subject_id=bill.id,
            owner_kind=bill.owner_kind,
            owner_id=bill.owner_id,
            from_status=bill.status_locked,
            to_status=str(bill.status),
        )
        for bill in bills
        if bill.owner_kind is not None
        and bill.owner_id is not None
        and bill.status != bill.status_locked
    ]


def change_of_sale(
    credit_id: UUID, owner: tuple[str, UUID], *, is_withdrawn: bool = False
) -> NewChange:
    """Return the change that the owner of a static code, (kind, id), is notified of."""
    return NewChange(
        subject_kind=SubjectKind.CREDIT,
        subject_id=credit_id,
        owner_kind=owner[0],
        owner_id=owner[1],
        from_status=SaleStatus.RECEIVED if is_withdrawn else None,
        to_status=SaleStatus.WITHDRAWN if is_withdrawn else SaleStatus.RECEIVED,
    )


def write_wake_up(org_id: UUID, due_since: datetime) -> str:
    """Write the payload of the NOTIFY about changes that are due from an instant on."""
    return f"{org_id} {due_since.isoformat()}"


def read_wake_up(payload: str) -> tuple[UUID, datetime | None]:
    """Read (organisation, since when its changes are due). None: version 0.2 does not say.

    Raises:
        ValueError: it is no wake-up.
    """
    org_id, _, due_since = payload.partition(" ")
    if not due_since:
        return UUID(org_id), None
    since = datetime.fromisoformat(due_since)
    if since.tzinfo is None:
        raise ValueError(payload)
    return UUID(org_id), since


def next_attempt_at(attempts: int, *, now: datetime) -> datetime:
    """Say when a change that failed so often before is tried again."""
    back_off: timedelta = min(BACK_OFF_START * (1 << min(attempts, 10)), BACK_OFF_MAX)
    return now + back_off
