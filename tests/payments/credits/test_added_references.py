"""References that only a later report of a credit has: they are facts, and the bill is paid."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from payments.credits import assigning, corrections
from payments.credits.jobs import rematch_waiting
from payments.decisions.rules import Action, Target
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.breaks import NO_SUCH_REFERENCE, a_decision, approve_it, find_break
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import casso_body, pay, process_waiting, sepay_body, store_notices
from tests.world.reads import (
    count_rows,
    find_credit,
    list_breaks,
    list_outcomes,
    read_ledger,
    read_status,
)
from tests.world.stalls import PayableStall, a_neighbour, another_endpoint

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OWN = "FT26324000123"


@pytest.fixture
async def bill(app_database: Database, stall: PayableStall) -> BillFacts:
    return await a_bill(app_database, stall)


async def tell(
    database: Database, stall: PayableStall, memo: str, *, direction: str = "in"
) -> None:
    """Let SePay report its transaction 77 once more."""
    body = sepay_body(stall, amount_vnd=20_000, memo=memo, transaction_id=77, direction=direction)
    await store_notices(database, stall, body)
    await process_waiting(database, stall)


SPELLINGS: list[Callable[[str], str]] = [
    lambda r: r,
    lambda r: f"ck {r.lower()} mua pho",
    lambda r: f"{r[:5]} {r[5:]}",
]


@pytest.mark.parametrize("is_one_batch", [False, True])
@pytest.mark.parametrize("spell", SPELLINGS)
async def test_a_reference_that_only_a_repeat_has_pays_its_bill(
    app_database: Database,
    stall: PayableStall,
    bill: BillFacts,
    fresh_database: FreshDatabase,
    spell: Callable[[str], str],
    is_one_batch: bool,
) -> None:
    for memo in ("pho", spell(bill.reference), spell(bill.reference), "pho"):
        body = sepay_body(stall, amount_vnd=20_000, memo=memo, transaction_id=77)
        await store_notices(app_database, stall, body)
        if not is_one_batch:
            await process_waiting(app_database, stall)
    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["counter_sale", *["repeat"] * 3]
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    assert await list_breaks(app_database, stall) == []
    assert await count_rows(app_database, stall, "bank_transactions") == 1
    by_hub = "action = 'credit.corrected' AND actor_kind = 'system'"
    assert await count_rows(app_database, stall, "audit_log", by_hub) == 1
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("is_one_batch", [False, True])
@pytest.mark.parametrize("is_sepay_first", [False, True])
async def test_a_reference_that_only_the_second_of_two_providers_has_pays_its_bill(
    app_database: Database,
    stall: PayableStall,
    bill: BillFacts,
    fresh_database: FreshDatabase,
    is_sepay_first: bool,
    is_one_batch: bool,
) -> None:
    casso = await another_endpoint(app_database, stall, provider="casso")
    memos = ("pho", bill.reference) if is_sepay_first else (bill.reference, "pho")
    facts = {"amount_vnd": 20_000, "bank_reference": OWN}
    told = [
        (stall, sepay_body(stall, memo=memos[0], **facts)),
        (casso, casso_body(casso, memo=memos[1], **facts)),
    ]
    for _ in range(2):
        for teller, body in told if is_sepay_first else reversed(told):
            await store_notices(app_database, teller, body)
            if not is_one_batch:
                await process_waiting(app_database, stall)
    await process_waiting(app_database, stall)

    assert "same_money" in await list_outcomes(app_database, stall)
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_money_that_nobody_was_assigned_yet_pays_the_bill_that_a_repeat_names(
    app_database: Database, stall: PayableStall, bill: BillFacts, fresh_database: FreshDatabase
) -> None:
    await a_neighbour(app_database, stall)
    await tell(app_database, stall, "pho")
    assert await list_breaks(app_database, stall) == ["unassigned"]

    await tell(app_database, stall, bill.reference)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_bill_that_comes_after_the_reference_that_was_added_is_paid_when_it_does(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    reference = make_reference(stall.org.code, 888)
    await tell(app_database, stall, "pho")
    await tell(app_database, stall, reference)
    assert await list_breaks(app_database, stall) == ["unknown_reference"]
    late = await a_bill(app_database, stall, reference=reference)
    databases = JobDatabases(app=app_database, worker=worker_database)

    assert await rematch_waiting(databases, now=NOON + timedelta(minutes=1)) == 1

    assert await read_status(app_database, stall, late) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_reference_of_a_paid_bill_that_was_added_is_due_for_refund(
    app_database: Database, stall: PayableStall, bill: BillFacts, fresh_database: FreshDatabase
) -> None:
    await pay(app_database, stall, bill)
    await tell(app_database, stall, "pho")
    await tell(app_database, stall, bill.reference)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 40_000)
    assert await list_breaks(app_database, stall) == ["refund_due"]
    assert find_violations(fresh_database.owner_url) == []


async def correct(database: Database, stall: PayableStall, what: str, bill_id: UUID) -> None:
    credit_id = await find_credit(database, stall)
    facts = {"payee_id": stall.payee_id, "actor": VENDOR, "now": NOON}
    async with open_org_transaction(database, stall.org.id) as session:
        before = (session, stall.org.id, credit_id)
        if what == "confirmed":
            await assigning.confirm_for_bill(*before, bill_id=bill_id, **facts)
            return
        await corrections.mark_not_takings(*before, reason="", **facts)
        if what == "put back":
            await corrections.mark_takings_again(*before, **facts)


@pytest.mark.parametrize("what", ["confirmed", "not takings", "put back"])
async def test_what_a_person_said_stands_against_a_reference_that_is_added_and_is_a_break(
    app_database: Database,
    stall: PayableStall,
    bill: BillFacts,
    fresh_database: FreshDatabase,
    what: str,
) -> None:
    other = await a_bill(app_database, stall)
    await tell(app_database, stall, "pho")
    await correct(app_database, stall, what, other.id)
    before = await read_ledger(app_database, stall)

    for _ in range(2):
        await tell(app_database, stall, bill.reference)

    assert (await read_status(app_database, stall, bill))[0] == "open"
    assert await read_ledger(app_database, stall) == before
    assert await list_breaks(app_database, stall) == ["contradiction"]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_reference_that_says_what_a_person_said_is_no_break(
    app_database: Database, stall: PayableStall, bill: BillFacts
) -> None:
    await tell(app_database, stall, "pho")
    await correct(app_database, stall, "confirmed", bill.id)

    await tell(app_database, stall, bill.reference)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []


async def test_a_second_reference_that_is_added_later_is_a_break(
    app_database: Database, stall: PayableStall, bill: BillFacts, fresh_database: FreshDatabase
) -> None:
    other = await a_bill(app_database, stall)
    for memo in ("pho", bill.reference, other.reference):
        await tell(app_database, stall, memo)

    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert (await read_status(app_database, stall, other))[0] == "open"
    assert await list_breaks(app_database, stall) == ["contradiction"]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_doubtful_payment_that_is_named_later_is_no_silent_second(
    app_database: Database, stall: PayableStall, bill: BillFacts, fresh_database: FreshDatabase
) -> None:
    casso = await another_endpoint(app_database, stall, provider="casso")
    await tell(app_database, stall, "pho")
    for memo in ("pho", bill.reference):
        body = casso_body(casso, amount_vnd=20_000, memo=memo, transaction_id=88)
        await store_notices(app_database, casso, body)
        await process_waiting(app_database, stall)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == ["possible_duplicate"]
    sale = "id IN (SELECT credit_id FROM matches WHERE verdict = 'counter_sale')"
    about_it = f"subject_id IN (SELECT id FROM bank_transactions WHERE {sale})"
    assert await count_rows(app_database, stall, "breaks", f"closed_at IS NULL AND {about_it}") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_money_out_that_is_reported_again_with_a_reference_is_a_repeat(
    app_database: Database, stall: PayableStall, bill: BillFacts
) -> None:
    await tell(app_database, stall, "tra hang", direction="out")
    await tell(app_database, stall, bill.reference, direction="out")

    assert await list_outcomes(app_database, stall) == ["outgoing", "repeat"]
    async with open_org_transaction(app_database, stall.org.id) as session:
        assert await session.scalar(text("SELECT count(*) FROM matches")) == 0


async def test_a_reference_that_is_added_to_what_two_people_decided_is_a_break_and_nothing_fails(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    """Its notice is processed with all that came with it."""
    await a_neighbour(app_database, stall)
    casso = await another_endpoint(app_database, stall, provider="casso")
    await store_notices(
        app_database,
        stall,
        sepay_body(stall, amount_vnd=20_000, memo=NO_SUCH_REFERENCE, bank_reference=OWN),
    )
    await process_waiting(app_database, stall)
    break_id = await find_break(app_database, stall, "unassigned")
    decision = await a_decision(
        app_database,
        stall,
        break_id,
        amount_vnd=20_000,
        action=Action.CORRECT,
        target=Target.INTEREST,
    )
    await approve_it(app_database, stall, decision.id)
    named, other = await a_bill(app_database, stall), await a_bill(app_database, stall)

    full = {"amount_vnd": 20_000, "memo": named.reference, "bank_reference": OWN}
    await store_notices(
        app_database,
        casso,
        casso_body(casso, **full),
        casso_body(casso, amount_vnd=20_000, memo=other.reference),
    )
    await process_waiting(app_database, stall)

    assert (await read_status(app_database, stall, named))[0] == "open"
    assert await read_status(app_database, stall, other) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == ["contradiction"]
    assert await count_rows(app_database, stall, "notices", "handled_at IS NULL") == 0
    assert find_violations(fresh_database.owner_url) == []
