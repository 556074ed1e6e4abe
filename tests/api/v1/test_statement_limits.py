"""Accepting a statement, and how much one organisation sends and keeps."""

# ruff: noqa: F811 (fixtures of another file)

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from payments.statements.rules import FILES_A_DAY_MAX, READINGS_A_DAY_MAX
from tests.api.v1.test_statements import (
    D1,
    D2,
    D3,
    accept,
    clerk,  # noqa: F401 (a fixture)
    file_of,
    read,
    rows,
    send,
    wait_for_job,
    worker,  # noqa: F401 (a fixture)
)
from tests.world.markets import Market
from tests.world.pages import let_in, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GIB = 1024**3
# As many files as are named, or one file as often; each was put aside.
SENT = """
    INSERT INTO statements (org_id, id, file_sha256, file_name, file_bytes, is_pasted, status,
        created_at)
    SELECT '{org}', gen_random_uuid(), sha256({file}), '', {bytes}, false, 'discarded', '{at}'
    FROM generate_series(1, {count}) n RETURNING id"""
EACH, ONE = "n::text::bytea", "'one'::bytea"
OPENING = """
    INSERT INTO opening_balances (org_id, id, receiving_account_id, day, amount_vnd, proposed_by,
        proposed_at, confirmed_by, confirmed_at, bank_vnd, clearing_vnd, under_way_vnd)
    VALUES ('{org}', '{id}', '{account}', '{day}', 0, '{by}', now(), {confirmed}) RETURNING id"""


async def test_accepting_reads_none_of_the_lines_so_it_costs_the_same_for_any_number(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
    owner_database: Database,
) -> None:
    statement = await read(market, clerk, file_of(market, (D1, 20_000), (D1, -3_000), (D2, 500)))

    async def change(words: str) -> None:
        async with owner_database.begin() as session:
            await session.execute(text(words))

    await change("REVOKE SELECT ON staged_lines FROM phopay_app")
    try:
        accepted = await clerk.post(f"/v1/statements/{statement['id']}/accept")
    finally:
        await change("GRANT SELECT ON staged_lines TO phopay_app")

    assert accepted.status_code == 200, accepted.text
    days = "SELECT day, line_count, in_vnd, out_vnd, closing_vnd FROM statement_days ORDER BY day"
    assert await rows(owner_database, days) == [
        (D1, 2, 20_000, 3_000, 1_017_000),
        (D2, 1, 500, 0, 1_017_500),
    ]
    visible = await wait_for_job(market, clerk, accepted.json())
    assert visible["status"] in {"accepted", "visible"}


