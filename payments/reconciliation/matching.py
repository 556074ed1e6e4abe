"""Matching of an account's open lines with credits and refunds, chunk by chunk.

Order of locks: the account's matching, bills, refunds, then the books. Each chunk is a transaction
of its own; what is explained is no longer open, so that a second run has nothing to do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM
from core.clock import day_bounds
from core.errors import HubError
from core.ids import new_id
from core.reasons import Reason
from payments.bills.references import NextSerials
from payments.ledger import books
from payments.ledger import service as ledger
from payments.ledger.rules import AccountCode, AccountKey
from payments.providers import PROVIDERS
from payments.reconciliation import queries, queries_candidates
from payments.reconciliation.aging import ask_again, close_answered
from payments.reconciliation.errors import TooManyLinesBefore
from payments.reconciliation.reasons import REASONS
from payments.reconciliation.rules import (
    BY_BANK_REFERENCE,
    BY_BILL,
    BY_PROVIDER_ID,
    BY_WORDS,
    CASCADE,
    COUNTER_ACCOUNTS,
    OpenLine,
    Pairing,
    ProofRule,
    UnprovedCredit,
    list_keys,
    pair_lines,
    read_line,
    read_words,
)
from payments.reconciliation.types import DueRefund, LineKey, NewProof, ProofInForce
from payments.refunds.rules import RefundStatus, Step, code_of, find_codes
from payments.refunds.steps import StepTaken, take_step
from payments.statements.rules import Explanation

log = structlog.get_logger()

CHUNK_LINES: Final = 5_000  # of one transaction
BEGIN: Final = LineKey(date(1900, 1, 1), UUID(int=0))
REFUNDS_MAX: Final = 5_000  # of one account that no line has shown yet
BEFORE_MAX: Final = 20_000  # proofs that a go-live takes back at most
# A refund that its payee said was returned may be booked so long after, or before, they said so.
RETURNED_WITHIN: Final = timedelta(days=35)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkDone:
    """How far a chunk has come."""

    lines: int  # looked at
    proofs: int
    last: LineKey


class RefundLine(NamedTuple):
    """A line of money out that names a refund."""

    place: LineKey
    refund: DueRefund
    rule: ProofRule
    key: str


async def begin_run(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, now: datetime
) -> None:
    """Open the ledger's accounts; take proofs back whose credit is another one's money by now."""
    await queries.lock_account(session, org_id, account_id)  # first, as everybody does
    await ledger.open_statement_accounts(session, org_id, account_id, now=now)
    if line_ids := await queries.find_same_money(session, org_id, account_id):
        proofs = await queries.list_proofs(session, org_id, line_ids)
        await unprove(session, org_id, account_id, proofs, by=None, now=now)


async def match_credits(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    codes: NextSerials,
    after: LineKey,
    until_on: date = date.max,
    limit: int,
    now: datetime,
) -> ChunkDone | None:
    """Explain the next open lines of money in by credits; None: none are left.

    Args:
        codes: that name this organisation in references.
        until_on: the last booking day that is looked at.
    """
    await queries.lock_account(session, org_id, account_id)
    rows = await queries.list_open(
        session,
        org_id,
        account_id,
        direction="in",
        after=after,
        until_on=until_on,
        limit=limit,
    )
    if not rows:
        return None
    lines = [_read(row, codes) for row in rows]
    pairings = await find_pairings(session, org_id, account_id, lines)
    proofs = [proof for pairing in pairings for proof in _prove(pairing)]
    await prove(session, org_id, account_id, proofs, now=now)
    return ChunkDone(lines=len(rows), proofs=len(proofs), last=LineKey(rows[-1][1], rows[-1][0]))


async def find_pairings(
    session: AsyncSession, org_id: UUID, account_id: UUID, lines: Sequence[OpenLine]
) -> list[Pairing]:
    """Find which credits explain lines, without writing anything."""
    pairings: list[Pairing] = []
    left = lines
    for rules in CASCADE:
        if rules == BY_WORDS:
            left = [read_words(line) for line in left]
        taken = {credit.id for one in pairings for credit in one.credits}
        found = await _find_credits(session, org_id, account_id, left, rules)
        pairings += pair_lines(left, [one for one in found if one.id not in taken], rules)
        explained = {one.line.id for one in pairings}
        left = [line for line in left if line.id not in explained]
    return pairings


async def _find_credits(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    lines: Sequence[OpenLine],
    rules: Sequence[ProofRule],
) -> list[UnprovedCredit]:
    """Find the unproved credits that some rules can find for lines."""
    rows: list[tuple[Any, ...]] = []
    if keys := list_keys(lines, *BY_PROVIDER_ID.intersection(rules)):
        rows += await queries_candidates.find_by_provider_id(
            session, org_id, account_id, keys, lines, providers=list(PROVIDERS)
        )
    if keys := list_keys(lines, *BY_BANK_REFERENCE.intersection(rules)):
        rows += await queries_candidates.find_by_bank_reference(
            session, org_id, account_id, keys, lines
        )
    if keys := list_keys(lines, *BY_BILL.intersection(rules)):
        rows += await queries_candidates.find_by_bill(session, org_id, account_id, keys, lines)
    return queries_candidates.as_credits(rows)


async def find_refund_lines(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, after: LineKey, limit: int
) -> tuple[list[RefundLine], LineKey | None]:
    """Find which of the next open lines of money out name a refund.

    Returns:
        Those lines, and the last place that was looked at; None: no line, or no refund, is left.
    """
    rows = await queries.list_open(
        session, org_id, account_id, direction="out", after=after, limit=limit
    )
    if not rows:
        return [], None
    since = day_bounds(rows[0][1] - RETURNED_WITHIN)[0]
    due = await queries_candidates.find_due_refunds(
        session, org_id, account_id, since=since, limit=REFUNDS_MAX
    )
    if not due:
        return [], None
    found = []
    for id_, booked_on, amount_vnd, bank_reference, _, memo in rows:
        named = find_refund(due, amount_vnd=amount_vnd, bank_reference=bank_reference, memo=memo)
        if named is not None:
            due.remove(named[0])
            found.append(RefundLine(LineKey(booked_on, id_), *named))
    return found, LineKey(rows[-1][1], rows[-1][0])


async def match_refund(
    session: AsyncSession, org_id: UUID, account_id: UUID, named: RefundLine, *, now: datetime
) -> bool:
    """Explain a line of money out by the refund that it names, unless one of them has changed.

    A refund that nobody has confirmed is confirmed by its line; one that cannot be is left alone.
    """
    await queries.lock_account(session, org_id, account_id)
    line = (await queries.get_lines(session, org_id, [named.place.id]))[named.place.id]
    since = day_bounds(line.booked_on - RETURNED_WITHIN)[0]
    due = await queries_candidates.find_due_refunds(
        session, org_id, account_id, since=since, limit=REFUNDS_MAX
    )
    refund = next((one for one in due if one.id == named.refund.id), None)
    if line.explanation is not None or refund is None:
        return False
    opened_on = await queries.read_opening_day(session, org_id, account_id)
    if opened_on is not None and line.booked_on < opened_on:
        return False
    reference = line.bank_reference or str(line.id)
    if not await _confirm(session, org_id, refund, reference, now=now):
        return False
    proof = NewProof(
        id=new_id(),
        line_id=line.id,
        booked_on=line.booked_on,
        direction=line.direction,
        explanation=Explanation.REFUND,
        amount_vnd=line.amount_vnd,
        rule=named.rule,
        reason=Reason(REASONS[named.rule], {"named": named.key}),
        refund_id=refund.id,
    )
    await prove(session, org_id, account_id, [proof], now=now)
    return True


def find_refund(
    due: Iterable[DueRefund], *, amount_vnd: int, bank_reference: str, memo: str
) -> tuple[DueRefund, ProofRule, str] | None:
    """Find the refund that a line of money out names, of its amount: by our code, else the bank's
    reference."""
    codes = find_codes(memo)
    equal = [refund for refund in due if refund.amount_vnd == amount_vnd]
    for refund in equal:
        if code_of(refund.id) in codes:
            return refund, ProofRule.REFUND_CODE, code_of(refund.id)
    written = bank_reference.strip().upper()
    for refund in equal:
        if written and (refund.bank_reference or "").strip().upper() == written:
            return refund, ProofRule.REFUND_REFERENCE, written
    return None


async def prove(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    proofs: Sequence[NewProof],
    *,
    now: datetime,
) -> None:
    """Write proofs of an account's lines and post them. The caller has locked the account."""
    if proofs:
        await queries.write_proofs(session, org_id, proofs, now=now)
        await _post(session, org_id, account_id, proofs, is_reversal=False, now=now)
        await close_answered(session, org_id, proofs, now=now)


