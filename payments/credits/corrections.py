"""Decisions of people about a credit: whose it is, which bill it pays, that it is not a sale.

Each correction reverses the match in force, with its legs and payments, and adds another; nothing
posted is edited. The order of locks: the credit with its match in force, then all bills at once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor, record_change
from core.ids import new_id
from core.reasons import Reason
from identity.organisations.rules import OrgFacts
from payments.bills import queries_owners as owners_queries
from payments.bills import settling
from payments.bills.errors import BillNotFound
from payments.bills.owners_rules import SaleStatus, change_of_sale
from payments.bills.payment_rules import Payment, SourceKind, take_back
from payments.bills.queries_payments import list_bill_ids_of_source, list_of_source
from payments.bills.rules import SETTLEABLE, BillState, BillStatus
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.credits import queries
from payments.credits.effects import list_reversal
from payments.credits.errors import CreditNotCorrectable, CreditNotFound
from payments.credits.matching import describe_routings, match_credits, write_matches
from payments.credits.queries_transactions import list_added_references
from payments.credits.reasons import MatchReason
from payments.credits.rules import (
    CreditFacts,
    Decision,
    MatchRule,
    Verdict,
    decide_bill,
    decide_split,
    is_other_account,
)
from payments.credits.types import NewMatch
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.payees.queries import get_payee

OPEN_TO_ASSIGN: Final = frozenset({Verdict.UNASSIGNED})
OPEN_TO_CONFIRM: Final = frozenset(
    {Verdict.COUNTER_SALE, Verdict.UNASSIGNED, Verdict.SEVERAL_BILLS}
)
PAYS_BILLS: Final = frozenset({Verdict.SETTLE, Verdict.PART, Verdict.OVER, Verdict.SPLIT})
# What nothing explains, and what pays the wrong bill: the management says, not a stall.
OPEN_TO_MANAGEMENT: Final = PAYS_BILLS | {
    Verdict.NO_BILL,
    Verdict.WRONG_ACCOUNT,
    Verdict.SEVERAL_BILLS,
    Verdict.CLOSED_BILL,
}
# What the hub said itself, not knowing a reference.
OPEN_TO_REMATCH: Final = frozenset({Verdict.COUNTER_SALE, Verdict.UNASSIGNED, Verdict.NO_BILL})
# A credit whose bill has appeared and that is still not explained rests, longer each time.
AGAIN_START: Final = timedelta(seconds=5)
AGAIN_MAX: Final = timedelta(minutes=10)
BREAK_AFTER: Final = 5  # attempts
EXPLAINED_BREAKS: Final = [
    BreakKind.UNASSIGNED,
    BreakKind.UNKNOWN_REFERENCE,
    BreakKind.SEVERAL_REFERENCES,
    BreakKind.WRONG_ACCOUNT,
    BreakKind.STUCK,
    BreakKind.REFUND_DUE,
]


@dataclass(kw_only=True, slots=True)
class _Held:
    """A credit under its lock: its match in force, and the bills that are locked for it."""

    match: NewMatch
    credit: CreditFacts
    bills: dict[UUID, BillState] = field(default_factory=dict)
    payments: list[Payment] = field(default_factory=list)  # what it pays, taken back from `bills`
    changed: set[UUID] = field(default_factory=set)

    @property
    def verdict(self) -> Verdict:
        """What the credit is until now."""
        return self.match.decision.verdict

    @property
    def payee_id(self) -> UUID | None:
        """Whose it is until now."""
        return self.match.decision.payee_id


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
    held = await _hold(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, held.credit)
    if held.payee_id == payee_id and held.match.decision.rule is MatchRule.ASSIGNED:
        return  # the same tap twice
    if held.verdict not in _widen(OPEN_TO_ASSIGN, by_management=by_management):
        raise CreditNotCorrectable("Another stall has taken this payment, or it pays a bill.")
    await _free(session, org_id, held)
    decision = _as_sale(held.credit, payee_id, MatchReason.ASSIGNED_BY, actor)
    await _replace(session, org_id, held, decision, actor, now)


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
        by_management: as in assign_credit.

    Raises:
        CreditNotFound, BillNotFound
        CreditNotCorrectable: the bill is another payee's or account's or needs no money any more,
            or the credit has its explanation.
    """
    held = await _hold(session, org_id, credit_id)
    await _require_account(session, org_id, payee_id, held.credit)
    if held.match.decision.bill_id == bill_id and held.match.decision.applied_vnd:
        return
    may_be = _widen(OPEN_TO_CONFIRM, by_management=by_management)
    if held.match.decision.bill_id == bill_id:
        may_be |= {Verdict.CLOSED_BILL}  # it came again, and the bill needs it by now
    if held.verdict not in may_be:
        raise CreditNotCorrectable("This payment has its explanation already.")
    if not by_management and held.payee_id not in (None, payee_id):
        raise CreditNotFound(credit_id)
    await _free(session, org_id, held, also=[bill_id])
    bill = _pick_bill(held, bill_id, payee_id)
    decision = decide_bill(held.credit, bill, MatchRule.CONFIRMED, by=actor.id, now=now)
    held.changed.add(bill_id)
    await _replace(session, org_id, held, decision, actor, now)


