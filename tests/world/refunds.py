"""Refunds of what a stall was paid."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.ledger import service as ledger
from payments.ledger.rules import refunds_in_transit
from payments.payees.rules import HeldBy
from payments.refunds.models import Refund
from payments.refunds.queries import find_refund
from payments.refunds.requesting import enter_destination, request_refund
from payments.refunds.rules import Step, hash_destination
from payments.refunds.steps import StepTaken, take_step
from payments.refunds.types import NewRefund
from tests.world.constants import APPROVER, MB, NOON
from tests.world.stalls import PayableStall

FINANCE = Actor(kind="staff", id=UUID(int=4), name="finance")
BANK_REFERENCE = "FT26330000123"


async def hold_by(database: Database, stall: PayableStall, holder: str) -> None:
    """Let the stall's account be held by its organisation, or by the payee."""
    async with open_org_transaction(database, stall.org.id) as session:
        await session.execute(
            text("UPDATE receiving_accounts SET held_by = :holder"), {"holder": holder}
        )


async def find_payments(database: Database, stall: PayableStall, bill: BillFacts) -> list[UUID]:
    """Return the payments of a bill that count, the oldest first."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text(
            "SELECT id FROM payments WHERE org_id = :org_id AND bill_id = :bill_id"
            " AND reversed_at IS NULL ORDER BY id"
        )
        values = {"org_id": stall.org.id, "bill_id": bill.id}
        return list((await session.execute(query, values)).scalars())


async def a_refund(
    database: Database,
    stall: PayableStall,
    *,
    amount_vnd: int,
    payment_id: UUID | None = None,
    credit_id: UUID | None = None,
    break_id: UUID | None = None,
    id_: UUID | None = None,
    actor: Actor = FINANCE,
    now: datetime = NOON,
) -> Refund:
    """Request a refund."""
    new = NewRefund(
        id=id_ or new_id(),
        payment_id=payment_id,
        credit_id=credit_id,
        break_id=break_id,
        amount_vnd=amount_vnd,
        reason="Khách trả thừa",
    )
    async with open_org_transaction(database, stall.org.id) as session:
        return await request_refund(session, stall.org.id, new, actor=actor, now=now)


async def take(
    database: Database,
    stall: PayableStall,
    refund: Refund,
    step: str,
    *,
    actor: Actor | None = None,
    now: datetime = NOON,
    **said: Any,
) -> Refund:
    """Take a refund a step further; the approver approves, finance does the rest."""
    async with open_org_transaction(database, stall.org.id) as session:
        seen = await find_refund(session, stall.org.id, refund.id)
    if step == "approve" and seen is not None:
        said.setdefault(
            "destination_hash",
            hash_destination(
                seen.destination_bank, seen.destination_account, seen.destination_name
            ),
        )
    if step in ("confirm", "fail") and refund.held_by == "payee":
        said.setdefault("acts_for", HeldBy.PAYEE)
    taken = StepTaken(step=Step(step), **said)
    who = actor or (APPROVER if taken.step is Step.APPROVE else FINANCE)
    async with open_org_transaction(database, stall.org.id) as session:
        return await take_step(session, stall.org.id, refund.id, taken, actor=who, now=now)


async def enter_account(
    database: Database,
    stall: PayableStall,
    refund: Refund,
    *,
    account: str = "0123456789",
    actor: Actor = FINANCE,
) -> Refund:
    """Type an account that the money may go back to."""
    async with open_org_transaction(database, stall.org.id) as session:
        return await enter_destination(
            session,
            stall.org.id,
            refund.id,
            bin_=MB,
            account_number=account,
            name="NGUYEN THI LAN",
            name_again="nguyen thi  lan",
            actor=actor,
            now=NOON,
        )


async def an_instructed_refund(
    database: Database, stall: PayableStall, *, payment_id: UUID, amount_vnd: int
) -> Refund:
    """Let a refund from an account of the organisation's be instructed."""
    refund = await a_refund(database, stall, payment_id=payment_id, amount_vnd=amount_vnd)
    await enter_account(database, stall, refund)
    await take(database, stall, refund, "approve")
    return await take(database, stall, refund, "instruct")


async def read_in_transit(database: Database, stall: PayableStall) -> int:
    """Return how many đồng are on their way back from the stall's account."""
    async with open_org_transaction(database, stall.org.id) as session:
        key = refunds_in_transit(stall.account_id)
        return await ledger.read_balance(session, stall.org.id, key)


async def read_refundable(database: Database, stall: PayableStall, payment_id: UUID) -> int:
    """Return how many đồng of a payment can be refunded yet."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT refundable_vnd FROM payments WHERE org_id = :org_id AND id = :id")
        values = {"org_id": stall.org.id, "id": payment_id}
        return int((await session.execute(query, values)).scalar_one())