async def unprove(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    proofs: Sequence[ProofInForce],
    *,
    by: UUID | None,
    now: datetime,
) -> None:
    """Take all proofs of lines back, post the other way round, and ask about their credits again.

    The caller has locked the account.
    """
    await _take_back(session, org_id, account_id, proofs, by=by, now=now)
    credit_ids = [one.credit_id for one in proofs if one.credit_id is not None]
    await ask_again(session, org_id, account_id, credit_ids, now=now)


async def unprove_before(
    session: AsyncSession, org_id: UUID, account_id: UUID, day: date, *, now: datetime
) -> int:
    """Take back what explains an account's lines that are booked before a day; return how many.

    For a go-live on that day, whose opening balance holds the money of earlier lines: it calls this
    under the account's lock (queries.lock_account), before it reads a balance.
    Lines count by their booking date alone, but only where their postings lie in an open day: what
    a closed day has is in the balances at its end, which the opening balance takes away, and would
    otherwise count twice. Nobody is asked about these lines and credits again.

    Raises:
        TooManyLinesBefore: there are more than BEFORE_MAX.
    """
    closed_through = await books.hold_books(session, org_id)
    proof_ids = await books.list_causes_before(
        session,
        org_id,
        AccountKey(code=AccountCode.BANK, subject_id=account_id),
        "proof",
        after=closed_through,
        before=day_bounds(day)[0],
        limit=BEFORE_MAX + 1,
    )
    if len(proof_ids) > BEFORE_MAX:
        raise TooManyLinesBefore(BEFORE_MAX)
    proofs = await queries.list_proofs_in_force(session, org_id, proof_ids)
    for first in range(0, len(proofs), CHUNK_LINES):
        chunk = proofs[first : first + CHUNK_LINES]
        await _take_back(session, org_id, account_id, chunk, by=None, now=now)
    return len(proofs)


