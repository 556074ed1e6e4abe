"""Statement lines over HTTP: explained by the worker once accepted, and by people."""

from datetime import date, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from core.clock import day_bounds
from core.db import Database
from core.ids import new_id
from tests.api.v1.test_statements import (  # noqa: F401 (fixtures)
    D1,
    accept,
    clerk,
    file_of,
    job_of,
    read,
    rows,
    worker,
)
from tests.payments.invariants import find_violations
from tests.world.databases import FreshDatabase
from tests.world.lines import receive
from tests.world.markets import Market
from tests.world.statement_files import FileLine

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FT = "FT26324000123"


def noon_of(day: date) -> datetime:
    return day_bounds(day)[0] + timedelta(hours=12)


async def wait_for_matching(market: Market, database: Database) -> None:
    """Wait until the run that the statement has queued has ended."""
    ((job_id,),) = await rows(database, "SELECT id FROM jobs WHERE kind = 'reconciliation.match'")
    job = await job_of(market, {"job_id": str(job_id)})
    assert job.status == "done", job


async def test_an_accepted_statement_is_matched_and_each_line_shows_its_evidence(
    market: Market,
    clerk: httpx.AsyncClient,  # noqa: F811
    worker: None,  # noqa: F811
    owner_database: Database,
    fresh_database: FreshDatabase,
) -> None:
    await receive(market.database, market.stall, now=noon_of(D1), bank_reference=FT)
    charge = FileLine(day=D1, amount_vnd=-5_500, memo="PHI SMS")
    line = FileLine(day=D1, amount_vnd=20_000, memo="mua rau", reference=FT)
    statement = await read(market, clerk, file_of(market, line, charge))
    await accept(market, clerk, statement)
    await wait_for_matching(market, owner_database)
    of_account = {"receiving_account_id": str(market.stall.account_id)}

    async def find(status: str) -> list[dict[str, object]]:
        answer = await clerk.get("/v1/statement-lines", params={**of_account, "status": status})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, object]] = answer.json()["lines"]
        return found

    (explained,), (open_line,) = await find("explained"), await find("open")
    assert (explained["explanation"], explained["open_vnd"]) == ("credit", 0)
    seen = (await clerk.get(f"/v1/statement-lines/{explained['id']}")).json()
    (proof,) = seen["proofs"]
    assert (proof["rule"], proof["score_bps"]) == ("bank_reference", 9_900)
    assert proof["because"] == {
        "vi": f"Khớp vì cùng số tham chiếu ngân hàng {FT} và cùng số tiền.",
        "en": f"Matched because both have the bank reference {FT}, and the amount.",
    }
    assert (proof["credit"]["bank_reference"], seen["line"]["memo"]) == (FT, "mua rau")

    said = {"explanation": "bank_charge", "reason": "phí SMS tháng 11"}
    for _ in range(2):
        done = await clerk.post(f"/v1/statement-lines/{open_line['id']}/explain", json=said)
        assert done.status_code == 200, done.text
    assert done.json()["line"]["explanation"] == "bank_charge"
    assert await find("open") == []
    undo = {"reason": "không phải phí"}
    undone = await clerk.post(f"/v1/statement-lines/{open_line['id']}/unlink", json=undo)
    assert undone.json()["line"]["explanation"] is None
    assert undone.json()["proofs"][0]["reversed_at"] is not None
    assert find_violations(fresh_database.owner_url) == []


async def test_a_person_sees_what_a_line_might_be_and_links_it(
    market: Market,
    clerk: httpx.AsyncClient,  # noqa: F811
    worker: None,  # noqa: F811
    owner_database: Database,
) -> None:
    await receive(market.database, market.stall, now=noon_of(D1), bank_reference="0007")
    lines = [FileLine(day=D1, amount_vnd=20_000), FileLine(day=D1, amount_vnd=21_000)]
    await accept(market, clerk, await read(market, clerk, file_of(market, *lines)))
    await wait_for_matching(market, owner_database)
    params = {"receiving_account_id": str(market.stall.account_id), "day": str(D1), "limit": "1"}
    first = (await clerk.get("/v1/statement-lines", params=params)).json()
    second = (
        await clerk.get("/v1/statement-lines", params={**params, "cursor": first["next_cursor"]})
    ).json()
    assert second["next_cursor"] is None
    other, line = first["lines"][0], second["lines"][0]
    assert (other["amount_vnd"], line["amount_vnd"]) == (21_000, 20_000)
    seen = (await clerk.get(f"/v1/statement-lines/{line['id']}")).json()
    (suggested,) = seen["suggestions"]

    async def link(line_id: object, credit_id: object) -> httpx.Response:
        said = {"credit_ids": [str(credit_id)], "reason": "khách xác nhận"}
        return await clerk.post(f"/v1/statement-lines/{line_id}/link", json=said)

    assert (await link(other["id"], suggested["id"])).json()["code"] == "line_amount_differs"
    assert (await link(line["id"], new_id())).json()["code"] == "credit_not_linkable"
    assert (await link(new_id(), suggested["id"])).json()["code"] == "statement_line_not_found"
    done = await link(line["id"], suggested["id"])
    assert done.json()["proofs"][0]["because"]["vi"].endswith("“khách xác nhận”")
    assert done.json()["suggestions"] == []

    manager = await market.staff("quan-ly", "manager")
    said = {"reason": "x"}
    refused = await manager.post(f"/v1/statement-lines/{line['id']}/unlink", json=said)
    assert refused.status_code == 403
    assert UUID(done.json()["line"]["id"]) == UUID(line["id"])
