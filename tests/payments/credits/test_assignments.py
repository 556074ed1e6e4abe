"""Money that nothing explains is assigned by a person: to a bill or as a sale, or its rest."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from payments.breaks.errors import BreakClosed
from payments.breaks.models import Break
from payments.callbacks.views import list_payees_of_credits
from payments.credits import assigning
from payments.credits.errors import CreditNotCorrectable, CreditNotFound, RestNeedsBills
from payments.credits.rematching import rematch
from payments.payees.accounts import end_link, propose_account
from tests.payments.credits.test_admissions import assign, close, find_break
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, MANAGER, NOON, VCB, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee, an_account
from tests.world.reads import (
    count_rows,
    find_credit,
    list_breaks,
    list_outcomes,
    read_ledger,
    read_status,
)
from tests.world.stalls import PayableStall, a_neighbour, a_payable_stall

pytestmark = pytest.mark.anyio


async def name_unknown(database: Database, stall: PayableStall) -> str:
    return make_reference(stall.org.code, 888)


async def name_other_organisation(database: Database, stall: PayableStall) -> str:
    await a_payable_stall(database, code="ZZZZ")
    return make_reference("ZZZZ", 5)


async def name_two_bills(database: Database, stall: PayableStall) -> str:
    bills = [await a_bill(database, stall) for _ in range(2)]
    return " ".join(bill.reference for bill in bills)


@pytest.mark.parametrize(
    ("name", "verdict", "kind"),
    [
        (name_unknown, "no_bill", "unknown_reference"),
        (name_other_organisation, "wrong_account", "wrong_account"),
        (name_two_bills, "several_bills", "several_references"),
    ],
)
@pytest.mark.parametrize("is_for_bill", [True, False])
async def test_money_that_nothing_explains_is_assigned_by_a_person(
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    name: Callable[[Database, PayableStall], Awaitable[str]],
    verdict: str,
    kind: str,
    is_for_bill: bool,
) -> None:
    meant = await a_bill(app_database, stall, amount_vnd=35_000)
    memo = await name(app_database, stall)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=35_000, memo=memo))
    await process_waiting(app_database, stall)
    assert await list_outcomes(app_database, stall) == [verdict]
    break_id = await find_break(app_database, stall, kind)

    whose = {"bill_id": meant.id} if is_for_bill else {"payee_id": stall.payee_id}
    for _ in range(2):
        assert (await assign(app_database, stall, break_id, **whose)).closed_at is not None

    status = (await read_status(app_database, stall, meant))[0]
    assert status == ("paid" if is_for_bill else "open")
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (35_000, 0)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_money_of_another_account_is_nobodys_elses(
    app_database: Database, stall: PayableStall
) -> None:
    await store_notices(
        app_database,
        stall,
        sepay_body(stall, amount_vnd=35_000, memo=make_reference(stall.org.code, 888)),
    )
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "unknown_reference")
    async with open_org_transaction(app_database, stall.org.id) as session:
        stranger = await a_payee(session, stall.org)

    with pytest.raises(CreditNotFound):
        await assign(app_database, stall, break_id, payee_id=stranger)


async def let_untested(database: Database, stall: PayableStall) -> UUID:
    """Let a second payee's account on the same number wait for its own test transfer."""
    async with open_org_transaction(database, stall.org.id) as session:
        payee_id = await a_payee(session, stall.org)
        await an_account(
            session,
            stall.org,
            payee_id,
            account_number=stall.account_number,
            virtual_account="VA0001",
            is_tested=False,
        )
    return payee_id


async def let_end(database: Database, stall: PayableStall) -> UUID:
    """Take the stall's account out of use."""
    async with open_org_transaction(database, stall.org.id) as session:
        link_id = (await session.execute(text("SELECT id FROM payee_accounts"))).scalar_one()
        await end_link(session, stall.org.id, link_id, actor=APPROVER, reason="moved out", now=NOON)
    return stall.payee_id


