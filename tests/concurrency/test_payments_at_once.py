"""Money that arrives at the same instant, in two processes: each đồng moves once.

Every call stands at a barrier with its transaction open before any may go on.
"""

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.callbacks import queries as notice_queries
from payments.credits.processing import process_notices
from tests.concurrency.races import Races
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import casso_body, process_waiting, sepay_body, store_notices
from tests.world.reads import (
    count_rows,
    find_credit,
    list_breaks,
    list_outcomes,
    read_ledger,
    read_status,
)
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall, another_endpoint

pytestmark = pytest.mark.anyio
DRILL = [pytest.mark.drill, pytest.mark.timeout(600)]


@pytest.fixture
async def stall(app_database: Database) -> PayableStall:
    return await a_payable_stall(app_database, code=next_code())


async def test_of_ten_payments_of_one_bill_at_once_one_settles_it(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    bodies = [sepay_body(stall, amount_vnd=20_000, memo=bill.reference) for _ in range(10)]
    notices = await store_notices(app_database, stall, *bodies)

    races.run(stall.org, [{"what": "settle_one", "notice_id": one} for one in notices])

    assert await list_outcomes(app_database, stall) == ["closed_bill"] * 9 + ["settle"]
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 200_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_ten_short_payments_at_once_add_up(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    bodies = [sepay_body(stall, amount_vnd=2_000, memo=bill.reference) for _ in range(10)]
    notices = await store_notices(app_database, stall, *bodies)

    races.run(stall.org, [{"what": "settle_one", "notice_id": one} for one in notices])

    assert await list_outcomes(app_database, stall) == ["part"] * 9 + ["settle"]
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_one_transaction_reported_ten_times_at_once_is_one_credit(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    notices = await store_notices(app_database, stall, *[body] * 10)

    races.run(stall.org, [{"what": "settle_one", "notice_id": one} for one in notices])

    assert await list_outcomes(app_database, stall) == ["repeat"] * 9 + ["settle"]
    assert await count_rows(app_database, stall, "bank_transactions") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_one_transaction_through_two_endpoints_at_once_is_one_credit(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    other = await another_endpoint(app_database, stall, provider="sepay")
    bill = await a_bill(app_database, stall)
    body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    notices = [
        *await store_notices(app_database, stall, body),
        *await store_notices(app_database, other, body),
    ]

    races.run(stall.org, [{"what": "settle_one", "notice_id": one} for one in notices])

    assert await list_outcomes(app_database, stall) == ["repeat", "settle"]
    assert await count_rows(app_database, stall, "bank_transactions") == 1


async def test_two_providers_that_tell_of_the_same_money_at_once_make_one_credit(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    """They agree on account, amount and reference, and on no id."""
    casso = await another_endpoint(app_database, stall, provider="casso")
    bill = await a_bill(app_database, stall)
    first = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    second = casso_body(stall, amount_vnd=20_000, memo=f"CT {bill.reference} 99")
    notices = [
        *await store_notices(app_database, stall, first),
        *await store_notices(app_database, casso, second),
    ]

    races.run(stall.org, [{"what": "settle_one", "notice_id": one} for one in notices])

    assert await list_outcomes(app_database, stall) == ["same_money", "settle"]
    assert await count_rows(app_database, stall, "sightings") == 1
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_settlers_do_not_wait_for_each_others_notices(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    """One notice is being settled by a third process that takes its time."""
    bodies = [sepay_body(stall, amount_vnd=1_000, memo="x") for _ in range(40)]
    slow, *_ = await store_notices(app_database, stall, *bodies)

    async with open_org_transaction(app_database, stall.org.id) as session:
        due = await notice_queries.lock_due_notice(session, stall.org.id, slow)
        settled = races.run(stall.org, [{"what": "settle_all"}] * 2)
        assert sum(map(int, settled)) == 39
        await process_notices(session, stall.org, due, now=NOON)

    assert await count_rows(app_database, stall, "notices", "attempts = 1") == 40
    assert (await read_ledger(app_database, stall))["takings"] == 40_000


@pytest.mark.parametrize("times", [8, pytest.param(1_000, marks=DRILL)])
async def test_a_cancellation_and_a_payment_at_once_have_one_order(
    app_database: Database,
    stall: PayableStall,
    races: Races,
    fresh_database: FreshDatabase,
    times: int,
) -> None:
    """Whoever is first, the other sees it: the money is takings or due for refund, never lost."""
    ends = set()
    for _ in range(times):
        bill = await a_bill(app_database, stall)
        body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
        (notice,) = await store_notices(app_database, stall, body)
        cancel = {"what": "cancel", "bill_id": bill.id}
        credit = {"what": "settle_one", "notice_id": notice}
        answers = races.run(stall.org, [cancel, credit])
        status, paid_vnd, received_vnd = await read_status(app_database, stall, bill)
        ends.add((answers[0], status, paid_vnd, received_vnd))

    assert ends <= {
        ("cancelled", "cancelled", 0, 20_000),
        ("BillNotCancellable", "paid", 20_000, 20_000),
    }
    assert find_violations(fresh_database.owner_url) == []


async def test_a_credit_that_waited_for_its_bill_is_matched_once(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    """The sweeps of two workers meet."""
    reference = make_reference(stall.org.code, 500)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=20_000, memo=reference))
    await process_waiting(app_database, stall)
    credit_id = await find_credit(app_database, stall)
    bill = await a_bill(app_database, stall, reference=reference)

    answers = races.run(stall.org, [{"what": "judge", "credit_id": credit_id}] * 6)

    assert sorted(answers) == ["False"] * 5 + ["True"]
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []
