"""Postings and balances. A posting is never changed: corrections post again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.ledger import queries, summing
from payments.ledger.rules import (
    AccountCode,
    AccountKey,
    NewPosting,
    bank,
    bank_clearing,
    cash_in_drawer,
    cash_variance,
    not_takings,
    opening_balance,
    refunds_in_transit,
    takings,
    toll_receivable,
    unapplied,
)

# Of each receiving account that statements come of.
OF_STATEMENTS: Final = (
    AccountCode.BANK,
    AccountCode.BANK_CHARGES,
    AccountCode.INTEREST,
    AccountCode.NOT_THE_HUBS,
    AccountCode.REFUNDS_IN_TRANSIT,
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


async def open_opening_accounts(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID, *, now: datetime
) -> None:
    """Open what the go-live of a receiving account posts to. Safe to repeat."""
    keys = [bank(receiving_account_id), opening_balance(receiving_account_id)]
    await queries.insert_accounts_once(session, org_id, keys, now=now)


async def open_statement_accounts(
    session: AsyncSession, org_id: UUID, receiving_account_id: UUID, *, now: datetime
) -> None:
    """Open what lines of a receiving account's statements post to. Safe to repeat."""
    keys = [AccountKey(code=code, subject_id=receiving_account_id) for code in OF_STATEMENTS]
    keys.append(AccountKey(code=AccountCode.OWN_TRANSFERS, subject_id=org_id))
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


async def post_alike(
    session: AsyncSession,
    org_id: UUID,
    *,
    debit: AccountKey,
    credit: AccountKey,
    cause_kind: str,
    rows: Sequence[tuple[UUID, int, datetime, UUID | None]],
    now: datetime,
) -> None:
    """Write many postings between two accounts, each the first step of a cause of its own.

    Args:
        rows: cause, đồng above zero, when it moved, and the credit whose bank clearing it is.
    """
    assert all(amount_vnd > 0 for _, amount_vnd, _, _ in rows)
    if rows:
        await queries.insert_alike(session, org_id, debit, credit, cause_kind, rows, now=now)


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
