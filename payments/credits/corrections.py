"""What people say about a credit: whose it is, which bill it pays, that it is not a sale.

Each correction reverses the match in force and adds another; nothing posted is edited. The order
of locks: the credit with its match in force, then the bill.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor, record_change
from core.ids import new_id
from identity.organisations.rules import OrgFacts
from payments.bills.queries import get_bill, lock_named_bills, update_bills
from payments.bills.rules import SETTLEABLE, BillState
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind
from payments.breaks.types import NewBreak
from payments.credits import queries
from payments.credits.effects import list_reversal
from payments.credits.errors import CreditNotCorrectable, CreditNotFound
from payments.credits.matching import describe_routings, match_credits, write_matches
from payments.credits.rules import (
    CreditFacts,
    Decision,
    MatchRule,
    Verdict,
    decide_bill,
    is_other_account,
)
from payments.credits.types import NewMatch
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.payees.queries import get_payee

OPEN_TO_CLAIM: Final = frozenset({Verdict.UNASSIGNED})
OPEN_TO_CONFIRM: Final = frozenset(
    {Verdict.COUNTER_SALE, Verdict.UNASSIGNED, Verdict.SEVERAL_BILLS}
)
# What nothing explains; whose it is, the management says, not a stall that shares the account.
OPEN_TO_MANAGEMENT: Final = frozenset(
    {Verdict.NO_BILL, Verdict.WRONG_ACCOUNT, Verdict.SEVERAL_BILLS}
)
# A credit whose bill has appeared and that is still not explained rests, longer each time.
AGAIN_START: Final = timedelta(seconds=5)
AGAIN_MAX: Final = timedelta(minutes=10)
TOLD_AFTER: Final = 5  # attempts
EXPLAINED_BREAKS: Final = [
    BreakKind.UNASSIGNED,
    BreakKind.UNKNOWN_REFERENCE,
    BreakKind.SEVERAL_REFERENCES,
    BreakKind.WRONG_ACCOUNT,
    BreakKind.STUCK,
]


async def assign_credit(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    payee_id: UUID,
    by_management: bool = False,
    actor: Actor,
    now: datetime,
) -> None:
    """A stall that shares an account says that an unassigned credit is its own.

    Args:
        by_management: the actor looks after the organisation, and may say it of any credit that
            nothing explains.

    Raises:
        CreditNotFound: not on an account of this payee.
        CreditNotCorrectable: another stall was first, or it has its explanation.
    """
    old, credit = await _lock_match(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, credit)
    if old.decision.payee_id == payee_id and old.decision.rule is MatchRule.ASSIGNED:
        return  # the same tap twice
    if old.decision.verdict not in _widen(OPEN_TO_CLAIM, by_management=by_management):
        raise CreditNotCorrectable("Another stall has taken this payment, or it pays a bill.")
    decision = _as_sale(credit, payee_id, f"claimed by {actor.name}")
    await _replace(session, org_id, old, credit, decision, actor, now)


async def confirm_for_bill(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    bill_id: UUID,
    payee_id: UUID,
    by_management: bool = False,
    actor: Actor,
    now: datetime,
) -> None:
    """A vendor says that a sale was a customer paying this bill, or which of several bills it pays.

    Args:
        by_management: as in claim_credit.

    Raises:
        CreditNotFound, BillNotFound
        CreditNotCorrectable: the bill is another payee's or account's or needs no money any more,
            or the credit has its explanation.
    """
    old, credit = await _lock_match(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, credit)
    if old.decision.bill_id == bill_id:
        return
    if old.decision.verdict not in _widen(OPEN_TO_CONFIRM, by_management=by_management):
        raise CreditNotCorrectable("This payment has its explanation already.")
    if old.decision.payee_id not in (None, payee_id):
        raise CreditNotFound(credit_id)
    bill = await get_bill(session, org_id, bill_id)
    (locked,) = await lock_named_bills(session, org_id, references=[bill.reference])
    if bill.payee_id != payee_id or is_other_account(credit, locked):
        raise CreditNotCorrectable("The payment is not on this bill's account.")
    if locked.status not in SETTLEABLE:  # it would leave the takings, for a refund
        raise CreditNotCorrectable("The bill is paid or cancelled already.")
    decision = decide_bill(credit, locked, MatchRule.CONFIRMED, now=now)
    await _replace(session, org_id, old, credit, decision, actor, now, bill=locked)


async def mark_not_takings(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    payee_id: UUID,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    """A vendor says "không phải tiền hàng": take a counter sale out of the takings.

    Raises:
        CreditNotFound: not this payee's.
        CreditNotCorrectable: it pays a bill, or nobody has claimed it.
    """
    old, credit = await _lock_match(session, org_id, credit_id)
    if old.decision.payee_id != payee_id:
        raise CreditNotFound(credit_id)
    if old.decision.verdict is Verdict.NOT_TAKINGS:
        return
    if old.decision.verdict is not Verdict.COUNTER_SALE:
        raise CreditNotCorrectable("Only a counter sale can be taken out of the takings.")
    decision = Decision(
        verdict=Verdict.NOT_TAKINGS,
        rule=MatchRule.NOT_TAKINGS,
        reason=reason or f"not takings, says {actor.name}",
        applied_vnd=credit.amount_vnd,
        payee_id=payee_id,
    )
    await _replace(session, org_id, old, credit, decision, actor, now)


async def mark_takings_again(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    payee_id: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    """Undo "không phải tiền hàng".

    Raises:
        CreditNotFound, CreditNotCorrectable
    """
    old, credit = await _lock_match(session, org_id, credit_id)
    if old.decision.payee_id != payee_id:
        raise CreditNotFound(credit_id)
    if old.decision.verdict is Verdict.COUNTER_SALE:
        return
    if old.decision.verdict is not Verdict.NOT_TAKINGS:
        raise CreditNotCorrectable("Only money taken out of the takings can be put back.")
    decision = _as_sale(credit, payee_id, f"put back by {actor.name}")
    await _replace(session, org_id, old, credit, decision, actor, now)


async def mark_same_money(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Say that a credit is a transfer that another credit stands for: its posting is taken back.

    Raises:
        CreditNotFound
        CreditNotCorrectable: it has paid a bill, which would owe the money again.
    """
    old, credit = await _lock_match(session, org_id, credit_id)
    if old.decision.verdict is Verdict.SAME_MONEY:
        return
    if old.decision.bill_id is not None:
        if old.decision.applied_vnd:
            raise CreditNotCorrectable("This payment has paid a bill; it is not taken from it.")
        bill = await get_bill(session, org_id, old.decision.bill_id)
        (locked,) = await lock_named_bills(session, org_id, references=[bill.reference])
        locked.received_vnd -= credit.amount_vnd
        await update_bills(session, org_id, [locked])
    decision = Decision(
        verdict=Verdict.SAME_MONEY,
        rule=MatchRule.SAME_MONEY,
        reason=f"the same money as another credit, says {actor.name}",
    )
    await _replace(session, org_id, old, credit, decision, actor, now)
    await break_queries.close_breaks(
        session,
        org_id,
        subject_id=credit_id,
        kinds=[BreakKind.REFUND_DUE.value],
        by=actor.id,
        resolution=Verdict.SAME_MONEY.value,
        now=now,
    )


