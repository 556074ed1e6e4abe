"""Tax exports, made by a worker and read as whoever downloads them reads them."""

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.places.queries import get_lot
from parking.tax_exports import queries, service
from parking.tax_exports.files import read_file
from parking.tax_exports.jobs import make_writer
from parking.tax_exports.models import TaxExport
from parking.tax_exports.rules import KIND, FileFormat, month_bounds
from payments.ledger import service as ledger
from tests.core.jobs.steps import ended, running
from tests.world.constants import MANAGER
from tests.world.parking_sessions import Gate

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
JANUARY = datetime.fromisoformat("2027-01-05T09:00:00+07:00")


async def a_tax_export(
    database: Database,
    worker_database: Database,
    gate: Gate,
    *,
    month: date = NOVEMBER,
    format_: FileFormat = FileFormat.CSV,
    operator_id: UUID | None = None,
) -> TaxExport:
    """Let a worker write a seller's month, and return it."""
    export_id = new_id()
    async with open_org_transaction(database, gate.org_id) as session:
        asked = await service.request_export(
            session,
            gate.org_id,
            export_id,
            operator_id=operator_id or await find_operator(database, gate),
            month=month,
            format_=format_,
            actor=MANAGER,
            now=JANUARY,
        )
    async with running(worker_database, {KIND: make_writer(database)}):
        job = await ended(database, asked.job_id, org_id=gate.org_id)
    assert job.status == "done", job
    async with open_org_transaction(database, gate.org_id) as session:
        return await queries.get_export(session, gate.org_id, export_id)


async def find_operator(database: Database, gate: Gate) -> UUID:
    """Return who runs the gate's lot."""
    async with open_org_transaction(database, gate.org_id) as session:
        return (await get_lot(session, gate.org_id, gate.lot.id)).operator_id


async def read_content(database: Database, export: TaxExport) -> bytes:
    """Return an export's file."""
    return b"".join([piece async for piece in read_file(database, export.org_id, export.id)])


async def read_rows(database: Database, export: TaxExport) -> list[dict[str, str]]:
    """Return the rows of a CSV export, each as fact → cell, whatever the heads say."""
    content = (await read_content(database, export)).decode("utf-8-sig")
    _, *rows = csv.reader(io.StringIO(content))
    facts: Sequence[str] = [fact for _, fact in queries.read_columns(export.columns)]
    return [dict(zip(facts, row, strict=True)) for row in rows]


async def read_month(database: Database, gate: Gate, month: date) -> int:
    """Return what the ledger says that the gate's payee took in a month, in đồng."""
    since, until = month_bounds(month)
    async with open_org_transaction(database, gate.org_id) as session:
        return await ledger.read_takings(
            session, gate.org_id, gate.lot.payee_id, since=since, until=until
        )
