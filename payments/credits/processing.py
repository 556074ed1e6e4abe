"""Processing: stored notices become credits, matches, bill states, postings and events.

One transaction takes many notices of one organisation and writes each kind of row in one
statement: all or nothing. It can be killed at any point and repeated: notices stay unhandled
until the commit, and the unique keys of credits know what was done before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.reasons import Reason
from core.sql import sent_together
from identity.organisations.rules import OrgFacts
from payments.bills.references import NextSerials, find_references
from payments.bills.rules import BillState
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.callbacks import queries as notice_queries
from payments.callbacks.rules import NoticeOutcome, Setback, next_attempt
from payments.callbacks.types import DueNotice, NoticeResult
from payments.credits import queries
from payments.credits.added_references import follow_added
from payments.credits.duplicates import store_credits
from payments.credits.matching import describe_routings, match_credits, write_matches
from payments.credits.queries_transactions import to_facts
from payments.credits.reading import NoticeReadings, read_notices
from payments.credits.rules import CreditFacts, Verdict
from payments.credits.transfer_evidence import read_transfer_evidence
from payments.credits.types import ListedAccount, NewMatch, NewSighting
from payments.credits.waiting_accounts import close_listed
from payments.onboarding.activation import note_test_transfer
from payments.payees.errors import AccountTaken
from payments.providers.types import Direction

# Breaks that are over once their notice is handled.
NOTICE_BREAKS: Final = (BreakKind.STUCK,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a batch comes to, decided under locks and yet to be written."""

    matches: Sequence[NewMatch] = ()
    credits: Sequence[CreditFacts] = ()  # of each match
    bills: dict[UUID, BillState] = field(default_factory=dict)  # those that the matches change
    outcomes: Mapping[UUID, NoticeOutcome] = field(default_factory=dict)  # of notices with credits
    breaks: Sequence[NewBreak] = ()
    added: Sequence[NewSighting] = ()  # with references that credits name only now


async def process_notices(
    session: AsyncSession, org: OrgFacts, due: Sequence[DueNotice], *, now: datetime
) -> int:
    """Process notices that this transaction has locked; return how many are handled now.

    The plan comes first and locks what it decides about; then everything is written at once.

    Raises:
        Exception: a poison message, of whatever kind; nothing is written. Process one by one.
    """
    accounts, codes = await queries.list_accounts(session, org.id, {n.endpoint_id for n in due})
    readings = read_notices(due, accounts, is_live=org.is_live)
    plan = Plan(breaks=readings.breaks)
    if readings.credits:
        plan = await _plan(session, org, readings, accounts, codes, now=now)
    results = list_results(due, readings, plan, now=now)

    async with sent_together(session):
        if plan.matches:
            await write_matches(session, org.id, plan.matches, plan.credits, plan.bills, now=now)
        if plan.breaks:
            await break_queries.insert_breaks_once(session, org.id, plan.breaks, now=now)
        await notice_queries.finish_notices(session, org.id, results)
    if plan.added:
        await follow_added(session, org, plan.added, now=now)
    await _close_breaks(session, org.id, due, accounts, readings, results, now=now)
    return sum(one.handled_at is not None for one in results)


def list_results(
    due: Sequence[DueNotice], readings: NoticeReadings, plan: Plan, *, now: datetime
) -> list[NoticeResult]:
    """List what each notice came to, and when those that wait for an account are tried again.

    Of several transactions in one notice, one without an account decides, then the last match.
    """
    found = {**readings.outcomes, **plan.outcomes}
    return [
        NoticeResult(
            notice_id=notice.id,
            outcome=NoticeOutcome.WAITS_FOR_ACCOUNT,
            handled_at=None,
            next_attempt_at=next_attempt(
                Setback.ACCOUNT_UNKNOWN,
                attempts=notice.attempts,
                received_at=notice.received_at,
                now=now,
            ),
        )
        if notice.id in readings.waiting
        else NoticeResult(
            notice_id=notice.id,
            outcome=found.get(notice.id, NoticeOutcome.EMPTY),
            handled_at=now,
        )
        for notice in due
    ]


