"""Refunds of the same money at the same instant, in two processes: none goes back twice (F11)."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.concurrency.races import Races
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import count_rows, read_ledger, read_status
from tests.world.refunds import (
    a_refund,
    an_instructed_refund,
    enter_account,
    find_payments,
    hold_by,
    read_in_transit,
    read_refundable,
    take,
)
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall, another_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def stall(app_database: Database) -> PayableStall:
    return await a_payable_stall(app_database, code=next_code())


async def a_payment(database: Database, stall: PayableStall) -> UUID:
    """Pay a bill of 20.000 ₫ and return its payment."""
    bill = await a_bill(database, stall)
    await pay(database, stall, bill)
    (payment_id,) = await find_payments(database, stall, bill)
    return payment_id


def requests_of(count: int, **facts: Any) -> list[dict[str, Any]]:
    return [{"what": "refund", "id": str(new_id()), **facts} for _ in range(count)]


async def test_of_ten_refunds_over_the_limit_at_once_only_what_was_paid_is_held(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    payment_id = await a_payment(app_database, stall)

    answers = races.run(stall.org, requests_of(10, payment_id=payment_id, amount_vnd=6_000))

    assert sorted(answers) == ["RefundTooHigh"] * 7 + ["requested"] * 3
    assert await read_refundable(app_database, stall, payment_id) == 2_000
    assert await count_rows(app_database, stall, "refunds") == 3
    assert find_violations(fresh_database.owner_url) == []


async def test_of_ten_refunds_of_what_came_twice_one_holds_it(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    for _ in range(2):
        await pay(app_database, stall, bill)
    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT credit_id FROM matches WHERE verdict = 'closed_bill'")
        credit_id = (await session.execute(query)).scalar_one()
    calls = requests_of(8, credit_id=credit_id, amount_vnd=20_000)
    calls += [{"what": "same_money", "credit_id": credit_id}] * 2  # or it is no money at all

    answers = races.run(stall.org, calls)

    kept = {"requested": 1, "same_money": 0}
    taken_back = {"requested": 0, "same_money": 2}
    assert {name: answers.count(name) for name in kept} in (kept, taken_back), answers
    assert find_violations(fresh_database.owner_url) == []


async def test_one_id_that_comes_ten_times_at_once_is_one_refund(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    payment_id = await a_payment(app_database, stall)
    (one,) = requests_of(1, payment_id=payment_id, amount_vnd=6_000)

    assert races.run(stall.org, [one] * 10) == ["requested"] * 10

    assert await count_rows(app_database, stall, "refunds") == 1
    assert await read_refundable(app_database, stall, payment_id) == 14_000
    assert find_violations(fresh_database.owner_url) == []


async def test_one_id_that_comes_at_once_for_two_payments_names_one_refund(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    paid_by = [await a_payment(app_database, stall) for _ in range(2)]
    (one,) = requests_of(1, amount_vnd=6_000)
    calls = [{**one, "payment_id": payment_id} for payment_id in paid_by]

    answers = races.run(stall.org, calls * 4)

    assert sorted(answers) == ["RefundIdTaken"] * 4 + ["requested"] * 4
    assert await count_rows(app_database, stall, "refunds") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_one_id_that_comes_at_once_for_two_accounts_names_one_payment_file(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    other = await another_stall(app_database, stall)
    for one in (stall, other):
        await hold_by(app_database, one, "organisation")
        payment_id = await a_payment(app_database, one)
        refund = await a_refund(app_database, one, payment_id=payment_id, amount_vnd=5_000)
        await enter_account(app_database, one, refund)
        await take(app_database, one, refund, "approve")
    accounts = [stall.account_id, other.account_id]
    id_ = str(new_id())
    calls = [{"what": "pay_file", "id": id_, "account_id": account} for account in accounts]

    answers = races.run(stall.org, calls * 2)

    assert sorted(answers) == ["1"] * 2 + ["RefundFileIdTaken"] * 2


async def test_a_refund_that_is_confirmed_and_failed_at_once_posts_as_it_ends(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    payment_id = await a_payment(app_database, stall)
    refund = await an_instructed_refund(
        app_database, stall, payment_id=payment_id, amount_vnd=20_000
    )
    facts = {"what": "step", "refund_id": refund.id}
    steps = [{**facts, "step": "confirm", "bank_reference": "FT1"}, {**facts, "step": "fail"}]

    answers = races.run(stall.org, steps * 4)

    # One that was returned may be sent back; one that was not done cannot be returned.
    assert set(answers) <= {"returned", "not_done", "RefundStepNotPossible"}
    assert "not_done" in answers
    assert await read_in_transit(app_database, stall) == 0
    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    assert await read_refundable(app_database, stall, payment_id) == 20_000
    assert find_violations(fresh_database.owner_url) == []


async def test_what_the_payee_confirms_ten_times_at_once_posts_once(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    said = {"what": "step", "refund_id": refund.id, "step": "confirm", "bank_reference": "FT1"}
    said["acts_for"] = "payee"

    assert races.run(stall.org, [said] * 10) == ["returned"] * 10

    assert (await read_status(app_database, stall, bill))[0] == "part_refunded"
    assert await read_in_transit(app_database, stall) == 5_000
    assert find_violations(fresh_database.owner_url) == []


async def test_of_ten_payment_files_at_once_each_refund_is_in_one(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    for _ in range(2):
        payment_id = await a_payment(app_database, stall)
        facts = {"payment_id": payment_id, "amount_vnd": 5_000}
        refund = await a_refund(app_database, stall, **facts)
        await enter_account(app_database, stall, refund)
        await take(app_database, stall, refund, "approve")
    ids = [str(new_id()) for _ in range(5)]
    calls = [{"what": "pay_file", "id": one, "account_id": stall.account_id} for one in ids * 2]

    answers = races.run(stall.org, calls)

    # The id that was first comes twice: it answers the same both times.
    assert sorted(answers) == ["2"] * 2 + ["RefundFileEmpty"] * 8
    assert await count_rows(app_database, stall, "refund_files") == 1
    assert await read_in_transit(app_database, stall) == 10_000
    assert find_violations(fresh_database.owner_url) == []
