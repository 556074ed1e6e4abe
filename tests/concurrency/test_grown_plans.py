"""Plans on tables of real size: what each payment asks reads no more as the history grows."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause

from core.clock import day_bounds, hanoi_day
from core.db import Database, open_database, open_engine
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.queries_lists import _write_list, list_bills
from payments.bills.rules import BillStatus
from payments.credits.queries_matches import FIND_SUGGESTIONS, SUGGESTED_FOR, SUGGESTED_OF_MAX
from payments.credits.queries_transactions import (
    DATED_APART,
    FIND_POSSIBLE_DUPLICATE,
    LIST_NEAR,
    NEAR_MAX,
    SAME_MONEY_WITHIN,
)
from payments.rails.queries import FIND_DUE
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.grown_tables import grow_bills, grow_credits
from tests.world.plans import explain, explain_generic
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PRICE_VND = 10_000
GROW_REQUESTS = """
    INSERT INTO rail_requests (
        org_id, bill_id, rail, endpoint_id, order_id, orders, status, payload, attempts,
        next_attempt_at, created_at)
    SELECT b.org_id, b.id, 'payos', %s, b.provider_order_id, 1, 'open', 'x', 1,
           now() + interval '1 day', now()
    FROM bills b WHERE b.org_id = %s AND b.provider_order_id IS NOT NULL
"""


async def _make_stall(database: FreshDatabase) -> PayableStall:
    engine = open_engine(database.app_url, database.settings)
    try:
        return await a_payable_stall(open_database(engine), code=next_code())
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def lot(fresh_database: FreshDatabase) -> PayableStall:
    """A parking lot: one price, tens of thousands of bills and credits."""
    lot = asyncio.run(_make_stall(fresh_database))
    grow_bills(fresh_database.owner_url, lot, price_vnd=PRICE_VND)
    grow_credits(fresh_database.owner_url, lot)
    return lot


def list_plans(
    database: FreshDatabase, lot: PayableStall, statement: TextClause, values: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the plan for these values, and the one that serves any."""
    return (
        explain(database.app_url, lot, statement, values),
        explain_generic(database.app_url, lot, statement, values),
    )


def test_a_sale_at_the_one_price_of_a_lot_looks_at_its_last_bills_only(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    values = {
        "org_id": lot.org.id,
        "payee_ids": [lot.payee_id],
        "amounts_vnd": [PRICE_VND],
        "since": NOON - SUGGESTED_FOR,
        "bills_max": SUGGESTED_OF_MAX,
        "now": NOON,
    }

    for plan in list_plans(fresh_database, lot, FIND_SUGGESTIONS, values):
        assert "Index Scan Backward using ix_bills_amount" in plan
        assert "created_at >" in plan
        assert "Limit" in plan
        assert "Sort" not in plan.split("Limit")[1]


def near_values(lot: PayableStall) -> dict[str, Any]:
    return {
        "org_id": lot.org.id,
        "account_id": lot.account_id,
        "direction": "in",
        "since": NOON - SAME_MONEY_WITHIN,
        "until": NOON + SAME_MONEY_WITHIN,
        "day_start": day_bounds(hanoi_day(NOON))[0],
        "amount_vnd": PRICE_VND,
        "provider": "casso",
        "bank_reference": "FT26324000123",
        "occurred_at": NOON,
    }


def test_another_credit_with_a_bank_reference_is_found_by_that_reference(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    values = near_values(lot) | {"id": new_id(), "apart": DATED_APART}

    for plan in list_plans(fresh_database, lot, FIND_POSSIBLE_DUPLICATE, values):
        assert "ix_bank_transactions_reference" in plan
        assert "ix_bank_transactions_account_time" not in plan
        assert "Seq Scan" not in plan


def test_credits_that_are_near_are_read_from_that_half_hour_and_not_from_the_whole_day(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    values = near_values(lot) | {"likes": [], "is_date_only": False, "near_max": NEAR_MAX}

    for plan in list_plans(fresh_database, lot, LIST_NEAR, values):
        assert "Seq Scan" not in plan
        assert plan.count("ix_bank_transactions_account_time") == 2
        ranges = re.findall(r"Index Cond: .*occurred_at (=|>=)", plan)
        assert sorted(ranges) == ["=", ">="]


def test_open_requests_at_a_rail_are_not_read_until_they_are_due(
    fresh_database: FreshDatabase, lot: PayableStall
) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(GROW_REQUESTS, [lot.endpoint_id, lot.org.id])
        owner.execute("ANALYZE rail_requests")

    plan = explain(fresh_database.worker_url, lot, FIND_DUE, {"limit": 100})

    assert "Index Scan using ix_rail_requests_due" in plan
    assert "Index Cond: (next_attempt_at <= now())" in plan
    assert "Sort" not in plan
    assert "bills" not in plan


@pytest.mark.parametrize(
    "statuses", [["refunded"], ["part_refunded"], ["part_refunded", "refunded"]]
)
async def test_bills_that_were_refunded_are_listed_without_walking_through_all(
    app_database: Database, fresh_database: FreshDatabase, lot: PayableStall, statuses: list[str]
) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        refund = "UPDATE bills SET status = %s, refunded_at = %s WHERE reference = %s"
        for status, reference in (
            ("refunded", "XX00000000007"),
            ("part_refunded", "XX00000000009"),
        ):
            owner.execute(refund, [status, NOON, reference])
        owner.execute("ANALYZE bills")
    wanted = tuple(BillStatus(status) for status in sorted(statuses))
    values = {"org_id": lot.org.id, "limit": 50, "now": NOON}

    plan = explain(fresh_database.app_url, lot, _write_list(frozenset(), wanted), values)

    assert "ix_bills_refunded" in plan
    assert "Seq Scan on bills" not in plan
    async with open_org_transaction(app_database, lot.org.id) as session:
        found = await list_bills(session, lot.org.id, statuses=statuses, limit=50, now=NOON)
    assert sorted(bill.status for bill in found) == sorted(statuses)
