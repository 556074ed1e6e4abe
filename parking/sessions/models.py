"""Parking sessions, the credentials inside, sightings, and movements of devices that were offline.

Nothing refers to the partitioned tables by a foreign key: a month could not be detached then.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow

# ONLY_BY: a condition that every row meets, so that an index serves those alone who ask by its
# column. Where tables are small or new, a planner takes any index that begins like the primary key
# for it, and a hub that keeps its plans would stay with that while they grow.
BY_MONTH = "RANGE (id)"  # ids are UUIDv7: their order is that of time


class ParkingSession(OrgRow):
    """A vehicle's stay at a lot. Its id is made by who asks for it. APDS: Session."""

    __tablename__ = "parking_sessions"
    __table_args__ = (
        CheckConstraint(
            "status IN ('inside', 'left', 'review', 'voided')",
            name="status_known",
        ),
        CheckConstraint("paid_vnd >= 0 AND waived_vnd >= 0", name="paid_not_negative"),
        CheckConstraint("(left_at IS NULL) = (status IN ('inside', 'review'))", name="left_whole"),
        CheckConstraint("plate IS NOT NULL OR ticket IS NOT NULL", name="has_a_credential"),
        CheckConstraint("(ticket IS NULL) = (ticket_kind IS NULL)", name="ticket_whole"),
        Index(
            "ix_parking_sessions_lot",
            "org_id",
            "lot_id",
            "id",
            postgresql_where=text("lot_id IS NOT NULL"),  # ONLY_BY
        ),
        Index(
            "ix_parking_sessions_plate",
            "org_id",
            "plate",
            "vehicle_class",
            "id",
            postgresql_where=text("plate IS NOT NULL"),
        ),
        Index(
            "ix_parking_sessions_arrears",
            "org_id",
            "plate",
            "vehicle_class",
            postgresql_where=text("arrears_vnd > 0"),
        ),
        Index(
            "ix_parking_sessions_left",
            "org_id",
            "lot_id",
            "left_at",
            postgresql_where=text("left_at IS NOT NULL"),
        ),
        Index(
            "ix_parking_sessions_review",
            "org_id",
            "lot_id",
            "id",
            postgresql_where=text("status = 'review'"),
        ),
        Index(  # for the hand-over reports of shifts
            "ix_parking_sessions_by_hand",
            "org_id",
            "exit_shift_id",
            postgresql_where=text("exit_reason = 'manual'"),
        ),
        Index(  # until they are arrears
            "ix_parking_sessions_unconfirmed",
            "org_id",
            "left_at",
            postgresql_where=text(
                "exit_reason = 'unconfirmed' AND arrears_vnd = 0"
                " AND price_vnd > paid_vnd + waived_vnd"
            ),
        ),
        {"postgresql_partition_by": BY_MONTH},
    )

    lot_id: Mapped[UUID]
    vehicle_class: Mapped[str] = mapped_column(String(20))
    plate: Mapped[str | None] = mapped_column(String(20))  # compact; None: not read (yet)
    ticket: Mapped[str | None] = mapped_column(String(40))  # of a vehicle without a readable plate
    # ticket, token or tag; None: it has none
    ticket_kind: Mapped[str | None] = mapped_column(String(10))
    ticket_key: Mapped[UUID]  # 128 random bits: opens the driver's page, with the id
    status: Mapped[str]
    entered_at: Mapped[datetime]  # the hub's clock, or the device's, corrected, if it was offline
    entry_time_is: Mapped[str] = mapped_column(String(10), server_default=text("'hub'"))
    entry_access_id: Mapped[UUID | None]
    entry_device_id: Mapped[UUID | None]
    entry_shift_id: Mapped[UUID | None]
    entry_by: Mapped[UUID]  # a person
    entry_photo: Mapped[bytes | None] = mapped_column(LargeBinary)  # SHA-256
    # The lot requires one, and none came (yet).
    is_photo_missing: Mapped[bool] = mapped_column(server_default=text("false"))
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)  # what was asked under this id
    pass_id: Mapped[UUID | None]  # the pass or exemption that it came in on
    checked_at: Mapped[datetime | None]  # a person last found it inside then, for stale ones
    left_at: Mapped[datetime | None]
    exit_access_id: Mapped[UUID | None]
    exit_device_id: Mapped[UUID | None]
    exit_shift_id: Mapped[UUID | None]
    exit_by: Mapped[UUID | None]
    exit_photo: Mapped[bytes | None] = mapped_column(LargeBinary)
    exit_reason: Mapped[str | None] = mapped_column(String(20))  # paid, pass, exempt, manual, …
    tariff_version_id: Mapped[UUID | None]  # that priced it last
    price_vnd: Mapped[Vnd | None]  # of the whole stay, as last quoted
    # In money: by bills, cash, the attendant's float. A pass or an exemption gives none.
    paid_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    waived_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))  # by exemptions at the gate
    paid_until: Mapped[datetime | None]  # grace to leave after paying
    bill_id: Mapped[UUID | None]  # the one that is shown now
    bill_paid_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))  # of it, in paid_vnd
    arrears_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))  # left without paying


