"""Notices as providers write them, stored and processed, and bills paid by them."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.callbacks import queries as notice_queries
from payments.callbacks.types import NewNotice
from payments.credits.processor import NoticeProcessor
from tests.world.callbacks import PAYOS_DATA, to_json
from tests.world.constants import NOON
from tests.world.serials import next_number
from tests.world.stalls import PayableStall


def sepay_body(
    stall: PayableStall,
    *,
    amount_vnd: int,
    memo: str,
    bank_reference: str | None = None,
    transaction_id: int | None = None,
    occurred_at: datetime = NOON,
    direction: str = "in",
    account_number: str | None = None,
    virtual_account: str | None = None,
    gateway: object = "Vietcombank",
) -> bytes:
    """Write a SePay notice."""
    number = transaction_id or next_number()
    local = occurred_at + timedelta(hours=7)
    return json.dumps(
        {
            "id": number,
            "gateway": gateway,
            "transactionDate": local.strftime("%Y-%m-%d %H:%M:%S"),
            "accountNumber": account_number or stall.account_number,
            "code": None,
            "content": memo,
            "transferType": direction,
            "transferAmount": amount_vnd,
            "accumulated": 0,
            "subAccount": virtual_account,
            "referenceCode": bank_reference or f"FT26324{number:06d}",
            "description": "",
        }
    ).encode()


def casso_body(
    stall: PayableStall,
    *,
    amount_vnd: int,
    memo: str,
    bank_reference: str | None = None,
    transaction_id: int | None = None,
    occurred_at: datetime = NOON,
    date_only: bool = False,
) -> bytes:
    """Write a Casso notice."""
    number = transaction_id or next_number()
    local = occurred_at + timedelta(hours=7)
    data = {
        "id": number,
        "reference": bank_reference or f"CA26324{number:06d}",
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


def payos_body(stall: PayableStall, *, order: int, memo: str, amount_vnd: int = 20_000) -> bytes:
    """Write a payOS notice about an order."""
    data: dict[str, Any] = {
        **PAYOS_DATA,
        "orderCode": order,
        "amount": amount_vnd,
        "description": memo,
        "accountNumber": stall.account_number,
        "virtualAccountNumber": "",
        "reference": f"FT{order}{len(memo)}",
    }
    return to_json({"code": "00", "desc": "success", "success": True, "data": data})


async def store_notices(
    database: Database,
    stall: PayableStall,
    *bodies: bytes,
    source: str = "callback",
    now: datetime = NOON,
) -> list[UUID]:
    """Store notices as the callback route does (or a poll: "pulled"), without processing them."""
    notices = [
        NewNotice(
            id=new_id(),
            endpoint_id=stall.endpoint_id,
            provider=stall.provider,
            source=source,
            body=body,
            headers={},
            skew_s=None,
            received_at=now,
        )
        for body in bodies
    ]
    async with open_org_transaction(database, stall.org.id) as session:
        await notice_queries.insert_notices(session, stall.org.id, notices)
    return [notice.id for notice in notices]


async def process_waiting(database: Database, stall: PayableStall, *, now: datetime = NOON) -> int:
    """Settle whatever waits for this organisation; return how many notices were handled."""
    return await NoticeProcessor(database, read_clock=lambda: now).process(stall.org)


async def pay(
    database: Database,
    stall: PayableStall,
    bill: BillFacts,
    *,
    amount_vnd: int | None = None,
    bank_reference: str | None = None,
    transaction_id: int | None = None,
    occurred_at: datetime | None = None,
    memo: str | None = None,
    now: datetime = NOON,
) -> str:
    """Pay a bill once and return the notice's outcome."""
    amount = amount_vnd if amount_vnd is not None else bill.amount_vnd
    assert amount is not None
    body = sepay_body(
        stall,
        amount_vnd=amount,
        memo=memo if memo is not None else bill.reference,
        bank_reference=bank_reference,
        transaction_id=transaction_id,
        occurred_at=occurred_at or now,
    )
    (notice_id,) = await store_notices(database, stall, body, now=now)
    await process_waiting(database, stall, now=now)
    async with open_org_transaction(database, stall.org.id) as session:
        values = {"org_id": stall.org.id, "id": notice_id}
        query = text("SELECT outcome FROM notices WHERE org_id = :org_id AND id = :id")
        return str(await session.scalar(query, values))
