"""Duplicates: the same money reported again, by other channels, or with other facts.

A provider's own id says which of its transactions is meant (docs/adr/0007). A repeat is compared
with the first report, and kept as evidence where it differs. What may be one transfer reported
twice is never dropped: it counts, and a break lets a person decide.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day
from core.ids import new_id
from core.reasons import Reason
from payments.bills.references import NextSerials, find_references, is_given_out
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.callbacks.rules import NoticeOutcome
from payments.credits import queries_matches, queries_sightings, queries_transactions
from payments.credits.queries_transactions import SAME_MONEY_WITHIN
from payments.credits.twins import (
    NearCredit,
    describe_namesakes,
    describe_twins,
    find_namesake,
    find_same_money,
    find_twin,
    is_same_reference,
    list_names,
)
from payments.credits.types import NewCredit, NewSighting, StoredCredit
from payments.providers.bank_references import is_identifying_reference
from payments.providers.types import Direction

log = structlog.get_logger()

DAY: Final = "day"  # of the reports of a part without a time; FIND_SIGHTED looks for it


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedCredit:
    """Where one arrived credit ended: stored now, or known and kept as evidence."""

    credit: NewCredit
    is_stored: bool
    outcome: NoticeOutcome | None = None  # None: matching is to say
    is_doubtful: bool = False  # another provider may have reported the same money
    breaks: Sequence[NewBreak] = ()  # what a person is to look at
    added: NewSighting | None = None  # with references that the first report did not have


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What follows from sightings that were not kept before, by their ids."""

    breaks: dict[UUID, NewBreak] = field(default_factory=dict)
    added: dict[UUID, NewSighting] = field(default_factory=dict)


async def store_credits(
    session: AsyncSession,
    org_id: UUID,
    arrived: Sequence[NewCredit],
    *,
    shared: Collection[UUID],
    codes: NextSerials,
    now: datetime,
) -> list[PlacedCredit]:
    """Store what is new; say of each credit, where it ended, in their order.

    The accounts that one provider reports on, nearly all, go in one statement. Credits on the
    others (`shared`), and those whose bank reference is known with their amount under another id,
    go one by one, under a lock of the account.

    Args:
        shared: the accounts that several providers report on.
        codes: what references can name.
    """
    if shared:
        await queries_transactions.lock_channels(session, shared)
    alone = [c for c in arrived if c.receiving_account_id not in shared]
    one_by_one = [c for c in arrived if c.receiving_account_id in shared]
    placed: dict[UUID, PlacedCredit] = {}
    stored = (
        await queries_transactions.insert_credits_once(session, org_id, alone) if alone else set()
    )
    placed |= {c.id: _stored(c) for c in alone if c.id in stored}
    if refused := [c for c in alone if c.id not in stored]:
        known = await queries_transactions.find_credits(session, org_id, refused)
        own_ids = {_own_id(one) for one in known}
        repeated = [c for c in refused if _own_id(c) in own_ids]
        for one in await _place_repeats(session, org_id, repeated, known, codes=codes, now=now):
            placed[one.credit.id] = one
        if others := [c for c in refused if _own_id(c) not in own_ids]:
            await queries_transactions.lock_channels(
                session, {c.receiving_account_id for c in others}
            )
            one_by_one += others
    for credit in one_by_one:
        placed[credit.id] = await _place_alone(session, org_id, credit, codes=codes, now=now)
    if added := [one.added.credit_id for one in placed.values() if one.added is not None]:
        await queries_matches.lock_credits(
            session, added
        )  # before any bill is locked, as corrections do
    return [placed[credit.id] for credit in arrived]


def find_differences(
    first: StoredCredit, again: NewCredit, *, codes: NextSerials
) -> dict[str, list[Any]]:
    """Return which facts differ between two reports of one transaction: {name: [was, is]}.

    Wording of memos differs between channels; only the references in them are facts. So do the
    clocks of two providers.

    Args:
        codes: what references can name.
    """
    was, is_now = _list_references(first.memo, codes), _list_references(again.memo, codes)
    pairs: dict[str, list[Any]] = {
        "amount_vnd": [first.amount_vnd, again.amount_vnd],
        "direction": [first.direction, again.direction],
    }
    if was and is_now:
        pairs["references"] = [sorted(was), sorted(is_now)]
    if first.provider == again.provider:
        both = (first.bank_reference, again.bank_reference)
        if all(map(is_identifying_reference, both)):
            pairs["bank_reference"] = [*both]
        have_times = not (first.is_date_only or again.is_date_only)
        if have_times and abs(first.occurred_at - again.occurred_at) > SAME_MONEY_WITHIN:
            pairs["occurred_at"] = [first.occurred_at.isoformat(), again.occurred_at.isoformat()]
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def find_added(
    first: StoredCredit | NearCredit, again: NewCredit, *, codes: NextSerials
) -> dict[str, list[Any]]:
    """Return the references that money in names only now, {"references": [[], is]}; {} if none.

    Where the first report named something too, others are a contradiction (find_differences).
    """
    if again.direction != Direction.IN or list_names(first.memo, first.provider_order_id, codes):
        return {}
    names = list_names(again.memo, again.provider_order_id, codes)
    return {"references": [[], names]} if names else {}


