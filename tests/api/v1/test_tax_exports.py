"""Tax exports over the API: who may ask for one, how far it is, and the file of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from core.clock import hanoi_day, read_clock
from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from parking.places.queries import get_lot
from parking.tax_exports.rules import EXPORTS_PER_DAY_MAX
from registry import REGISTRY
from tests.core.jobs.steps import ended, running
from tests.world.gates import Gate
from worker.jobs import purge_expired

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATH = "/v1/tax-exports"
LAST_MONTH = f"{hanoi_day(read_clock()).replace(day=1) - timedelta(days=1):%Y-%m}"


@pytest.fixture
async def finance(gate: Gate) -> httpx.AsyncClient:
    """Somebody of the operator's finance."""
    return await gate.staff("ke-toan", "finance")


async def body_of(gate: Gate, **facts: Any) -> dict[str, Any]:
    async with open_org_transaction(gate.hub.services.database, gate.lot.org.id) as session:
        operator_id = (await get_lot(session, gate.lot.org.id, gate.lot.id)).operator_id
    return {
        "id": str(new_id()),
        "operator_id": str(operator_id),
        "month": LAST_MONTH,
        "format": "csv",
        **facts,
    }


async def test_an_export_is_asked_for_written_by_a_worker_downloaded_and_deleted_in_its_time(
    gate: Gate,
    finance: httpx.AsyncClient,
    owner_database: Database,
    app_database: Database,
    worker_database: Database,
) -> None:
    database = gate.hub.services.database
    body = await body_of(gate)
    asked = await finance.post(PATH, json=body)
    assert asked.status_code == 201, asked.text
    assert asked.json()["made_at"] is None
    content = f"{PATH}/{body['id']}/content"
    assert (await finance.get(content)).json()["code"] == "tax_export_not_ready"
    again = await finance.post(PATH, json=body)
    assert again.json() == asked.json()

    handlers = {kind: make(database) for kind, make in REGISTRY.job_handlers.items()}
    async with running(worker_database, handlers):
        await ended(database, UUID(asked.json()["job_id"]), org_id=gate.lot.org.id)

    made = (await finance.get(f"{PATH}/{body['id']}")).json()
    assert (made["row_count"], made["exported_vnd"], made["takings_vnd"]) == (0, 0, 0)
    file = await finance.get(content)
    assert file.text.startswith("\ufeffSTT,Tên người bán,")
    assert len(file.content) == made["content_bytes"]
    assert f"parking-transactions-{LAST_MONTH}" in file.headers["content-disposition"]
    assert file.headers["cache-control"] == "no-store"
    listed = (await finance.get(PATH)).json()
    assert [one["id"] for one in listed["exports"]] == [body["id"]]

    async with owner_database.begin() as session:
        for table in ("tax_exports", "tax_export_parts"):
            await session.execute(text(f"UPDATE {table} SET made_at = now() - interval '31 days'"))
    assert (await finance.get(content)).json()["code"] == "tax_export_gone"
    databases = JobDatabases(app=app_database, worker=worker_database)
    assert await purge_expired(databases, now=read_clock()) == 1
    assert (await finance.get(f"{PATH}/{body['id']}")).json()["content_sha256"]


async def test_columns_are_saved_by_who_may_and_read_with_what_else_there_is(
    gate: Gate, finance: httpx.AsyncClient
) -> None:
    path = "/v1/tax-export-layout"
    assert (await finance.get(path)).json()["is_own"] is False
    columns = [
        {"head": "Mã", "fact": "transaction"},
        {"head": "Lúc", "fact": "sold_at"},
        {"head": "Tiền", "fact": "amount_vnd"},
    ]

    saved = await finance.put(path, json={"columns": columns})

    assert saved.status_code == 200, saved.text
    read = (await finance.get(path)).json()
    assert (read["columns"], read["is_own"]) == (columns, True)
    assert "tax_vnd" in read["facts"]
    wrong = await finance.put(path, json={"columns": [{"head": "Mã", "fact": "plate_whole"}]})
    assert wrong.status_code == 422
    assert {one["code"] for one in wrong.json()["violations"]} >= {"unknown_fact", "fact_needed"}
    approver = await gate.staff("duyet", "approver")  # reads the books, and no leakage
    assert (await approver.put(path, json={"columns": columns})).status_code == 403


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"month": "2099-01"}, "invalid_request"),
        ({"operator_id": str(new_id())}, "parking_operator_not_found"),
        ({"format": "pdf"}, "invalid_request"),
    ],
)
async def test_what_cannot_be_exported_is_refused(
    gate: Gate, finance: httpx.AsyncClient, facts: dict[str, Any], code: str
) -> None:
    answer = await finance.post(PATH, json=await body_of(gate, **facts))

    assert answer.json()["code"] == code


async def test_an_attendant_sees_none_and_one_more_than_a_days_exports_is_refused(
    gate: Gate, finance: httpx.AsyncClient
) -> None:
    assert (await gate.attendant.get(PATH)).status_code == 403
    for _ in range(EXPORTS_PER_DAY_MAX):
        answer = await finance.post(PATH, json=await body_of(gate))
        assert answer.status_code == 201, answer.text

    refused = await finance.post(PATH, json=await body_of(gate))

    assert refused.json()["code"] == "tax_exports_too_many"
