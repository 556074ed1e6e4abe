"""Decisions about breaks with money: another transfer, or the same money."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.breaks.errors import BreakClosed, BreakNotDecidable, BreakNotFound
from payments.breaks.models import Break
from payments.breaks.service import close_break
from payments.credits import admissions
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.reads import (
    count_rows,
    list_breaks,
    read_ledger,
    read_status,
)
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio

OWN = "FT26324000123"


async def find_break(database: Database, stall: PayableStall, kind: str) -> UUID:
    """Return the newest break of a kind."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT id FROM breaks WHERE kind = :kind ORDER BY id DESC LIMIT 1")
        return UUID(str(await session.scalar(query, {"kind": kind})))


async def admit(database: Database, stall: PayableStall, break_id: UUID) -> Break:
    async with open_org_transaction(database, stall.org.id) as session:
        return await admissions.admit(session, stall.org, break_id, actor=MANAGER, now=NOON)


async def confirm(database: Database, stall: PayableStall, break_id: UUID) -> Break:
    async with open_org_transaction(database, stall.org.id) as session:
        return await admissions.confirm_same_money(
            session, stall.org.id, break_id, actor=MANAGER, now=NOON
        )


async def close(database: Database, stall: PayableStall, break_id: UUID, words: str) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await close_break(
            session, stall.org.id, break_id, resolution=words, actor=MANAGER, now=NOON
        )


async def assign(database: Database, stall: PayableStall, break_id: UUID, **whose: Any) -> Break:
    async with open_org_transaction(database, stall.org.id) as session:
        return await admissions.assign(
            session, stall.org.id, break_id, actor=MANAGER, now=NOON, **whose
        )


async def contradict(database: Database, stall: PayableStall, *memos: str) -> None:
    """Let SePay tell one id with other amounts: 20,000, 30,000, 40,000 …"""
    for n, memo in enumerate(memos):
        body = sepay_body(stall, amount_vnd=20_000 + n * 10_000, memo=memo, transaction_id=77)
        await store_notices(database, stall, body)
        await process_waiting(database, stall)


async def test_a_contradicted_report_that_is_admitted_becomes_a_credit_once(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=30_000)
    await contradict(app_database, stall, "pho", bill.reference)
    break_id = await find_break(app_database, stall, "contradiction")

    for _ in range(2):
        decided = await admit(app_database, stall, break_id)
        assert decided.resolution == "another_transfer"

    assert await read_status(app_database, stall, bill) == ("paid", 30_000, 30_000)
    assert await count_rows(app_database, stall, "bank_transactions") == 2
    assert (await read_ledger(app_database, stall))["takings"] == 50_000
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_report_that_was_admitted_and_comes_again_opens_nothing_and_counts_once(
    app_database: Database, stall: PayableStall
) -> None:
    await contradict(app_database, stall, "pho", "pho")
    await admit(app_database, stall, await find_break(app_database, stall, "contradiction"))
    await contradict(app_database, stall, "pho", "pho")

    assert await count_rows(app_database, stall, "bank_transactions") == 2
    assert await list_breaks(app_database, stall) == []


async def test_two_people_who_admit_at_once_make_one_credit(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await contradict(app_database, stall, "pho", "pho")
    break_id = await find_break(app_database, stall, "contradiction")

    await asyncio.gather(*(admit(app_database, stall, break_id) for _ in range(6)))

    assert await count_rows(app_database, stall, "bank_transactions") == 2
    assert find_violations(fresh_database.owner_url) == []


async def test_a_contradiction_that_is_the_same_money_counts_nothing(
    app_database: Database, stall: PayableStall
) -> None:
    await contradict(app_database, stall, "pho", "pho")
    break_id = await find_break(app_database, stall, "contradiction")

    await confirm(app_database, stall, break_id)
    with pytest.raises(BreakClosed):
        await admit(app_database, stall, break_id)

    assert await count_rows(app_database, stall, "bank_transactions") == 1
    assert (await read_ledger(app_database, stall))["clearing"] == -20_000


async def test_a_possible_duplicate_that_is_admitted_stays_a_credit(
    app_database: Database, stall: PayableStall
) -> None:
    for _ in range(3):
        body = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN)
        await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)
    assert await list_breaks(app_database, stall) == ["possible_duplicate"] * 2

    await admit(app_database, stall, await find_break(app_database, stall, "possible_duplicate"))

    assert (await read_ledger(app_database, stall))["takings"] == 60_000
    assert await list_breaks(app_database, stall) == ["possible_duplicate"]


