"""Lines that people explain: linked with credits, said to be something else, opened again."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.ledger import service as ledger
from payments.ledger.rules import AccountCode, AccountKey
from payments.reconciliation import service
from payments.reconciliation.errors import (
    CreditNotLinkable,
    LineAmountDiffers,
    LineDirectionDiffers,
    LineExplained,
    StatementLineNotFound,
)
from payments.reconciliation.rules import BY_WORD, COUNTER_ACCOUNTS
from payments.statements.rules import Explanation
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lines import Line, add_lines, match, read_bank, read_rules, receive
from tests.world.reads import count_rows, read_ledger
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FT = "FT26324000123"


async def list_credits(database: Database, stall: PayableStall) -> list[UUID]:
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT id FROM bank_transactions ORDER BY id")
        return list((await session.execute(query)).scalars())


async def link(database: Database, stall: PayableStall, line_id: UUID, *credit_ids: UUID) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await service.link_line(
            session,
            stall.org.id,
            line_id,
            credit_ids=credit_ids,
            words="khách xác nhận",
            actor=MANAGER,
            now=NOON,
        )


async def explain(
    database: Database, stall: PayableStall, line_id: UUID, explanation: Explanation
) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await service.explain_line(
            session,
            stall.org.id,
            line_id,
            explanation=explanation,
            words="theo sao kê",
            actor=MANAGER,
            now=NOON,
        )


async def unlink(database: Database, stall: PayableStall, line_id: UUID) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await service.unlink_line(
            session, stall.org.id, line_id, words="nhầm dòng", actor=MANAGER, now=NOON
        )


async def test_a_person_links_two_credits_with_a_line_and_opens_it_again(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    for amount_vnd in (20_000, 30_000):
        await receive(app_database, stall, amount_vnd=amount_vnd)
    credit_ids = await list_credits(app_database, stall)
    (line,) = await add_lines(app_database, stall, Line(amount_vnd=50_000))

    for _ in range(2):  # the second time changes nothing
        await link(app_database, stall, line, *credit_ids)
    assert await read_bank(app_database, stall) == 50_000
    assert (await read_ledger(app_database, stall))["clearing"] == 0
    assert await count_rows(app_database, stall, "proofs") == 2
    assert await count_rows(app_database, stall, "audit_log", "action LIKE 'statement_line%'") == 1
    assert find_violations(fresh_database.owner_url) == []

    for _ in range(2):
        await unlink(app_database, stall, line)
    assert await read_bank(app_database, stall) == 0
    assert (await read_ledger(app_database, stall))["clearing"] == -50_000
    assert find_violations(fresh_database.owner_url) == []


async def test_what_a_person_opened_again_is_left_to_people(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await receive(app_database, stall, bank_reference=FT)
    first, second = await add_lines(
        app_database, stall, Line(bank_reference=FT), Line(bank_reference=FT)
    )
    await match(app_database, stall)
    await unlink(app_database, stall, first)

    await match(app_database, stall)

    assert await read_rules(app_database, stall, [first, second]) == [None, "bank_reference"]
    assert find_violations(fresh_database.owner_url) == []


async def test_credits_are_linked_whole_once_and_on_their_own_account(
    app_database: Database, stall: PayableStall
) -> None:
    await receive(app_database, stall, bank_reference=FT)
    await receive(app_database, stall, amount_vnd=30_000)
    mine, other = await list_credits(app_database, stall)
    line, out, proved = await add_lines(
        app_database,
        stall,
        Line(amount_vnd=30_001),
        Line(amount_vnd=-30_000),
        Line(bank_reference=FT),
    )
    await match(app_database, stall)

    with pytest.raises(LineAmountDiffers):
        await link(app_database, stall, line, other)
    with pytest.raises(CreditNotLinkable):
        await link(app_database, stall, line, mine)
    with pytest.raises(CreditNotLinkable):
        await link(app_database, stall, line, new_id())
    with pytest.raises(LineDirectionDiffers):
        await link(app_database, stall, out, other)
    with pytest.raises(LineExplained):
        await link(app_database, stall, proved, other)
    with pytest.raises(StatementLineNotFound):
        await link(app_database, stall, new_id(), other)


async def test_of_two_people_who_link_one_credit_at_once_one_does(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await receive(app_database, stall)
    (credit,) = await list_credits(app_database, stall)
    lines = await add_lines(app_database, stall, *[Line()] * 4)

    done = await asyncio.gather(
        *[link(app_database, stall, line, credit) for line in lines],
        match(app_database, stall),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in done) == [
        *["CreditNotLinkable"] * 3,
        "NoneType",
        "int",
    ]
    assert await read_bank(app_database, stall) == 20_000
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("explanation", sorted(BY_WORD))
async def test_a_line_that_is_no_payment_of_ours_posts_to_an_account_of_its_own(
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    explanation: Explanation,
) -> None:
    amount_vnd = 5_500 if explanation is Explanation.REFUND_BACK else -5_500
    (line,) = await add_lines(app_database, stall, Line(amount_vnd=amount_vnd, memo="PHI SMS"))

    for _ in range(2):
        await explain(app_database, stall, line, explanation)

    code = COUNTER_ACCOUNTS[explanation]
    subject = stall.org.id if code is AccountCode.OWN_TRANSFERS else stall.account_id
    async with open_org_transaction(app_database, stall.org.id) as session:
        key = AccountKey(code=code, subject_id=subject)
        assert await ledger.read_balance(session, stall.org.id, key) == amount_vnd
    assert await read_bank(app_database, stall) == amount_vnd
    assert find_violations(fresh_database.owner_url) == []
    with pytest.raises(LineExplained):
        await explain(app_database, stall, line, next(iter(BY_WORD - {explanation})))
    await unlink(app_database, stall, line)
    assert await read_bank(app_database, stall) == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_no_refund_comes_back_by_money_that_went_out(
    app_database: Database, stall: PayableStall
) -> None:
    (line,) = await add_lines(app_database, stall, Line(amount_vnd=-5_500))
    with pytest.raises(LineDirectionDiffers):
        await explain(app_database, stall, line, Explanation.REFUND_BACK)