async def split_over_bills(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    shares: Sequence[tuple[UUID, int]],
    actor: Actor,
    now: datetime,
) -> None:
    """The management says which bills a payment pays, and each with how much of it.

    It replaces what the payment was taken for before, so the same request again changes nothing.

    Args:
        shares: (bill, đồng), each bill once; what they leave of the payment stays unassigned.

    Raises:
        CreditNotFound, BillNotFound
        CreditNotCorrectable: they are not one payee's, or not on the payment's account, or need
            less than their share; or they need more than the payment.
    """
    assert len({bill_id for bill_id, _ in shares}) == len(shares) > 0
    held = await _hold(session, org_id, credit_id)
    if held.verdict not in OPEN_TO_CONFIRM | OPEN_TO_MANAGEMENT:
        raise CreditNotCorrectable("This payment has its explanation already.")
    if sum(share_vnd for _, share_vnd in shares) > held.credit.amount_vnd:
        raise CreditNotCorrectable("The shares are more than the payment.")
    await _free(session, org_id, held, also=[bill_id for bill_id, _ in shares])
    if held.verdict is Verdict.SPLIT and {
        (payment.bill_id, payment.amount_vnd) for payment in held.payments
    } == set(shares):
        return
    first = held.bills.get(shares[0][0])
    if first is None:
        raise BillNotFound(shares[0][0])
    picked: list[tuple[BillState, int]] = []
    for bill_id, share_vnd in shares:
        bill = _pick_bill(held, bill_id, first.payee_id)
        if bill.amount_vnd is not None and share_vnd > bill.amount_vnd - bill.paid_vnd:
            raise CreditNotCorrectable(f"{bill.reference} needs less than {share_vnd} ₫.")
        picked.append((bill, share_vnd))
        held.changed.add(bill_id)
    decision = decide_split(held.credit, picked, by=actor.id, now=now)
    await _replace(session, org_id, held, decision, actor, now)


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
        CreditNotCorrectable: it pays a bill, or nobody has been assigned it.
    """
    held = await _hold(session, org_id, credit_id)
    if held.payee_id != payee_id:
        raise CreditNotFound(credit_id)
    if held.verdict is Verdict.NOT_TAKINGS:
        return
    if held.verdict is not Verdict.COUNTER_SALE:
        raise CreditNotCorrectable("Only a counter sale can be taken out of the takings.")
    said = {"by": actor.name, "words": reason} if reason else {"by": actor.name}
    decision = Decision(
        verdict=Verdict.NOT_TAKINGS,
        rule=MatchRule.NOT_TAKINGS,
        reason=Reason(MatchReason.NOT_TAKINGS_BY, said),
        applied_vnd=held.credit.amount_vnd,
        payee_id=payee_id,
    )
    await _replace(session, org_id, held, decision, actor, now)


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
    held = await _hold(session, org_id, credit_id)
    if held.payee_id != payee_id:
        raise CreditNotFound(credit_id)
    if held.verdict is Verdict.COUNTER_SALE:
        return
    if held.verdict is not Verdict.NOT_TAKINGS:
        raise CreditNotCorrectable("Only money taken out of the takings can be put back.")
    decision = _as_sale(held.credit, payee_id, MatchReason.TAKINGS_AGAIN_BY, actor)
    await _replace(session, org_id, held, decision, actor, now)


async def mark_same_money(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Say that a credit is a transfer that another credit stands for: its postings are undone.

    A bill that it paid owes the money again.

    Raises:
        CreditNotFound
        CreditNotCorrectable: some of it was refunded.
    """
    held = await _hold(session, org_id, credit_id)
    if held.verdict is Verdict.SAME_MONEY:
        return
    await _free(session, org_id, held)
    decision = Decision(
        verdict=Verdict.SAME_MONEY,
        rule=MatchRule.SAME_MONEY,
        reason=Reason(MatchReason.SAME_MONEY_BY, {"by": actor.name}),
    )
    await _replace(session, org_id, held, decision, actor, now)