async def let_refuse(database: Database, stall: PayableStall) -> UUID:
    """Propose the account for a second payee, and let nobody agree."""
    async with open_org_transaction(database, stall.org.id) as session:
        payee_id = await a_payee(session, stall.org)
        await propose_account(
            session,
            stall.org.id,
            payee_id=payee_id,
            bin_=VCB,
            account_number=stall.account_number,
            virtual_account="VA0001",
            holder_name="HO KINH DOANH B12",
            test_reference=make_reference(stall.org.code, 700_000_999),
            actor=MANAGER,
            now=NOON,
        )
    return payee_id


@pytest.mark.parametrize(
    ("change", "may_have"), [(let_untested, True), (let_end, True), (let_refuse, False)]
)
async def test_the_management_gives_money_to_whoever_was_once_approved_on_its_account(
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    change: Callable[[Database, PayableStall], Awaitable[UUID]],
    may_have: bool,
) -> None:
    payee_id = await change(app_database, stall)
    memo = make_reference(stall.org.code, 888)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=35_000, memo=memo))
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "unknown_reference")
    credit_id = await find_credit(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        offered = await list_payees_of_credits(session, stall.org.id, [credit_id])
        with pytest.raises(CreditNotFound):  # a stall itself only on an account that it trades on
            await assigning.assign_credit(
                session, stall.org.id, credit_id, payee_id=payee_id, actor=VENDOR, now=NOON
            )
    assert (payee_id in {one[0] for one in offered.get(credit_id, ())}) == may_have

    if not may_have:
        with pytest.raises(CreditNotFound):
            await assign(app_database, stall, break_id, payee_id=payee_id)
        return
    assert (await assign(app_database, stall, break_id, payee_id=payee_id)).closed_at is not None
    assert (await read_ledger(app_database, stall))["unapplied"] == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_an_assignment_and_the_bill_that_appears_at_once_have_one_end(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    reference = make_reference(stall.org.code, 888)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=20_000, memo=reference))
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "unknown_reference")
    await a_bill(app_database, stall, reference=reference)
    async with open_org_transaction(app_database, stall.org.id) as session:
        credit_id = UUID(str(await session.scalar(text("SELECT id FROM bank_transactions"))))

    async def judge() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await rematch(session, stall.org, credit_id, now=NOON)

    ends = await asyncio.gather(
        judge(),
        assign(app_database, stall, break_id, payee_id=stall.payee_id),
        return_exceptions=True,
    )

    assert {type(one) for one in ends} <= {type(None), Break, BreakClosed}

    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    assert await count_rows(app_database, stall, "matches", "reversed_at IS NULL") == 1
    assert find_violations(fresh_database.owner_url) == []


async def confirm_as_vendor(database: Database, stall: PayableStall, bill: BillFacts) -> None:
    """Let the vendor say that the one payment is for this bill."""
    credit_id = await find_credit(database, stall)
    async with open_org_transaction(database, stall.org.id) as session:
        await assigning.confirm_for_bill(
            session,
            stall.org.id,
            credit_id,
            bill_id=bill.id,
            payee_id=stall.payee_id,
            actor=VENDOR,
            now=NOON,
        )


@pytest.mark.parametrize("words", [None, "đã xem"])
async def test_a_break_of_money_that_pays_a_bill_by_now_gives_it_to_nobody_else(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, words: str | None
) -> None:
    """Finance has the page open while the vendor says which bill the payment is for."""
    neighbour = await a_neighbour(app_database, stall)
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=20_000, memo="pho"))
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "unassigned")
    if words is not None:
        await close(app_database, stall, break_id, words)
    await confirm_as_vendor(app_database, stall, bill)

    for whose in (
        {"payee_id": neighbour},
        {"payee_id": stall.payee_id},
        {"bill_id": other.id},
        {"shares": [(bill.id, 10_000), (other.id, 10_000)]},
    ):
        with pytest.raises(BreakClosed):
            await assign(app_database, stall, break_id, **whose)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    same = await assign(app_database, stall, break_id, bill_id=bill.id)  # what it is already
    assert same.resolution == (words or "settle")
    assert await count_rows(app_database, stall, "matches") == 2
    assert find_violations(fresh_database.owner_url) == []


