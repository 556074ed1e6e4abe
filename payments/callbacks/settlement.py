"""Settling: stored notices become credits, matches, bill states, transfers and events.

One transaction takes many notices of one organisation and writes each kind of row in one
statement: parse → credit → match → bill → ledger → event, all or nothing. It can be killed at any
point and repeated: notices stay unhandled until the commit, and the unique keys of credits know
what was done before.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from payments.bills.references import find_references
from payments.callbacks import queries
from payments.callbacks.models import BreakKind
from payments.callbacks.postings import list_transfers, tell
from payments.callbacks.providers import find_provider
from payments.callbacks.providers.contract import (
    Direction,
    ReportedTransaction,
    UnreadableNotice,
)
from payments.callbacks.records import (
    ClaimedNotice,
    ListedAccount,
    NewBreak,
    NewCredit,
    NewMatch,
    NewSighting,
    NoticeOutcome,
    StoredCredit,
)
from payments.callbacks.rules import (
    AccountDesk,
    BillState,
    CreditFacts,
    Verdict,
    decide,
    read_names,
)
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.payees.errors import AccountTaken
from payments.payees.rules import OrgFacts
from payments.payees.service import note_test_transfer

log = structlog.get_logger()

# How far apart two providers may date the same bank transaction.
SAME_MONEY_WITHIN: Final = timedelta(minutes=15)
# A notice for an account that is not known yet: judged again after 1, 2, 4 … 60 minutes, and at
# once when an account is added to its endpoint.
WAIT_START: Final = timedelta(minutes=1)
WAIT_MAX: Final = timedelta(hours=1)


@dataclass(kw_only=True, slots=True)
class Batch:
    """What one settlement gathers before it writes."""

    org: OrgFacts
    now: datetime
    outcomes: dict[UUID, str] = field(default_factory=dict)  # notice → word for the delivery log
    waiting: dict[UUID, int] = field(default_factory=dict)  # notice → its attempts so far
    breaks: list[NewBreak] = field(default_factory=list)
    arrived: list[NewCredit] = field(default_factory=list)


async def settle_notices(
    session: AsyncSession, org: OrgFacts, claimed: Sequence[ClaimedNotice], *, now: datetime
) -> int:
    """Settle notices that this transaction has claimed; return how many are handled now.

    Raises:
        Exception: whatever a poisonous notice causes; nothing is written then. Settle one by one.
    """
    batch = Batch(org=org, now=now)
    listed = await queries.list_accounts(session, org.id, {n.endpoint_id for n in claimed})
    _read_notices(batch, claimed, listed)
    if batch.arrived:
        await _settle_credits(session, batch, listed)
    if batch.breaks:
        await queries.insert_breaks_once(session, org.id, batch.breaks, now=now)
    await queries.finish_notices(session, org.id, _list_outcomes(batch, claimed))
    return len(claimed) - len(batch.waiting)


def _read_notices(
    batch: Batch, claimed: Sequence[ClaimedNotice], listed: Sequence[ListedAccount]
) -> None:
    """Parse every notice and find the account of every transaction, or say what is wrong."""
    own = {(a.endpoint_id, a.number): a for a in listed}
    for notice in claimed:
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
            account = own.get((notice.endpoint_id, told.account_number.upper()))
            if account is None and told.virtual_account is not None:
                account = own.get((notice.endpoint_id, told.virtual_account.upper()))
            if account is None or account.approved_at is None:
                _wait_for_account(batch, notice, told)
            elif batch.org.is_live and (told.is_simulated or account.is_sandbox):
                batch.outcomes[notice.id] = "simulated_refused"
                detail = f"simulated {told.amount_vnd} ₫ sent to a live organisation"
                kind = BreakKind.SIMULATED_IN_LIVE
                batch.breaks.append(NewBreak(kind=kind, subject_id=notice.id, detail=detail))
            else:
                batch.arrived.append(_new_credit(notice, told, account))


def _wait_for_account(batch: Batch, notice: ClaimedNotice, told: ReportedTransaction) -> None:
    batch.waiting[notice.id] = notice.attempts
    batch.outcomes[notice.id] = "waits_for_account"
    detail = f"{told.amount_vnd} ₫ on an account that this endpoint does not speak for"
    batch.breaks.append(
        NewBreak(
            kind=BreakKind.UNKNOWN_ACCOUNT,
            subject_id=notice.id,
            detail=detail,
            amount_vnd=told.amount_vnd,
        )
    )


def _new_credit(
    notice: ClaimedNotice, told: ReportedTransaction, account: ListedAccount
) -> NewCredit:
    reference = (told.bank_reference or "").strip().upper()
    return NewCredit(
        id=new_id(),
        receiving_account_id=account.receiving_account_id,
        direction=told.direction.value,
        bank_reference=reference or f"{notice.provider}:{told.provider_transaction_id}",
        provider=notice.provider,
        provider_transaction_id=told.provider_transaction_id,
        provider_order_id=told.provider_order_id,
        notice_id=notice.id,
        virtual_account=told.virtual_account,
        memo=told.memo,
        amount_vnd=told.amount_vnd,
        payer_name=told.payer_name,
        payer_account=told.payer_account,
        payer_bank=told.payer_bank,
        is_date_only=told.is_date_only,
        occurred_at=told.occurred_at,
        received_at=notice.received_at,
    )


async def _settle_credits(
    session: AsyncSession, batch: Batch, listed: Sequence[ListedAccount]
) -> None:
    org_id, now = batch.org.id, batch.now
    stored, told_elsewhere = await _store_credits(session, batch)
    told_again = [c for c in batch.arrived if c.id not in stored and c.id not in told_elsewhere]
    if told_again:
        await _compare_repeats(session, batch, told_again)
    fresh = [credit for credit in batch.arrived if credit.id in stored]
    incoming = [credit for credit in fresh if credit.direction == Direction.IN]
    for credit in fresh:
        word = "outgoing" if credit.direction == Direction.OUT else "credited"
        batch.outcomes.setdefault(credit.notice_id, word)
    if incoming:
        account_ids = {credit.receiving_account_id for credit in incoming}
        desks = await read_desks(session, org_id, account_ids, listed)
        facts = [queries.to_facts(credit) for credit in incoming]
        matches, bills = await match_credits(session, batch.org, facts, desks, now=now)
        for match, credit in zip(matches, incoming, strict=True):
            batch.outcomes[credit.notice_id] = match.decision.verdict.value
        await write_matches(session, org_id, matches, facts, bills, now=now)
        await _note_tests(session, batch, matches, facts)


async def _store_credits(session: AsyncSession, batch: Batch) -> tuple[set[UUID], set[UUID]]:
    """Store what is new; return (ids stored now, ids that were dealt with as told before).

    The accounts that one provider reports on, nearly all, go in one statement. On the others the
    credits go one by one, under a lock of the account, since two providers rarely agree on ids.
    """
    org_id = batch.org.id
    shared = await queries.lock_shared_channels(
        session, org_id, {credit.receiving_account_id for credit in batch.arrived}
    )
    alone = [c for c in batch.arrived if c.receiving_account_id not in shared]
    stored = await queries.insert_credits_once(session, org_id, alone) if alone else set()
    told_elsewhere: set[UUID] = set()
    for credit in batch.arrived:
        if credit.receiving_account_id not in shared:
            continue
        if await _is_told_elsewhere(session, batch, credit):
            told_elsewhere.add(credit.id)
        else:
            stored |= await queries.insert_credits_once(session, org_id, [credit])
    return stored, told_elsewhere


async def _is_told_elsewhere(session: AsyncSession, batch: Batch, credit: NewCredit) -> bool:
    """Find out whether this money was told of before; keep another provider's word as a sighting.

    The same account, direction, amount and reference in the memo, within a quarter of an hour,
    from another provider that has not been paired with it yet, is the same money.
    """
    org_id = batch.org.id
    if await queries.find_credits(session, org_id, [credit]):
        # Known by its own keys: a repeat, which must not be paired with other money.
        await _compare_repeats(session, batch, [credit])
        return True
    first = await queries.find_sighted(session, org_id, credit)
    if first is not None:  # it was paired before, and is told again
        again = _judge_repeat(batch, first, credit)
        if again is not None:
            await queries.insert_sightings(session, org_id, [again], now=batch.now)
        return True
    found = find_references(credit.memo)
    if not found:
        return False
    known = await queries.find_other_channel(
        session,
        org_id,
        credit,
        reference=found[0].reference,
        since=credit.occurred_at - SAME_MONEY_WITHIN,
        until=credit.occurred_at + SAME_MONEY_WITHIN,
    )
    if known is None:
        return False
    sighting = _new_sighting(credit, known, told={"bank_reference": credit.bank_reference})
    await queries.insert_sightings(session, org_id, [sighting], now=batch.now)
    batch.outcomes[credit.notice_id] = "same_money"
    return True


async def _compare_repeats(
    session: AsyncSession, batch: Batch, told_again: Sequence[NewCredit]
) -> None:
    """A known transaction came again: the same facts are a repeat, others are evidence."""
    known = await queries.find_credits(session, batch.org.id, told_again)
    by_reference = {(k.receiving_account_id, k.direction, k.bank_reference): k for k in known}
    by_provider = {
        (k.receiving_account_id, k.provider, k.provider_transaction_id): k for k in known
    }
    sightings: list[NewSighting] = []
    for credit in told_again:
        account_id = credit.receiving_account_id
        first = by_reference.get((account_id, credit.direction, credit.bank_reference))
        if first is None:
            provider_key = (account_id, credit.provider, credit.provider_transaction_id)
            first = by_provider[provider_key]
        sighting = _judge_repeat(batch, first, credit)
        if sighting is not None:
            sightings.append(sighting)
    if sightings:
        await queries.insert_sightings(session, batch.org.id, sightings, now=batch.now)


def _judge_repeat(batch: Batch, first: StoredCredit, credit: NewCredit) -> NewSighting | None:
    """Note what telling a transaction again says; return what is to be kept of it."""
    differences = find_differences(first, credit)
    if not differences:
        batch.outcomes.setdefault(credit.notice_id, "repeat")
        if credit.provider == first.provider:
            return None
        # Another provider agrees: kept, so that its next telling is not taken for this one.
        return _new_sighting(credit, first.id, told={})
    batch.outcomes[credit.notice_id] = "contradicted"
    names = ", ".join(sorted(differences))
    batch.breaks.append(
        NewBreak(
            kind=BreakKind.CONTRADICTION,
            subject_id=first.id,
            credit_id=first.id,
            amount_vnd=credit.amount_vnd,
            detail=f"told again with another {names}; the first telling stands",
        )
    )
    log.warning("credit.contradicted", credit=str(first.id), facts=names)
    return _new_sighting(credit, first.id, told=differences, is_contradiction=True)


def find_differences(first: StoredCredit, again: NewCredit) -> dict[str, list[Any]]:
    """Say which facts differ between two tellings of one transaction: {name: [was, is]}.

    Wording of memos differs between channels; only the references in them are facts.
    """
    was = {one.reference for one in find_references(first.memo)}
    is_now = {one.reference for one in find_references(again.memo)}
    pairs: dict[str, list[Any]] = {
        "amount_vnd": [first.amount_vnd, again.amount_vnd],
        "direction": [first.direction, again.direction],
    }
    if was and is_now:
        pairs["references"] = [sorted(was), sorted(is_now)]
    if first.provider == again.provider:
        pairs["bank_reference"] = [first.bank_reference, again.bank_reference]
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _new_sighting(
    credit: NewCredit, known: UUID, *, told: dict[str, Any], is_contradiction: bool = False
) -> NewSighting:
    facts = (credit.amount_vnd, credit.direction, credit.bank_reference, credit.memo)
    return NewSighting(
        id=new_id(),
        credit_id=known,
        notice_id=credit.notice_id,
        provider=credit.provider,
        provider_transaction_id=credit.provider_transaction_id,
        fingerprint=sha256(repr(facts).encode()).digest()[:16],
        is_contradiction=is_contradiction,
        told=told,
    )


async def read_desks(
    session: AsyncSession,
    org_id: UUID,
    account_ids: set[UUID],
    listed: Sequence[ListedAccount],
) -> dict[UUID, AccountDesk]:
    """Find who trades on these accounts."""
    payees: dict[UUID, list[UUID]] = defaultdict(list)
    virtual: dict[UUID, dict[str, UUID]] = defaultdict(dict)
    for link in await queries.list_trading_links(session, org_id, account_ids):
        if link.payee_id not in payees[link.receiving_account_id]:
            payees[link.receiving_account_id].append(link.payee_id)
        if link.virtual_account is not None:
            virtual[link.receiving_account_id][link.virtual_account] = link.payee_id
    return {
        account.receiving_account_id: AccountDesk(
            receiving_account_id=account.receiving_account_id,
            test_reference=account.test_reference,
            approved_at=account.approved_at,
            payee_ids=tuple(payees[account.receiving_account_id]),
            payee_by_virtual_account=virtual[account.receiving_account_id],
        )
        for account in listed
        if account.receiving_account_id in account_ids
    }


async def match_credits(
    session: AsyncSession,
    org: OrgFacts,
    credits_in: Sequence[CreditFacts],
    desks: dict[UUID, AccountDesk],
    *,
    now: datetime,
) -> tuple[list[NewMatch], dict[UUID, BillState]]:
    """Decide what each credit is, in order; the bills that changed come back locked."""
    codes = await queries.list_org_codes(session, org.id)
    names = [read_names(credit, codes) for credit in credits_in]
    references = {reference for one in names for reference, _ in one.own}
    order_ids = {one.order_id for one in names if one.order_id is not None}
    bills: dict[UUID, BillState] = {}
    if references or order_ids:
        locked = await queries.lock_named_bills(
            session, org.id, references=references, order_ids=order_ids
        )
        bills = {bill.id: bill for bill in locked}
    by_name: dict[str, list[BillState]] = defaultdict(list)
    for bill in bills.values():
        by_name[bill.reference].append(bill)
        if bill.provider_order_id is not None:
            by_name[bill.provider_order_id].append(bill)
    matches: list[NewMatch] = []
    changed: dict[UUID, BillState] = {}
    for credit, one in zip(credits_in, names, strict=True):
        named = {b.id: b for ref, _ in one.own for b in by_name.get(ref, ())}
        if one.order_id is not None:
            named |= {b.id: b for b in by_name.get(one.order_id, ())}
        desk = desks[credit.receiving_account_id]
        decision = decide(credit, one, desk, list(named.values()), now=now)
        after = None
        if decision.bill_id is not None:
            changed[decision.bill_id] = bills[decision.bill_id]
            after = replace(bills[decision.bill_id])
        match = NewMatch(
            id=new_id(),
            credit_id=credit.id,
            decision=decision,
            named=one.named,
            bill_after=after,
        )
        matches.append(match)
    return await _add_suggestions(session, org.id, matches, credits_in, now=now), changed


async def _add_suggestions(
    session: AsyncSession,
    org_id: UUID,
    matches: list[NewMatch],
    credits_in: Sequence[CreditFacts],
    *,
    now: datetime,
) -> list[NewMatch]:
    """For counter sales, find the one open bill with just that amount: "của khách này?"."""
    at: list[int] = []
    sales: list[tuple[UUID, int]] = []
    for i, match in enumerate(matches):
        payee_id = match.decision.payee_id
        if match.decision.verdict is Verdict.COUNTER_SALE and payee_id is not None:
            at.append(i)
            sales.append((payee_id, credits_in[i].amount_vnd))
    if not sales:
        return matches
    found = await queries.find_suggestions(session, org_id, sales, now=now)
    for n, bill_id in found.items():
        matches[at[n]] = replace(matches[at[n]], suggested_bill_id=bill_id)
    return matches


async def write_matches(
    session: AsyncSession,
    org_id: UUID,
    matches: Sequence[NewMatch],
    credits_in: Sequence[CreditFacts],
    bills: dict[UUID, BillState],
    *,
    now: datetime,
) -> None:
    """Write matches with everything that follows from them: bills, transfers, breaks, events."""
    pairs = list(zip(matches, credits_in, strict=True))
    if bills:
        await queries.update_bills(session, org_id, list(bills.values()))
    await queries.insert_matches(session, org_id, matches, now=now)
    transfers = [t for match, credit in pairs for t in list_transfers(match, credit)]
    await ledger.post(session, org_id, transfers, now=now)
    breaks = [
        NewBreak(
            kind=match.decision.opens_break,
            subject_id=credit.id,
            credit_id=credit.id,
            bill_id=match.decision.bill_id,
            amount_vnd=credit.amount_vnd - match.decision.applied_vnd,
            detail=match.decision.reason,
        )
        for match, credit in pairs
        if match.decision.opens_break is not None
    ]
    if breaks:
        await queries.insert_breaks_once(session, org_id, breaks, now=now)
    events = [tell(match, credit) for match, credit in pairs]
    await outbox.record(session, org_id, events, now=now)


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
        try:
            await note_test_transfer(session, batch.org.id, account_id, credit.id, now=batch.now)
        except AccountTaken as error:
            batch.breaks.append(
                NewBreak(
                    kind=BreakKind.FOREIGN_ACCOUNT,
                    subject_id=account_id,
                    credit_id=credit.id,
                    detail=str(error),
                )
            )


def _list_outcomes(batch: Batch, claimed: Sequence[ClaimedNotice]) -> list[NoticeOutcome]:
    outcomes = []
    for notice in claimed:
        word = batch.outcomes.get(notice.id, "empty")
        if notice.id in batch.waiting:
            wait = min(WAIT_START * 2 ** min(notice.attempts, 10), WAIT_MAX)
            outcome = NoticeOutcome(
                notice_id=notice.id,
                outcome=word,
                handled_at=None,
                next_attempt_at=batch.now + wait,
            )
        else:
            outcome = NoticeOutcome(notice_id=notice.id, outcome=word, handled_at=batch.now)
        outcomes.append(outcome)
    return outcomes
