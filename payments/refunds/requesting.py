"""Requests for refunds: the money is held against a second one, and nothing else moves yet.

Order of locks: the credit, then the bill, its payment, the proposal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.text import check_lines
from payments.bills import queries_payments, settling
from payments.bills.payment_rules import CASH, SourceKind
from payments.breaks.errors import BreakHeld
from payments.breaks.models import Break
from payments.breaks.queries import hold_break, sum_refunds
from payments.breaks.rules import BreakKind
from payments.credits.effects import open_vnd
from payments.credits.errors import CreditNotFound
from payments.credits.queries_matches import lock_match
from payments.credits.rules import Verdict
from payments.payees.rules import check_account
from payments.refunds import queries
from payments.refunds.errors import (
    RefundDestinationFixed,
    RefundIdTaken,
    RefundNamesDiffer,
    RefundNotPossible,
    RefundProposalNotFitting,
    RefundTooHigh,
)
from payments.refunds.events import record_refund
from payments.refunds.models import Refund
from payments.refunds.rules import (
    LIVE,
    OPEN,
    REFUNDABLE,
    DestinationKind,
    RefundStatus,
    Way,
    is_same_name,
)
from payments.refunds.types import NewRefund

# What a credit brought too much: the other verdicts have an explanation that is not settled yet.
TOO_MUCH: Final = frozenset({Verdict.OVER, Verdict.CLOSED_BILL})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Against:
    """What a refund is against, under its locks."""

    bill_id: UUID | None
    owner_id: UUID | None
    payee_id: UUID | None
    receiving_account_id: UUID
    paid_vnd: int  # of the bill
    way: Way
    paid_by: UUID | None  # the credit that brought the money


async def request_refund(
    session: AsyncSession, org_id: UUID, new: NewRefund, *, actor: Actor, now: datetime
) -> Refund:
    """Request a refund. The same id with the same facts again answers the first.

    Raises:
        PaymentNotFound, CreditNotFound
        RefundIdTaken: the id came with other facts before.
        RefundNotPossible: its bill is owed the rest, or the credit has brought nothing too much.
        RefundTooHigh: more than what is left of it.
        RefundProposalNotFitting: the proposal is closed, about something else, or for less.
        BreakHeld: a decision about the money of the proposal waits for a second person.
        InvalidRequest: the reason may not be shown.
    """
    check_lines(reason=new.reason)
    assert actor.id is not None
    if (known := await _find_known(session, org_id, new)) is not None:
        return known
    if new.payment_id is not None:
        against = await _lock_payment(session, org_id, new.payment_id)
    else:
        assert new.credit_id is not None
        against = await _lock_credit(session, org_id, new.credit_id)
    if (known := await _find_known(session, org_id, new)) is not None:  # it came while we waited
        return known
    await _take(session, org_id, new)
    proposal = await _lock_proposal(session, org_id, new, against)
    payer = (
        None
        if against.way is Way.CASH or against.paid_by is None
        else await queries.find_payer(session, org_id, against.paid_by)
    )
    holder = await queries.get_holder(session, org_id, against.receiving_account_id)
    refund = Refund(
        org_id=org_id,
        id=new.id,
        payment_id=new.payment_id,
        credit_id=new.credit_id,
        bill_id=against.bill_id,
        payee_id=against.payee_id,
        receiving_account_id=against.receiving_account_id,
        break_id=None if proposal is None else proposal.id,
        held_by=holder.held_by,
        way=against.way.value,
        amount_vnd=new.amount_vnd,
        reason=new.reason,
        status=RefundStatus.REQUESTED.value,
        destination_kind=None if payer is None else payer.kind,
        destination_bank=None if payer is None else payer.bank,
        destination_account=None if payer is None else payer.account,
        destination_name=None if payer is None else payer.name,
        requested_by=actor.id,
        requested_at=now,
        is_decided_alone=False,
    )
    session.add(refund)
    try:
        await session.flush()
    except IntegrityError as error:  # the same id for other money came while we wrote
        if "pk_refunds" not in str(error.orig):
            raise
        raise RefundIdTaken(new.id) from error
    if proposal is not None:  # nobody closes in words what is under way
        await hold_break(
            session,
            org_id,
            subject_id=proposal.subject_id,
            kind=BreakKind(proposal.kind),
            held_at=now,
        )
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="refund.requested",
        object_kind="refund",
        object_id=refund.id,
        after={"status": refund.status, "amount_vnd": refund.amount_vnd},
        reason=new.reason,
        now=now,
    )
    await record_refund(session, refund, now=now)
    return refund


async def enter_destination(
    session: AsyncSession,
    org_id: UUID,
    refund_id: UUID,
    *,
    bin_: str,
    account_number: str,
    name: str,
    name_again: str,
    actor: Actor,
    now: datetime,
) -> Refund:
    """Write the account that the payer, or somebody for the payer, typed. It is not proven.

    Raises:
        RefundNotFound, BadAccount
        RefundNamesDiffer: the holder's name was typed twice, and not alike.
        RefundDestinationFixed: the paying account is known, the refund was decided, or another was
            entered, and not by this person for a refund of theirs.
    """
    typed = check_destination(
        bin_=bin_, account_number=account_number, name=name, name_again=name_again
    )
    refund = await queries.lock_refund(session, org_id, refund_id)
    known = (refund.destination_bank, refund.destination_account, refund.destination_name)
    is_entered = refund.destination_kind == DestinationKind.ENTERED
    if is_entered and known == typed:
        return refund
    is_theirs = actor.id in (refund.requested_by, refund.destination_by)
    if refund.destination_kind == DestinationKind.PAYER or (is_entered and not is_theirs):
        raise RefundDestinationFixed
    await write_destination(session, refund, typed, actor=actor, now=now)
    return refund


def check_destination(
    *, bin_: str, account_number: str, name: str, name_again: str
) -> tuple[str, str, str]:
    """Return (BIN, number, holder's name) of an account that somebody typed.

    Raises:
        BadAccount, InvalidRequest
        RefundNamesDiffer: the holder's name was typed twice, and not alike.
    """
    check_lines(holder_name=name)
    if not is_same_name(name, name_again):
        raise RefundNamesDiffer
    check_account(bin_=bin_, account_number=account_number, virtual_account=None, holder_name=name)
    return bin_, account_number, " ".join(name.split())


async def write_destination(
    session: AsyncSession,
    refund: Refund,
    typed: tuple[str, str, str],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Write an account that was typed into a locked refund; nobody: a payer, by a link.

    Raises:
        RefundDestinationFixed: the refund was decided, or is paid in cash.
    """
    if refund.status != RefundStatus.REQUESTED or refund.way != Way.TRANSFER:
        raise RefundDestinationFixed
    refund.destination_kind = DestinationKind.ENTERED.value
    refund.destination_bank, refund.destination_account, refund.destination_name = typed
    refund.destination_by, refund.destination_at = actor.id, now
    await session.flush()
    record_change(
        session,
        org_id=refund.org_id,
        actor=actor,
        action="refund.destination_entered",
        object_kind="refund",
        object_id=refund.id,
        after={"bank": typed[0], "account": f"…{typed[1][-4:]}"},
        now=now,
    )


async def _find_known(session: AsyncSession, org_id: UUID, new: NewRefund) -> Refund | None:
    known = await queries.find_refund(session, org_id, new.id)
    if known is None:
        return None
    facts = (known.payment_id, known.credit_id, known.amount_vnd, known.reason)
    if facts != (new.payment_id, new.credit_id, new.amount_vnd, new.reason):
        raise RefundIdTaken(new.id)
    return known


async def _lock_payment(session: AsyncSession, org_id: UUID, payment_id: UUID) -> _Against:
    payment = await queries.get_payment(session, org_id, payment_id)
    (bill,) = (await settling.lock_bills(session, org_id, [payment.bill_id])).values()
    payment = await queries.get_payment(session, org_id, payment_id)  # it may be taken back by now
    if bill.status not in REFUNDABLE:
        raise RefundNotPossible(bill.status)
    if payment.source_kind == SourceKind.WRITE_OFF:  # nobody paid it
        raise RefundNotPossible("written off")
    return _Against(
        bill_id=bill.id,
        owner_id=bill.owner_id,
        payee_id=bill.payee_id,
        receiving_account_id=bill.receiving_account_id,
        paid_vnd=bill.paid_vnd,
        way=Way.CASH if payment.rail == CASH else Way.TRANSFER,
        paid_by=payment.source_id if payment.source_kind == SourceKind.CREDIT else None,
    )


async def _lock_credit(session: AsyncSession, org_id: UUID, credit_id: UUID) -> _Against:
    found = await lock_match(session, org_id, credit_id)
    if found is None:
        raise CreditNotFound(credit_id)
    match, credit = found
    if match.decision.verdict not in TOO_MUCH or not open_vnd(match, credit):
        raise RefundNotPossible(match.decision.verdict.value)
    return _Against(
        bill_id=match.decision.bill_id,
        owner_id=None,
        payee_id=await queries.find_credit_payee(session, org_id, credit_id),
        receiving_account_id=credit.receiving_account_id,
        paid_vnd=0,
        way=Way.TRANSFER,
        paid_by=credit_id,
    )


async def _take(session: AsyncSession, org_id: UUID, new: NewRefund) -> None:
    """Hold the money against a second refund.

    Raises:
        RefundTooHigh
    """
    if new.payment_id is not None:
        if await queries_payments.take_refundable(session, org_id, new.payment_id, new.amount_vnd):
            return
        raise RefundTooHigh(await queries_payments.read_refundable(session, org_id, new.payment_id))
    assert new.credit_id is not None
    if not await queries.take_open(session, org_id, new.credit_id, new.amount_vnd):
        raise RefundTooHigh(await queries.read_open(session, org_id, new.credit_id))


async def _lock_proposal(
    session: AsyncSession, org_id: UUID, new: NewRefund, against: _Against
) -> Break | None:
    """Lock the proposal that a refund follows: the named one, or what is due of the same money.

    Raises:
        RefundProposalNotFitting
        BreakHeld: a decision about its money waits for a second person.
        RefundTooHigh: it follows none, and the rest of what was paid is proposed.
    """
    subject_id = new.credit_id or against.bill_id
    assert subject_id is not None
    found = await queries.lock_proposal(session, org_id, new.break_id, subject_id=subject_id)
    if found is None:
        if new.break_id is not None:
            raise RefundProposalNotFitting
        return await _follow_agreed(session, org_id, new, against)
    if found.kind == BreakKind.REFUND_DUE:  # what a toll charge has left is its operator's
        is_about_it = found.subject_id == subject_id
    else:
        matters = {against.bill_id, against.owner_id} - {None}
        is_about_it = new.credit_id is None and bool(matters & {found.bill_id, found.matter_id})
    under_way_vnd = await queries.sum_of_proposal(session, found, statuses=LIVE)
    if not is_about_it or new.amount_vnd + under_way_vnd > (found.amount_vnd or 0):
        raise RefundProposalNotFitting
    if found.held_at is not None and not await queries.sum_of_proposal(
        session, found, statuses=OPEN
    ):  # a decision about its money waits; a refund's end would let the break go
        raise BreakHeld
    return found


async def _follow_agreed(
    session: AsyncSession, org_id: UUID, new: NewRefund, against: _Against
) -> Break | None:
    """Lock what people agreed to of the same money and that has room; None: it follows nothing.

    The lock on the bill is held, as who agrees holds it.

    Raises:
        RefundTooHigh: with what is proposed already it is more than was paid.
    """
    if new.payment_id is None or against.bill_id is None:
        return None
    matter_ids = [one for one in (against.bill_id, against.owner_id) if one is not None]
    for found in await queries.lock_agreed(
        session, org_id, bill_id=against.bill_id, matter_ids=matter_ids
    ):
        under_way_vnd = await queries.sum_of_proposal(session, found, statuses=LIVE)
        if new.amount_vnd + under_way_vnd <= (found.amount_vnd or 0):
            return found
    left_vnd = await _left_of(session, org_id, {against.bill_id: against.paid_vnd})
    if against.owner_id is not None:  # a complaint is about a stay; all of its bills paid for it
        paid = dict(await queries.list_bills_of_owner(session, org_id, against.owner_id))
        of_owner_vnd = await _left_of(session, org_id, paid, against.owner_id)
        left_vnd = min(left_vnd, of_owner_vnd)
    if new.amount_vnd > left_vnd:
        raise RefundTooHigh(max(0, left_vnd))
    return None


async def _left_of(
    session: AsyncSession, org_id: UUID, paid: Mapping[UUID, int], *more: UUID
) -> int:
    """Return what was paid of bills, without what is given back, proposed to be, or given up."""
    proposed_vnd = await sum_refunds(session, org_id, [*paid, *more])
    return (
        sum(paid.values())
        - await queries_payments.sum_written_off(session, org_id, paid)
        - proposed_vnd
        - await queries.sum_without_proposal(session, org_id, paid)
    )