async def _take_back(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    proofs: Sequence[ProofInForce],
    *,
    by: UUID | None,
    now: datetime,
) -> None:
    await queries.reverse_proofs(session, org_id, proofs, by=by, now=now)
    await _post(session, org_id, account_id, proofs, is_reversal=True, now=now)


def _read(row: tuple[Any, ...], codes: NextSerials) -> OpenLine:
    id_, booked_on, amount_vnd, bank_reference, provider_line_id, memo = row
    return read_line(
        id_=id_,
        booked_on=booked_on,
        amount_vnd=amount_vnd,
        bank_reference=bank_reference,
        provider_line_id=provider_line_id,
        memo=memo,
        codes=codes,
    )


def _prove(pairing: Pairing) -> Iterable[NewProof]:
    facts: dict[str, Any] = {"named": pairing.key}
    if pairing.rule is ProofRule.BANK_REFERENCE_SUM:
        facts["count"] = len(pairing.credits)
    reason = Reason(REASONS[pairing.rule], facts)
    for credit in pairing.credits:
        yield NewProof(
            id=new_id(),
            line_id=pairing.line.id,
            booked_on=pairing.line.booked_on,
            direction="in",
            explanation=Explanation.CREDIT,
            amount_vnd=credit.amount_vnd,
            rule=pairing.rule,
            reason=reason,
            credit_id=credit.id,
            next_best=pairing.next_best,
        )


async def _confirm(
    session: AsyncSession, org_id: UUID, refund: DueRefund, bank_reference: str, *, now: datetime
) -> bool:
    """Let a refund be returned, unless it is already; False where its rules do not allow that."""
    if refund.status == RefundStatus.RETURNED:
        return True
    taken = StepTaken(step=Step.CONFIRM, bank_reference=bank_reference)
    try:
        async with session.begin_nested():
            await take_step(session, org_id, refund.id, taken, actor=SYSTEM, now=now)
    except HubError as error:
        log.warning("line.refund_not_confirmed", refund=str(refund.id), error=error.code)
        return False
    return True


async def _post(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    proofs: Sequence[NewProof | ProofInForce],
    *,
    is_reversal: bool,
    now: datetime,
) -> None:
    """Post what proofs move between the bank and what stands against it, or the other way round."""
    alike: dict[tuple[Explanation, str], list[NewProof | ProofInForce]] = {}
    for proof in proofs:
        alike.setdefault((proof.explanation, proof.direction), []).append(proof)
    bank = AccountKey(code=AccountCode.BANK, subject_id=account_id)
    for (explanation, direction), group in alike.items():
        code = COUNTER_ACCOUNTS[explanation]
        subject_id = org_id if code is AccountCode.OWN_TRANSFERS else account_id
        other = AccountKey(code=code, subject_id=subject_id)
        is_in = (direction == "in") is not is_reversal
        began = {day: day_bounds(day)[0] for day in {one.booked_on for one in group}}
        await ledger.post_alike(
            session,
            org_id,
            debit=bank if is_in else other,
            credit=other if is_in else bank,
            cause_kind="proof_reversal" if is_reversal else "proof",
            rows=[(one.id, one.amount_vnd, began[one.booked_on], one.credit_id) for one in group],
            now=now,
        )
