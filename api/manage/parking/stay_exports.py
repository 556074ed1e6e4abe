"""Exports of parking sessions: exactly what the list's filter asks for, as CSV or XLSX.

Plates are masked. Whoever manages parking may choose whole ones, and that is in the audit log.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from api.http.deps import requires
from api.http.i18n import translate
from api.http.middleware import no_store
from api.manage.page_context import ManagerContext, TheManager
from api.manage.parking.stay_filter import AskedStays, TheStays
from api.manage.parking.stays import write_plate
from api.manage.parking.vehicle_words import say_class
from api.pages.spreadsheets import BOM, CSV_TYPE, XLSX_TYPE, Cell, Sheet, write_csv
from core.audit import record_change
from core.errors import Forbidden
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.overview.queries import sum_rails
from parking.overview.stays import StayRow, list_stays
from parking.plates import mask_plate

router = APIRouter(prefix="/manage/stays", include_in_schema=False)

BATCH_ROWS: Final = 2_000
CSV_ROWS_MAX: Final = 200_000
XLSX_ROWS_MAX: Final = 50_000  # a file of some 4 MB, made in 3 s
RAILS: Final = ("vietqr", "toll", "cash", "float")  # together they are what was paid
COLUMNS: Final = (
    *("id", "lot", "vehicle", "plate", "ticket", "entered", "left", "state", "reason"),
    *("price", "paid", *(f"by_{rail}" for rail in RAILS), "waived", "arrears"),
)

Exported = tuple[StayRow, Mapping[str, int]]  # a stay, and what was paid for it by each rail


@router.get("/export.csv", dependencies=[requires(Permission.PARKING_READ)])
async def export_csv(
    manager: TheManager, asked: TheStays, plates: Annotated[str, Query(max_length=10)] = ""
) -> Response:
    """Send the list as CSV."""
    is_whole = await _note_whole_plates(manager, asked, plates, "csv")

    async def write() -> AsyncIterator[str]:
        yield BOM + write_csv([_heads(manager)])
        async for batch in _read_batches(manager, asked, CSV_ROWS_MAX):
            yield write_csv([_cells(manager, one, is_whole=is_whole) for one in batch])

    answer = StreamingResponse(write(), media_type=CSV_TYPE)
    return _as_file(answer, asked, "csv")


@router.get("/export.xlsx", dependencies=[requires(Permission.PARKING_READ)])
async def export_xlsx(
    manager: TheManager, asked: TheStays, plates: Annotated[str, Query(max_length=10)] = ""
) -> Response:
    """Send the list as an Excel file; of a list that is too long the newest rows."""
    is_whole = await _note_whole_plates(manager, asked, plates, "xlsx")
    name = translate(manager.lang, "stays.sheet")
    sheet = await asyncio.to_thread(Sheet, name, _heads(manager))
    async for batch in _read_batches(manager, asked, XLSX_ROWS_MAX):
        rows = [_cells(manager, one, is_whole=is_whole) for one in batch]
        await asyncio.to_thread(sheet.add, rows)
    content = await asyncio.to_thread(sheet.close)
    return _as_file(Response(content, media_type=XLSX_TYPE), asked, "xlsx")


async def _note_whole_plates(
    manager: ManagerContext, asked: AskedStays, plates: str, kind: str
) -> bool:
    """Record that somebody takes whole plates out of the hub, before they do.

    Raises:
        Forbidden: they may not.
    """
    if plates != "whole":
        return False
    if not manager.may(Permission.PARKING_MANAGE):
        raise Forbidden("Whole plates are for who manages parking.")
    filters = {name: value for name, value in asked.form.items() if value}
    if "find" in filters:
        filters["find"] = mask_plate(filters["find"])
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        record_change(
            tx,
            org_id=manager.org_id,
            actor=manager.caller.actor,
            action="parking_sessions.exported",
            object_kind="organisation",
            object_id=manager.org_id,
            after={"file": kind, "filters": ", ".join(f"{k}={v}" for k, v in filters.items())},
            now=manager.now,
        )
    return True


async def _read_batches(
    manager: ManagerContext, asked: AskedStays, rows_max: int
) -> AsyncIterator[list[Exported]]:
    """Read the list in batches, each in a transaction of its own: a client may be slow."""
    before_id = None
    left = rows_max
    while left > 0:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            batch = await list_stays(
                tx,
                manager.org_id,
                asked.wanted,
                before_id=before_id,
                limit=min(BATCH_ROWS, left),
            )
            rails = await sum_rails(tx, manager.org_id, [one.id for one in batch])
        if not batch:
            return
        yield [(one, rails.get(one.id, {})) for one in batch]
        left -= len(batch)
        if len(batch) < BATCH_ROWS:
            return
        before_id = batch[-1].id


def _heads(manager: ManagerContext) -> list[str]:
    return [translate(manager.lang, f"stays.column.{name}") for name in COLUMNS]


def _cells(manager: ManagerContext, one: Exported, *, is_whole: bool) -> list[Cell]:
    stay, by_rail = one
    plate = write_plate(stay.plate, stay.vehicle_class)
    return [
        str(stay.id),
        stay.lot_name,
        say_class(manager.lang, stay.vehicle_class),
        plate if is_whole or not plate else mask_plate(plate),
        stay.ticket,
        stay.entered_at,
        stay.left_at,
        translate(manager.lang, f"stays.state.{stay.status}"),
        stay.exit_reason,
        stay.price_vnd,
        stay.paid_vnd,
        *(by_rail.get(rail, 0) for rail in RAILS),
        stay.waived_vnd,
        stay.arrears_vnd,
    ]


def _as_file(answer: Response, asked: AskedStays, kind: str) -> Response:
    name = f"parking-sessions-{asked.form['day']}-{asked.form['until']}.{kind}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return no_store(answer)
