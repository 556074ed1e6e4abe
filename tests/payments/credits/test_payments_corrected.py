"""A credit over several bills, several credits on one bill, and taking it all back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.errors import BillNotFound
from payments.bills.rules import BillFacts
from payments.credits import assigning, corrections
from payments.credits.errors import CreditChanged, CreditNotCorrectable
from payments.refunds.service import cancel_bill_and_propose_refund
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.reads import count_rows, find_match, list_breaks, read_ledger, read_status
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Correct = Callable[..., Awaitable[None]]


@pytest.fixture
def correct(app_database: Database, stall: PayableStall, fresh_database: FreshDatabase) -> Correct:
    """Correct a credit in a transaction of its own; the invariants hold after every step."""

    async def run(correction: Callable[..., Awaitable[None]], credit_id: UUID, **facts: object):
        async with open_org_transaction(app_database, stall.org.id) as session:
            await correction(
                session, stall.org.id, credit_id, **{"actor": MANAGER, "now": NOON, **facts}
            )
        assert find_violations(fresh_database.owner_url) == []

    return run


async def list_credits(database: Database, stall: PayableStall) -> list[UUID]:
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT id FROM bank_transactions ORDER BY id")
        return list((await session.execute(query)).scalars())


async def a_sale(database: Database, stall: PayableStall, amount_vnd: int) -> UUID:
    await store_notices(database, stall, sepay_body(stall, amount_vnd=amount_vnd, memo="tien hang"))
    await process_waiting(database, stall)
    return (await list_credits(database, stall))[-1]


async def test_one_credit_pays_several_bills_and_the_rest_stays_open(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    first, second = [await a_bill(app_database, stall) for _ in range(2)]
    await pay(app_database, stall, second, amount_vnd=5_000)
    credit_id = await a_sale(app_database, stall, 50_000)
    shares = [(first.id, 20_000), (second.id, 15_000)]

    for _ in range(2):
        await correct(assigning.split_over_bills, credit_id, shares=shares)

    assert await read_status(app_database, stall, first) == ("paid", 20_000, 20_000)
    assert await read_status(app_database, stall, second) == ("paid", 20_000, 20_000)
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (40_000, 15_000)
    assert await list_breaks(app_database, stall) == ["unassigned"]
    live = f"credit_id = '{credit_id}' AND reversed_at IS NULL"
    assert await count_rows(app_database, stall, "match_legs", live) == 2
    assert await count_rows(app_database, stall, "matches", f"credit_id = '{credit_id}'") == 2
    assert await count_rows(app_database, stall, "bank_transactions", "open_vnd = 15000") == 1

    whole = {"payee_id": stall.payee_id, "by_management": True}
    with pytest.raises(CreditNotCorrectable):  # two bills would owe again: see that first
        await correct(assigning.assign_credit, credit_id, **whole)
    assert (await read_status(app_database, stall, first))[0] == "paid"
    seen = await find_match(app_database, stall, credit_id)
    await correct(assigning.assign_credit, credit_id, seen_match_id=seen, **whole)

    assert await read_status(app_database, stall, first) == ("open", 0, 0)
    assert await read_status(app_database, stall, second) == ("part_paid", 5_000, 5_000)
    assert await list_breaks(app_database, stall) == []
    assert (await read_ledger(app_database, stall))["takings"] == 55_000


async def test_money_is_taken_from_a_bill_only_by_who_saw_that_it_pays_it(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    paid, other = [await a_bill(app_database, stall) for _ in range(2)]
    await pay(app_database, stall, paid)
    (credit_id,) = await list_credits(app_database, stall)
    seen = await find_match(app_database, stall, credit_id)
    to_other = {"bill_id": other.id, "payee_id": stall.payee_id, "by_management": True}
    to_payee = {"payee_id": stall.payee_id, "by_management": True}
    to_both = {"shares": [(paid.id, 10_000), (other.id, 10_000)]}

    for correction, facts in [
        (assigning.confirm_for_bill, to_other),
        (assigning.assign_credit, to_payee),
        (assigning.split_over_bills, to_both),
    ]:
        for given, refused in [(None, CreditNotCorrectable), (new_id(), CreditChanged)]:
            with pytest.raises(refused):
                await correct(correction, credit_id, seen_match_id=given, **facts)
    assert (await read_status(app_database, stall, paid))[0] == "paid"

    for _ in range(2):  # the same request again changes nothing
        await correct(assigning.confirm_for_bill, credit_id, seen_match_id=seen, **to_other)
    with pytest.raises(CreditChanged):  # and whoever saw the same takes it from nobody
        await correct(assigning.split_over_bills, credit_id, seen_match_id=seen, **to_both)

    assert (await read_status(app_database, stall, paid))[0] == "open"
    assert (await read_status(app_database, stall, other))[0] == "paid"


async def test_of_two_people_who_move_what_pays_a_bill_at_once_one_does(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(4)]
    await pay(app_database, stall, bills[0])
    (credit_id,) = await list_credits(app_database, stall)
    seen = await find_match(app_database, stall, credit_id)

    ends = await asyncio.gather(
        *(move(app_database, stall, credit_id, to=bill, seen=seen) for bill in bills[1:]),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in ends) == ["CreditChanged"] * 2 + ["NoneType"]
    states = [(await read_status(app_database, stall, bill))[0] for bill in bills]
    assert states[0] == "open"
    assert states[1 + ends.index(None)] == "paid"
    assert find_violations(fresh_database.owner_url) == []


async def move(
    database: Database, stall: PayableStall, credit_id: UUID, *, to: BillFacts, seen: UUID
) -> None:
    """Let the management take a payment for another bill than the one that it pays."""
    async with open_org_transaction(database, stall.org.id) as session:
        await assigning.confirm_for_bill(
            session,
            stall.org.id,
            credit_id,
            bill_id=to.id,
            payee_id=stall.payee_id,
            by_management=True,
            seen_match_id=seen,
            actor=MANAGER,
            now=NOON,
        )


async def list_news(
    database: Database, stall: PayableStall, since: int
) -> list[tuple[str, UUID | None, str | None]]:
    """Return (kind, bill, its status) of what happened to money, after the first events."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text(
            "SELECT kind, bill_id, data ->> 'bill_status' FROM events"
            " WHERE kind NOT LIKE 'account.%' ORDER BY id"
        )
        return [(row[0], row[1], row[2]) for row in await session.execute(query)][since:]


