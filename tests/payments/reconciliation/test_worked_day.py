"""The worked day of docs/reconciliation.md: the page has what the hub posts, to the đồng."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from core.db import Database
from core.money import format_vnd
from core.tenancy import open_org_transaction
from payments.ledger import service as ledger
from payments.ledger.rules import AccountCode, AccountKey
from payments.refunds.rules import write_memo
from payments.statements.rules import Explanation
from tests.payments.invariants import find_violations
from tests.payments.reconciliation.test_by_hand import explain
from tests.world.bills import a_bill
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.lines import Line, add_lines, match, receive
from tests.world.refunds import a_refund, enter_account, hold_by, take
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAGE = (Path(__file__).parents[3] / "docs/reconciliation.md").read_text()
POSTED = re.compile(r"^\| .+? \| `(\w+)` \| `(\w+)` \| ([\d.]+) \|$", re.MULTILINE)
BALANCES = re.compile(r"^\| `(\w+)` \| ([\d.]+) \|", re.MULTILINE)
OF_PAYEE = {AccountCode.TAKINGS}
DEBTS = {AccountCode.BANK, AccountCode.BANK_CLEARING, AccountCode.BANK_CHARGES}


async def test_the_page_tells_the_day_as_the_books_have_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await receive(app_database, stall, memo=f"{bill.reference} rau")
    await receive(app_database, stall, amount_vnd=15_000, bank_reference="FT26324000015")
    over = await a_bill(app_database, stall, amount_vnd=30_000)
    await receive(app_database, stall, amount_vnd=35_000, memo=f"{over.reference} ca")
    evening = NOON + timedelta(hours=9)
    await receive(
        app_database, stall, amount_vnd=12_000, bank_reference="FT26324000012", now=evening
    )
    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT credit_id FROM matches WHERE verdict = 'over'")
        credit_id = (await session.execute(query)).scalar_one()
    refund = await a_refund(app_database, stall, credit_id=credit_id, amount_vnd=5_000)
    await enter_account(app_database, stall, refund)
    for step in ("approve", "instruct"):
        await take(app_database, stall, refund, step)
    *_, charge, sister = await add_lines(
        app_database,
        stall,
        Line(memo=f"{bill.reference} rau"),
        Line(amount_vnd=15_000, bank_reference="FT26324000015"),
        Line(amount_vnd=35_000, memo=f"{over.reference} ca"),
        Line(amount_vnd=-5_000, memo=write_memo(refund.id)),
        Line(amount_vnd=-1_100, memo="PHI SMS"),
        Line(amount_vnd=50_000, memo="chi gui em"),
    )
    await match(app_database, stall, now=evening)
    await explain(app_database, stall, charge, Explanation.BANK_CHARGE)
    await explain(app_database, stall, sister, Explanation.NOT_THE_HUBS)

    async with open_org_transaction(app_database, stall.org.id) as session:
        rows = await session.execute(
            text("SELECT debit_code, credit_code, amount_vnd FROM postings")
        )
        posted = [(debit, credit, write(vnd)) for debit, credit, vnd in rows]
        balances = {}
        for code, said in BALANCES.findall(PAGE):
            subject = stall.payee_id if AccountCode(code) in OF_PAYEE else stall.account_id
            key = AccountKey(code=AccountCode(code), subject_id=subject)
            vnd = await ledger.read_balance(session, stall.org.id, key)
            balances[code] = (said, write(-vnd if key.code in DEBTS else vnd))
    assert sorted(POSTED.findall(PAGE)) == sorted(posted)
    assert len(balances) == 7
    assert [code for code, (said, found) in balances.items() if said != found] == []
    assert find_violations(fresh_database.owner_url) == []


def write(vnd: int) -> str:
    """Write an amount as the page does."""
    return format_vnd(vnd).split("\u00a0")[0]
