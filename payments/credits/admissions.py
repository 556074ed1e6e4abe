"""Decisions about breaks that have money: another transfer, the same money, or whose it is.

Order of locks: a break of the kinds decided here, then the credit with its match, then the bill.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from identity.organisations.rules import OrgFacts
from payments.bills.payment_rules import SourceKind
from payments.bills.queries import get_bill
from payments.bills.queries_payments import list_paid_by_source
from payments.breaks.errors import BreakClosed, BreakNotDecidable
from payments.breaks.models import Break
from payments.breaks.queries import get_break, lock_break
from payments.breaks.rules import BreakKind
from payments.breaks.service import write_resolution
from payments.credits import (
    assigning,
    corrections,
    queries,
    queries_sightings,
    queries_transactions,
)
from payments.credits.duplicates import read_fingerprint
from payments.credits.errors import CreditNotCorrectable, RestNeedsBills
from payments.credits.held_credits import HeldCredit, hold_credit
from payments.credits.matching import describe_routings, match_credits, write_matches
from payments.credits.queries_transactions import to_facts
from payments.credits.reading import make_credit
from payments.credits.rules import MatchRule, Verdict
from payments.credits.types import NewCredit
from payments.providers import find_provider
from payments.providers.types import Direction

MAYBE_TWICE: Final = frozenset({BreakKind.CONTRADICTION, BreakKind.POSSIBLE_DUPLICATE})
ASSIGNABLE: Final = frozenset(
    {
        BreakKind.UNASSIGNED,
        BreakKind.UNKNOWN_REFERENCE,
        BreakKind.SEVERAL_REFERENCES,
        BreakKind.WRONG_ACCOUNT,
    }
)
# What nothing explains, by its match.
UNEXPLAINED: Final = frozenset(
    {Verdict.UNASSIGNED, Verdict.NO_BILL, Verdict.SEVERAL_BILLS, Verdict.WRONG_ACCOUNT}
)
ANOTHER_TRANSFER: Final = "another_transfer"
SAME_MONEY: Final = "same_money"


async def admit(
    session: AsyncSession, org: OrgFacts, break_id: UUID, *, actor: Actor, now: datetime
) -> Break:
    """Decide that what may be a transfer reported twice is another transfer. Idempotent.

    A possible duplicate is a credit already and stays what it is. A contradicting report becomes a
    credit of its own, from its notice, matched and posted like any.

    Raises:
        BreakNotFound, BreakNotDecidable
        BreakClosed: it was resolved otherwise.
    """
    found, is_decided = await _lock_undecided(
        session, org.id, break_id, MAYBE_TWICE, ANOTHER_TRANSFER
    )
    if is_decided:
        return found
    if found.kind == BreakKind.CONTRADICTION:
        await _credit_sighting(session, org, found.subject_id, actor=actor, now=now)
    await write_resolution(
        session, found, resolution=ANOTHER_TRANSFER, is_decision=True, actor=actor, now=now
    )
    return found


async def confirm_same_money(
    session: AsyncSession, org_id: UUID, break_id: UUID, *, actor: Actor, now: datetime
) -> Break:
    """Decide that a transfer was reported twice: the later credit's posting is reversed.

    Raises:
        BreakNotFound, BreakNotDecidable, BreakClosed
        CreditNotCorrectable: some of it was refunded.
    """
    found, is_decided = await _lock_undecided(session, org_id, break_id, MAYBE_TWICE, SAME_MONEY)
    if is_decided:
        return found
    if found.kind == BreakKind.POSSIBLE_DUPLICATE:
        credit_id = found.subject_id
        direction = await queries_transactions.get_direction(session, org_id, credit_id)
        if direction is Direction.IN:
            await corrections.mark_same_money(session, org_id, credit_id, actor=actor, now=now)
    await write_resolution(
        session, found, resolution=SAME_MONEY, is_decision=True, actor=actor, now=now
    )
    return found


async def assign(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    *,
    payee_id: UUID | None = None,
    bill_id: UUID | None = None,
    shares: Sequence[tuple[UUID, int]] = (),
    actor: Actor,
    now: datetime,
) -> Break:
    """Say whose the money of a break is: a payee's sale, a bill's, or several bills'.

    It is about what nothing explains, so it never takes money from a bill. Of a payment that is
    spread over bills, that is the rest. Saying again what the money is by now changes nothing.

    Args:
        shares: (bill, đồng), as in assigning.split_over_bills.

    Raises:
        BreakNotFound, BreakNotDecidable, BillNotFound, PayeeNotFound
        BreakClosed: its money was decided to be something else.
        CreditNotFound: the payee is not on the credit's account.
        CreditNotCorrectable: the bill needs no money any more.
        RestNeedsBills: it is the rest of a payment that is spread over bills.
    """
    assert [payee_id is not None, bill_id is not None, bool(shares)].count(True) == 1
    # Not locked: whoever explains the credit holds it first and closes its breaks after.
    found = await get_break(session, org_id, break_id)
    if found.kind not in ASSIGNABLE or found.credit_id is None:
        raise BreakNotDecidable
    try:
        held = await hold_credit(session, org_id, found.credit_id)
    except CreditNotCorrectable:
        await session.refresh(found)
        if found.decision is not None:  # its money was given up, or put elsewhere
            raise BreakClosed from None
        raise
    await session.refresh(found)  # as it is once nobody else explains the credit
    if found.decision is not None or held.verdict not in UNEXPLAINED | {Verdict.SPLIT}:
        if await _is_so(session, org_id, held, payee_id=payee_id, bill_id=bill_id, shares=shares):
            return found
        raise BreakClosed
    facts: dict[str, Any] = {"actor": actor, "now": now}
    if held.verdict is Verdict.SPLIT:
        if payee_id is not None:
            raise RestNeedsBills
        rest = shares if bill_id is None else [(bill_id, None)]
        await assigning.add_to_split(session, org_id, found.credit_id, shares=rest, **facts)
    elif shares:
        await assigning.split_over_bills(session, org_id, found.credit_id, shares=shares, **facts)
    elif bill_id is not None:
        bill = await get_bill(session, org_id, bill_id)
        facts |= {"bill_id": bill.id, "payee_id": bill.payee_id, "by_management": True}
        await assigning.confirm_for_bill(session, org_id, found.credit_id, **facts)
    else:
        facts |= {"payee_id": payee_id, "by_management": True}
        await assigning.assign_credit(session, org_id, found.credit_id, **facts)
    await session.refresh(found)
    return found


async def _is_so(
    session: AsyncSession,
    org_id: UUID,
    held: HeldCredit,
    *,
    payee_id: UUID | None,
    bill_id: UUID | None,
    shares: Sequence[tuple[UUID, int]],
) -> bool:
    """Tell whether a credit is by now what somebody says that it is."""
    if payee_id is not None:
        return held.match.decision.rule is MatchRule.ASSIGNED and held.payee_id == payee_id
    paid = await list_paid_by_source(
        session, org_id, kind=SourceKind.CREDIT, source_id=held.credit.id
    )
    return bill_id in paid if bill_id is not None else paid.items() >= dict(shares).items()


async def _lock_undecided(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    kinds: Collection[BreakKind],
    decision: str,
) -> tuple[Break, bool]:
    """Lock a break that may be decided so; True with it if just this was decided before.

    Whoever closed it in words, whatever words, decided nothing: its money can still be.
    """
    found = await lock_break(session, org_id, break_id)
    if found.kind not in kinds:
        raise BreakNotDecidable
    if found.decision not in (None, decision):
        raise BreakClosed
    return found, found.decision is not None


async def _credit_sighting(
    session: AsyncSession, org: OrgFacts, sighting_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Make a credit of a contradicting report; the unique key decides if two do."""
    credit = await _read_sighting(session, org.id, sighting_id)
    account_ids = {credit.receiving_account_id}
    await queries_transactions.lock_channels(session, account_ids)
    stored = await queries_transactions.insert_credits_once(
        session, org.id, [credit], is_later_of_reference=True
    )
    if not stored:
        return
    if credit.direction == Direction.IN:
        accounts = await queries.list_accounts_by_id(session, org.id, account_ids)
        links, _ = await queries.list_trading_links(session, org.id, account_ids)
        codes = await queries.list_org_codes(session, org.id)
        facts = [to_facts(credit, is_doubtful=False)]
        matches, bills = await match_credits(
            session,
            org,
            facts,
            describe_routings(accounts, links),
            codes=codes,
            known_codes=await queries.add_foreign_codes(session, codes, [credit.memo]),
            now=now,
        )
        await write_matches(session, org.id, matches, facts, bills, now=now)
    record_change(
        session,
        org_id=org.id,
        actor=actor,
        action="credit.admitted",
        object_kind="credit",
        object_id=credit.id,
        after={"sighting_id": str(sighting_id), "amount_vnd": credit.amount_vnd},
        now=now,
    )


async def _read_sighting(session: AsyncSession, org_id: UUID, sighting_id: UUID) -> NewCredit:
    """Read the reported transaction of a sighting again, from its stored notice."""
    sighting, account_id, notice = await queries_sightings.get_sighting(
        session, org_id, sighting_id
    )
    provider = find_provider(notice.provider)
    assert provider is not None
    with_time = "occurred_at" in sighting.differences
    for reported in provider.read(notice.body).transactions:
        credit = make_credit(
            reported,
            credit_id=new_id(),
            notice_id=notice.id,
            provider=notice.provider,
            receiving_account_id=account_id,
            received_at=notice.received_at,
            admitted_from=sighting_id,
        )
        is_same_id = credit.provider_transaction_id == sighting.provider_transaction_id
        if is_same_id and read_fingerprint(credit, with_time=with_time) == sighting.fingerprint:
            return credit
    raise AssertionError("a stored notice reads the same each time")