async def test_a_refused_overlap_names_the_days_that_differ(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    await accept(market, clerk, await read(market, clerk, file_of(market, (D1, 5_000), (D2, 700))))
    other = await read(market, clerk, file_of(market, (D1, 5_000), (D2, 900)))

    refused = await clerk.post(f"/v1/statements/{other['id']}/accept")

    assert (refused.status_code, refused.json()["code"]) == (409, "statement_overlaps")
    assert f"days that differ: {D2:%d/%m/%Y})" in refused.json()["detail"]


async def test_an_organisation_may_send_so_many_files_a_day_and_keep_so_much(
    market: Market,
    clerk: httpx.AsyncClient,
    owner_database: Database,
) -> None:
    now = read_clock()
    facts = {"org": market.stall.org.id, "file": EACH, "at": now}
    await rows(owner_database, SENT.format(bytes=1, count=FILES_A_DAY_MAX, **facts))

    too_many = await send(clerk, file_of(market, (D1, 1_000)))
    yesterday = f"UPDATE statements SET created_at = '{now - timedelta(days=1)}' RETURNING id"
    await rows(owner_database, yesterday)
    next_day = await send(clerk, file_of(market, (D1, 1_000)))

    assert (too_many.status_code, too_many.json()["code"]) == (429, "statements_a_day_reached")
    assert next_day.status_code == 201, next_day.text
    # The same file twice counts once.
    each = market.hub.services.settings.statement_bytes_per_org // 4
    await rows(owner_database, "DELETE FROM statements WHERE status = 'discarded' RETURNING id")
    for count in (3, 3, 4):
        await rows(owner_database, SENT.format(bytes=each, count=count, **facts))
        if count == 3:
            await rows(owner_database, f"UPDATE statements SET created_at = '{now}' RETURNING id")
    full = await send(clerk, file_of(market, (D2, 2_000)))
    assert (full.status_code, full.json()["code"]) == (409, "statement_space_reached")
    settings: Settings = market.hub.services.settings
    object.__setattr__(settings, "statement_gib_per_org", settings.statement_gib_per_org + 1)
    assert (await send(clerk, file_of(market, (D2, 2_000)))).status_code == 201


async def test_finance_is_told_once_four_fifths_of_the_room_are_used(
    market: Market, owner_database: Database
) -> None:
    finance = await let_in(market, "finance")
    facts = {"org": market.stall.org.id, "file": EACH, "at": read_clock(), "bytes": GIB}
    await rows(owner_database, SENT.format(count=3, **facts))

    enough = text_of(await finance.get("/finance/statements"))
    await rows(owner_database, SENT.format(count=4, **facts))
    little = text_of(await finance.get("/finance/statements"))

    said = "Tệp sao kê đã dùng 80% của 5 GiB"
    assert (said in enough, said in little) == (False, True)


async def test_reading_a_file_again_uses_up_no_file_and_has_a_limit_of_its_own(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    content = file_of(market, (D1, 1_000))
    statement = await read(market, clerk, content)
    now = read_clock()
    facts = {"org": market.stall.org.id, "bytes": 1, "at": now}
    path = "/v1/statements/{}/read-again"

    async def read_again(statement_id: str) -> httpx.Response:
        return await clerk.post(path.format(statement_id), json={"id": str(new_id())})

    # With this one, one file is left of a day's; what was sent yesterday is none of today's.
    others = FILES_A_DAY_MAX - 2
    await rows(owner_database, SENT.format(file=EACH, count=others, **facts))
    before = {**facts, "at": now - timedelta(days=1), "file": ONE}
    await rows(owner_database, SENT.format(count=1, **before))
    once = READINGS_A_DAY_MAX - 1
    await rows(owner_database, SENT.format(file=ONE, count=once, **facts))
    again = await read_again(statement["id"])
    assert again.status_code == 201, again.text
    last_file = await send(clerk, file_of(market, (D2, 2_000)))
    assert last_file.status_code == 201, last_file.text

    too_often = await read_again(again.json()["id"])

    assert (too_often.status_code, too_often.json()["code"]) == (429, "statement_readings_reached")
    kept = (await clerk.get(f"/v1/statements/{again.json()['id']}")).json()
    assert kept["status"] != "discarded"


async def test_a_machine_that_sends_files_puts_no_staged_statement_aside(
    market: Market, clerk: httpx.AsyncClient, worker: None
) -> None:
    statement = await read(market, clerk, file_of(market, (D1, 1_000)))
    machine = await market.hub.machine(
        market.admin, "statements.import", "ledger.read", **market.org
    )
    path = f"/v1/statements/{statement['id']}"
    body = {"id": str(new_id())}

    refused = await machine.post(f"{path}/read-again", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await clerk.get(path)).json()["status"] == "staged"
    assert (await clerk.post(f"{path}/read-again", json=body)).status_code == 201


async def test_days_from_before_an_accounts_go_live_are_refused(
    market: Market, clerk: httpx.AsyncClient, worker: None, owner_database: Database
) -> None:
    early = await read(market, clerk, file_of(market, (D1, 1_000), (D2, 500)))
    facts = {"org": market.stall.org.id, "account": market.stall.account_id, "by": new_id()}
    confirmed = f"'{new_id()}', now(), 0, 0, 0"
    nobody = ", ".join(["NULL"] * 5)
    live, later = (
        OPENING.format(id=new_id(), day=day, confirmed=by, **facts)
        for day, by in ((D2, confirmed), (D3, nobody))
    )
    await rows(owner_database, later)  # only proposed: it says nothing yet
    await rows(owner_database, live)
    finance = await let_in(market, "finance")

    refused = await clerk.post(f"/v1/statements/{early['id']}/accept")
    page = await finance.post(f"/finance/statements/{early['id']}/accept")

    assert (refused.status_code, refused.json()["code"]) == (409, "statement_before_opening")
    assert f"went live on {D2:%d/%m/%Y}" in refused.json()["detail"]
    assert page.status_code == 422
    assert "Sao kê này có ngày trước khi tài khoản bắt đầu dùng sao kê" in text_of(page)
    since = await read(market, clerk, file_of(market, (D2, 500)))
    await accept(market, clerk, since)
    assert await rows(owner_database, "SELECT day FROM statement_days") == [(D2,)]