async def rematch(session: AsyncSession, org: OrgFacts, credit_id: UUID, *, now: datetime) -> bool:
    """Judge a credit again whose bill was not there yet; True if it is explained now."""
    old, credit = await _lock_match(session, org.id, credit_id)
    if old.decision.verdict is not Verdict.NO_BILL:
        return False
    account_ids = [credit.receiving_account_id]
    accounts = await queries.list_accounts_by_id(session, org.id, account_ids)
    links, _ = await queries.list_trading_links(session, org.id, account_ids)
    codes = await queries.list_org_codes(session, org.id)
    matches, bills = await match_credits(
        session,
        org,
        [credit],
        describe_routings(accounts, links),
        codes=codes,
        known_codes=await queries.add_foreign_codes(session, codes, [credit.memo]),
        now=now,
    )
    decision = matches[0].decision
    if decision.verdict is Verdict.NO_BILL:
        return False
    bill = None if decision.bill_id is None else bills[decision.bill_id]
    await _replace(session, org.id, old, credit, decision, SYSTEM, now, bill=bill)
    return True


def _widen(verdicts: frozenset[Verdict], *, by_management: bool) -> frozenset[Verdict]:
    return verdicts | OPEN_TO_MANAGEMENT if by_management else verdicts


async def put_off(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, why: str, now: datetime
) -> None:
    """Judge a credit again later, and tell a person once it was in vain several times."""
    attempts = await queries.put_off_match(
        session, org_id, credit_id, wait_start=AGAIN_START, wait_max=AGAIN_MAX, now=now
    )
    if attempts == TOLD_AFTER:
        stuck = NewBreak(
            kind=BreakKind.STUCK,
            subject_id=credit_id,
            credit_id=credit_id,
            detail=f"its bill is there, and it could not be matched: {why}",
        )
        await break_queries.insert_breaks_once(session, org_id, [stuck], now=now)


