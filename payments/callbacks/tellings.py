"""The same money told more than once: repeats, other channels, contradictions.

A transaction is stored once. What tells it again is compared with the first telling, and kept as
evidence where it differs.
"""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from core.ids import new_id
from payments.bills.references import find_references
from payments.callbacks import queries_credits
from payments.callbacks.models import BreakKind
from payments.callbacks.providers.contract import Direction
from payments.callbacks.records import (
    Batch,
    NewBreak,
    NewCredit,
    NewSighting,
    StoredCredit,
)

log = structlog.get_logger()
# How far apart two providers may date the same bank transaction.
SAME_MONEY_WITHIN: Final = timedelta(minutes=15)


async def store_credits(
    session: AsyncSession, batch: Batch, *, shared: set[UUID]
) -> tuple[set[UUID], set[UUID]]:
    """Store what is new; return (ids stored now, ids that were dealt with as told before).

    The accounts that one provider reports on, nearly all, go in one statement. On the others
    (`shared`) the credits go one by one, under a lock of the account, since two providers rarely
    agree on ids.
    """
    org_id = batch.org.id
    if shared:
        await queries_credits.lock_channels(session, shared)
    alone = [c for c in batch.arrived if c.receiving_account_id not in shared]
    stored = await queries_credits.insert_credits_once(session, org_id, alone) if alone else set()
    told_elsewhere: set[UUID] = set()
    for credit in batch.arrived:
        if credit.receiving_account_id not in shared:
            continue
        if await _is_told_elsewhere(session, batch, credit):
            told_elsewhere.add(credit.id)
        else:
            stored |= await queries_credits.insert_credits_once(session, org_id, [credit])
    return stored, told_elsewhere


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


async def compare_repeats(
    session: AsyncSession, batch: Batch, told_again: Sequence[NewCredit]
) -> None:
    """A known transaction came again: the same facts are a repeat, others are evidence."""
    known = await queries_credits.find_credits(session, batch.org.id, told_again)
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
        await queries_credits.insert_sightings(session, batch.org.id, sightings, now=batch.now)


async def _is_told_elsewhere(session: AsyncSession, batch: Batch, credit: NewCredit) -> bool:
    """Find out whether this money was told of before; keep another provider's word as a sighting.

    The same account, direction, amount and reference in the memo, within a quarter of an hour (that
    day, if one of the two tells no time), from another provider that has not been paired with it
    yet, is the same money. Without a reference it may be, or another customer's: it is stored, and
    a person is asked.
    """
    org_id = batch.org.id
    if await queries_credits.find_credits(session, org_id, [credit]):
        # Known by its own keys: a repeat, which must not be paired with other money.
        await compare_repeats(session, batch, [credit])
        return True
    first = await queries_credits.find_sighted(session, org_id, credit)
    if first is not None:  # it was paired before, and is told again
        again = _judge_repeat(batch, first, credit)
        if again is not None:
            await queries_credits.insert_sightings(session, org_id, [again], now=batch.now)
        return True
    found = find_references(credit.memo)
    if not found and (credit.provider_order_id is not None or credit.direction != Direction.IN):
        return False
    known = await queries_credits.find_other_channel(
        session,
        org_id,
        credit,
        reference=found[0].reference if found else None,
        within=SAME_MONEY_WITHIN,
        day=day_bounds(hanoi_day(credit.occurred_at)),
    )
    if known is None:
        return False
    if not found:
        # Kept as evidence, and so that the next equal sale is not taken for this one.
        twin = _new_sighting(credit, known, told={"perhaps": [str(known), str(credit.id)]})
        await queries_credits.insert_sightings(session, org_id, [twin], now=batch.now)
        batch.doubtful.add(credit.id)
        return False
    sighting = _new_sighting(credit, known, told={"bank_reference": credit.bank_reference})
    await queries_credits.insert_sightings(session, org_id, [sighting], now=batch.now)
    batch.outcomes[credit.notice_id] = "same_money"
    return True


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
