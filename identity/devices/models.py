"""Enrolled devices, the codes that enrol one, and the PINs of people who use them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.tenancy import OrgRow


class DeviceEnrolment(OrgRow):
    """A one-time code that a manager shows to a phone."""

    __tablename__ = "device_enrolments"
    __table_args__ = (
        Index("uq_device_enrolments_code", "org_id", "code_hash", unique=True),
        CheckConstraint("(used_at IS NULL) = (device_id IS NULL)", name="use_whole"),
    )

    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str]  # of the device to be
    scope_kind: Mapped[str]  # "lot"
    scope_id: Mapped[UUID]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    device_id: Mapped[UUID | None]


class Device(OrgRow):
    """A phone that proved its key, at one lot."""

    __tablename__ = "devices"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        Index("ix_devices_scope", "org_id", "scope_kind", "scope_id"),
        Index("ix_devices_revoked", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
        CheckConstraint("(person_id IS NULL) = (named_at IS NULL)", name="person_whole"),
    )

    name: Mapped[str]
    scope_kind: Mapped[str]
    scope_id: Mapped[UUID]
    public_key: Mapped[bytes] = mapped_column(LargeBinary)  # P-256, SubjectPublicKeyInfo (DER)
    enrolled_by: Mapped[UUID]  # who showed the code
    enrolled_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]  # written now and then
    # How far its clock was behind the hub's at the last contact: years, where a battery was empty.
    offset_ms: Mapped[int | None] = mapped_column(BigInteger)
    challenged_at: Mapped[datetime | None]  # of the last challenge it used: older ones are used up
    person_id: Mapped[UUID | None]  # whom a PIN named, until they leave or the day is over
    named_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[UUID | None]


class StaffPin(Base):
    """The PIN that names a person on an enrolled device."""

    __tablename__ = "staff_pins"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "staff_id"], ["staff.org_id", "staff.id"]),
        CheckConstraint("failed_attempts >= 0", name="failures_not_negative"),
        Index("ix_staff_pins_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    pin_hash: Mapped[str]  # argon2id
    # Since the last right one.
    failed_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[datetime | None]  # after each five; after fifteen a manager helps
    set_by: Mapped[UUID]
    set_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # tokens of before do not name this person any longer
