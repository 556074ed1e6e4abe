"""Plans of the statements that read the books' days, and a day that is left half read."""

import asyncio
from contextlib import aclosing

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from payments.ledger import queries_days as queries
from tests.payments.ledger.books import DAY, a_posting, post
from tests.world.databases import FreshDatabase
from tests.world.plans import explain
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# As the first close asks; the table is small, where the plans of a large one are looked for.
VALUES = {"day": DAY, "after": queries.BEFORE_ALL, "first": queries.BEFORE_ALL, "most": 1_000_000}
LARGE = ("enable_seqscan = off", "enable_bitmapscan = off")


async def test_what_is_counted_while_payments_wait_is_in_the_index(
    fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    values = {"org_id": stall.org.id, **VALUES}
    plan = explain(fresh_database.app_url, stall, queries.COUNT_DAY, values, settings=LARGE)

    assert "Index Only Scan using ix_postings_day" in plan, plan


async def test_the_postings_of_a_first_close_are_read_in_the_order_of_the_index(
    fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    values = {"org_id": stall.org.id, **VALUES}
    plan = explain(fresh_database.app_url, stall, queries.READ_POSTINGS, values, settings=LARGE)

    assert "ix_postings_day" in plan, plan
    assert "Sort" not in plan, plan


@pytest.mark.parametrize("name", ["SUM_DAY", "SUM_BEFORE_BOOKS"])
async def test_sums_read_each_posting_once(
    fresh_database: FreshDatabase, stall: PayableStall, name: str
) -> None:
    values = {"org_id": stall.org.id, **VALUES}
    plan = explain(fresh_database.app_url, stall, getattr(queries, name), values, settings=LARGE)

    assert plan.count(" on postings") == 1, plan


async def test_who_leaves_a_day_half_read_can_close_it_elsewhere(
    app_database: Database, stall: PayableStall
) -> None:
    await post(app_database, stall, a_posting(stall))
    async with open_org_transaction(app_database, stall.org.id) as session:
        days = queries.stream_postings(session, stall.org.id, DAY, after=None)
        async with aclosing(days) as parts:
            assert len(await asyncio.create_task(anext(parts))) == 1
        assert await queries.read_closed_through(session, stall.org.id) is None
