"""Lots, who runs them, their areas and lanes, and how many vehicles are inside."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow


class ParkingOperator(OrgRow):
    """Who runs lots and sells the parking: the name on tickets and receipts."""

    __tablename__ = "parking_operators"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    name: Mapped[str]
    address: Mapped[str]
    tax_code: Mapped[str] = mapped_column(String(14))
    created_at: Mapped[datetime]


class Lot(OrgRow):
    """A place where vehicles are parked for money. APDS: Place."""

    __tablename__ = "lots"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "operator_id"], ["parking_operators.org_id", "parking_operators.id"]
        ),
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        CheckConstraint("kind IN ('off_street', 'on_street', 'sidewalk')", name="kind_known"),
        CheckConstraint(
            "payment_timing IN ('payOnEntry', 'payPriorToExit', 'payAndExit', 'prepay')",
            name="payment_timing_known",
        ),
        CheckConstraint("stale_after_h > 0", name="stale_after_positive"),
        CheckConstraint("(latitude_e6 IS NULL) = (longitude_e6 IS NULL)", name="position_whole"),
        Index("ix_lots_payee", "org_id", "payee_id"),
    )

    operator_id: Mapped[UUID]
    payee_id: Mapped[UUID]  # whose receiving account its codes name
    name: Mapped[str]
    address: Mapped[str]
    kind: Mapped[str]
    zone: Mapped[str | None]  # what tariffs call the part of the city it is in
    latitude_e6: Mapped[int | None] = mapped_column(Integer)  # millionths of a degree, WGS 84
    longitude_e6: Mapped[int | None] = mapped_column(Integer)
    licence_number: Mapped[str | None]
    licence_issuer: Mapped[str | None]
    licence_from: Mapped[date | None]
    licence_until: Mapped[date | None]  # the last day
    payment_timing: Mapped[str]  # APDS PaymentTimingEnum, of vehicles that have no pass
    is_crowd_mode: Mapped[bool] = mapped_column(server_default=text("false"))
    # Each vehicle is photographed at the way in; without one it is let in, and counted.
    photo_required: Mapped[bool] = mapped_column(server_default=text("false"))
    # Of one shift, for a phone that has no network.
    offline_cash_max_vnd: Mapped[Vnd] = mapped_column(server_default=text("2000000"))
    unconfirmed_exits_max: Mapped[int] = mapped_column(server_default=text("20"))
    # Hours after which a person must say whether a vehicle is still inside.
    stale_after_h: Mapped[int] = mapped_column(server_default=text("72"))
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]  # takes no entries any more


class Occupancy(Base):
    """How many vehicles of a class are inside a lot, and how many may be.

    The row is the lock of its lot and class: whoever writes `inside` holds it first
    (docs/adr/0013).
    """

    __tablename__ = "occupancy"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        CheckConstraint("inside_count >= 0", name="inside_not_negative"),
        CheckConstraint("capacity >= 0", name="capacity_not_negative"),
        CheckConstraint("licensed_capacity >= 0", name="licensed_not_negative"),
        {"postgresql_with": {"fillfactor": 20}},  # few rows that change all day
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    lot_id: Mapped[UUID] = mapped_column(primary_key=True)
    vehicle_class: Mapped[str] = mapped_column(String(20), primary_key=True)
    capacity: Mapped[int]  # over it the lot is full
    licensed_capacity: Mapped[int]  # over it there is an alarm
    inside_count: Mapped[int] = mapped_column(server_default=text("0"))


class ParkingArea(OrgRow):
    """A part of a lot, such as a floor or a row. APDS: identifiedArea."""

    __tablename__ = "parking_areas"
    __table_args__ = (ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),)

    lot_id: Mapped[UUID]
    name: Mapped[str]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class ParkingAccess(OrgRow):
    """A lane into a lot, out of it, or both. APDS: VehicularAccess."""

    __tablename__ = "parking_accesses"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        CheckConstraint("direction IN ('in', 'out', 'both')", name="direction_known"),
    )

    lot_id: Mapped[UUID]
    name: Mapped[str]
    direction: Mapped[str]
    has_controller: Mapped[bool] = mapped_column(server_default=text("false"))  # opens on command
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
