"""Ticket books: which numbers were given out to whom, and how far they were used."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class TicketBook(OrgRow):
    """Numbered two-part tickets that an attendant was given for a shift."""

    __tablename__ = "ticket_books"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        ForeignKeyConstraint(["org_id", "shift_id"], ["shifts.org_id", "shifts.id"]),
        ForeignKeyConstraint(["org_id", "issued_to"], ["staff.org_id", "staff.id"]),
        CheckConstraint("first_number BETWEEN 0 AND last_number", name="numbers_in_order"),
        CheckConstraint("digits BETWEEN 1 AND 8", name="digits_in_range"),
        CheckConstraint(
            "last_used BETWEEN first_number AND last_number", name="used_within_the_book"
        ),
        CheckConstraint(
            "returned_at IS NOT NULL OR (last_used IS NULL AND returned_by IS NULL)",
            name="return_whole",
        ),
        CheckConstraint("(lost_at IS NULL) = (lost_by IS NULL)", name="loss_whole"),
        Index("ix_ticket_books_lot", "org_id", "lot_id", "id"),
    )

    lot_id: Mapped[UUID]
    shift_id: Mapped[UUID]
    issued_to: Mapped[UUID]  # whose shift it is
    issued_by: Mapped[UUID | None]
    issued_at: Mapped[datetime]
    prefix: Mapped[str] = mapped_column(String(10))  # printed before each number; may be empty
    digits: Mapped[int] = mapped_column(SmallInteger)  # of a printed number, with leading zeros
    first_number: Mapped[int] = mapped_column(Integer)
    last_number: Mapped[int] = mapped_column(Integer)
    last_used: Mapped[int | None] = mapped_column(Integer)  # None, and returned: none was used
    returned_at: Mapped[datetime | None]
    returned_by: Mapped[UUID | None]
    lost_at: Mapped[datetime | None]  # reported lost: from then on none of its tickets is good
    lost_by: Mapped[UUID | None]
