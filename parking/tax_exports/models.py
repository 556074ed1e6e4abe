"""Tax exports that were asked for, their files, and the columns that organisations saved."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow


class TaxExport(OrgRow):
    """A seller's month, as it was exported. Its row stays; its file goes after 30 days."""

    __tablename__ = "tax_exports"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "operator_id"], ["parking_operators.org_id", "parking_operators.id"]
        ),
        CheckConstraint("format IN ('csv', 'xlsx')", name="format_known"),
        CheckConstraint("extract(day FROM month) = 1", name="month_begins"),
        CheckConstraint(
            "(made_at IS NULL) = (row_count IS NULL OR content_sha256 IS NULL"
            " OR content_bytes IS NULL OR exported_vnd IS NULL OR takings_vnd IS NULL)",
            name="made_whole",
        ),
        Index("ix_tax_exports_requested", "org_id", "requested_at"),
    )

    operator_id: Mapped[UUID]  # the seller
    month: Mapped[date]  # its first day, in Hà Nội
    format: Mapped[str]
    columns: Mapped[list[Any]] = mapped_column(JSONB)  # [[head, fact], …], as they were then
    job_id: Mapped[UUID]
    requested_by: Mapped[UUID]
    requested_at: Mapped[datetime]
    made_at: Mapped[datetime | None]
    row_count: Mapped[int | None]
    exported_vnd: Mapped[Vnd | None]  # what its rows add up to
    takings_vnd: Mapped[
        Vnd | None
    ]  # of the payees who took it, all of the month: with what they gave up
    content_bytes: Mapped[int | None] = mapped_column(BigInteger)
    content_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)

    @property
    def file_name(self) -> str:
        """What its file is called."""
        return f"parking-transactions-{self.month:%Y-%m}-{self.id.hex[-6:]}.{self.format}"


class TaxExportPart(Base):
    """A part of an export's file, compressed."""

    __tablename__ = "tax_export_parts"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "export_id"], ["tax_exports.org_id", "tax_exports.id"]),
        Index("ix_tax_export_parts_made", "made_at"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    export_id: Mapped[UUID] = mapped_column(primary_key=True)
    part_no: Mapped[int] = mapped_column(primary_key=True)  # from 0
    content: Mapped[bytes] = mapped_column(LargeBinary)  # zlib; at most PART_BYTES unpacked
    made_at: Mapped[datetime]


class TaxExportLayout(Base):
    """The columns that an organisation's exports have, if not the standard ones."""

    __tablename__ = "tax_export_layouts"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    columns: Mapped[list[Any]] = mapped_column(JSONB)  # [[head, fact], …]
    saved_by: Mapped[UUID]
    saved_at: Mapped[datetime]
