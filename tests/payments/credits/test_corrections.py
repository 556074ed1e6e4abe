"""Corrections of a credit: the match in force is replaced, and the books follow."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.errors import BillNotFound
from payments.bills.service import cancel_bill
from payments.credits import assigning, corrections
from payments.credits.errors import CreditNotCorrectable, CreditNotFound
from payments.ledger import service as ledger
from payments.ledger.rules import takings
from payments.payees.errors import PayeeNotFound
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee, an_account
from tests.world.reads import (
    count_rows,
    find_credit,
    list_breaks,
    list_events,
    read_ledger,
    read_status,
)
from tests.world.stalls import PayableStall, a_neighbour

pytestmark = pytest.mark.anyio

Correct = Callable[..., Awaitable[None]]


@pytest.fixture
def correct(app_database: Database, stall: PayableStall, fresh_database: FreshDatabase) -> Correct:
    """Correct a credit in a transaction of its own; the invariants hold after every step."""

    async def run(
        correction: Callable[..., Awaitable[None]], credit_id: UUID, **facts: object
    ) -> None:
        said: dict[str, object] = {"payee_id": stall.payee_id, "actor": VENDOR, "now": NOON}
        async with open_org_transaction(app_database, stall.org.id) as session:
            await correction(session, stall.org.id, credit_id, **{**said, **facts})
        assert find_violations(fresh_database.owner_url) == []

    return run


async def a_sale(database: Database, stall: PayableStall, amount_vnd: int = 30_000) -> UUID:
    """Let money come without a reference; return the credit."""
    await store_notices(
        database, stall, sepay_body(stall, amount_vnd=amount_vnd, memo="chuyen tien")
    )
    await process_waiting(database, stall)
    return await find_credit(database, stall)


async def read_takings(database: Database, stall: PayableStall, payee_id: UUID) -> int:
    async with open_org_transaction(database, stall.org.id) as session:
        return await ledger.read_balance(session, stall.org.id, takings(payee_id))


async def test_assigning_moves_the_money_into_the_takings_of_that_payee(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    neighbour = await a_neighbour(app_database, stall)
    credit_id = await a_sale(app_database, stall)
    assert (await read_ledger(app_database, stall))["unapplied"] == 30_000

    await correct(assigning.assign_credit, credit_id, payee_id=neighbour)

    assert await read_takings(app_database, stall, neighbour) == 30_000
    assert await read_ledger(app_database, stall) == {
        "clearing": -30_000, "takings": 0, "unapplied": 0, "not_takings": 0,
    }  # fmt: skip
    assert await list_breaks(app_database, stall) == []
    assert (await list_events(app_database, stall))[-2:] == [
        "counter_sale.received",
        "credit.corrected",
    ]
    corrected = "action = 'credit.corrected' AND after ->> 'verdict' = 'counter_sale'"
    assert await count_rows(app_database, stall, "audit_log", corrected) == 1


async def test_the_same_tap_twice_assigns_once_and_another_stalls_tap_is_refused(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    neighbour = await a_neighbour(app_database, stall)
    credit_id = await a_sale(app_database, stall)
    await correct(assigning.assign_credit, credit_id)
    await correct(assigning.assign_credit, credit_id)

    with pytest.raises(CreditNotCorrectable):
        await correct(assigning.assign_credit, credit_id, payee_id=neighbour)

    assert await count_rows(app_database, stall, "matches") == 2


async def test_who_does_not_trade_on_an_account_is_assigned_nothing_of_it(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    await a_neighbour(app_database, stall)
    credit_id = await a_sale(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        stranger = await a_payee(session, stall.org)
        await an_account(session, stall.org, stranger)

    with pytest.raises(CreditNotFound):
        await correct(assigning.assign_credit, credit_id, payee_id=stranger)
    with pytest.raises(PayeeNotFound):
        await correct(assigning.assign_credit, credit_id, payee_id=new_id())
    with pytest.raises(CreditNotFound):
        await correct(assigning.assign_credit, new_id())


@pytest.mark.parametrize(
    ("bill_vnd", "status", "takings_vnd", "breaks"),
    [
        (30_000, "paid", 30_000, []),
        (40_000, "part_paid", 30_000, []),
        (25_000, "over_paid", 25_000, ["refund_due"]),
        (None, "paid", 30_000, []),
    ],
)
async def test_a_sale_that_was_a_customers_bill_pays_it(
    app_database: Database,
    stall: PayableStall,
    correct: Correct,
    bill_vnd: int | None,
    status: str,
    takings_vnd: int,
    breaks: list[str],
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=bill_vnd)
    credit_id = await a_sale(app_database, stall)

    for _ in range(2):  # the second tap changes nothing
        await correct(assigning.confirm_for_bill, credit_id, bill_id=bill.id)

    assert await read_status(app_database, stall, bill) == (status, takings_vnd, 30_000)
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (takings_vnd, 30_000 - takings_vnd)
    assert await list_breaks(app_database, stall) == breaks
    assert await count_rows(app_database, stall, "matches", "rule = 'confirmed'") == 1


async def test_a_credit_that_pays_a_bill_is_not_taken_from_it(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    paid, other = [await a_bill(app_database, stall) for _ in range(2)]
    await pay(app_database, stall, paid)
    credit_id = await find_credit(app_database, stall)

    for correction, facts in (
        (assigning.assign_credit, {}),
        (assigning.confirm_for_bill, {"bill_id": other.id}),
        (corrections.mark_not_takings, {"reason": "tiền nhà"}),
        (corrections.mark_takings_again, {}),
    ):
        with pytest.raises(CreditNotCorrectable):
            await correct(correction, credit_id, **facts)

    assert (await read_status(app_database, stall, paid))[0] == "paid"
    assert (await read_status(app_database, stall, other))[0] == "open"


@pytest.mark.parametrize("became", ["paid", "cancelled"])
async def test_a_bill_that_needs_no_money_any_more_takes_none_from_the_sales(
    app_database: Database, stall: PayableStall, correct: Correct, became: str
) -> None:
    bill = await a_bill(app_database, stall)
    credit_id = await a_sale(app_database, stall, amount_vnd=20_000)
    if became == "paid":
        await pay(app_database, stall, bill)
    else:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await cancel_bill(session, stall.org.id, bill.id, actor=VENDOR, reason=None, now=NOON)
    before = await read_ledger(app_database, stall)

    with pytest.raises(CreditNotCorrectable):
        await correct(assigning.confirm_for_bill, credit_id, bill_id=bill.id)

    assert await read_ledger(app_database, stall) == before
    assert (await read_status(app_database, stall, bill))[0] == became
    await correct(corrections.mark_not_takings, credit_id, reason="")  # it can still be corrected


async def test_a_bill_of_another_virtual_account_is_not_paid_by_a_sale(
    app_database: Database, owner_database: Database, stall: PayableStall, correct: Correct
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=30_000)
    async with owner_database.begin() as owner:
        values = {"id": bill.id}
        await owner.execute(text("UPDATE bills SET virtual_account = 'VA1' WHERE id = :id"), values)
    body = sepay_body(stall, amount_vnd=30_000, memo="an sang", virtual_account="VA2")
    await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)
    credit_id = await find_credit(app_database, stall)

    with pytest.raises(CreditNotCorrectable):
        await correct(assigning.confirm_for_bill, credit_id, bill_id=bill.id)

    assert await read_takings(app_database, stall, stall.payee_id) == 30_000


async def test_money_that_names_two_bills_pays_the_one_that_a_person_says(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    meant, other = [await a_bill(app_database, stall) for _ in range(2)]
    body = sepay_body(stall, amount_vnd=20_000, memo=f"{meant.reference} {other.reference}")
    await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)
    assert await list_breaks(app_database, stall) == ["several_references"]

    credit_id = await find_credit(app_database, stall)
    await correct(assigning.confirm_for_bill, credit_id, bill_id=meant.id)

    assert (await read_status(app_database, stall, meant))[0] == "paid"
    assert (await read_status(app_database, stall, other))[0] == "open"
    assert await list_breaks(app_database, stall) == []


async def test_a_bill_of_another_payee_is_not_paid_by_this_ones_sale(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    credit_id = await a_sale(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        other = await a_payee(session, stall.org)
        account = await an_account(session, stall.org, other)
    theirs = PayableStall(
        org=stall.org,
        payee_id=other,
        account_id=account,
        account_number="",
        endpoint_id=stall.endpoint_id,
    )
    bill = await a_bill(app_database, theirs)

    with pytest.raises(CreditNotCorrectable):
        await correct(assigning.confirm_for_bill, credit_id, bill_id=bill.id)
    with pytest.raises(BillNotFound):
        await correct(assigning.confirm_for_bill, credit_id, bill_id=new_id())

    assert await read_takings(app_database, stall, stall.payee_id) == 30_000


async def test_family_money_leaves_the_takings_and_comes_back(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    credit_id = await a_sale(app_database, stall)
    for _ in range(3):
        await correct(corrections.mark_not_takings, credit_id, reason="tiền nhà")
        books = await read_ledger(app_database, stall)
        assert (books["takings"], books["not_takings"]) == (0, 30_000)

        await correct(corrections.mark_takings_again, credit_id)
        books = await read_ledger(app_database, stall)
        assert (books["takings"], books["not_takings"]) == (30_000, 0)

    assert await count_rows(app_database, stall, "matches") == 7  # each step adds, none edits
    assert await count_rows(app_database, stall, "matches", "reversed_at IS NULL") == 1
    # the sale, then each correction: one transfer back, one anew
    assert await count_rows(app_database, stall, "postings") == 1 + 6 * 2


async def test_another_payees_family_money_is_not_shown_to_exist(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    credit_id = await a_sale(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        other = await a_payee(session, stall.org)

    for correction, facts in (
        (corrections.mark_not_takings, {"reason": ""}),
        (corrections.mark_takings_again, {}),
    ):
        with pytest.raises(CreditNotFound):
            await correct(correction, credit_id, payee_id=other, **facts)


async def test_a_correction_says_who_and_why(
    app_database: Database, stall: PayableStall, correct: Correct
) -> None:
    credit_id = await a_sale(app_database, stall)
    cashier = Actor(kind="staff", id=UUID(int=44), name="cashier")

    await correct(corrections.mark_not_takings, credit_id, reason="con gửi", actor=cashier)

    who = f"actor_id = '{cashier.id}' AND reason = 'con gửi' AND object_id = '{credit_id}'"
    assert await count_rows(app_database, stall, "audit_log", who) == 1
    said = (
        f"matched_by = '{cashier.id}' AND reversed_at IS NULL AND reason = 'not_takings_by'"
        """ AND reason_facts = '{"by": "cashier", "words": "con gửi"}'"""
    )
    assert await count_rows(app_database, stall, "matches", said) == 1