async def rematch(session: AsyncSession, org: OrgFacts, credit_id: UUID, *, now: datetime) -> bool:
    """Rematch a credit whose bill was not there yet; True if it is explained now."""
    held = await _hold(session, org.id, credit_id)
    if held.verdict is not Verdict.NO_BILL:
        return False
    match = await _rematch(session, org, held, now=now)
    if match.decision.verdict is Verdict.NO_BILL:
        return False
    await _replace(session, org.id, held, match.decision, SYSTEM, now)
    return True


async def rematch_with(
    session: AsyncSession,
    org: OrgFacts,
    credit_id: UUID,
    references: Collection[str],
    *,
    now: datetime,
) -> bool:
    """Rematch a credit that names these references only now; their sighting is stored.

    Returns:
        False if it stays what it is although it is for something else: a person or a payment has
        explained it, or the reference is one of a test transfer.
    """
    held = await _hold(session, org.id, credit_id)
    if held.verdict not in OPEN_TO_REMATCH or held.match.decision.rule is MatchRule.ASSIGNED:
        kind = SourceKind.CREDIT
        of_it = set(await list_bill_ids_of_source(session, org.id, kind=kind, source_id=credit_id))
        named = await settling.lock_named_bills(session, org.id, references=references)
        return not (of_it | {held.match.decision.bill_id}).isdisjoint(named)
    match = await _rematch(session, org, held, now=now)
    if match.decision.verdict is Verdict.ACCOUNT_TEST:
        return False
    await _replace(session, org.id, held, match.decision, SYSTEM, now, named=match.named)
    return True


async def _rematch(session: AsyncSession, org: OrgFacts, held: _Held, *, now: datetime) -> NewMatch:
    """Decide what a credit is by all that was ever reported of it; its bills come back locked."""
    added = await list_added_references(session, org.id, held.credit.id)
    credit = replace(held.credit, memo=" ".join([*added, held.credit.memo]))
    account_ids = [credit.receiving_account_id]
    accounts = await queries.list_accounts_by_id(session, org.id, account_ids)
    links, _ = await queries.list_trading_links(session, org.id, account_ids)
    codes = await queries.list_org_codes(session, org.id)
    matches, held.bills = await match_credits(
        session,
        org,
        [credit],
        describe_routings(accounts, links),
        codes=codes,
        known_codes=await queries.add_foreign_codes(session, codes, [credit.memo]),
        now=now,
    )
    held.changed = set(held.bills)
    return matches[0]


def _widen(verdicts: frozenset[Verdict], *, by_management: bool) -> frozenset[Verdict]:
    return verdicts | OPEN_TO_MANAGEMENT if by_management else verdicts


async def put_off(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, error: str | None, now: datetime
) -> None:
    """Rematch a credit later; open a break for a person once several attempts have failed.

    Args:
        error: its name, where one kept the credit from being matched.
    """
    attempts = await queries.put_off_match(
        session, org_id, credit_id, wait_start=AGAIN_START, wait_max=AGAIN_MAX, now=now
    )
    if attempts == BREAK_AFTER:
        reason = Reason(BreakReason.NO_BILL_FITS)
        if error is not None:
            reason = Reason(BreakReason.MATCHING_FAILED, {"error": error})
        stuck = NewBreak(
            kind=BreakKind.STUCK,
            subject_id=credit_id,
            credit_id=credit_id,
            reason=reason,
        )
        await break_queries.insert_breaks_once(session, org_id, [stuck], now=now)


