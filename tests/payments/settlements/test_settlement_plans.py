"""Plans of what is read of a payee with a long past: by the index, and never sorted as a whole."""

from datetime import timedelta
from uuid import UUID

import pytest

from payments.ledger import queries_legs
from payments.settlements import queries
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.plans import explain, explain_generic
from tests.world.settlements import DAY
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LARGE = ("enable_seqscan = off", "enable_bitmapscan = off")


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (queries_legs.READ_CREDITS, "ix_postings_credit"),
        (queries_legs.READ_DEBITS, "ix_postings_debit"),
    ],
)
async def test_a_part_of_a_payees_postings_is_read_by_the_index_of_its_side(
    fresh_database: FreshDatabase, stall: PayableStall, statement: object, index: str
) -> None:
    values = {
        "org_id": stall.org.id,
        "subject_id": stall.payee_id,
        "code": "takings",
        "since": NOON - timedelta(days=2),
        "after_id": UUID(int=0),
        "until": NOON,
        "first_day": DAY,
        "last_day": DAY,
        "limit": 5_000,
    }

    plan = explain(fresh_database.app_url, stall, statement, values, settings=LARGE)  # type: ignore[arg-type]

    assert f"Index Scan using {index}" in plan, plan
    assert "posted_at >=" in plan.split("Index Cond:")[1].split("Filter:")[0], plan
    # Only what was written at the same instant is put in order.
    assert "Presorted Key: posted_at" in plan, plan
    assert plan.count("Sort  (") == plan.count("Incremental Sort  ("), plan


async def test_where_a_payee_has_come_to_is_found_by_the_key(
    fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    values = {"org_id": stall.org.id, "payee_id": stall.payee_id}

    plan = explain_generic(fresh_database.app_url, stall, queries.FIND_PERIOD_END, values)

    assert "pk_settlement_periods" in plan, plan


async def test_where_an_organisation_began_is_found_by_the_index_of_first_periods(
    fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    values = {"org_id": stall.org.id}

    plan = explain(fresh_database.app_url, stall, queries.FIND_FIRST_DAY, values, settings=LARGE)

    assert "using ix_settlement_periods_first" in plan, plan
    assert "Limit" in plan, plan