async def test_a_sale_that_is_the_same_money_leaves_the_books(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    for _ in range(2):
        body = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN)
        await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "possible_duplicate")

    for _ in range(2):
        assert (await confirm(app_database, stall, break_id)).resolution == "same_money"

    books = await read_ledger(app_database, stall)
    assert books == {"clearing": -20_000, "takings": 20_000, "unapplied": 0, "not_takings": 0}
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


WORDS = ["same_money", "another_transfer", "đã xem"]


@pytest.mark.parametrize("words", WORDS)
async def test_words_that_read_like_a_decision_decide_nothing_about_a_duplicate(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, words: str
) -> None:
    for _ in range(2):
        body = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN)
        await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "possible_duplicate")
    await close(app_database, stall, break_id, words)
    assert (await read_ledger(app_database, stall))["takings"] == 40_000

    for _ in range(2):
        assert (await confirm(app_database, stall, break_id)).resolution == "same_money"

    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    with pytest.raises(BreakClosed):
        await admit(app_database, stall, break_id)
    with pytest.raises(BreakClosed):
        await close(app_database, stall, break_id, "đã xem lại")
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("words", WORDS)
async def test_words_that_read_like_a_decision_decide_nothing_about_a_contradiction(
    app_database: Database, stall: PayableStall, words: str
) -> None:
    await contradict(app_database, stall, "pho", "pho")
    break_id = await find_break(app_database, stall, "contradiction")
    await close(app_database, stall, break_id, words)

    for _ in range(2):
        assert (await admit(app_database, stall, break_id)).resolution == "another_transfer"

    assert await count_rows(app_database, stall, "bank_transactions") == 2
    assert (await read_ledger(app_database, stall))["takings"] == 50_000
    with pytest.raises(BreakClosed):
        await confirm(app_database, stall, break_id)


async def test_a_second_payment_of_a_bill_that_is_the_same_money_is_due_for_no_refund(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    said = [await pay(app_database, stall, bill, bank_reference=OWN) for _ in range(2)]
    assert said == ["settle", "closed_bill"]

    await confirm(app_database, stall, await find_break(app_database, stall, "possible_duplicate"))

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_payment_that_settled_a_bill_and_is_the_same_money_is_taken_from_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(2)]
    for bill in bills:
        await pay(app_database, stall, bill, bank_reference=OWN)
    break_id = await find_break(app_database, stall, "possible_duplicate")

    for _ in range(2):
        await confirm(app_database, stall, break_id)

    assert await read_status(app_database, stall, bills[0]) == ("paid", 20_000, 20_000)
    assert await read_status(app_database, stall, bills[1]) == ("open", 0, 0)
    assert await list_breaks(app_database, stall) == []
    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    assert find_violations(fresh_database.owner_url) == []
    assert await pay(app_database, stall, bills[1]) == "settle"  # it can be paid again
    assert find_violations(fresh_database.owner_url) == []


async def test_what_a_break_is_not_about_cannot_be_decided(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=21_000)
    break_id = await find_break(app_database, stall, "refund_due")

    with pytest.raises(BreakNotDecidable):
        await admit(app_database, stall, break_id)
    with pytest.raises(BreakNotDecidable):
        await assign(app_database, stall, break_id, payee_id=stall.payee_id)
    with pytest.raises(BreakNotFound):
        await confirm(app_database, stall, new_id())