def read_fingerprint(credit: NewCredit, *, with_time: bool) -> bytes:
    """Return 16 bytes by which the same report is recognised."""
    facts: tuple[object, ...] = (
        credit.amount_vnd,
        credit.direction,
        credit.bank_reference,
        credit.memo,
    )
    if with_time:
        facts += (credit.occurred_at.isoformat(),)
    return sha256(repr(facts).encode()).digest()[:16]


async def _place_repeats(
    session: AsyncSession,
    org_id: UUID,
    repeated: Sequence[NewCredit],
    known: Sequence[StoredCredit],
    *,
    codes: NextSerials,
    now: datetime,
) -> list[PlacedCredit]:
    """Compare known transactions with what was stored: the same facts, or evidence."""
    first_of = {_own_id(one): one for one in known}
    compared = [(c, *_compare(first_of[_own_id(c)], c, codes=codes)) for c in repeated]
    sightings = [sighting for _, _, sighting in compared if sighting is not None]
    kept = await _keep(session, org_id, sightings, now=now)
    return [
        PlacedCredit(
            credit=credit,
            is_stored=False,
            outcome=outcome,
            breaks=[kept.breaks[sighting.id]] if sighting and sighting.id in kept.breaks else (),
            added=None if sighting is None else kept.added.get(sighting.id),
        )
        for credit, outcome, sighting in compared
    ]


async def _place_alone(
    session: AsyncSession,
    org_id: UUID,
    credit: NewCredit,
    *,
    codes: NextSerials,
    now: datetime,
) -> PlacedCredit:
    """Store one credit unless it is known, be it from another provider.

    The same account, direction and amount, within a quarter of an hour (that day, if one of the two
    has no time), from another provider that has not been paired with it yet, with the same
    identifying bank reference, or the same reference of ours in the memo: that is the same money.
    Where one of the two names nothing it may be, or another customer's: it is stored, and a person
    decides (twins.py).
    """
    if known := await queries_transactions.find_credits(session, org_id, [credit]):
        # Known by its own id: a repeat, which must not be paired with other money.
        return (await _place_repeats(session, org_id, [credit], known, codes=codes, now=now))[0]
    first = await queries_transactions.find_sighted(session, org_id, credit)
    if first is not None:  # it was paired before, and is repeated
        outcome, sighting = _compare(first, credit, codes=codes)
        kept = await _keep(session, org_id, [sighting] if sighting else [], now=now)
        return PlacedCredit(
            credit=credit,
            is_stored=False,
            outcome=outcome,
            breaks=[*kept.breaks.values()],
            added=next(iter(kept.added.values()), None),
        )
    names = list_names(credit.memo, credit.provider_order_id, codes)
    near = await queries_transactions.list_near(session, org_id, credit, names=names)
    same = find_same_money(credit, near, codes=codes)
    if same is not None:
        return await _pair(session, org_id, credit, same, codes=codes, now=now)
    namesake = find_namesake(credit, near, codes=codes)
    twin = find_twin(credit, near, codes=codes)
    placed = await _store_alone(session, org_id, credit, codes=codes, now=now)
    if placed.is_stored and namesake is not None:
        placed = replace(placed, breaks=(describe_namesakes(credit, namesake), *placed.breaks))
    if twin is None or not placed.is_stored:
        return placed
    # Kept as evidence, and so that the next equal sale is not taken for this one.
    pair = {"perhaps": [str(twin.id), str(credit.id)]}
    await _keep(session, org_id, [_new_sighting(credit, twin.id, pair)], now=now)
    doubt = describe_twins(credit, twin, codes=codes)
    breaks = placed.breaks if doubt is None else (doubt, *placed.breaks)
    return replace(placed, is_doubtful=True, breaks=breaks)


async def _pair(
    session: AsyncSession,
    org_id: UUID,
    credit: NewCredit,
    same: NearCredit,
    *,
    codes: NextSerials,
    now: datetime,
) -> PlacedCredit:
    """Keep a report as that of a known credit of another provider.

    Of a day without times, equal parts of one bill cannot be told apart by our reference: a person
    is asked, and may admit it as another transfer.
    """
    facts: dict[str, Any] = {"bank_reference": credit.bank_reference}
    facts |= find_added(same, credit, codes=codes)
    is_sure = not (same.pays_part and same.is_of_that_day) or is_same_reference(credit, same)
    if not is_sure:
        facts[DAY] = hanoi_day(credit.occurred_at).isoformat()
    sighting = _new_sighting(credit, same.id, facts, is_contradiction=not is_sure)
    kept = await _keep(session, org_id, [sighting], now=now)
    return PlacedCredit(
        credit=credit,
        is_stored=False,
        outcome=NoticeOutcome.SAME_MONEY if is_sure else NoticeOutcome.CONTRADICTED,
        breaks=[*kept.breaks.values()],
        added=kept.added.get(sighting.id),
    )


