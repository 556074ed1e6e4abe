"""Use cases of tax exports: asking for one, and saving the columns that they have."""

import json
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.jobs.service import queue_job
from parking.places.queries import get_operator
from parking.tax_exports import queries
from parking.tax_exports.errors import TaxExportIdTaken, TaxExportsTooMany
from parking.tax_exports.models import TaxExport
from parking.tax_exports.rules import (
    EXPORTS_PER_DAY_MAX,
    KIND,
    Columns,
    FileFormat,
    standard_columns,
)


async def request_export(
    session: AsyncSession,
    org_id: UUID,
    export_id: UUID,
    *,
    operator_id: UUID,
    month: date,
    format_: FileFormat,
    actor: Actor,
    now: datetime,
) -> TaxExport:
    """Have a seller's month written into a file by a job. The same id again answers the first.

    Args:
        export_id: made by the client.
        month: its first day; it is over (rules.check_month).

    Raises:
        OperatorNotFound, TaxExportsTooMany, Busy
        TaxExportIdTaken: the id came with another seller, month or format.
    """
    assert actor.id is not None
    await queries.lock_requests(session, org_id)
    known = await queries.find_export(session, org_id, export_id)
    if known is not None:
        if (known.operator_id, known.month, known.format) != (operator_id, month, format_.value):
            raise TaxExportIdTaken(export_id)
        return known
    operator = await get_operator(session, org_id, operator_id)
    since = now - timedelta(days=1)
    if await queries.count_since(session, org_id, since) >= EXPORTS_PER_DAY_MAX:
        raise TaxExportsTooMany(EXPORTS_PER_DAY_MAX)
    columns = await queries.find_layout(session, org_id) or standard_columns()
    export = TaxExport(
        org_id=org_id,
        id=export_id,
        operator_id=operator_id,
        month=month,
        format=format_.value,
        columns=[list(column) for column in columns],
        job_id=await queue_job(session, org_id, KIND, {"export_id": str(export_id)}),
        requested_by=actor.id,
        requested_at=now,
    )
    session.add(export)
    await session.flush()
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="tax_export.requested",
        object_kind="tax_export",
        object_id=export_id,
        after={"seller": operator.name, "month": f"{month:%Y-%m}", "file": format_.value},
        now=now,
    )
    return export


async def save_layout(
    session: AsyncSession, org_id: UUID, columns: Columns, *, actor: Actor, now: datetime
) -> None:
    """Save the columns that exports have from now on (rules.check_columns); the last one holds."""
    assert actor.id is not None
    written = json.dumps([list(column) for column in columns], ensure_ascii=False)
    await queries.save_layout(session, org_id, written, by=actor.id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="tax_export_layout.saved",
        object_kind="organisation",
        object_id=org_id,
        after={"columns": ", ".join(fact for _, fact in columns)},
        now=now,
    )
