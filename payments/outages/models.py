"""Tables of the hubs' heartbeat, of outages, and of what was reported about each of them.

Heartbeat and outages are the installation's, no tenant's. All instants are the database's.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class HubHeartbeat(Base):
    """When a hub last said that it receives: one row for all hubs of an installation."""

    __tablename__ = "hub_heartbeats"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    beat_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]  # a hub stopped in order, and none has beaten since


class Outage(Base):
    """A span of time in which no hub received."""

    __tablename__ = "outages"
    __table_args__ = (
        CheckConstraint("until_at > from_at", name="ends_after_it_begins"),
        CheckConstraint("reason IN ('unknown', 'shutdown', 'database')", name="reason_known"),
        Index("ix_outages_until", "until_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    from_at: Mapped[datetime]
    until_at: Mapped[datetime]
    reason: Mapped[str]
    planned_at: Mapped[datetime | None]  # every organisation's polls about it are written down
    closed_at: Mapped[datetime | None]  # all have reported, and nothing more is polled about it


class OutageReport(Base):
    """One organisation's outage was caught up with, and its audit log says so."""

    __tablename__ = "outage_reports"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        Index("ix_outage_reports_recorded", "recorded_at"),  # retention goes by it
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    outage_id: Mapped[UUID] = mapped_column(primary_key=True)
    recorded_at: Mapped[datetime]