class Inside(Base):
    """A credential of a vehicle that is inside a lot: at most one session has it.

    No foreign key to the lot: its occupancy row is locked before anything is written here.
    """

    __tablename__ = "inside"
    __table_args__ = (
        # Of a monthly pass's vehicles one at a time is inside on it.
        Index(
            "ix_inside_pass",
            "org_id",
            "pass_id",
            unique=True,
            postgresql_where=text("pass_id IS NOT NULL"),
        ),
        Index(
            "ix_inside_session",
            "org_id",
            "session_id",
            postgresql_where=text("session_id IS NOT NULL"),  # ONLY_BY
        ),
        Index(
            "ix_inside_tail",
            "org_id",
            "lot_id",
            "tail",
            postgresql_where=text("tail IS NOT NULL"),  # ONLY_BY
        ),
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": "0.01"}},  # all rows come and go
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    lot_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), primary_key=True)  # plate, ticket, token, tag
    credential: Mapped[str] = mapped_column(String(60), primary_key=True)  # plate: class:compact
    tail: Mapped[str] = mapped_column(String(3))  # its last three characters, that people search by
    session_id: Mapped[UUID]
    vehicle_class: Mapped[str] = mapped_column(String(20))
    entered_at: Mapped[datetime]
    pass_id: Mapped[UUID | None]  # of the monthly pass that it came in on


def _plate_read(place: int) -> Computed:
    return Computed(f"candidates -> {place - 1} ->> 'plate'", persisted=True)


class Observation(OrgRow):
    """One sighting of a vehicle. Never overwritten: a correction is another row."""

    __tablename__ = "observations"
    __table_args__ = (
        CheckConstraint("direction IN ('in', 'out', 'inside')", name="direction_known"),
        Index("ix_observations_session", "org_id", "session_id"),
        Index(
            "ix_observations_photo",
            "org_id",
            "photo",
            postgresql_where=text("photo IS NOT NULL AND direction = 'in'"),
        ),
        Index(
            "ix_observations_reading",
            "org_id",
            "lot_id",
            "seen_at",
            postgresql_where=text("candidates IS NOT NULL"),
        ),
        # For people who ask what is held about their vehicle.
        Index(
            "ix_observations_plate",
            "org_id",
            "plate",
            postgresql_where=text("plate IS NOT NULL"),
        ),
        Index(
            "ix_observations_read_text",
            "org_id",
            "read_text",
            postgresql_where=text("read_text IS NOT NULL"),
        ),
        *(
            Index(
                f"ix_observations_read_{place}",
                "org_id",
                f"read_{place}",
                postgresql_where=text(f"read_{place} IS NOT NULL"),
            )
            for place in range(1, 6)
        ),
        {"postgresql_partition_by": BY_MONTH},
    )

    lot_id: Mapped[UUID]
    session_id: Mapped[UUID | None]
    access_id: Mapped[UUID | None]
    direction: Mapped[str]
    method: Mapped[str] = mapped_column(String(20))  # APDS: visual, anpr, scanner, rfTransponder
    plate: Mapped[str | None] = mapped_column(String(20))  # as accepted by a person
    read_text: Mapped[str | None] = mapped_column(String(40))  # as a reader saw it, raw
    read_score_bps: Mapped[int | None] = mapped_column(SmallInteger)
    # Of a reading that nobody has confirmed: [{"plate", "score_bps", "raw", "is_valid"}], the best
    # first; empty where nothing was read.
    candidates: Mapped[list[Any] | None] = mapped_column(JSON)
    # Their plates, for people who ask: behind row-level security no index looks into an array.
    read_1: Mapped[str | None] = mapped_column(Text, _plate_read(1))
    read_2: Mapped[str | None] = mapped_column(Text, _plate_read(2))
    read_3: Mapped[str | None] = mapped_column(Text, _plate_read(3))
    read_4: Mapped[str | None] = mapped_column(Text, _plate_read(4))
    read_5: Mapped[str | None] = mapped_column(Text, _plate_read(5))
    photo: Mapped[bytes | None] = mapped_column(LargeBinary)  # SHA-256
    device_id: Mapped[UUID | None]
    seen_by: Mapped[UUID]
    seen_at: Mapped[datetime]


class Movement(Base):
    """What a device reported after it was offline: stored once, then applied in its order."""

    __tablename__ = "movements"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('entry', 'exit', 'collection', 'bill', 'manual_open')", name="kind_known"
        ),
        Index(
            "ix_movements_waiting",
            "org_id",
            "device_id",
            "seq",
            postgresql_where=text("handled_at IS NULL"),
        ),
        Index(
            "ix_movements_lot",
            "org_id",
            "lot_id",
            "id",
            postgresql_where=text("lot_id IS NOT NULL"),  # ONLY_BY
        ),
        Index(
            "ix_movements_by_hand",
            "org_id",
            "lot_id",
            "id",
            postgresql_where=text("kind = 'manual_open'"),
        ),
        # For people who ask what is held about their vehicle.
        Index(
            "ix_movements_plate",
            "org_id",
            "plate",
            postgresql_where=text("plate IS NOT NULL"),
        ),
        Index("ix_movements_words", "org_id", "id", postgresql_where=text("has_words")),
        {"postgresql_partition_by": BY_MONTH},
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    device_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)  # the device's own
    lot_id: Mapped[UUID]
    seq: Mapped[int]  # the device's order
    kind: Mapped[str]
    plate: Mapped[str | None] = mapped_column(String(20))  # compact, where it names one
    # People's or a reader's words are in it, which may quote another plate.
    has_words: Mapped[bool] = mapped_column(server_default=text("true"))
    # The very characters that were signed: JSON and not JSONB, which writes them anew.
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    # Of an entry that waits for an exit before it: what is asked. Taken out once it is decided.
    request: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    device_at: Mapped[datetime]
    # How far the device found its clock behind the hub's.
    offset_ms: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime]
    received_from: Mapped[UUID]  # who was signed in when it came
    handled_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    try_at: Mapped[datetime | None]  # not before: it could not be applied
    verdict: Mapped[str | None] = mapped_column(String(20))
