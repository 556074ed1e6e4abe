"""I6: a request that is refused leaves every row of every table as it was."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from core.ids import new_id
from tests.world.databases import FreshDatabase
from tests.world.markets import Market

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# When somebody last asked is no part of what they asked for.
LAST_USES = {"api_keys", "sign_ins"}


def read_rows(fresh_database: FreshDatabase) -> dict[str, list[str]]:
    """Read every row of every table, whole, as PostgreSQL writes it."""
    with psycopg.connect(fresh_database.owner_url) as owner:
        tables = owner.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        return {
            name: sorted(
                str(row)
                for row in owner.execute(
                    sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))
                )
            )
            for (name,) in tables
            if name not in LAST_USES
        }


async def test_what_is_refused_leaves_every_row_as_it_was(
    market: Market, fresh_database: FreshDatabase
) -> None:
    known = await market.open_bill(id=str(new_id()))
    unpaid = await market.open_bill()
    await market.pay(await market.add_bill())
    body: dict[str, Any] = market.bill_body()
    bills = "/v1/bills"
    refused = {
        "an amount of nothing": (bills, {**body, "amount_vnd": 0}, 422),
        "a part of a đồng": (bills, {**body, "amount_vnd": 5000.5}, 422),
        "nobody's payee": (bills, {**body, "payee_id": str(new_id())}, 404),
        "an id of another bill": (bills, {**body, "id": known["id"], "amount_vnd": 1_000}, 409),
        "a bill that is not there": (f"{bills}/{new_id()}/cancel", {}, 404),
        "cash for a bill of which nothing came": (
            f"{bills}/{unpaid['id']}/cash-payments",
            {"id": str(new_id()), "amount_vnd": 20_000},
            409,
        ),
        "a field that we do not know": (bills, {**body, "amount": 5}, 422),
    }
    before = read_rows(fresh_database)

    for what, (path, asked, status) in refused.items():
        sender, query = (market.admin, market.org) if "cash" in path else (market.till, {})
        answer = await sender.post(path, json=asked, params=query)
        assert answer.status_code == status, (what, answer.text)
        assert read_rows(fresh_database) == before, what
    assert known["id"] in str(before["bills"])
