"""Bills of a stall."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts, BillRequest
from payments.bills.service import open_bills
from tests.world.constants import NOON, VENDOR
from tests.world.serials import next_serial
from tests.world.stalls import PayableStall


async def a_bill(
    database: Database,
    stall: PayableStall,
    *,
    amount_vnd: int | None = 20_000,
    now: datetime = NOON,
    valid_for: timedelta = timedelta(minutes=15),
    owner: tuple[str, UUID] | None = None,
    reference: str | None = None,
) -> BillFacts:
    """Open a bill.

    Args:
        owner: (kind, id).
        reference: one that notices may have named already; None makes a new one.
    """
    request = a_bill_request(stall, amount_vnd=amount_vnd, now=now, valid_for=valid_for)
    if owner is not None:
        request = replace(request, owner_kind=owner[0], owner_id=owner[1])
    (bill,) = await open_bills_as(
        database, stall, [request], [reference or a_reference(stall)], now=now
    )
    return bill


def a_reference(stall: PayableStall) -> str:
    """Return a reference that no other bill has."""
    return make_reference(stall.org.code, next_serial())


def a_bill_request(
    stall: PayableStall,
    *,
    amount_vnd: int | None = 20_000,
    now: datetime = NOON,
    valid_for: timedelta = timedelta(minutes=15),
    **facts: Any,
) -> BillRequest:
    """Ask for a bill of a stall's, as its vendor does."""
    return BillRequest(
        **{
            "payee_id": stall.payee_id,
            "amount_vnd": amount_vnd,
            "purpose": "Phở bò",
            "expires_at": now + valid_for,
            "monitor_until": now + valid_for + timedelta(days=1),
            "created_by": VENDOR.id,
            **facts,
        }
    )


async def open_bills_as(
    database: Database,
    stall: PayableStall,
    requests: Sequence[BillRequest],
    references: Sequence[str],
    *,
    now: datetime = NOON,
) -> list[BillFacts]:
    """Open bills with these references in one transaction."""
    async with open_org_transaction(database, stall.org.id) as session:
        opened = await open_bills(session, stall.org.id, requests, references, now=now)
    bills = []
    for bill in opened:
        assert isinstance(bill, BillFacts), bill
        bills.append(bill)
    return bills


async def put_on_rail(
    owner: Database, bill: BillFacts, order_id: str, *, rail: str = "payos"
) -> None:
    """Let a bill have an order at a provider, without asking the provider."""
    async with owner.begin() as session:
        query = text("UPDATE bills SET rail = :rail, provider_order_id = :order_id WHERE id = :id")
        await session.execute(query, {"rail": rail, "order_id": order_id, "id": bill.id})
