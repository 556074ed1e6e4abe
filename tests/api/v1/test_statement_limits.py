"""Accepting a statement, and how much one organisation sends and keeps."""

# ruff: noqa: F811 (fixtures of another file)

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from payments.statements.rules import FILES_A_DAY_MAX, KEPT_BYTES_MAX
from tests.api.v1.test_statements import (
    D1,
    D2,
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

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


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
    insert = """
        INSERT INTO statements (org_id, id, file_sha256, file_name, file_bytes, is_pasted, status,
            created_at)
        SELECT '{org}', gen_random_uuid(), sha256(n::text::bytea), '', {bytes}, false, 'discarded',
               '{at}'
        FROM generate_series(1, {count}) n RETURNING id"""
    org, now = market.stall.org.id, read_clock()
    await rows(owner_database, insert.format(org=org, bytes=1, at=now, count=FILES_A_DAY_MAX))

    too_many = await send(clerk, file_of(market, (D1, 1_000)))
    yesterday = f"UPDATE statements SET created_at = '{now - timedelta(days=1)}' RETURNING id"
    await rows(owner_database, yesterday)
    next_day = await send(clerk, file_of(market, (D1, 1_000)))

    assert (too_many.status_code, too_many.json()["code"]) == (429, "statements_a_day_reached")
    assert next_day.status_code == 201, next_day.text
    # The same file twice counts once.
    each = KEPT_BYTES_MAX // 4
    await rows(owner_database, "DELETE FROM statements WHERE status = 'discarded' RETURNING id")
    for count in (3, 3, 4):
        await rows(owner_database, insert.format(org=org, bytes=each, at=now, count=count))
        if count == 3:
            await rows(owner_database, f"UPDATE statements SET created_at = '{now}' RETURNING id")
    full = await send(clerk, file_of(market, (D2, 2_000)))
    assert (full.status_code, full.json()["code"]) == (409, "statement_space_reached")
