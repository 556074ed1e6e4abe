"""Tenants of races: every race has its own, with a code that no other race has."""

import json
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import ALPHABET
from payments.bills.rules import BillFacts, BillRequest
from payments.bills.service import open_bills
from tests.world.builders import NOON, Stall, a_payee, a_stall, an_endpoint, an_id_number
from tests.world.builders import an_account as give_account

_codes = ("".join(four) for four in product(ALPHABET, repeat=4))


async def a_new_stall(database: Database, *, provider: str = "sepay") -> Stall:
    """Make a stall in an organisation of its own."""
    return await a_stall(database, code=next(_codes), provider=provider)


async def another_endpoint(database: Database, stall: Stall, *, provider: str) -> Stall:
    """Let another provider report on the stall's account; returns the stall as it sees it."""
    async with open_org_transaction(database, stall.org.id) as session:
        endpoint_id = await an_endpoint(
            session, stall.org, [stall.account_id], provider=provider, now=NOON
        )
    return Stall(
        org=stall.org,
        payee_id=stall.payee_id,
        account_id=stall.account_id,
        account_number=stall.account_number,
        endpoint_id=endpoint_id,
        provider=provider,
    )


async def a_neighbour(database: Database, stall: Stall) -> UUID:
    """Add a payee that shares the stall's account, without a virtual account."""
    async with open_org_transaction(database, stall.org.id) as session:
        payee_id = await a_payee(session, stall.org)
        await give_account(session, stall.org, payee_id, account_number=stall.account_number)
    return payee_id


async def a_bill_called(
    database: Database, stall: Stall, reference: str, *, amount_vnd: int = 20_000
) -> BillFacts:
    """Open a bill with this reference: callbacks may have named it already."""
    request = BillRequest(
        payee_id=stall.payee_id,
        amount_vnd=amount_vnd,
        purpose="Phở bò",
        expires_at=NOON + timedelta(minutes=15),
        monitor_until=NOON + timedelta(days=1),
        created_by=UUID(int=3),
    )
    async with open_org_transaction(database, stall.org.id) as session:
        (bill,) = await open_bills(session, stall.org.id, [request], [reference], now=NOON)
    assert isinstance(bill, BillFacts)
    return bill


def casso_body(
    stall: Stall,
    *,
    amount_vnd: int,
    memo: str,
    bank_reference: str | None = None,
    transaction_id: int | None = None,
    occurred_at: datetime = NOON,
    date_only: bool = False,
) -> bytes:
    """Write a Casso notice."""
    number = transaction_id or an_id_number()
    local = occurred_at + timedelta(hours=7)
    data = {
        "id": number,
        "reference": bank_reference or f"CA{number:012d}",
        "description": memo,
        "amount": amount_vnd,
        "runningBalance": 0,
        "transactionDateTime": local.strftime("%Y-%m-%d" if date_only else "%Y-%m-%d %H:%M:%S"),
        "accountNumber": stall.account_number,
        "bankName": "VPBank",
        "bankAbbreviation": "VPB",
        "virtualAccountNumber": "",
        "virtualAccountName": None,
        "counterAccountName": "",
        "counterAccountNumber": "",
        "counterAccountBankId": "",
        "counterAccountBankName": "",
    }
    return json.dumps({"error": 0, "data": data}).encode()


async def list_outcomes(database: Database, stall: Stall) -> list[str]:
    """Return how the organisation's notices ended, sorted."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await session.execute(text("SELECT coalesce(outcome, 'waits') FROM notices"))
        return sorted(rows.scalars())


async def count_rows(database: Database, stall: Stall, table: str, where: str = "true") -> int:
    """Count an organisation's rows."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text(f"SELECT count(*) FROM {table} WHERE {where}")
        return int((await session.execute(query)).scalar_one())


async def find_credit(database: Database, stall: Stall) -> UUID:
    """Return the one credit of an organisation."""
    async with open_org_transaction(database, stall.org.id) as session:
        return UUID(
            str((await session.execute(text("SELECT id FROM bank_transactions"))).scalar_one())
        )
