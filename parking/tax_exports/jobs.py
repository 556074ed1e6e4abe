"""The job that writes a tax export: a month is read in batches, and kept once it is whole.

An attempt that dies leaves nothing: the file lies on its worker's disk until the one transaction
that keeps it, with the sums and the job's end.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from uuid import UUID

from core.db import Database
from core.jobs.attempts import Handler, JobAttempt
from core.spreadsheets import Cell
from core.tenancy import open_org_transaction
from parking.places.queries import get_operator
from parking.tax_exports import queries
from parking.tax_exports.files import RowWriter, keep_file, open_writer
from parking.tax_exports.rules import Columns, FileFormat, SellerFacts, TaxRow, write_facts
from parking.tax_exports.transactions import SellersMonth


def make_writer(database: Database) -> Handler:
    """Make the handler of `parking.tax_export`: writes the file of an export and keeps it."""

    async def write(attempt: JobAttempt) -> None:
        org_id, export_id = attempt.org_id, UUID(attempt.arguments["export_id"])
        async with open_org_transaction(database, org_id) as session:
            export = await queries.find_export(session, org_id, export_id)
            if export is None or export.made_at is not None:
                return
            lots = await queries.find_lots_of(session, org_id, export.operator_id)
            operator = await get_operator(session, org_id, export.operator_id)
        seller = SellerFacts(
            name=operator.name, address=operator.address, tax_code=operator.tax_code
        )
        month = SellersMonth(database, org_id, lots=lots, month=export.month)
        columns = queries.read_columns(export.columns)
        heads = [head for head, _ in columns]
        file = await asyncio.to_thread(open_writer, FileFormat(export.format), heads)
        row_count = 0
        async with aclosing(month.read()) as batches:
            async for batch in batches:
                places = [
                    (lots[one.sale.lot_id].name, lots[one.sale.lot_id].address) for one in batch
                ]
                await asyncio.to_thread(
                    _add, file, batch, places, columns=columns, seller=seller, first=row_count + 1
                )
                row_count += len(batch)
                await attempt.report_progress(row_count)
        if not await month.is_whole():  # something was posted meanwhile: the next attempt has it
            msg = "the month's takings moved while it was read"
            raise RuntimeError(msg)
        await _keep(database, attempt, file, month, export_id, row_count)

    return write


def _add(
    file: RowWriter,
    rows: Sequence[TaxRow],
    places: Sequence[tuple[str, str]],
    *,
    columns: Columns,
    seller: SellerFacts,
    first: int,
) -> None:
    cells: list[list[Cell]] = []
    for number, (row, lot) in enumerate(zip(rows, places, strict=True), first):
        facts = write_facts(row, number=number, seller=seller, lot=lot)
        cells.append([facts[fact] for _, fact in columns])
    file.add(cells)


async def _keep(
    database: Database,
    attempt: JobAttempt,
    file: RowWriter,
    month: SellersMonth,
    export_id: UUID,
    row_count: int,
) -> None:
    content = await asyncio.to_thread(file.close)
    with content:
        async with open_org_transaction(database, attempt.org_id) as session:
            await attempt.hold(session)
            kept = await keep_file(session, attempt.org_id, export_id, content)
            await queries.finish_export(
                session,
                attempt.org_id,
                export_id,
                row_count=row_count,
                exported_vnd=month.sums.exported_vnd,
                takings_vnd=month.sums.of_sellers_payees_vnd,
                content_bytes=kept.size_bytes,
                content_sha256=kept.digest,
            )
            await attempt.complete(session)