def _as_sale(credit: CreditFacts, payee_id: UUID, reason: str) -> Decision:
    return Decision(
        verdict=Verdict.COUNTER_SALE,
        rule=MatchRule.ASSIGNED,
        reason=reason,
        applied_vnd=credit.amount_vnd,
        payee_id=payee_id,
    )


async def _lock_match(
    session: AsyncSession, org_id: UUID, credit_id: UUID
) -> tuple[NewMatch, CreditFacts]:
    """Lock the match in force and return it with its credit.

    Raises:
        CreditNotFound: there is none.
    """
    values = {"org_id": org_id, "credit_id": credit_id}
    await session.execute(queries.LOCK_CREDIT, {"credit_id": credit_id})
    row = (await session.execute(queries.LOCK_MATCH, values)).mappings().one_or_none()
    if row is None:
        raise CreditNotFound(credit_id)
    credit = CreditFacts(
        id=credit_id,
        receiving_account_id=row["receiving_account_id"],
        virtual_account=row["virtual_account"],
        provider=row["provider"],
        provider_order_id=row["provider_order_id"],
        memo=row["memo"],
        amount_vnd=row["amount_vnd"],
        occurred_at=row["occurred_at"],
        is_date_only=row["is_date_only"],
        payer_name=row["payer_name"],
    )
    decision = Decision(
        verdict=Verdict(row["verdict"]),
        rule=MatchRule(row["rule"]),
        reason="",
        applied_vnd=row["applied_vnd"],
        bill_id=row["bill_id"],
        payee_id=row["payee_id"],
        is_late=row["is_late"],
    )
    match = NewMatch(id=row["id"], credit_id=credit_id, decision=decision, named=row["named"])
    return match, credit


async def _require_account(
    session: AsyncSession, org_id: UUID, payee_id: UUID, credit: CreditFacts
) -> None:
    """Refuse a payee that does not trade on the credit's account.

    Raises:
        CreditNotFound, PayeeNotFound
    """
    await get_payee(session, org_id, payee_id)
    if not await queries.is_on_account(
        session, org_id, payee_id=payee_id, account_id=credit.receiving_account_id
    ):
        raise CreditNotFound(credit.id)


async def _replace(
    session: AsyncSession,
    org_id: UUID,
    old: NewMatch,
    credit: CreditFacts,
    decision: Decision,
    actor: Actor,
    now: datetime,
    *,
    bill: BillState | None = None,
) -> None:
    """Reverse the match in force and put another in its place, with all that follows."""
    pays_bill = old.decision.bill_id is not None and old.decision.applied_vnd > 0
    assert not pays_bill, "a credit that pays a bill is not taken from it here"
    await queries.reverse_match(session, org_id, old.id, by=actor.id, now=now)
    await ledger.post(session, org_id, list_reversal(old, credit), now=now)
    match = NewMatch(
        id=new_id(),
        credit_id=credit.id,
        decision=decision,
        named=old.named,
        bill_after=None if bill is None else replace(bill),
        matched_by=actor.id,
    )
    bills = {} if bill is None else {bill.id: bill}
    await write_matches(session, org_id, [match], [credit], bills, now=now)
    await break_queries.close_breaks(
        session,
        org_id,
        subject_id=credit.id,
        kinds=[kind.value for kind in EXPLAINED_BREAKS],
        by=actor.id,
        resolution=decision.verdict.value,
        now=now,
    )
    # Everyone on the account hears that it is explained, also those whose money it is not.
    corrected = NewEvent(
        kind=EventKind.CREDIT_CORRECTED,
        receiving_account_id=credit.receiving_account_id,
        data={
            "credit_id": str(credit.id),
            "verdict": decision.verdict.value,
            "payee_id": None if decision.payee_id is None else str(decision.payee_id),
        },
    )
    await outbox.record(session, org_id, [corrected], now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="credit.corrected",
        object_kind="credit",
        object_id=credit.id,
        before={"verdict": old.decision.verdict.value},
        after={"verdict": decision.verdict.value, "rule": decision.rule.value},
        reason=decision.reason,
        now=now,
    )