def _as_sale(credit: CreditFacts, payee_id: UUID, code: MatchReason, actor: Actor) -> Decision:
    return Decision(
        verdict=Verdict.COUNTER_SALE,
        rule=MatchRule.ASSIGNED,
        reason=Reason(code, {"by": actor.name}),
        applied_vnd=credit.amount_vnd,
        payee_id=payee_id,
    )


async def _hold(session: AsyncSession, org_id: UUID, credit_id: UUID) -> _Held:
    """Lock a credit with its match in force.

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
        reason=Reason(MatchReason(row["reason"]), row["reason_facts"]),
        applied_vnd=row["applied_vnd"],
        bill_id=row["bill_id"],
        payee_id=row["payee_id"],
        is_late=row["is_late"],
    )
    match = NewMatch(id=row["id"], credit_id=credit_id, decision=decision, named=row["named"])
    return _Held(match=match, credit=credit)


async def _free(
    session: AsyncSession, org_id: UUID, held: _Held, *, also: Collection[UUID] = ()
) -> None:
    """Lock the bills that a credit is for, and others that are meant now; take it back from them.

    Raises:
        CreditNotCorrectable: some of what it paid was refunded.
    """
    old = held.match.decision
    kind, source_id = SourceKind.CREDIT, held.credit.id
    of_it = set(await list_bill_ids_of_source(session, org_id, kind=kind, source_id=source_id))
    if old.bill_id is not None:
        of_it.add(old.bill_id)
    if not (wanted := of_it | set(also)):
        return
    held.bills = await settling.lock_bills(session, org_id, wanted)
    held.payments = await list_of_source(
        session, org_id, held.bills, kind=kind, source_id=source_id
    )
    if any(payment.refundable_vnd != payment.amount_vnd for payment in held.payments):
        raise CreditNotCorrectable("Some of this payment was refunded.")
    for bill_id in of_it:
        paid = [payment for payment in held.payments if payment.bill_id == bill_id]
        brought_vnd = sum(payment.amount_vnd for payment in paid)
        if bill_id == old.bill_id:  # with what it did not take
            brought_vnd = held.credit.amount_vnd
        take_back(held.bills[bill_id], paid, brought_vnd=brought_vnd)
    held.changed |= of_it


def _pick_bill(held: _Held, bill_id: UUID, payee_id: UUID) -> BillState:
    """Return a locked bill that the credit may pay.

    Raises:
        BillNotFound, CreditNotCorrectable
    """
    bill = held.bills.get(bill_id)
    if bill is None:
        raise BillNotFound(bill_id)
    if bill.payee_id != payee_id or is_other_account(held.credit, bill):
        raise CreditNotCorrectable("The payment is not on this bill's account.")
    if bill.status not in SETTLEABLE:  # it would leave the takings, for a refund
        raise CreditNotCorrectable("The bill is paid or cancelled already.")
    return bill


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
    held: _Held,
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
    await queries.reverse_match(session, org_id, old.id, by=actor.id, now=now)
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
    await queries.set_open(session, org_id, [(credit.id, 0)])
    await write_matches(
        session,
        org_id,
        [match],
        [credit],
        {bill_id: held.bills[bill_id] for bill_id in held.changed},
        reversed_payments=held.payments,
        now=now,
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
    await outbox.record(session, org_id, [corrected], now=now)
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
    session: AsyncSession, org_id: UUID, held: _Held, decision: Decision, now: datetime
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
    held: _Held,
    decision: Decision,
    actor: Actor,
    now: datetime,
) -> None:
    """Close what was open about a credit, before its new explanation opens what is open of that.

    Also the refund that a cancelled bill was due, if nothing is paid of it any more.
    """
    subjects = [held.credit.id]
    subjects += [
        bill.id
        for bill in held.bills.values()
        if bill.status == BillStatus.CANCELLED and bill.paid_vnd == 0
    ]
    for subject_id in subjects:
        await break_queries.close_breaks(
            session,
            org_id,
            subject_id=subject_id,
            kinds=[kind.value for kind in EXPLAINED_BREAKS],
            by=actor.id,
            resolution=decision.verdict.value,
            now=now,
        )
