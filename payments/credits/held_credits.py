"""A credit under its lock: what a correction takes back, and what it puts in its place.

Every correction reverses the match in force, with its legs and payments, and adds another; nothing
posted is edited. The order of locks: the credit with its match in force, then all bills at once.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from core.reasons import Reason
from payments.bills import payment_rules, settling
from payments.bills import queries_owners as owners_queries
from payments.bills.owners_rules import SaleStatus, change_of_sale
from payments.bills.payment_rules import Payment, SourceKind
from payments.bills.queries_payments import (
    has_refunds,
    list_of_source,
    list_paid_by_source,
    sum_written_off,
)
from payments.bills.rules import BillState
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind
from payments.credits import queries_matches
from payments.credits.effects import list_reversal, list_taken_back, open_vnd
from payments.credits.errors import CreditNotCorrectable, CreditNotFound
from payments.credits.matching import write_matches
from payments.credits.reasons import MatchReason
from payments.credits.rules import CreditFacts, Decision, MatchRule, Verdict
from payments.credits.types import NewMatch
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent

EXPLAINED_BREAKS: Final = [
    BreakKind.UNASSIGNED,
    BreakKind.UNKNOWN_REFERENCE,
    BreakKind.SEVERAL_REFERENCES,
    BreakKind.WRONG_ACCOUNT,
    BreakKind.STUCK,
    BreakKind.REFUND_DUE,
]
# What is another credit's money has no line of its own, too.
SAME_MONEY_BREAKS: Final = [*EXPLAINED_BREAKS, BreakKind.CREDIT_WITHOUT_LINE]


@dataclass(kw_only=True, slots=True)
class HeldCredit:
    """A credit under its lock: its match in force, and the bills that are locked for it."""

    match: NewMatch
    credit: CreditFacts
    bills: dict[UUID, BillState] = field(default_factory=dict)
    before: dict[UUID, BillState] = field(default_factory=dict)  # `bills` as they were
    payments: list[Payment] = field(default_factory=list)  # what it pays, taken back from `bills`
    changed: set[UUID] = field(default_factory=set)

    @property
    def verdict(self) -> Verdict:
        """What the credit is until now."""
        return self.match.decision.verdict

    @property
    def paid(self) -> dict[UUID, int]:
        """What it pays until now: {bill: đồng}, once it is taken back."""
        return {payment.bill_id: payment.amount_vnd for payment in self.payments}

    @property
    def payee_id(self) -> UUID | None:
        """Whose it is until now."""
        return self.match.decision.payee_id

    def find_unchanged(self) -> set[UUID]:
        """Find the bills that are paid again what was taken back; they were paid when they were."""
        return {
            was.id
            for was in self.before.values()
            if payment_rules.keep_if_same(self.bills[was.id], was)
        }


async def hold_credit(session: AsyncSession, org_id: UUID, credit_id: UUID) -> HeldCredit:
    """Lock a credit with its match in force.

    Raises:
        CreditNotFound: there is none.
        CreditNotCorrectable: some of what it brought too much is given back, or two people decided
            what its rest is (payments/decisions/): that is undone first.
    """
    found = await queries_matches.lock_match(session, org_id, credit_id)
    if found is None:
        raise CreditNotFound(credit_id)
    match, credit = found
    if credit.open_vnd != open_vnd(match, credit):
        raise CreditNotCorrectable("Some of this payment was refunded, or given up.")
    return HeldCredit(match=match, credit=credit)


async def take_back(
    session: AsyncSession, org_id: UUID, held: HeldCredit, *, also: Collection[UUID] = ()
) -> None:
    """Lock the bills that a credit is for, and others that are meant now; take it back from them.

    Raises:
        CreditNotCorrectable: some of what it paid was refunded, or the rest of its bill was given
            up, which is undone first.
    """
    old = held.match.decision
    kind, source_id = SourceKind.CREDIT, held.credit.id
    of_it = set(await list_paid_by_source(session, org_id, kind=kind, source_id=source_id))
    if old.bill_id is not None:
        of_it.add(old.bill_id)
    if not (wanted := of_it | set(also)):
        return
    held.bills = await settling.lock_bills(session, org_id, wanted)
    held.before = {bill.id: replace(bill) for bill in held.bills.values()}
    held.payments = await list_of_source(
        session, org_id, held.bills, kind=kind, source_id=source_id
    )
    if await has_refunds(session, org_id, of_it):
        raise CreditNotCorrectable("Some of what it paid was refunded, or is being refunded.")
    if await sum_written_off(session, org_id, of_it):
        raise CreditNotCorrectable(
            "The rest of its bill was written off. Undo the write-off first."
        )
    for bill_id in of_it:
        paid = [payment for payment in held.payments if payment.bill_id == bill_id]
        brought_vnd = sum(payment.amount_vnd for payment in paid)
        if bill_id == old.bill_id:  # with what it did not take
            brought_vnd = held.credit.amount_vnd
        payment_rules.take_back(held.bills[bill_id], paid, brought_vnd=brought_vnd)
    held.changed |= of_it


def decide_sale(credit: CreditFacts, payee_id: UUID, code: MatchReason, actor: Actor) -> Decision:
    return Decision(
        verdict=Verdict.COUNTER_SALE,
        rule=MatchRule.ASSIGNED,
        reason=Reason(code, {"by": actor.name}),
        applied_vnd=credit.amount_vnd,
        payee_id=payee_id,
    )


async def replace_match(
    session: AsyncSession,
    org_id: UUID,
    held: HeldCredit,
    decision: Decision,
    actor: Actor,
    now: datetime,
    *,
    named: str | None = None,
) -> None:
    """Reverse the match in force and put another in its place, with all that follows.

    Args:
        named: what the credit names, if it is not what it named before.
    """
    old, credit = held.match, held.credit
    await queries_matches.reverse_match(session, org_id, old.id, by=actor.id, now=now)
    await ledger.post(session, org_id, list_reversal(old, credit), now=now)
    await _close_breaks(session, org_id, held, decision, actor, now)
    decision = await _notify_code_owner(session, org_id, held, decision, now)
    match = NewMatch(
        id=new_id(),
        credit_id=credit.id,
        decision=decision,
        named=named or old.named,
        matched_by=actor.id,
    )
    unchanged = held.find_unchanged()
    await queries_matches.set_open(session, org_id, [(credit.id, 0)])
    await write_matches(
        session,
        org_id,
        [match],
        [credit],
        {bill_id: held.bills[bill_id] for bill_id in held.changed},
        reversed_payments=held.payments,
        unchanged=unchanged,
        now=now,
    )
    for_others = held.changed - unchanged - {leg.bill.id for leg in decision.legs}
    taken_back = list_taken_back(
        credit, [held.bills[bill_id] for bill_id in sorted(for_others)], held.payments
    )
    # Everyone on the account is notified that it is explained, also those whose money it is not.
    corrected = NewEvent(
        kind=EventKind.CREDIT_CORRECTED,
        receiving_account_id=credit.receiving_account_id,
        data={
            "credit_id": str(credit.id),
            "verdict": decision.verdict.value,
            "payee_id": None if decision.payee_id is None else str(decision.payee_id),
        },
    )
    await outbox.record(session, org_id, [*taken_back, corrected], now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="credit.corrected",
        object_kind="credit",
        object_id=credit.id,
        before={
            "verdict": old.decision.verdict.value,
            "paid": {str(one.bill_id): one.amount_vnd for one in held.payments},
        },
        after={
            "verdict": decision.verdict.value,
            "rule": decision.rule.value,
            "paid": {str(one.bill_id): one.amount_vnd for one in decision.payments},
        },
        reason=decision.reason.facts.get("words"),  # what a person typed
        now=now,
    )


async def _notify_code_owner(
    session: AsyncSession, org_id: UUID, held: HeldCredit, decision: Decision, now: datetime
) -> Decision:
    """Tell the owner of a static code that a sale by it is none; find whose code a new sale is by.

    The credit's lock keeps its changes in order.
    """
    credit = held.credit
    last = await owners_queries.find_last_of_credit(session, org_id, credit.id)
    if last is not None and last[2] == SaleStatus.RECEIVED:
        gone = change_of_sale(credit.id, (last[0], last[1]), is_withdrawn=True)
        await settling.notify_owners(session, org_id, [], sales=[gone], now=now)
    if decision.verdict is not Verdict.COUNTER_SALE or decision.payee_id is None:
        return decision
    owner = await owners_queries.find_code_owner(
        session, org_id, account_id=credit.receiving_account_id, payee_id=decision.payee_id
    )
    return replace(decision, owner=owner)


async def _close_breaks(
    session: AsyncSession,
    org_id: UUID,
    held: HeldCredit,
    decision: Decision,
    actor: Actor,
    now: datetime,
) -> None:
    """Close what was open about a credit, before its new explanation opens what is open of that."""
    is_same = decision.verdict is Verdict.SAME_MONEY
    await break_queries.close_breaks(
        session,
        org_id,
        subject_id=held.credit.id,
        kinds=[kind.value for kind in (SAME_MONEY_BREAKS if is_same else EXPLAINED_BREAKS)],
        by=actor.id,
        resolution=decision.verdict.value,
        is_decision=True,
        now=now,
    )
