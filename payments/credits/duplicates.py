"""The same money told more than once: repeats, other channels, contradictions.

A provider's own id says which of its transactions is meant (docs/adr/0007). What tells one again
is compared with the first telling, and kept as evidence where it differs. What may be one transfer
told twice is never dropped: it counts, and a person is told.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from payments.bills.references import find_references
from payments.breaks.rules import BreakKind
from payments.breaks.types import NewBreak
from payments.credits import queries_transactions
from payments.credits.queries_transactions import SAME_MONEY_WITHIN
from payments.credits.types import Batch, NewCredit, NewSighting, StoredCredit
from payments.providers.bank_references import is_identifying_reference
from payments.providers.types import Direction

log = structlog.get_logger()


async def store_credits(session: AsyncSession, batch: Batch, *, shared: set[UUID]) -> set[UUID]:
    """Store what is new; return the ids stored now. The others are repeats, or evidence.

    The accounts that one provider reports on, nearly all, go in one statement. Credits on the
    others (`shared`), and those whose bank reference is known with their amount under another id,
    go one by one, under a lock of the account.
    """
    org_id = batch.org.id
    if shared:
        await queries_transactions.lock_channels(session, shared)
    alone = [c for c in batch.arrived if c.receiving_account_id not in shared]
    closely = [c for c in batch.arrived if c.receiving_account_id in shared]
    stored = (
        await queries_transactions.insert_credits_once(session, org_id, alone) if alone else set()
    )
    if refused := [c for c in alone if c.id not in stored]:
        known = await queries_transactions.find_credits(session, org_id, refused)
        own_ids = {_own_id(one) for one in known}
        again = [c for c in refused if _own_id(c) in own_ids]
        if again:
            await _compare_repeats(session, batch, again, known)
        if others := [c for c in refused if _own_id(c) not in own_ids]:
            await queries_transactions.lock_channels(
                session, {c.receiving_account_id for c in others}
            )
            closely += others
    for credit in closely:
        if not await _is_seen_elsewhere(session, batch, credit) and await _store_closely(
            session, batch, credit
        ):
            stored.add(credit.id)
    return stored


def find_differences(
    first: StoredCredit, again: NewCredit, *, codes: Collection[str]
) -> dict[str, list[Any]]:
    """Say which facts differ between two tellings of one transaction: {name: [was, is]}.

    Wording of memos differs between channels; only the references in them are facts. So do the
    clocks of two providers.

    Args:
        codes: the organisations that references can name.
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


def read_fingerprint(credit: NewCredit, *, with_time: bool) -> bytes:
    """Return 16 bytes by which the same telling is known again."""
    facts: tuple[object, ...] = (
        credit.amount_vnd,
        credit.direction,
        credit.bank_reference,
        credit.memo,
    )
    if with_time:
        facts += (credit.occurred_at.isoformat(),)
    return sha256(repr(facts).encode()).digest()[:16]


async def _compare_repeats(
    session: AsyncSession,
    batch: Batch,
    repeated: Sequence[NewCredit],
    known: Sequence[StoredCredit],
) -> None:
    """A known transaction came again: the same facts are a repeat, others are evidence."""
    first_of = {_own_id(one): one for one in known}
    sightings = [_judge_repeat(batch, first_of[_own_id(c)], c) for c in repeated]
    await _keep(session, batch, [one for one in sightings if one is not None])


async def _is_seen_elsewhere(session: AsyncSession, batch: Batch, credit: NewCredit) -> bool:
    """Find out whether this money was told of before; keep another provider's word as a sighting.

    The same account, direction and amount, within a quarter of an hour (that day, if one of the two
    tells no time), from another provider that has not been paired with it yet, with the same
    identifying bank reference, or the same reference of ours in the memo: that is the same money.
    Without either it may be, or another customer's: it is stored, and a person is asked.
    """
    org_id = batch.org.id
    if known := await queries_transactions.find_credits(session, org_id, [credit]):
        # Known by its own id: a repeat, which must not be paired with other money.
        await _compare_repeats(session, batch, [credit], known)
        return True
    first = await queries_transactions.find_sighted(session, org_id, credit)
    if first is not None:  # it was paired before, and is told again
        again = _judge_repeat(batch, first, credit)
        await _keep(session, batch, [] if again is None else [again])
        return True
    references = _list_references(credit.memo, batch.codes)
    known_id = await _find_same_money(session, org_id, credit, references)
    if known_id is not None:
        same = _new_sighting(credit, known_id, told={"bank_reference": credit.bank_reference})
        await _keep(session, batch, [same])
        batch.outcomes[credit.notice_id] = "same_money"
        return True
    if references or credit.provider_order_id is not None or credit.direction != Direction.IN:
        return False
    twin_id = await queries_transactions.find_other_channel(session, org_id, credit)
    if twin_id is not None:
        # Kept as evidence, and so that the next equal sale is not taken for this one.
        twin = _new_sighting(credit, twin_id, told={"perhaps": [str(twin_id), str(credit.id)]})
        await _keep(session, batch, [twin])
        batch.doubtful.add(credit.id)
    return False


