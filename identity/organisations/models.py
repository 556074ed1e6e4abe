"""Organisations, the hub's tenants, and the codes that name them in references."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class Organisation(Base):
    """A tenant. Not tenant data itself: name and code are public, everyone's requests need them."""

    __tablename__ = "organisations"
    __table_args__ = (UniqueConstraint("id", "is_live"),)  # endpoints refer to both

    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(4), unique=True)  # the one in new references
    name: Mapped[str]
    kind: Mapped[str]
    is_live: Mapped[bool]  # live organisations refuse sandbox endpoints and simulated credits
    created_at: Mapped[datetime]


# The server that this database lies on, and its timeline, which a promoted standby and a recovery
# to a point in time begin anew: on another one, serials may have been given out that are not known
# here. Source: PostgreSQL documentation, 25.3.6 "Timelines", and 9.28 "pg_control_system".
SERVER_AND_TIMELINE: Final = (
    "(pg_control_system()).system_identifier || '/'"
    " || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
)


class OrganisationCode(Base):
    """Every code that ever named an organisation in a reference, and its next free serial."""

    __tablename__ = "organisation_codes"
    __table_args__ = (
        CheckConstraint("next_serial BETWEEN 0 AND 729000000", name="serial_in_range"),  # 30^6
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
    )

    code: Mapped[str] = mapped_column(String(4), primary_key=True)
    org_id: Mapped[UUID]
    next_serial: Mapped[int] = mapped_column(server_default=text("0"))
    # Where and when the last run of serials was taken (bills/queries_serials.py, TAKE_SERIALS).
    taken_on: Mapped[str] = mapped_column(server_default=text(SERVER_AND_TIMELINE))
    taken_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