async def test_a_break_that_was_decided_stays_closed_when_some_of_its_money_is_open_again(
    app_database: Database, stall: PayableStall
) -> None:
    """Of two breaks of one payment, only that of its present explanation can be decided."""
    neighbour = await a_neighbour(app_database, stall)
    bill = await a_bill(app_database, stall, amount_vnd=50_000)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=50_000, memo="pho"))
    await process_waiting(app_database, stall)
    old = await find_break(app_database, stall, "unassigned")
    await assign(app_database, stall, old, shares=[(bill.id, 20_000)])
    rest = await find_break(app_database, stall, "unassigned")
    assert rest != old

    with pytest.raises(BreakClosed):
        await assign(app_database, stall, old, payee_id=neighbour)
    with pytest.raises(BreakClosed):
        await assign(app_database, stall, old, shares=[(bill.id, 30_000)])

    assert await read_status(app_database, stall, bill) == ("part_paid", 20_000, 20_000)


async def test_of_two_people_who_assign_one_break_at_once_one_does(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(4)]
    memo = make_reference(stall.org.code, 888)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=20_000, memo=memo))
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "unknown_reference")

    ends = await asyncio.gather(
        *(assign(app_database, stall, break_id, bill_id=bill.id) for bill in bills),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in ends) == ["Break", *["BreakClosed"] * 3]
    paid = [(await read_status(app_database, stall, bill))[0] for bill in bills]
    assert sorted(paid) == ["open"] * 3 + ["paid"]
    assert paid[[type(one) for one in ends].index(Break)] == "paid"  # the one who was told so
    assert await count_rows(app_database, stall, "matches") == 2
    assert find_violations(fresh_database.owner_url) == []


async def a_split(
    database: Database, stall: PayableStall, bills: list[BillFacts]
) -> tuple[UUID, UUID]:
    """Spread 50.000 ₫ over two bills, 20.000 ₫ and 15.000 ₫; return its break, that of the rest."""
    memo = make_reference(stall.org.code, 888)
    await store_notices(database, stall, sepay_body(stall, amount_vnd=50_000, memo=memo))
    await process_waiting(database, stall)
    break_id = await find_break(database, stall, "unknown_reference")
    shares = [(bills[0].id, 20_000), (bills[1].id, 15_000)]
    await assign(database, stall, break_id, shares=shares)
    return break_id, await find_break(database, stall, "unassigned")


async def test_the_rest_of_a_spread_payment_pays_another_bill_and_leaves_the_others_paid(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(3)]
    _, rest = await a_split(app_database, stall, bills)

    for _ in range(2):
        await assign(app_database, stall, rest, bill_id=bills[2].id)

    assert await read_status(app_database, stall, bills[0]) == ("paid", 20_000, 20_000)
    assert await read_status(app_database, stall, bills[1]) == ("part_paid", 15_000, 15_000)
    assert await read_status(app_database, stall, bills[2]) == ("part_paid", 15_000, 15_000)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_the_rest_of_a_spread_payment_is_spread_and_what_is_too_much_stays_open(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(3)]
    first, rest = await a_split(app_database, stall, bills)
    shares = [(bills[1].id, 5_000), (bills[2].id, 6_000)]
    with pytest.raises(CreditNotCorrectable):  # the rest is 15.000 ₫
        await assign(app_database, stall, rest, shares=[(bills[2].id, 15_001)])

    await assign(app_database, stall, rest, shares=shares)

    paid = [(await read_status(app_database, stall, bill))[1] for bill in bills]
    assert paid == [20_000, 20_000, 6_000]
    assert await count_rows(app_database, stall, "bank_transactions", "open_vnd = 4000") == 1
    for old in (first, rest):  # decided before; and shares that were added are not added again
        with pytest.raises(BreakClosed):
            await assign(app_database, stall, old, shares=shares)
    last = await find_break(app_database, stall, "unassigned")
    await assign(app_database, stall, last, bill_id=bills[2].id)
    assert (await read_status(app_database, stall, bills[2]))[1] == 10_000
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_the_rest_of_a_spread_payment_is_no_sale_of_all_of_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(2)]
    _, rest = await a_split(app_database, stall, bills)

    with pytest.raises(RestNeedsBills):
        await assign(app_database, stall, rest, payee_id=stall.payee_id)

    assert [(await read_status(app_database, stall, bill))[1] for bill in bills] == [20_000, 15_000]
    assert await list_breaks(app_database, stall) == ["unassigned"]
    assert find_violations(fresh_database.owner_url) == []