async def test_every_bill_that_a_correction_changes_has_an_event_of_its_own(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    paid, other, third = [await a_bill(app_database, stall) for _ in range(3)]
    await pay(app_database, stall, paid)
    (credit_id,) = await list_credits(app_database, stall)
    seen = await find_match(app_database, stall, credit_id)

    await move(app_database, stall, credit_id, to=other, seen=seen)
    news = await list_news(app_database, stall, 1)
    assert set(news[:2]) == {
        ("bill.payment_taken_back", paid.id, "open"),
        ("bill.paid", other.id, "paid"),
    }
    assert news[2:] == [("credit.corrected", None, None)]

    seen = await find_match(app_database, stall, credit_id)
    shares = [(other.id, 8_000), (third.id, 12_000)]
    await correct(assigning.split_over_bills, credit_id, shares=shares, seen_match_id=seen)
    assert set((await list_news(app_database, stall, 4))[:2]) == {
        ("bill.part_paid", other.id, "part_paid"),
        ("bill.part_paid", third.id, "part_paid"),
    }

    await correct(corrections.mark_same_money, credit_id)
    news = await list_news(app_database, stall, 7)
    assert sorted(kind for kind, *_ in news) == [
        "bill.payment_taken_back", "bill.payment_taken_back", "credit.corrected",
    ]  # fmt: skip
    assert set(news) >= {
        ("bill.payment_taken_back", other.id, "open"),
        ("bill.payment_taken_back", third.id, "open"),
    }


async def test_money_that_leaves_the_takings_and_comes_back_is_corrected_once_each_time(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    credit_id = await a_sale(app_database, stall, 20_000)
    facts = {"payee_id": stall.payee_id}

    await correct(corrections.mark_not_takings, credit_id, reason="", **facts)
    assert [kind for kind, *_ in await list_news(app_database, stall, 1)] == ["credit.corrected"]
    await correct(corrections.mark_takings_again, credit_id, **facts)

    kinds = [kind for kind, *_ in await list_news(app_database, stall, 2)]
    assert kinds == ["counter_sale.received", "credit.corrected"]


async def test_a_bill_that_keeps_its_share_has_no_event_and_was_paid_when_it_was(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    first, second = [await a_bill(app_database, stall) for _ in range(2)]
    credit_id = await a_sale(app_database, stall, 50_000)
    await correct(assigning.split_over_bills, credit_id, shares=[(first.id, 20_000)])

    later = NOON + timedelta(hours=1)
    await correct(assigning.add_to_split, credit_id, shares=[(second.id, None)], now=later)

    told = [(kind, bill_id) for kind, bill_id, _ in await list_news(app_database, stall, 1)]
    corrected = ("credit.corrected", None)
    assert told == [("bill.paid", first.id), corrected, ("bill.paid", second.id), corrected]
    paid_at = f"id = '{first.id}' AND paid_at = '{NOON.isoformat()}'"
    assert await count_rows(app_database, stall, "bills", paid_at) == 1


@pytest.mark.parametrize("taken_at", [0, 1, 2])
async def test_of_several_credits_on_one_bill_any_can_be_taken_back(
    app_database: Database, stall: PayableStall, correct: Correct, taken_at: int
) -> None:
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    parts = [5_000, 7_000, 13_000]  # the last is 5.000 ₫ too much
    for part_vnd in parts:
        await pay(app_database, stall, bill, amount_vnd=part_vnd)
    assert await read_status(app_database, stall, bill) == ("over_paid", 20_000, 25_000)
    credit_id = (await list_credits(app_database, stall))[taken_at]

    await correct(
        assigning.confirm_for_bill,
        credit_id,
        bill_id=other.id,
        payee_id=stall.payee_id,
        by_management=True,
        seen_match_id=await find_match(app_database, stall, credit_id),
    )

    applied_vnd = [5_000, 7_000, 8_000][taken_at]
    left = ("part_paid", 20_000 - applied_vnd, 25_000 - parts[taken_at])
    assert await read_status(app_database, stall, bill) == left
    assert (await read_status(app_database, stall, other))[1] == parts[taken_at]


async def test_money_that_came_again_pays_the_bill_once_it_is_needed(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    bill = await a_bill(app_database, stall)
    for _ in range(2):
        await pay(app_database, stall, bill)
    first, again = await list_credits(app_database, stall)
    facts = {"bill_id": bill.id, "payee_id": stall.payee_id}
    with pytest.raises(CreditNotCorrectable):  # nothing is owed
        await correct(assigning.confirm_for_bill, again, **facts)

    await correct(corrections.mark_same_money, first)
    assert await read_status(app_database, stall, bill) == ("open", 0, 20_000)
    await correct(assigning.confirm_for_bill, again, **facts)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []


async def test_what_was_too_much_pays_the_bill_once_it_needs_it(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    for part_vnd in (5_000, 20_000):
        await pay(app_database, stall, bill, amount_vnd=part_vnd)
    first, second = await list_credits(app_database, stall)
    facts = {"bill_id": bill.id, "payee_id": stall.payee_id}
    await correct(assigning.confirm_for_bill, second, **facts)  # it needs nothing more
    assert await count_rows(app_database, stall, "matches") == 2
    seen = await find_match(app_database, stall, first)
    await move(app_database, stall, first, to=other, seen=seen)
    assert await read_status(app_database, stall, bill) == ("part_paid", 15_000, 20_000)

    for _ in range(2):
        await correct(assigning.confirm_for_bill, second, **facts)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []
    assert await count_rows(app_database, stall, "bank_transactions", "open_vnd > 0") == 0
    assert await count_rows(app_database, stall, "matches", f"credit_id = '{second}'") == 2


async def test_shares_that_do_not_fit_change_nothing(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(2)]
    credit_id = await a_sale(app_database, stall, 30_000)
    for shares, refused in [
        ([(bills[0].id, 20_000), (bills[1].id, 10_001)], CreditNotCorrectable),  # too little came
        ([(bills[0].id, 20_001)], CreditNotCorrectable),  # more than is owed
        ([(bills[0].id, 1), (credit_id, 1)], BillNotFound),
    ]:
        with pytest.raises(refused):
            await correct(assigning.split_over_bills, credit_id, shares=shares)

    assert (await read_ledger(app_database, stall))["takings"] == 30_000
    assert [(await read_status(app_database, stall, b))[0] for b in bills] == ["open", "open"]


async def test_a_cancelled_bill_stays_so_and_owes_no_refund_of_what_was_taken_back(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=5_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill_and_propose_refund(
            session, stall.org.id, bill.id, actor=MANAGER, reason=None, now=NOON
        )
    assert await list_breaks(app_database, stall) == ["refund_due"]
    (credit_id,) = await list_credits(app_database, stall)

    await correct(
        assigning.assign_credit,
        credit_id,
        payee_id=stall.payee_id,
        by_management=True,
        seen_match_id=await find_match(app_database, stall, credit_id),
    )

    assert await read_status(app_database, stall, bill) == ("cancelled", 0, 0)
    assert await list_breaks(app_database, stall) == []


async def test_what_was_refunded_is_not_taken_back(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(text("UPDATE payments SET refundable_vnd = 19999"))
    (credit_id,) = await list_credits(app_database, stall)

    with pytest.raises(CreditNotCorrectable):
        await correct(corrections.mark_same_money, credit_id)


async def test_two_credits_that_change_bills_with_each_other_at_once_do_not_deadlock(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(2)]
    for bill in bills:
        await pay(app_database, stall, bill, amount_vnd=9_000)
    credits_in = await list_credits(app_database, stall)

    for turn in range(10):
        there = bills if turn % 2 else bills[::-1]
        seen = [await find_match(app_database, stall, credit_id) for credit_id in credits_in]
        await asyncio.gather(
            *(
                move(app_database, stall, credit_id, to=bill, seen=match_id)
                for credit_id, bill, match_id in zip(credits_in, there, seen, strict=True)
            )
        )

    assert [(await read_status(app_database, stall, b))[:2] for b in bills] == [
        ("part_paid", 9_000)
    ] * 2
    assert find_violations(fresh_database.owner_url) == []