async def _store_alone(
    session: AsyncSession,
    org_id: UUID,
    credit: NewCredit,
    *,
    codes: NextSerials,
    now: datetime,
) -> PlacedCredit:
    """Store a credit that is no certain repeat, with a break if it may be one all the same."""
    stored = await queries_transactions.insert_credits_once(session, org_id, [credit])
    if not stored:
        stored = await queries_transactions.insert_credits_once(
            session, org_id, [credit], is_later_of_reference=True
        )
    if not stored:  # another process stored the same id at this moment
        known = await queries_transactions.find_credits(session, org_id, [credit])
        return (await _place_repeats(session, org_id, [credit], known, codes=codes, now=now))[0]
    if not is_identifying_reference(credit.bank_reference):
        return _stored(credit)
    other_id = await queries_transactions.find_possible_duplicate(session, org_id, credit)
    return _stored(credit, breaks=() if other_id is None else (_possible_duplicate(credit),))


def _stored(credit: NewCredit, *, breaks: Sequence[NewBreak] = ()) -> PlacedCredit:
    outcome = NoticeOutcome.OUTGOING if credit.direction == Direction.OUT else None
    return PlacedCredit(credit=credit, is_stored=True, outcome=outcome, breaks=breaks)


def _possible_duplicate(credit: NewCredit) -> NewBreak:
    return NewBreak(
        kind=BreakKind.POSSIBLE_DUPLICATE,
        subject_id=credit.id,
        credit_id=credit.id,
        amount_vnd=credit.amount_vnd,
        reason=Reason(
            BreakReason.BANK_REFERENCE_REPEATED, {"bank_reference": credit.bank_reference}
        ),
    )


async def _keep(
    session: AsyncSession, org_id: UUID, sightings: Sequence[NewSighting], *, now: datetime
) -> _Kept:
    """Keep evidence; return what follows from what was not kept before."""
    if not sightings:
        return _Kept()
    kept = await queries_sightings.insert_sightings(session, org_id, sightings, now=now)
    breaks, added = {}, {}
    for one in sightings:
        if one.id in kept and not one.is_contradiction and "references" in one.differences:
            added[one.id] = one
        if one.is_contradiction and one.id in kept:
            names = sorted(one.differences)
            reason = Reason(BreakReason.REPORTED_OTHERWISE, {"differing": names})
            if DAY in one.differences:
                reason = Reason(BreakReason.REPORTED_OF_A_DAY)
            breaks[one.id] = NewBreak(
                kind=BreakKind.CONTRADICTION,
                subject_id=one.id,
                credit_id=one.credit_id,
                amount_vnd=one.amount_vnd,
                reason=reason,
            )
            log.warning("credit.contradicted", credit=str(one.credit_id), facts=names)
    return _Kept(breaks=breaks, added=added)


def _compare(
    first: StoredCredit, credit: NewCredit, *, codes: NextSerials
) -> tuple[NoticeOutcome, NewSighting | None]:
    """Compare a repeat with the first report; return what it is, and what is to be kept of it."""
    differences = find_differences(first, credit, codes=codes)
    if differences:
        sighting = _new_sighting(credit, first.id, differences, is_contradiction=True)
        return NoticeOutcome.CONTRADICTED, sighting
    added = find_added(first, credit, codes=codes)
    if credit.provider == first.provider and not added:
        return NoticeOutcome.REPEAT, None
    # Another provider agrees: kept, so that its next report is not taken for this one.
    return NoticeOutcome.REPEAT, _new_sighting(credit, first.id, added)


def _new_sighting(
    credit: NewCredit,
    known_id: UUID,
    differences: dict[str, Any],
    *,
    is_contradiction: bool = False,
) -> NewSighting:
    return NewSighting(
        id=new_id(),
        credit_id=known_id,
        notice_id=credit.notice_id,
        provider=credit.provider,
        provider_transaction_id=credit.provider_transaction_id,
        fingerprint=read_fingerprint(credit, with_time="occurred_at" in differences),
        is_contradiction=is_contradiction,
        differences=differences,
        amount_vnd=credit.amount_vnd,
    )


def _own_id(credit: NewCredit | StoredCredit) -> tuple[UUID, str, str]:
    return credit.receiving_account_id, credit.provider, credit.provider_transaction_id


def _list_references(memo: str, codes: NextSerials) -> list[str]:
    """List the references in a memo, without words that nobody here gave out."""
    return [one.reference for one in find_references(memo) if is_given_out(one, codes)]
