"""I13: postings and statements that do not agree are found."""

import pytest
from psycopg import connect

from core.db import Database
from tests.world.databases import FreshDatabase
from tests.world.settlements import (
    DAY,
    close_through,
    draft,
    find_settlement_faults,
    sell,
)
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


async def test_a_posting_that_gets_into_a_settled_day_is_found(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    await sell(app_database, stall, 20_000)
    await close_through(app_database, stall, DAY)
    await draft(app_database, worker_database, stall)
    with connect(fresh_database.owner_url) as owner:
        owner.execute(
            "INSERT INTO postings SELECT org_id, gen_random_uuid(), debit_code, debit_subject_id,"
            " credit_code, credit_subject_id, 1, cause_kind, gen_random_uuid(), step,"
            " effective_at, posted_at, day, item_id FROM postings LIMIT 1"
        )

    found = find_settlement_faults(fresh_database)

    assert any(one.startswith("settlements_follow_from_postings") for one in found), found


@pytest.mark.parametrize(
    ("harm", "finds"),
    [
        ("UPDATE settlements SET payee_vnd = payee_vnd + 1", "settlements_are_divided_whole"),
        ("DELETE FROM settlement_periods", "settlements_own_their_days"),
        (
            "UPDATE settlement_lines SET credited_vnd = credited_vnd + 1",
            "settlements_follow_from_postings",
        ),
    ],
)
async def test_a_statement_that_does_not_agree_is_found(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    harm: str,
    finds: str,
) -> None:
    await sell(app_database, stall, 20_000)
    await close_through(app_database, stall, DAY)
    await draft(app_database, worker_database, stall)
    assert find_settlement_faults(fresh_database) == []
    with connect(fresh_database.owner_url) as owner:
        owner.execute(harm)  # type: ignore[call-overload]

    found = find_settlement_faults(fresh_database)

    assert any(one.startswith(finds) for one in found), found
