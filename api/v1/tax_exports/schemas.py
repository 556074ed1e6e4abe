"""Requests and answers about tax exports."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, Line, Read
from parking.tax_exports.models import TaxExport
from parking.tax_exports.rules import COLUMNS_MAX, HEAD_CHARS_MAX, Columns, FileFormat


class TaxExportCreate(Body):
    """A seller's month that is to be exported."""

    id: UUID = Field(description="Made by you, a UUIDv7: the same again answers the first.")
    operator_id: UUID = Field(description="The seller, of `GET /v1/parking-operators`.")
    month: Annotated[str, Field(max_length=7, examples=["2026-10"])] = Field(
        description="In Hà Nội; it is over."
    )
    format: FileFormat


class TaxExportRead(Read):
    """An export; its file is kept for 30 days after `made_at`."""

    id: UUID
    operator_id: UUID
    month: str
    format: FileFormat
    job_id: UUID = Field(description="Says how far it has come: `GET /v1/jobs/{job_id}`.")
    requested_by: UUID
    requested_at: datetime
    made_at: datetime | None = Field(description="Null until its file is written.")
    row_count: int | None
    exported_vnd: int | None = Field(description="What its rows add up to.")
    takings_vnd: int | None = Field(
        description="All takings in the month of the payees that took it: what is more than"
        " `exported_vnd` was no parking, another seller's, or given up without a payment."
    )
    content_bytes: int | None
    content_sha256: str | None

    @classmethod
    def of(cls, export: TaxExport) -> Self:
        """Present an export."""
        return cls(
            id=export.id,
            operator_id=export.operator_id,
            month=f"{export.month:%Y-%m}",
            format=FileFormat(export.format),
            job_id=export.job_id,
            requested_by=export.requested_by,
            requested_at=export.requested_at,
            made_at=export.made_at,
            row_count=export.row_count,
            exported_vnd=export.exported_vnd,
            takings_vnd=export.takings_vnd,
            content_bytes=export.content_bytes,
            content_sha256=None if export.content_sha256 is None else export.content_sha256.hex(),
        )


class TaxExportPage(Read):
    """Exports, newest first."""

    exports: list[TaxExportRead]
    next_cursor: str | None


class TaxColumn(Body):
    """A column: what its head says, and which fact stands below it."""

    head: Annotated[Line, Field(min_length=1, max_length=HEAD_CHARS_MAX, examples=["Thành tiền"])]
    fact: Annotated[str, Field(max_length=40, examples=["amount_vnd"])]


class TaxLayout(Body):
    """Columns in their order."""

    columns: Annotated[list[TaxColumn], Field(min_length=1, max_length=COLUMNS_MAX)]

    @classmethod
    def of(cls, columns: Columns) -> Self:
        """Present columns."""
        return cls(columns=[TaxColumn(head=head, fact=fact) for head, fact in columns])


class TaxLayoutRead(TaxLayout):
    """The columns that exports have, and what others could show."""

    is_own: bool = Field(description="False: the standard ones, none were saved.")
    facts: list[str]
