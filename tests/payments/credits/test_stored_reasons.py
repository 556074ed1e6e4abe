"""Reasons in the tables are codes with facts: no sentence is stored, but a person's own words."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.breaks.rules import BreakReason
from payments.credits import assigning, corrections, rematching
from payments.credits.reasons import MatchReason
from payments.credits.rematching import put_off
from payments.refunds.service import cancel_bill_and_propose_refund
from tests.world.bills import a_bill
from tests.world.constants import NOON
from tests.world.notices import casso_body, pay, process_waiting, sepay_body, store_notices
from tests.world.serials import next_number
from tests.world.stalls import PayableStall, a_neighbour, another_endpoint

pytestmark = pytest.mark.anyio

LAN = Actor(kind="staff", id=UUID(int=44), name="Cô Lan bán phở")
WORDS = "tiền con gửi về nhà"
TYPED = {"by", "words"}  # facts that people gave: a name, what they typed


async def correct(
    database: Database, stall: PayableStall, correction: Any, id_: Any, **said: Any
) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await correction(session, stall.org.id, id_, actor=LAN, now=NOON, **said)


async def receive(database: Database, stall: PayableStall, memo: str, **facts: Any) -> UUID:
    """Let money come; return its credit."""
    await store_notices(database, stall, sepay_body(stall, amount_vnd=30_000, memo=memo, **facts))
    await process_waiting(database, stall)
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT id FROM bank_transactions ORDER BY id DESC LIMIT 1")
        return UUID(str(await session.scalar(query)))


async def live_through_much(database: Database, stall: PayableStall) -> None:
    """Let a stall meet most of what can become of money."""
    one, two, late = [await a_bill(database, stall, amount_vnd=30_000) for _ in range(3)]
    await pay(database, stall, one, amount_vnd=10_000)
    await pay(database, stall, one, amount_vnd=20_000)
    await pay(database, stall, one)  # again
    same = next_number()
    await pay(database, stall, two, amount_vnd=20_000, transaction_id=same)
    await pay(database, stall, two, amount_vnd=25_000, transaction_id=same)  # contradicts
    await correct(database, stall, cancel_bill_and_propose_refund, two.id, reason=None)
    await receive(database, stall, f"{late.reference} {one.reference} {two.reference}")
    waits = await receive(database, stall, make_reference(stall.org.code, 999_999))
    for _ in range(rematching.BREAK_AFTER):
        async with open_org_transaction(database, stall.org.id) as session:
            await put_off(session, stall.org.id, waits, error=None, now=NOON)
    sale = await receive(database, stall, "an sang", bank_reference="FT2632400099")
    await receive(database, stall, "an sang", bank_reference="FT2632400099")
    whose = {"payee_id": stall.payee_id}
    await correct(database, stall, corrections.mark_not_takings, sale, reason=WORDS, **whose)
    await correct(database, stall, corrections.mark_takings_again, sale, **whose)
    await correct(database, stall, corrections.mark_same_money, sale)
    await receive(database, stall, "tu hom truoc", occurred_at=NOON - timedelta(days=400))
    await receive(database, stall, "cho ai", account_number="999888777")
    await store_notices(database, stall, b'{"id": 1, "transferAmount": "nhieu"}')
    casso = await another_endpoint(database, stall, provider="casso")
    bill = await a_bill(database, stall, amount_vnd=47_000)
    await pay(database, stall, bill)
    await store_notices(database, casso, casso_body(casso, amount_vnd=47_000, memo="cat mat"))
    await process_waiting(database, stall)
    await a_neighbour(database, stall)
    shared = await receive(database, stall, "chung tai khoan")
    await correct(database, stall, assigning.assign_credit, shared, **whose)
    confirmed = await receive(database, stall, "cung vay")
    bill = await a_bill(database, stall, amount_vnd=30_000)
    await correct(database, stall, assigning.confirm_for_bill, confirmed, bill_id=bill.id, **whose)


def find_sentences(facts: Any) -> list[str]:
    """Return the texts in facts that are more than a word."""
    if isinstance(facts, dict):
        return [
            one for name, value in facts.items() if name not in TYPED
            for one in find_sentences(value)
        ]  # fmt: skip
    if isinstance(facts, list):
        return [one for value in facts for one in find_sentences(value)]
    return [facts] if isinstance(facts, str) and " " in facts.strip() else []


async def test_no_stored_reason_is_a_sentence(app_database: Database, stall: PayableStall) -> None:
    await live_through_much(app_database, stall)

    async with open_org_transaction(app_database, stall.org.id) as session:
        matches = (await session.execute(text("SELECT reason, reason_facts FROM matches"))).all()
        breaks = (await session.execute(text("SELECT reason, reason_facts FROM breaks"))).all()
        resolutions = set(await session.scalars(text("SELECT resolution FROM breaks")))
        audited = set(await session.scalars(text("SELECT reason FROM audit_log")))

    match_codes = {MatchReason(code) for code, _ in matches}
    break_codes = {code for code, _ in breaks}
    assert break_codes <= {*MatchReason, *BreakReason}
    assert [said for _, facts in [*matches, *breaks] for said in find_sentences(facts)] == []
    assert [one for one in resolutions if one is not None and " " in one] == []
    assert audited == {None, WORDS}
    assert match_codes == {
        MatchReason.BILL_FOUND,
        MatchReason.BILL_CONFIRMED,
        MatchReason.NO_SUCH_BILL,
        MatchReason.SOLE_PAYEE,
        MatchReason.SHARED_ACCOUNT,
        MatchReason.BEFORE_APPROVAL,
        MatchReason.PERHAPS_REPORTED_TWICE,
        MatchReason.NOT_TAKINGS_BY,
        MatchReason.TAKINGS_AGAIN_BY,
        MatchReason.SAME_MONEY_BY,
        MatchReason.ASSIGNED_BY,
    }, "the run meets all that it is made for"
    assert {BreakReason(code) for code in break_codes - set(MatchReason)} == {
        BreakReason.REPORTED_OTHERWISE,
        BreakReason.CANCELLED_PART_PAID,
        BreakReason.NO_BILL_FITS,
        BreakReason.BANK_REFERENCE_REPEATED,
        BreakReason.ACCOUNT_NOT_LISTED,
        BreakReason.NOTICE_UNREADABLE,
        BreakReason.TWIN_WITHOUT_REFERENCE,
    }


async def test_a_persons_words_are_kept_as_they_were_typed(
    app_database: Database, stall: PayableStall
) -> None:
    sale = await receive(app_database, stall, "an sang")
    said = {"payee_id": stall.payee_id, "reason": WORDS}

    await correct(app_database, stall, corrections.mark_not_takings, sale, **said)

    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT reason_facts FROM matches WHERE reversed_at IS NULL")
        assert await session.scalar(query) == {"by": LAN.name, "words": WORDS}
