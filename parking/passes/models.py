"""Passes with their plates, and lists of plates that are exempt or watched."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow


class Pass(OrgRow):
    """A right to park without paying each time, from one day to another. APDS: AssignedRight."""

    __tablename__ = "passes"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        CheckConstraint("kind IN ('monthly', 'exempt')", name="kind_known"),
        CheckConstraint("valid_from <= valid_until", name="dates_in_order"),
        CheckConstraint("plates_max BETWEEN 1 AND 20", name="plates_bounded"),
        Index("ix_passes_lot", "org_id", "lot_id", "valid_until"),
    )

    lot_id: Mapped[UUID | None]  # None: at every lot of the organisation
    vehicle_class: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str]
    holder_name: Mapped[str]
    holder_contact: Mapped[str | None]
    plates_max: Mapped[int]  # how many of its vehicles may be inside at once is one
    valid_from: Mapped[date]  # the first day, in Hà Nội
    valid_until: Mapped[date]  # the last day
    price_vnd: Mapped[Vnd]
    reason: Mapped[str | None]  # of an exemption
    bill_id: Mapped[UUID | None]  # it is in force once that is paid
    in_force_at: Mapped[datetime | None]  # paid, or given; None: not yet
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


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