async def _find_same_money(
    session: AsyncSession, org_id: UUID, credit: NewCredit, references: Sequence[str]
) -> UUID | None:
    """Find the credit that is certainly this money: by the bank's reference, else by ours."""
    if is_identifying_reference(credit.bank_reference):
        found = await queries_transactions.find_other_channel(
            session, org_id, credit, bank_reference=credit.bank_reference
        )
        if found is not None:
            return found
    if not references:
        return None
    return await queries_transactions.find_other_channel(
        session, org_id, credit, reference=references[0]
    )


async def _store_closely(session: AsyncSession, batch: Batch, credit: NewCredit) -> bool:
    """Store a credit that is no certain repeat; tell a person if it may be one all the same."""
    org_id = batch.org.id
    stored = await queries_transactions.insert_credits_once(session, org_id, [credit])
    if not stored:
        stored = await queries_transactions.insert_credits_once(
            session, org_id, [credit], is_later_of_reference=True
        )
    if not stored:  # the same id, told to another process at this moment
        known = await queries_transactions.find_credits(session, org_id, [credit])
        await _compare_repeats(session, batch, [credit], known)
        return False
    if is_identifying_reference(credit.bank_reference):
        other_id = await queries_transactions.find_possible_duplicate(session, org_id, credit)
        if other_id is not None:
            batch.breaks.append(
                NewBreak(
                    kind=BreakKind.POSSIBLE_DUPLICATE,
                    subject_id=credit.id,
                    credit_id=credit.id,
                    amount_vnd=credit.amount_vnd,
                    detail=f"bank reference {credit.bank_reference}, as another transaction has:"
                    " counted as two until somebody says otherwise",
                )
            )
    return True


async def _keep(session: AsyncSession, batch: Batch, sightings: Sequence[NewSighting]) -> None:
    """Keep what was told again; each contradiction is told to a person once."""
    if not sightings:
        return
    kept = await queries_transactions.insert_sightings(
        session, batch.org.id, sightings, now=batch.now
    )
    for one in sightings:
        if one.is_contradiction and one.id in kept:
            names = ", ".join(sorted(one.told))
            batch.breaks.append(
                NewBreak(
                    kind=BreakKind.CONTRADICTION,
                    subject_id=one.id,
                    credit_id=one.credit_id,
                    amount_vnd=one.amount_vnd,
                    detail=f"told again with another {names}; the first telling stands",
                )
            )
            log.warning("credit.contradicted", credit=str(one.credit_id), facts=names)


def _judge_repeat(batch: Batch, first: StoredCredit, credit: NewCredit) -> NewSighting | None:
    """Note what telling a transaction again says; return what is to be kept of it."""
    differences = find_differences(first, credit, codes=batch.codes)
    if differences:
        batch.outcomes[credit.notice_id] = "contradicted"
        return _new_sighting(credit, first.id, told=differences, is_contradiction=True)
    batch.outcomes.setdefault(credit.notice_id, "repeat")
    if credit.provider == first.provider:
        return None
    # Another provider agrees: kept, so that its next telling is not taken for this one.
    return _new_sighting(credit, first.id, told={})


def _new_sighting(
    credit: NewCredit, known: UUID, *, told: dict[str, Any], is_contradiction: bool = False
) -> NewSighting:
    return NewSighting(
        id=new_id(),
        credit_id=known,
        notice_id=credit.notice_id,
        provider=credit.provider,
        provider_transaction_id=credit.provider_transaction_id,
        fingerprint=read_fingerprint(credit, with_time="occurred_at" in told),
        is_contradiction=is_contradiction,
        told=told,
        amount_vnd=credit.amount_vnd,
    )


def _own_id(credit: NewCredit | StoredCredit) -> tuple[UUID, str, str]:
    return credit.receiving_account_id, credit.provider, credit.provider_transaction_id


def _list_references(memo: str, codes: Collection[str]) -> list[str]:
    """List the references in a memo, without words that name no organisation here."""
    return [one.reference for one in find_references(memo) if one.org_code in codes]
