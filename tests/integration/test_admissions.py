"""What a person decides about breaks with money: another transfer, the same money, whose it is."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Sessions, open_org_transaction
from core.ids import new_id
from payments.bills.references import make_reference
from payments.callbacks import admissions
from payments.callbacks.corrections import judge_again
from payments.callbacks.errors import (
    BreakClosed,
    BreakNotDecidable,
    BreakNotFound,
    CreditNotCorrectable,
    CreditNotFound,
)
from payments.callbacks.models import Break
from tests.builders import (
    MANAGER,
    NOON,
    Stall,
    a_bill,
    a_payee,
    a_stall,
    list_breaks,
    pay,
    read_ledger,
    read_status,
    sepay_body,
    settle,
    store,
)
from tests.concurrency.tenants import a_bill_called, a_new_stall, count_rows, list_outcomes
from tests.databases import Database
from tests.integration.invariants import find_violations

pytestmark = pytest.mark.anyio

OWN = "FT26324000123"


@pytest.fixture
async def stall(app_sessions: Sessions) -> Stall:
    return await a_new_stall(app_sessions)


async def find_break(sessions: Sessions, stall: Stall, kind: str) -> UUID:
    """Return the newest break of a kind."""
    async with open_org_transaction(sessions, stall.org.id) as session:
        query = text("SELECT id FROM breaks WHERE kind = :kind ORDER BY id DESC LIMIT 1")
        return UUID(str(await session.scalar(query, {"kind": kind})))


async def admit(sessions: Sessions, stall: Stall, break_id: UUID) -> Break:
    async with open_org_transaction(sessions, stall.org.id) as session:
        return await admissions.admit(session, stall.org, break_id, actor=MANAGER, now=NOON)


async def confirm(sessions: Sessions, stall: Stall, break_id: UUID) -> Break:
    async with open_org_transaction(sessions, stall.org.id) as session:
        return await admissions.confirm_same_money(
            session, stall.org.id, break_id, actor=MANAGER, now=NOON
        )


async def assign(sessions: Sessions, stall: Stall, break_id: UUID, **whose: UUID) -> Break:
    async with open_org_transaction(sessions, stall.org.id) as session:
        return await admissions.assign(
            session, stall.org.id, break_id, actor=MANAGER, now=NOON, **whose
        )


async def contradict(sessions: Sessions, stall: Stall, *memos: str) -> None:
    """Let SePay tell one id with other amounts: 20,000, 30,000, 40,000 …"""
    for n, memo in enumerate(memos):
        body = sepay_body(stall, amount_vnd=20_000 + n * 10_000, memo=memo, transaction_id=77)
        await store(sessions, stall, body)
        await settle(sessions, stall)


async def test_a_contradicted_telling_that_is_admitted_becomes_a_credit_once(
    app_sessions: Sessions, stall: Stall, database: Database
) -> None:
    bill = await a_bill(app_sessions, stall, amount_vnd=30_000)
    await contradict(app_sessions, stall, "pho", bill.reference)
    break_id = await find_break(app_sessions, stall, "contradiction")

    for _ in range(2):
        decided = await admit(app_sessions, stall, break_id)
        assert decided.resolution == "another_transfer"

    assert await read_status(app_sessions, stall, bill) == ("paid", 30_000, 30_000)
    assert await count_rows(app_sessions, stall, "credits") == 2
    assert (await read_ledger(app_sessions, stall))["takings"] == 50_000
    assert await list_breaks(app_sessions, stall) == []
    assert find_violations(database.owner_url) == []


async def test_a_telling_that_was_admitted_and_comes_again_opens_nothing_and_counts_once(
    app_sessions: Sessions, stall: Stall
) -> None:
    await contradict(app_sessions, stall, "pho", "pho")
    await admit(app_sessions, stall, await find_break(app_sessions, stall, "contradiction"))
    await contradict(app_sessions, stall, "pho", "pho")

    assert await count_rows(app_sessions, stall, "credits") == 2
    assert await list_breaks(app_sessions, stall) == []


async def test_two_people_who_admit_at_once_make_one_credit(
    app_sessions: Sessions, stall: Stall, database: Database
) -> None:
    await contradict(app_sessions, stall, "pho", "pho")
    break_id = await find_break(app_sessions, stall, "contradiction")

    await asyncio.gather(*(admit(app_sessions, stall, break_id) for _ in range(6)))

    assert await count_rows(app_sessions, stall, "credits") == 2
    assert find_violations(database.owner_url) == []


async def test_a_contradiction_that_is_the_same_money_counts_nothing(
    app_sessions: Sessions, stall: Stall
) -> None:
    await contradict(app_sessions, stall, "pho", "pho")
    break_id = await find_break(app_sessions, stall, "contradiction")

    await confirm(app_sessions, stall, break_id)
    with pytest.raises(BreakClosed):
        await admit(app_sessions, stall, break_id)

    assert await count_rows(app_sessions, stall, "credits") == 1
    assert (await read_ledger(app_sessions, stall))["clearing"] == -20_000


async def test_a_possible_duplicate_that_is_admitted_stays_a_credit(
    app_sessions: Sessions, stall: Stall
) -> None:
    for _ in range(3):
        body = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN)
        await store(app_sessions, stall, body)
    await settle(app_sessions, stall)
    assert await list_breaks(app_sessions, stall) == ["possible_duplicate"] * 2

    await admit(app_sessions, stall, await find_break(app_sessions, stall, "possible_duplicate"))

    assert (await read_ledger(app_sessions, stall))["takings"] == 60_000
    assert await list_breaks(app_sessions, stall) == ["possible_duplicate"]


async def test_a_sale_that_is_the_same_money_leaves_the_books(
    app_sessions: Sessions, stall: Stall, database: Database
) -> None:
    for _ in range(2):
        body = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN)
        await store(app_sessions, stall, body)
    await settle(app_sessions, stall)
    break_id = await find_break(app_sessions, stall, "possible_duplicate")

    for _ in range(2):
        assert (await confirm(app_sessions, stall, break_id)).resolution == "same_money"

    books = await read_ledger(app_sessions, stall)
    assert books == {"clearing": -20_000, "takings": 20_000, "unapplied": 0, "not_takings": 0}
    assert await list_breaks(app_sessions, stall) == []
    assert find_violations(database.owner_url) == []


async def test_a_second_payment_of_a_bill_that_is_the_same_money_is_due_for_no_refund(
    app_sessions: Sessions, stall: Stall, database: Database
) -> None:
    bill = await a_bill(app_sessions, stall)
    said = [await pay(app_sessions, stall, bill, bank_reference=OWN) for _ in range(2)]
    assert said == ["settle", "closed_bill"]

    await confirm(app_sessions, stall, await find_break(app_sessions, stall, "possible_duplicate"))

    assert await read_status(app_sessions, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_sessions, stall) == []
    assert find_violations(database.owner_url) == []


async def test_a_payment_that_settled_a_bill_is_not_taken_from_it(
    app_sessions: Sessions, stall: Stall
) -> None:
    bills = [await a_bill(app_sessions, stall) for _ in range(2)]
    for bill in bills:
        await pay(app_sessions, stall, bill, bank_reference=OWN)
    break_id = await find_break(app_sessions, stall, "possible_duplicate")

    with pytest.raises(CreditNotCorrectable):
        await confirm(app_sessions, stall, break_id)

    assert await list_breaks(app_sessions, stall) == ["possible_duplicate"]
    assert (await read_ledger(app_sessions, stall))["takings"] == 40_000


async def name_unknown(sessions: Sessions, stall: Stall) -> str:
    return make_reference(stall.org.code, 888)


async def name_other_organisation(sessions: Sessions, stall: Stall) -> str:
    await a_stall(sessions, code="ZZZZ")
    return make_reference("ZZZZ", 5)


async def name_two_bills(sessions: Sessions, stall: Stall) -> str:
    bills = [await a_bill(sessions, stall) for _ in range(2)]
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
    app_sessions: Sessions,
    stall: Stall,
    database: Database,
    name: Callable[[Sessions, Stall], Awaitable[str]],
    verdict: str,
    kind: str,
    is_for_bill: bool,
) -> None:
    meant = await a_bill(app_sessions, stall, amount_vnd=35_000)
    memo = await name(app_sessions, stall)
    await store(app_sessions, stall, sepay_body(stall, amount_vnd=35_000, memo=memo))
    await settle(app_sessions, stall)
    assert await list_outcomes(app_sessions, stall) == [verdict]
    break_id = await find_break(app_sessions, stall, kind)

    whose = {"bill_id": meant.id} if is_for_bill else {"payee_id": stall.payee_id}
    for _ in range(2):
        assert (await assign(app_sessions, stall, break_id, **whose)).closed_at is not None

    status = (await read_status(app_sessions, stall, meant))[0]
    assert status == ("paid" if is_for_bill else "open")
    books = await read_ledger(app_sessions, stall)
    assert (books["takings"], books["unapplied"]) == (35_000, 0)
    assert await list_breaks(app_sessions, stall) == []
    assert find_violations(database.owner_url) == []


async def test_money_of_another_account_is_nobodys_elses(
    app_sessions: Sessions, stall: Stall
) -> None:
    await store(
        app_sessions,
        stall,
        sepay_body(stall, amount_vnd=35_000, memo=make_reference(stall.org.code, 888)),
    )
    await settle(app_sessions, stall)
    break_id = await find_break(app_sessions, stall, "unknown_reference")
    async with open_org_transaction(app_sessions, stall.org.id) as session:
        stranger = await a_payee(session, stall.org)

    with pytest.raises(CreditNotFound):
        await assign(app_sessions, stall, break_id, payee_id=stranger)


async def test_an_assignment_and_the_bill_that_appears_at_once_have_one_end(
    app_sessions: Sessions, stall: Stall, database: Database
) -> None:
    reference = make_reference(stall.org.code, 888)
    await store(app_sessions, stall, sepay_body(stall, amount_vnd=20_000, memo=reference))
    await settle(app_sessions, stall)
    break_id = await find_break(app_sessions, stall, "unknown_reference")
    await a_bill_called(app_sessions, stall, reference)
    async with open_org_transaction(app_sessions, stall.org.id) as session:
        credit_id = UUID(str(await session.scalar(text("SELECT id FROM credits"))))

    async def judge() -> None:
        async with open_org_transaction(app_sessions, stall.org.id) as session:
            await judge_again(session, stall.org, credit_id, now=NOON)

    ends = await asyncio.gather(
        judge(),
        assign(app_sessions, stall, break_id, payee_id=stall.payee_id),
        return_exceptions=True,
    )

    assert {type(one) for one in ends} <= {type(None), Break, CreditNotCorrectable}

    assert (await read_ledger(app_sessions, stall))["takings"] == 20_000
    assert await count_rows(app_sessions, stall, "matches", "reversed_at IS NULL") == 1
    assert find_violations(database.owner_url) == []


async def test_what_a_break_is_not_about_cannot_be_decided(
    app_sessions: Sessions, stall: Stall
) -> None:
    bill = await a_bill(app_sessions, stall)
    await pay(app_sessions, stall, bill, amount_vnd=21_000)
    break_id = await find_break(app_sessions, stall, "refund_due")

    with pytest.raises(BreakNotDecidable):
        await admit(app_sessions, stall, break_id)
    with pytest.raises(BreakNotDecidable):
        await assign(app_sessions, stall, break_id, payee_id=stall.payee_id)
    with pytest.raises(BreakNotFound):
        await confirm(app_sessions, stall, new_id())
