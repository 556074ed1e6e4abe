"""Going live: an account's opening balance, by two people, and what proves it from a day on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.clock import day_bounds, hanoi_day
from core.ids import new_id
from payments.closing import queries_opening as queries
from payments.closing.errors import (
    CreditNotUnderWay,
    DayNotOpen,
    OpeningBalanceDecided,
    OpeningBalanceKnown,
    OpeningNeedsAnother,
    StatementProofNeedsOpening,
    StillCarried,
)
from payments.closing.models import OpeningBalance
from payments.closing.rules import UNDER_WAY_MAX, Proof, open_account
from payments.ledger import books
from payments.ledger import service as ledger
from payments.ledger.errors import DayAhead, DayNotNext
from payments.ledger.rules import AccountCode
from payments.reconciliation.matching import unprove_before
from payments.reconciliation.queries import lock_account

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewOpening:
    """What a person proposes."""

    receiving_account_id: UUID
    day: date
    amount_vnd: int
    under_way: Sequence[UUID]


async def propose_opening(
    session: AsyncSession, org_id: UUID, asked: NewOpening, *, actor: Actor, now: datetime
) -> OpeningBalance:
    """Propose what the statement opens an account's first day with. Nothing is posted yet.

    Raises:
        DayAhead: the day has not begun.
        DayNotOpen: it is closed.
        OpeningBalanceKnown: another one of the day is proposed or in force.
        CreditNotUnderWay: too many credits are named, or one of another account.
    """
    assert actor.id is not None
    if asked.day > (today := hanoi_day(now)):
        raise DayAhead(today)
    closed_through = await books.hold_books(session, org_id)
    if closed_through is not None and asked.day <= closed_through:
        raise DayNotOpen(closed_through + ONE_DAY)
    named = sorted(set(asked.under_way))
    if named:
        known = await queries.list_credits(
            session, org_id, asked.receiving_account_id, named[: UNDER_WAY_MAX + 1]
        )
        if len(named) > UNDER_WAY_MAX or len(known) < len(named):
            raise CreditNotUnderWay([one for one in named if one not in known] or named)
    opening = OpeningBalance(
        org_id=org_id,
        id=new_id(),
        receiving_account_id=asked.receiving_account_id,
        day=asked.day,
        amount_vnd=asked.amount_vnd,
        under_way=named,
        proposed_by=actor.id,
        proposed_at=now,
    )
    try:
        async with session.begin_nested():
            session.add(opening)
            await session.flush()
    except IntegrityError as error:
        if "uq_opening_balances_in_force" not in str(error.orig):
            raise
        raise OpeningBalanceKnown from error
    _record(session, opening, "opening_balance.proposed", actor, now)
    return opening


async def confirm_opening(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    opening_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> OpeningBalance:
    """Confirm an opening balance as the second person: it posts, and statements count from its day.

    Lines that were booked before it, and explained in the open day, are taken back: their money is
    in the balance. All clearing until that day is taken away, and what is under way is put back
    credit by credit.
    The day before must be closed, so that nothing is added to what is taken away. Idempotent.

    Raises:
        OpeningBalanceNotFound, OpeningBalanceDecided
        OpeningNeedsAnother: who proposed it.
        DayNotNext: the day before is open. DayNotOpen: its own day is closed.
        TooManyLinesBefore: too many lines from before the day are explained in the open day.
        StillCarried: credits are carried one by one, which the balance would take away as one sum.
        CreditNotUnderWay: a credit has no clearing up to that day.
    """
    opening = await queries.lock_opening(session, org_id, account_id, opening_id)
    if opening.ended_at is not None:
        raise OpeningBalanceDecided
    if opening.confirmed_at is not None:
        return opening
    if actor.id is None or actor.id == opening.proposed_by:
        raise OpeningNeedsAnother
    before = opening.day - ONE_DAY
    await lock_account(session, org_id, account_id)  # matching's, which is taken before the books
    closed_through = await books.hold_books(session, org_id)
    if closed_through is None or closed_through < before:
        raise DayNotNext(before if closed_through is None else closed_through + ONE_DAY)
    if closed_through > before:
        raise DayNotOpen(closed_through + ONE_DAY)
    if await queries.is_carrying(session, org_id, account_id):
        raise StillCarried(before)
    await unprove_before(session, org_id, account_id, opening.day, now=now)
    bank_vnd, clearing_vnd = await _read_balances(session, opening, before)
    under_way_vnd = await _read_under_way(session, opening, before)
    opening.confirmed_by, opening.confirmed_at = actor.id, now
    opening.bank_vnd = opening.amount_vnd - bank_vnd
    opening.clearing_vnd = clearing_vnd
    opening.under_way_vnd = sum(under_way_vnd.values())
    await session.flush()
    await ledger.open_opening_accounts(session, org_id, account_id, now=now)
    await _post(session, opening, under_way_vnd, now=now)
    await queries.set_proof(
        session, org_id, account_id, opening.day, Proof.STATEMENT, set_by=actor.id, now=now
    )
    _record(session, opening, "opening_balance.confirmed", actor, now)
    return opening


async def end_opening(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    opening_id: UUID,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> OpeningBalance:
    """Withdraw an opening balance, or reverse the one in force while its day is open. Idempotent.

    Reversed, the account is proved as before that day.

    Raises:
        OpeningBalanceNotFound
        DayNotOpen: its day is closed: the statement has proved it.
    """
    assert actor.id is not None
    opening = await queries.lock_opening(session, org_id, account_id, opening_id)
    if opening.ended_at is not None:
        return opening
    action = "opening_balance.withdrawn"
    if opening.confirmed_at is not None:
        action = "opening_balance.reversed"
        before = opening.day - ONE_DAY
        closed_through = await books.hold_books(session, org_id)
        if closed_through is not None and closed_through > before:
            raise DayNotOpen(closed_through + ONE_DAY)
        under_way_vnd = await _read_under_way(session, opening, before)
        await _post(session, opening, under_way_vnd, is_reversal=True, now=now)
        earlier = await queries.find_proof(session, org_id, account_id, before)
        proof = Proof.CALLBACKS_ONLY if earlier is None else Proof(earlier.proof)
        await queries.set_proof(
            session, org_id, account_id, opening.day, proof, set_by=actor.id, now=now
        )
    opening.ended_by, opening.ended_at = actor.id, now
    await session.flush()
    _record(session, opening, action, actor, now, reason=reason)
    return opening


async def set_proof(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    proof: Proof,
    from_day: date,
    actor: Actor,
    now: datetime,
) -> None:
    """Set what proves an account from an open day on. Idempotent.

    Raises:
        DayNotOpen
        StatementProofNeedsOpening: it goes over to statements by an opening balance only.
    """
    assert actor.id is not None
    closed_through = await books.hold_books(session, org_id)
    if closed_through is not None and from_day <= closed_through:
        raise DayNotOpen(closed_through + ONE_DAY)
    known = await queries.find_proof(session, org_id, account_id, from_day)
    now_proof = Proof.CALLBACKS_ONLY if known is None else Proof(known.proof)
    if now_proof is proof:
        return
    if proof is Proof.STATEMENT:
        opening = await queries.find_opening(session, org_id, account_id, day=from_day)
        if opening is None or opening.confirmed_at is None:
            raise StatementProofNeedsOpening
    await queries.set_proof(session, org_id, account_id, from_day, proof, set_by=actor.id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="account.proof_set",
        object_kind="receiving_account",
        object_id=account_id,
        before={"proof": now_proof.value},
        after={"proof": proof.value, "from_day": from_day.isoformat()},
        now=now,
    )


async def _read_balances(
    session: AsyncSession, opening: OpeningBalance, day: date
) -> tuple[int, int]:
    """Return debits minus credits of bank and of clearing at the end of a closed day."""
    account_id = opening.receiving_account_id
    codes = (AccountCode.BANK, AccountCode.BANK_CLEARING)
    found = await books.read_balances(
        session, opening.org_id, codes, [account_id], closed=day, until=day
    )
    bank_vnd, clearing_vnd = (-found[code][account_id] for code in codes)
    return bank_vnd, clearing_vnd


async def _read_under_way(
    session: AsyncSession, opening: OpeningBalance, before: date
) -> dict[UUID, int]:
    """Return {credit: its clearing up to the day before} in the order of ids."""
    org_id, account_id = opening.org_id, opening.receiving_account_id
    received = await queries.list_credits(session, org_id, account_id, opening.under_way)
    found: dict[UUID, int] = {}
    if received:
        found = await books.sum_clearing_of(
            session, org_id, account_id, list(received), since=min(received.values()), until=before
        )
    if missing := [one for one in opening.under_way if not found.get(one)]:
        raise CreditNotUnderWay(missing)
    return {one: found[one] for one in sorted(opening.under_way)}


async def _post(
    session: AsyncSession,
    opening: OpeningBalance,
    under_way_vnd: dict[UUID, int],
    *,
    is_reversal: bool = False,
    now: datetime,
) -> None:
    assert opening.bank_vnd is not None
    assert opening.clearing_vnd is not None
    postings = open_account(
        opening.id,
        opening.receiving_account_id,
        bank_vnd=opening.bank_vnd,
        clearing_vnd=opening.clearing_vnd,
        under_way_vnd=under_way_vnd,
        is_reversal=is_reversal,
        effective_at=day_bounds(opening.day)[0],
    )
    await ledger.post(session, opening.org_id, postings, now=now)


def _record(
    session: AsyncSession,
    opening: OpeningBalance,
    action: str,
    actor: Actor,
    now: datetime,
    *,
    reason: str | None = None,
) -> None:
    after: dict[str, Any] = {
        "receiving_account_id": str(opening.receiving_account_id),
        "day": opening.day.isoformat(),
        "amount_vnd": opening.amount_vnd,
        "under_way": len(opening.under_way),
    }
    record_change(
        session,
        org_id=opening.org_id,
        actor=actor,
        action=action,
        object_kind="opening_balance",
        object_id=opening.id,
        after=after,
        reason=reason,
        now=now,
    )
