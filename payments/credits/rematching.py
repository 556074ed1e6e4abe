"""Rematching: deciding again what a credit is, once its bill, or a reference, has appeared."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM
from core.reasons import Reason
from identity.organisations.rules import OrgFacts
from payments.bills import settling
from payments.bills.payment_rules import SourceKind
from payments.bills.queries_payments import list_paid_by_source
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.credits import queries, queries_matches
from payments.credits.errors import CreditNotCorrectable
from payments.credits.held_credits import HeldCredit, hold_credit, replace_match
from payments.credits.matching import describe_routings, match_credits
from payments.credits.queries_sightings import list_added_references
from payments.credits.rules import MatchRule, Verdict
from payments.credits.types import NewMatch

# What the hub said itself, not knowing a reference.
WITHOUT_BILL: Final = frozenset({Verdict.NO_BILL, Verdict.AWAITING_SYNC})
OPEN_TO_REMATCH: Final = WITHOUT_BILL | {Verdict.COUNTER_SALE, Verdict.UNASSIGNED}
# A credit whose bill has appeared and that is still not explained rests, longer each time.
AGAIN_START: Final = timedelta(seconds=5)
AGAIN_MAX: Final = timedelta(minutes=10)
BREAK_AFTER: Final = 5  # attempts


async def rematch(session: AsyncSession, org: OrgFacts, credit_id: UUID, *, now: datetime) -> bool:
    """Rematch a credit whose bill was not there yet; True if it is explained now."""
    held = await hold_credit(session, org.id, credit_id)
    if held.verdict not in WITHOUT_BILL:
        return False
    match = await _rematch(session, org, held, now=now)
    if match.decision.verdict in WITHOUT_BILL:
        return False
    await replace_match(session, org.id, held, match.decision, SYSTEM, now)
    return True


async def stop_waiting(
    session: AsyncSession, org: OrgFacts, credit_id: UUID, *, now: datetime
) -> bool:
    """Decide once more what a credit is whose phone did not send its bill in time.

    Without one it becomes what it would have been without a phone: a break for a person.

    Returns:
        False if it waits no longer.
    """
    held = await hold_credit(session, org.id, credit_id)
    if held.verdict is not Verdict.AWAITING_SYNC:
        return False
    match = await _rematch(session, org, held, may_wait=False, now=now)
    await replace_match(session, org.id, held, match.decision, SYSTEM, now)
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
        explained it, people decided about its rest, or the reference is one of a test transfer.
    """
    try:
        held = await hold_credit(session, org.id, credit_id)
    except CreditNotCorrectable:  # two people decided what its rest is, or some was refunded
        return False
    if held.verdict not in OPEN_TO_REMATCH or held.match.decision.rule is MatchRule.ASSIGNED:
        kind = SourceKind.CREDIT
        of_it = set(await list_paid_by_source(session, org.id, kind=kind, source_id=credit_id))
        named = await settling.lock_named_bills(session, org.id, references=references)
        return not (of_it | {held.match.decision.bill_id}).isdisjoint(named)
    match = await _rematch(session, org, held, now=now)
    if match.decision.verdict is Verdict.ACCOUNT_TEST:
        return False
    await replace_match(session, org.id, held, match.decision, SYSTEM, now, named=match.named)
    return True


async def put_off(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, error: str | None, now: datetime
) -> None:
    """Rematch a credit later; open a break for a person once several attempts have failed.

    Args:
        error: its name, where one kept the credit from being matched.
    """
    attempts = await queries_matches.put_off_match(
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


async def _rematch(
    session: AsyncSession,
    org: OrgFacts,
    held: HeldCredit,
    *,
    may_wait: bool = True,
    now: datetime,
) -> NewMatch:
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
        may_wait=may_wait,
        now=now,
    )
    held.changed = set(held.bills)
    return matches[0]
