"""Postings and balances. A posting is never changed: corrections post again."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.ledger import queries, summing
from payments.ledger.rules import (
    AccountCode,
    AccountKey,
    NewPosting,
    bank_clearing,
    cash_in_drawer,
    cash_variance,
    not_takings,
    refunds_in_transit,
    takings,
    toll_receivable,
    unapplied,
)


async def open_payee_accounts(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, now: datetime
) -> None:
    """Open what a new payee needs. Safe to repeat."""
    keys = [takings(payee_id), not_takings(payee_id), cash_in_drawer(payee_id)]
    await queries.insert_accounts_once(session, org_id, keys, now=now)


async def open_receiving_accounts(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID, *, now: datetime
) -> None:
    """Open what a new receiving account needs. Safe to repeat."""
    keys = [bank_clearing(receiving_account_id), unapplied(receiving_account_id)]
    await queries.insert_accounts_once(session, org_id, keys, now=now)


async def open_shift_accounts(
    session: AsyncSession, org_id: UUID, shift_id: UUID, *, payee_id: UUID, now: datetime
) -> None:
    """Open what the close of a new shift posts to. Safe to repeat."""
    keys = [cash_in_drawer(shift_id), cash_variance(payee_id)]
    await queries.insert_accounts_once(session, org_id, keys, now=now)


async def open_toll_accounts(
    session: AsyncSession, org_id: UUID, contract_id: UUID, *, now: datetime
) -> None:
    """Open what the charges of a new contract with a toll operator post to. Safe to repeat."""
    keys = [toll_receivable(contract_id), unapplied(contract_id)]
    await queries.insert_accounts_once(session, org_id, keys, now=now)


async def open_refund_accounts(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID, *, now: datetime
) -> None:
    """Open what refunds from a receiving account post to. Safe to repeat."""
    keys = [refunds_in_transit(receiving_account_id)]
    await queries.insert_accounts_once(session, org_id, keys, now=now)


async def open_accounts(
    session: AsyncSession, org_id: UUID, keys: Sequence[AccountKey], *, now: datetime
) -> None:
    """Open what a decision of people posts to. Safe to repeat."""
    await queries.insert_accounts_once(session, org_id, keys, now=now)


async def post(
    session: AsyncSession, org_id: UUID, postings: Sequence[NewPosting], *, now: datetime
) -> None:
    """Write postings in the running transaction; amounts are above zero and accounts exist."""
    assert all(posting.amount_vnd > 0 for posting in postings)
    if postings:
        await queries.insert_postings(session, org_id, postings, now=now)


async def read_balance(
    session: AsyncSession, org_id: UUID, key: AccountKey, *, at: datetime | None = None
) -> int:
    """Return an account's balance in đồng, credits minus debits: now, or at an instant."""
    return await summing.sum_at(session, org_id, key, at=at)


async def read_takings(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, since: datetime, until: datetime
) -> int:
    """Return what a payee took in [since, until), corrections deducted, in đồng."""
    credited_vnd, debited_vnd = await queries.sum_turnover(
        session, org_id, takings(payee_id), since=since, until=until
    )
    return credited_vnd - debited_vnd


async def read_takings_by_payee(
    session: AsyncSession, org_id: UUID, *, since: datetime, until: datetime
) -> dict[UUID, int]:
    """Return what each payee took in [since, until), in đồng; who took nothing is left out."""
    return await queries.sum_by_subject(
        session, org_id, AccountCode.TAKINGS, since=since, until=until
    )


async def read_cash_taken(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, since: datetime, until: datetime
) -> int:
    """Return how much cash a stall took in [since, until), in đồng."""
    credited_vnd, debited_vnd = await queries.sum_turnover(
        session, org_id, cash_in_drawer(payee_id), since=since, until=until
    )
    return debited_vnd - credited_vnd
