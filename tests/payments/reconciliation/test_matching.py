"""Lines explained by credits: by what both name, once each, and never by what only looks alike."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.credits.assigning import confirm_for_bill
from payments.credits.models import BankTransaction
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.lines import (
    TODAY,
    Line,
    add_lines,
    match,
    read_bank,
    read_proofs,
    read_rules,
    receive,
)
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.reads import read_ledger
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FT = "FT26324000123"


async def test_a_line_with_the_bank_reference_of_a_credit_takes_it_out_of_bank_clearing(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await receive(app_database, stall, bank_reference=FT)
    assert (await read_ledger(app_database, stall))["clearing"] == -20_000

    lines = await add_lines(app_database, stall, Line(bank_reference=FT, memo="ND khac"))
    assert await match(app_database, stall) == 1

    (line_id,) = lines
    rule, (proof,) = (await read_proofs(app_database, stall))[line_id]
    assert (rule, proof["score_bps"], proof["reason_facts"]) == (
        "bank_reference",
        9_900,
        {"named": FT},
    )
    assert (await read_ledger(app_database, stall))["clearing"] == 0
    assert await read_bank(app_database, stall) == 20_000
    assert find_violations(fresh_database.owner_url) == []
    assert await match(app_database, stall) == 0  # nothing is left to do


@pytest.mark.parametrize(
    ("write", "rule"),
    [
        ("{0} chuyen khoan", "bill_exact"),
        ("MBVCB.3278907687.{1}.CT tu 0011", "bill_normalised"),
        ("QR-{0:.6}-{0:.3}", None),
    ],
)
async def test_a_line_whose_memo_names_a_bill_is_the_credit_that_named_it(
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    write: str,
    rule: str | None,
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    memo = write.format(bill.reference, bill.reference.lower())

    lines = await add_lines(app_database, stall, Line(memo=memo, bank_reference="0007"))
    await match(app_database, stall)

    assert await read_rules(app_database, stall, lines) == [rule]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_line_is_found_by_the_providers_own_id_and_by_a_bank_reference_in_its_memo(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await receive(app_database, stall, transaction_id=4_519_204_731)
    await receive(app_database, stall, bank_reference=FT)

    lines = await add_lines(
        app_database,
        stall,
        Line(provider_line_id="4519204731"),
        Line(memo=f"CT DEN {FT} NGUYEN VAN A"),
    )
    await match(app_database, stall)

    assert await read_rules(app_database, stall, lines) == ["provider_line", "memo_bank_reference"]
    assert find_violations(fresh_database.owner_url) == []


async def test_amount_and_day_alone_explain_nothing(
    app_database: Database, stall: PayableStall
) -> None:
    await receive(app_database, stall)

    await add_lines(app_database, stall, Line(), Line(bank_reference="0007"))

    assert await match(app_database, stall) == 0


async def test_near_misses_are_never_matched(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    await pay(app_database, stall, bill)
    await receive(app_database, stall, bank_reference=FT, memo=f"{other.reference} ck")
    one_away = (
        bill.reference[:-2] + ("2" if bill.reference[-2] != "2" else "3") + bill.reference[-1]
    )
    foreign = make_reference("ZZZZ" if stall.org.code != "ZZZZ" else "YYYY", 7)
    lines = await add_lines(
        app_database,
        stall,
        Line(memo=f"{one_away} gui xe"),
        Line(memo=f"{foreign} gui xe"),
        Line(memo=f"{bill.reference} gui xe", amount_vnd=20_001),
        Line(memo=f"{bill.reference} gui xe", booked_on=TODAY + timedelta(days=5)),
        Line(memo=f"{bill.reference} gui xe", booked_on=TODAY - timedelta(days=2)),
        Line(memo=f"{bill.reference} gui xe", bank_reference=FT),  # two names, two transfers
        Line(memo="ck", bank_reference="FT26324000124"),
    )

    await match(app_database, stall)

    assert await read_rules(app_database, stall, lines) == [None] * len(lines)
    assert (await read_ledger(app_database, stall))["clearing"] == -40_000
    assert find_violations(fresh_database.owner_url) == []


async def test_a_credit_that_a_person_gave_to_a_bill_is_not_what_another_line_names(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await receive(app_database, stall, memo="khong ghi gi")
    async with open_org_transaction(app_database, stall.org.id) as session:
        credit_id = (await session.execute(text("SELECT id FROM bank_transactions"))).scalar_one()
        await confirm_for_bill(
            session,
            stall.org.id,
            credit_id,
            bill_id=bill.id,
            payee_id=stall.payee_id,
            actor=VENDOR,
            now=NOON,
        )

    await add_lines(app_database, stall, Line(memo=f"{bill.reference} ck"))

    assert await match(app_database, stall) == 0


async def test_two_identical_lines_are_two_credits(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    for _ in range(2):
        await pay(app_database, stall, bill)  # and again, by mistake

    lines = await add_lines(app_database, stall, *[Line(memo=f"{bill.reference} ck")] * 3)
    await match(app_database, stall, chunk=1)  # of different chunks, too

    assert await read_rules(app_database, stall, lines) == ["bill_exact", "bill_exact", None]
    proofs = await read_proofs(app_database, stall)
    first, second = (proofs[one][1][0] for one in lines[:2])
    assert first["credit_id"] < second["credit_id"]  # in their order
    assert first["next_best"]["credit_id"] == str(second["credit_id"])
    assert find_violations(fresh_database.owner_url) == []


async def test_a_line_of_another_day_leaves_the_credit_to_the_line_of_its_day(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    for days_before in (2, 0):
        await receive(app_database, stall, memo=f"{bill.reference} ck", days_before=days_before)

    (line,) = await add_lines(app_database, stall, Line(memo=f"{bill.reference} ck"))
    await match(app_database, stall)

    _, (proof,) = (await read_proofs(app_database, stall))[line]
    async with open_org_transaction(app_database, stall.org.id) as session:
        credit = await session.get(BankTransaction, (stall.org.id, proof["credit_id"]))
    assert credit is not None
    assert credit.occurred_at == NOON


async def test_one_line_is_several_credits_only_by_a_reference_that_they_share(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    for amount_vnd in (20_000, 30_000):
        await receive(app_database, stall, amount_vnd=amount_vnd, bank_reference=FT)
    await receive(app_database, stall, amount_vnd=50_000, bank_reference="FT26324999999")

    whole, alike = await add_lines(
        app_database,
        stall,
        Line(amount_vnd=50_000, bank_reference=FT),
        Line(amount_vnd=100_000),
    )
    assert await match(app_database, stall) == 2

    rule, proofs = (await read_proofs(app_database, stall))[whole]
    assert (rule, sorted(one["amount_vnd"] for one in proofs)) == (
        "bank_reference_sum",
        [20_000, 30_000],
    )
    assert await read_rules(app_database, stall, [alike]) == [None]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_callback_that_comes_weeks_after_its_statement_is_found(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    lines = await add_lines(app_database, stall, Line(bank_reference=FT))
    assert await match(app_database, stall) == 0

    later = NOON + timedelta(days=40)
    body = sepay_body(stall, amount_vnd=20_000, memo="ck", bank_reference=FT)
    await store_notices(app_database, stall, body, now=later)
    await process_waiting(app_database, stall, now=later)
    assert await match(app_database, stall, now=later) == 1

    assert await read_rules(app_database, stall, lines) == ["bank_reference"]
    assert find_violations(fresh_database.owner_url) == []
