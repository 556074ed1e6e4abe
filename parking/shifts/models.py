"""Shifts: who works at which lot, from when to when, and the count of the cash."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped

from core.db import Vnd
from core.tenancy import OrgRow


class Shift(OrgRow):
    """A person's turn at a lot. It belongs to the person, not to a phone."""

    __tablename__ = "shifts"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        ForeignKeyConstraint(["org_id", "staff_id"], ["staff.org_id", "staff.id"]),
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        Index(
            "uq_shifts_open",
            "org_id",
            "staff_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_shifts_lot", "org_id", "lot_id", "id"),
        CheckConstraint("change_vnd >= 0", name="change_not_negative"),
        CheckConstraint(
            "(closed_at IS NULL) = (counted_vnd IS NULL AND expected_vnd IS NULL)",
            name="close_whole",
        ),
    )

    lot_id: Mapped[UUID]
    staff_id: Mapped[UUID]
    payee_id: Mapped[UUID]  # the lot's at the opening: the books of a shift stay with one payee
    opened_at: Mapped[datetime]
    change_vnd: Mapped[Vnd]  # cash in the bag at the start, to give change
    closed_at: Mapped[datetime | None]
    counted_vnd: Mapped[Vnd | None]  # cash as counted before the hub says what it expects
    expected_vnd: Mapped[Vnd | None]
    note: Mapped[str | None]
