"""Breaks of a stall, and what two people decide about their money."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.decisions.deciding import approve
from payments.decisions.models import BreakDecision
from payments.decisions.proposing import NewDecision, propose, propose_undo, report_short_bill
from payments.decisions.rules import Action, Target
from payments.ledger import service as ledger
from payments.ledger.rules import AccountCode, AccountKey
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, NOON
from tests.world.notices import pay
from tests.world.refunds import FINANCE
from tests.world.stalls import PayableStall

NO_SUCH_REFERENCE = "PPDXA2ZZZZZZ9 tien rau"
REASON = "Khách không trả nữa"


async def find_break(database: Database, stall: PayableStall, kind: str) -> UUID:
    """Return the newest open break of a kind."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text(
            "SELECT id FROM breaks WHERE org_id = :org_id AND kind = :kind AND closed_at IS NULL"
            " ORDER BY id DESC LIMIT 1"
        )
        values = {"org_id": stall.org.id, "kind": kind}
        return UUID(str((await session.execute(query, values)).scalar_one()))


async def read_break(database: Database, stall: PayableStall, break_id: UUID) -> dict[str, Any]:
    """Return a break's row."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT * FROM breaks WHERE org_id = :org_id AND id = :id")
        row = (await session.execute(query, {"org_id": stall.org.id, "id": break_id})).mappings()
        return dict(row.one())


async def a_paid_twice_break(
    database: Database, stall: PayableStall, *, now: datetime = NOON
) -> UUID:
    """Let a bill of 20.000 ₫ be paid twice; return what asks for the second one's return."""
    bill = await a_bill(database, stall, now=now)
    for _ in range(2):
        await pay(database, stall, bill, now=now)
    return await find_break(database, stall, "refund_due")


async def a_short_bill(
    database: Database, stall: PayableStall, *, now: datetime = NOON
) -> tuple[BillFacts, UUID]:
    """Let a bill of 20.000 ₫ be paid with 15.000 ₫; return it, and its break that it is short."""
    bill = await a_bill(database, stall, now=now)
    await pay(database, stall, bill, amount_vnd=15_000, now=now)
    async with open_org_transaction(database, stall.org.id) as session:
        found = await report_short_bill(session, stall.org.id, bill.id, actor=FINANCE, now=now)
        return bill, found.id


async def a_decision(
    database: Database,
    stall: PayableStall,
    break_id: UUID,
    *,
    amount_vnd: int,
    action: Action = Action.WRITE_OFF,
    target: Target | None = None,
    payee_id: UUID | None = None,
    id_: UUID | None = None,
    actor: Actor = FINANCE,
    now: datetime = NOON,
) -> BreakDecision:
    """Propose what becomes of the money of a break."""
    new = NewDecision(
        id=id_ or new_id(),
        action=action,
        amount_vnd=amount_vnd,
        reason=REASON,
        target=target,
        payee_id=payee_id,
    )
    async with open_org_transaction(database, stall.org.id) as session:
        return await propose(session, stall.org.id, break_id, new, actor=actor, now=now)


async def approve_it(
    database: Database,
    stall: PayableStall,
    decision_id: UUID,
    *,
    actor: Actor = APPROVER,
    is_alone: bool = False,
    now: datetime = NOON,
) -> BreakDecision:
    """Approve a decision."""
    async with open_org_transaction(database, stall.org.id) as session:
        return await approve(
            session, stall.org.id, decision_id, is_alone=is_alone, actor=actor, now=now
        )


async def give_up_rest(
    database: Database,
    stall: PayableStall,
    bill: BillFacts,
    *,
    amount_vnd: int = 5_000,
    now: datetime = NOON,
) -> BreakDecision:
    """Let two people give up the rest of a bill that was paid in part."""
    async with open_org_transaction(database, stall.org.id) as session:
        found = await report_short_bill(session, stall.org.id, bill.id, actor=FINANCE, now=now)
    decision = await a_decision(database, stall, found.id, amount_vnd=amount_vnd, now=now)
    return await approve_it(database, stall, decision.id, now=now)


async def undo_it(
    database: Database,
    stall: PayableStall,
    decision_id: UUID,
    *,
    actor: Actor = FINANCE,
    by: Actor = APPROVER,
    now: datetime = NOON,
) -> BreakDecision:
    """Propose to undo a decision, and let another person approve that."""
    async with open_org_transaction(database, stall.org.id) as session:
        undoing = await propose_undo(
            session,
            stall.org.id,
            decision_id,
            id_=new_id(),
            reason="nhầm",
            actor=actor,
            now=now,
        )
    return await approve_it(database, stall, undoing.id, actor=by, now=now)


async def read_account(
    database: Database, stall: PayableStall, code: AccountCode, subject_id: UUID
) -> int:
    """Return a balance in đồng, credits minus debits."""
    async with open_org_transaction(database, stall.org.id) as session:
        key = AccountKey(code=code, subject_id=subject_id)
        return await ledger.read_balance(session, stall.org.id, key)


async def read_written_off(database: Database, stall: PayableStall) -> int:
    """Return what the organisation has given up, credits minus debits."""
    return await read_account(database, stall, AccountCode.WRITTEN_OFF, stall.org.id)
