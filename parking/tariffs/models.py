"""Tariffs, their dated versions, and which lots take them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class Tariff(OrgRow):
    """Price rules under a name; what they say is in their versions. APDS: RateTable."""

    __tablename__ = "tariffs"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    name: Mapped[str]
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class TariffVersion(OrgRow):
    """What a tariff says from an instant on. Never edited: a change is another version."""

    __tablename__ = "tariff_versions"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "tariff_id"], ["tariffs.org_id", "tariffs.id"]),
        UniqueConstraint("org_id", "tariff_id", "version"),
        CheckConstraint("version >= 1", name="version_positive"),
    )

    tariff_id: Mapped[UUID]
    version: Mapped[int]
    valid_from: Mapped[datetime]  # until the next version that was not withdrawn
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)  # docs/tariffs.md
    legal_basis: Mapped[str]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]  # before it came into force


class LotTariff(OrgRow):
    """The tariff that a lot takes from an instant on, until its next one."""

    __tablename__ = "lot_tariffs"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        ForeignKeyConstraint(["org_id", "tariff_id"], ["tariffs.org_id", "tariffs.id"]),
        Index("ix_lot_tariffs_lot", "org_id", "lot_id", "from_at"),
    )

    lot_id: Mapped[UUID]
    tariff_id: Mapped[UUID]
    from_at: Mapped[datetime]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
