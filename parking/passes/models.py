"""Passes with their plates and the terms they were paid for; plates that are watched."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow


class Pass(OrgRow):
    """A right to park without paying each time, from one day to another. APDS: AssignedRight.

    A monthly pass is in force while one of its terms is paid; an exemption is given.
    """

    __tablename__ = "passes"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        ForeignKeyConstraint(["org_id", "seller_lot_id"], ["lots.org_id", "lots.id"]),
        CheckConstraint("kind IN ('monthly', 'exempt')", name="kind_known"),
        CheckConstraint("(kind = 'exempt') = (exempt_as IS NOT NULL)", name="exempt_as_somebody"),
        CheckConstraint("valid_from <= valid_until", name="dates_in_order"),
        CheckConstraint("plates_max BETWEEN 1 AND 20", name="plates_bounded"),
        Index("ix_passes_lot", "org_id", "lot_id", "valid_until"),
        Index("ix_passes_ending", "org_id", "valid_until"),
    )

    lot_id: Mapped[UUID | None]  # None: at every lot of the organisation
    seller_lot_id: Mapped[UUID | None]  # whose payee is paid for it
    vehicle_class: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str]
    holder_name: Mapped[str]
    holder_contact: Mapped[str | None]
    plates_max: Mapped[int]  # how many of its vehicles may be inside at once is one
    valid_from: Mapped[date]  # the first day, in Hà Nội
    valid_until: Mapped[date]  # the last day
    price_vnd: Mapped[Vnd]  # of a month, when it was sold; 0 of an exemption
    exempt_as: Mapped[str | None] = mapped_column(String(20))  # resident, staff, disabled, state
    reason: Mapped[str | None]  # of an exemption
    in_force_at: Mapped[datetime | None]  # paid, or given; None: not, or not any more
    warned_until: Mapped[date | None]  # the last day that its end was announced for
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class PassTerm(OrgRow):
    """Months of a pass that were sold together, and the bill or the cash that pays for them."""

    __tablename__ = "pass_terms"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "pass_id"], ["passes.org_id", "passes.id"]),
        CheckConstraint("first_on <= last_on", name="dates_in_order"),
        CheckConstraint("months BETWEEN 1 AND 12", name="months_bounded"),
        CheckConstraint("price_vnd > 0", name="price_positive"),
        CheckConstraint("in_force_at IS NULL OR cancelled_at IS NULL", name="one_end"),
        CheckConstraint(
            "collection_id IS NULL OR (bill_id IS NULL AND in_force_at IS NOT NULL)",
            name="paid_in_cash",
        ),
        # Of a pass one term at a time waits to be paid.
        Index(
            "uq_pass_terms_waiting",
            "org_id",
            "pass_id",
            unique=True,
            postgresql_where=text("in_force_at IS NULL AND cancelled_at IS NULL"),
        ),
        Index("ix_pass_terms_pass", "org_id", "pass_id", "id"),
    )

    pass_id: Mapped[UUID]
    first_on: Mapped[date]
    last_on: Mapped[date]
    months: Mapped[int]
    price_vnd: Mapped[Vnd]  # of all its months
    bill_id: Mapped[UUID | None]  # the one shown last; None: none was asked for yet
    collection_id: Mapped[UUID | None]  # of the cash that paid it; it has no bill then
    in_force_at: Mapped[datetime | None]  # it is paid
    cancelled_at: Mapped[datetime | None]  # replaced, revoked or refunded
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]


class PassPlate(Base):
    """A vehicle that a pass is for."""

    __tablename__ = "pass_plates"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "pass_id"], ["passes.org_id", "passes.id"]),
        Index("ix_pass_plates_plate", "org_id", "plate", "vehicle_class"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    pass_id: Mapped[UUID] = mapped_column(primary_key=True)
    vehicle_class: Mapped[str] = mapped_column(String(20), primary_key=True)
    plate: Mapped[str] = mapped_column(String(20), primary_key=True)  # compact


class WatchedPlate(OrgRow):
    """A plate that raises an alert when it comes in; nobody is refused for it."""

    __tablename__ = "watched_plates"
    __table_args__ = (
        Index("ix_watched_plates_plate", "org_id", "plate", "vehicle_class"),
        CheckConstraint("from_on <= expires_on", name="dates_in_order"),
        CheckConstraint("expires_on <= from_on + 90", name="at_most_90_days"),
        CheckConstraint("approved_by IS NULL OR approved_by <> proposed_by", name="two_people"),
        CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approval_whole"),
    )

    vehicle_class: Mapped[str] = mapped_column(String(20))
    plate: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    source: Mapped[str]  # who asked for it, by which document
    from_on: Mapped[date]
    expires_on: Mapped[date]  # the last day, at most 90 days after the first
    proposed_by: Mapped[UUID]
    proposed_at: Mapped[datetime]
    approved_by: Mapped[UUID | None]  # in force once a second person agreed
    approved_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