async def _plan(
    session: AsyncSession,
    org: OrgFacts,
    readings: NoticeReadings,
    accounts: Sequence[ListedAccount],
    codes: NextSerials,
    *,
    now: datetime,
) -> Plan:
    """Store the credits that are new, decide what each incoming one is, and lock its bill."""
    account_ids = {credit.receiving_account_id for credit in readings.credits}
    links, shared = await queries.list_trading_links(session, org.id, account_ids)
    known_codes = await queries.add_foreign_codes(
        session, codes, (credit.memo for credit in readings.credits)
    )
    placed = await store_credits(
        session, org.id, readings.credits, shared=shared, codes=known_codes, now=now
    )
    new = [one for one in placed if one.is_stored]
    incoming = [one for one in new if one.credit.direction == Direction.IN]
    facts = [to_facts(one.credit, is_doubtful=one.is_doubtful) for one in incoming]
    routings = describe_routings(
        (a for a in accounts if a.receiving_account_id in account_ids), links
    )
    matches, bills = await match_credits(
        session, org, facts, routings, codes=codes, known_codes=known_codes, now=now
    )
    outcomes = {one.credit.notice_id: one.outcome for one in placed if one.outcome is not None}
    for match, one in zip(matches, incoming, strict=True):
        outcomes[one.credit.notice_id] = NoticeOutcome(match.decision.verdict)
    test_breaks = await _note_test_transfers(session, org, matches, facts, now=now)
    found = [one_break for one in placed for one_break in one.breaks]
    return Plan(
        matches=matches,
        credits=facts,
        bills=bills,
        outcomes=outcomes,
        breaks=[*readings.breaks, *found, *test_breaks],
        added=[one.added for one in placed if one.added is not None],
    )


async def _note_test_transfers(
    session: AsyncSession,
    org: OrgFacts,
    matches: Sequence[NewMatch],
    credits_in: Sequence[CreditFacts],
    *,
    now: datetime,
) -> list[NewBreak]:
    """Put in force what a test transfer shows; return a break for each account that is taken."""
    breaks = []
    for match, credit in zip(matches, credits_in, strict=True):
        if match.decision.verdict is not Verdict.ACCOUNT_TEST:
            continue
        evidence = await read_transfer_evidence(session, org, credit.id)
        try:
            await note_test_transfer(
                session,
                org.id,
                credit.receiving_account_id,
                credit_id=credit.id,
                references={found.reference for found in find_references(credit.memo)},
                virtual_account=credit.virtual_account,
                vouched_by=evidence.vouched_by,
                other_bank=evidence.other_bank,
                now=now,
            )
        except AccountTaken:
            breaks.append(
                NewBreak(
                    kind=BreakKind.FOREIGN_ACCOUNT,
                    subject_id=credit.receiving_account_id,
                    credit_id=credit.id,
                    reason=Reason(BreakReason.ACCOUNT_IN_USE),
                )
            )
    return breaks


async def _close_breaks(
    session: AsyncSession,
    org_id: UUID,
    due: Sequence[DueNotice],
    accounts: Sequence[ListedAccount],
    readings: NoticeReadings,
    results: Sequence[NoticeResult],
    *,
    now: datetime,
) -> None:
    """Close what is over: accounts that are listed by now, and failures of handled notices."""
    if readings.listed:
        await close_listed(
            session,
            org_id,
            readings.listed,
            accounts,
            endpoint_ids={notice.endpoint_id for notice in due},
            outcome=NoticeOutcome.WAITS_FOR_ACCOUNT,
            now=now,
        )
    tried_before = {notice.id for notice in due if notice.attempts}
    resolutions = {
        one.notice_id: str(one.outcome)
        for one in results
        if one.handled_at is not None and one.notice_id in tried_before
    }
    if resolutions:
        await break_queries.close_breaks_of(
            session, org_id, resolutions, kinds=NOTICE_BREAKS, now=now
        )
