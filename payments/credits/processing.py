"""Settling: stored notices become credits, matches, bill states, transfers and events.

One transaction takes many notices of one organisation and writes each kind of row in one
statement: parse → credit → match → bill → ledger → event, all or nothing. It can be killed at any
point and repeated: notices stay unhandled until the commit, and the unique keys of credits know
what was done before.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.masking import mask_tail
from core.sql import sent_together
from identity.organisations.rules import OrgFacts
from payments.bills.references import find_references
from payments.bills.rules import BillState
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind
from payments.breaks.types import NewBreak
from payments.callbacks import queries as notice_queries
from payments.callbacks.types import DueNotice, NoticeOutcome
from payments.credits import queries
from payments.credits.duplicates import store_credits
from payments.credits.matching import describe_routings, match_credits, write_matches
from payments.credits.queries_transactions import to_facts
from payments.credits.rules import CreditFacts, Verdict
from payments.credits.test_transfers import read_transfer_evidence
from payments.credits.types import Batch, ListedAccount, NewCredit, NewMatch
from payments.onboarding.activation import note_test_transfer
from payments.payees.errors import AccountTaken
from payments.providers import find_provider
from payments.providers.errors import UnreadableNotice
from payments.providers.types import Direction, ReportedTransaction

# A notice for an account that is not known yet is judged again at once when an account is added to
# its endpoint. By the clock only in case that was missed: after 1, 8, 64 minutes, then 6 hours.
WAIT_START: Final = timedelta(minutes=1)
WAIT_TIMES: Final = 8
WAIT_MAX: Final = timedelta(hours=6)
# After that long it is left alone, until somebody adds its account: the break stays on the list.
WAIT_AT_MOST: Final = timedelta(days=3)
PARKED_UNTIL: Final = datetime(9999, 1, 1, tzinfo=UTC)
WAITS: Final = "waits_for_account"
# What is over once its notice is handled.
NOTICE_BREAKS: Final = (BreakKind.STUCK,)


async def process_notices(
    session: AsyncSession, org: OrgFacts, due: Sequence[DueNotice], *, now: datetime
) -> int:
    """Settle notices that this transaction has claimed; return how many are handled now.

    Raises:
        Exception: whatever a poisonous notice causes; nothing is written then. Settle one by one.
    """
    batch = Batch(org=org, now=now)
    accounts, codes = await queries.list_accounts(
        session, org.id, {notice.endpoint_id for notice in due}
    )
    _read_notices(batch, due, accounts)
    matches, facts, bills = await _match_arrived(session, batch, accounts, codes)
    await _note_tests(session, batch, matches, facts)
    outcomes = _list_outcomes(batch, due)
    async with sent_together(session):
        if matches:
            await write_matches(session, org.id, matches, facts, bills, now=now)
        if batch.breaks:
            await break_queries.insert_breaks_once(session, org.id, batch.breaks, now=now)
        await notice_queries.finish_notices(session, org.id, outcomes)
    if batch.listed:
        await break_queries.close_breaks_of(
            session,
            org.id,
            dict.fromkeys(batch.listed, "account_listed"),
            kinds=[BreakKind.UNKNOWN_ACCOUNT],
            now=now,
        )
    tried_before = {notice.id for notice in due if notice.attempts}
    if ended := [o for o in outcomes if o.notice_id in tried_before and o.handled_at is not None]:
        resolutions = {one.notice_id: str(one.outcome) for one in ended}
        await break_queries.close_breaks_of(
            session, org.id, resolutions, kinds=NOTICE_BREAKS, now=now
        )
    return len(due) - len(batch.waiting)


def _read_notices(batch: Batch, due: Sequence[DueNotice], listed: Sequence[ListedAccount]) -> None:
    """Parse every notice and find the account of every transaction, or say what is wrong."""
    own = {(a.endpoint_id, a.number): a for a in listed}
    for notice in due:
        provider = find_provider(notice.provider)
        assert provider is not None
        try:
            reading = provider.read(notice.body)
        except UnreadableNotice as error:
            batch.outcomes[notice.id] = "unreadable"
            batch.breaks.append(
                NewBreak(kind=BreakKind.UNREADABLE, subject_id=notice.id, detail=str(error))
            )
            continue
        if reading.is_ping:
            batch.outcomes[notice.id] = "test"
            continue
        for told in reading.transactions:
            account = None  # the most specific number that is listed
            if told.virtual_account is not None:
                account = own.get((notice.endpoint_id, told.virtual_account.upper()))
            if account is None:
                account = own.get((notice.endpoint_id, told.account_number.upper()))
            if account is None or account.approved_at is None:
                _wait_for_account(batch, notice, told)
                continue
            if notice.outcome == WAITS:
                batch.listed.add(_name_account(notice, told))
            if batch.org.is_live and (told.is_simulated or account.is_sandbox):
                batch.outcomes[notice.id] = "simulated_refused"
                detail = f"simulated {told.amount_vnd} ₫ sent to a live organisation"
                kind = BreakKind.SIMULATED_IN_LIVE
                batch.breaks.append(NewBreak(kind=kind, subject_id=notice.id, detail=detail))
            else:
                credit = make_credit(
                    told,
                    credit_id=new_id(),
                    notice_id=notice.id,
                    provider=notice.provider,
                    receiving_account_id=account.receiving_account_id,
                    received_at=notice.received_at,
                )
                batch.arrived.append(credit)


def _wait_for_account(batch: Batch, notice: DueNotice, told: ReportedTransaction) -> None:
    batch.waiting[notice.id] = notice.attempts
    batch.outcomes[notice.id] = WAITS
    if notice.outcome == WAITS:
        return  # a person was told the first time, and may have closed it
    number = mask_tail(told.account_number)
    detail = f"money on account {number}, which this endpoint does not speak for"
    batch.breaks.append(
        NewBreak(
            kind=BreakKind.UNKNOWN_ACCOUNT,
            subject_id=_name_account(notice, told),
            detail=detail,
            amount_vnd=told.amount_vnd,  # of the first notice
        )
    )


def _name_account(notice: DueNotice, told: ReportedTransaction) -> UUID:
    """Name an unknown account: all notices of one endpoint for it are one matter, one alarm."""
    return uuid5(notice.endpoint_id, f"account {told.account_number.upper()}")


def make_credit(
    told: ReportedTransaction,
    *,
    credit_id: UUID,
    notice_id: UUID,
    provider: str,
    receiving_account_id: UUID,
    received_at: datetime,
    admitted_from: UUID | None = None,
) -> NewCredit:
    """Make a credit of what a notice told, to be stored once."""
    return NewCredit(
        id=credit_id,
        receiving_account_id=receiving_account_id,
        direction=told.direction.value,
        bank_reference=(told.bank_reference or "").strip().upper(),
        provider=provider,
        provider_transaction_id=told.provider_transaction_id,
        provider_order_id=told.provider_order_id,
        notice_id=notice_id,
        virtual_account=told.virtual_account,
        memo=told.memo,
        amount_vnd=told.amount_vnd,
        payer_name=told.payer_name,
        payer_account=told.payer_account,
        payer_bank=told.payer_bank,
        is_date_only=told.is_date_only,
        occurred_at=told.occurred_at,
        received_at=received_at,
        admitted_from=admitted_from,
    )


async def _match_arrived(
    session: AsyncSession, batch: Batch, accounts: Sequence[ListedAccount], codes: frozenset[str]
) -> tuple[list[NewMatch], list[CreditFacts], dict[UUID, BillState]]:
    """Store the credits that are new and decide what each incoming one is.

    Returns:
        (the matches, the credit of each, the bills that they change), yet to be written.
    """
    org_id, now = batch.org.id, batch.now
    account_ids = {credit.receiving_account_id for credit in batch.arrived}
    if not account_ids:
        return [], [], {}
    links, shared = await queries.list_trading_links(session, org_id, account_ids)
    batch.codes = await queries.add_foreign_codes(
        session, codes, (credit.memo for credit in batch.arrived)
    )
    stored = await store_credits(session, batch, shared=shared)
    fresh = [credit for credit in batch.arrived if credit.id in stored]
    incoming = [credit for credit in fresh if credit.direction == Direction.IN]
    for credit in fresh:
        word = "outgoing" if credit.direction == Direction.OUT else "credited"
        batch.outcomes.setdefault(credit.notice_id, word)
    routings = describe_routings(
        (a for a in accounts if a.receiving_account_id in account_ids), links
    )
    facts = [to_facts(c, is_doubtful=c.id in batch.doubtful) for c in incoming]
    matches, bills = await match_credits(
        session, batch.org, facts, routings, codes=codes, known_codes=batch.codes, now=now
    )
    for match, credit in zip(matches, incoming, strict=True):
        batch.outcomes[credit.notice_id] = match.decision.verdict.value
    return matches, facts, bills


async def _note_tests(
    session: AsyncSession,
    batch: Batch,
    matches: Sequence[NewMatch],
    credits_in: Sequence[CreditFacts],
) -> None:
    for match, credit in zip(matches, credits_in, strict=True):
        if match.decision.verdict is not Verdict.ACCOUNT_TEST:
            continue
        account_id = credit.receiving_account_id
        testimony = await read_transfer_evidence(session, batch.org, credit.id)
        try:
            await note_test_transfer(
                session,
                batch.org.id,
                account_id,
                credit_id=credit.id,
                references={found.reference for found in find_references(credit.memo)},
                virtual_account=credit.virtual_account,
                vouched_by=testimony.vouched_by,
                other_bank=testimony.other_bank,
                now=batch.now,
            )
        except AccountTaken as error:
            batch.breaks.append(
                NewBreak(
                    kind=BreakKind.FOREIGN_ACCOUNT,
                    subject_id=account_id,
                    credit_id=credit.id,
                    detail=str(error),
                )
            )


def _list_outcomes(batch: Batch, due: Sequence[DueNotice]) -> list[NoticeOutcome]:
    outcomes = []
    for notice in due:
        word = batch.outcomes.get(notice.id, "empty")
        if notice.id in batch.waiting:
            wait = min(WAIT_START * WAIT_TIMES ** min(notice.attempts, 4), WAIT_MAX)
            is_over = batch.now - notice.received_at > WAIT_AT_MOST
            outcome = NoticeOutcome(
                notice_id=notice.id,
                outcome=word,
                handled_at=None,
                next_attempt_at=PARKED_UNTIL if is_over else batch.now + wait,
            )
        else:
            outcome = NoticeOutcome(notice_id=notice.id, outcome=word, handled_at=batch.now)
        outcomes.append(outcome)
    return outcomes
