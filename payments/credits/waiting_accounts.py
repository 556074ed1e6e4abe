"""Accounts that notices wait for: what a notice looked for, and which of these matters are over.

All that one endpoint reports on one unknown account is one matter with one break, whatever virtual
accounts it names. Accounts are listed by virtual account too, so a part of it may still wait.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind
from payments.credits.types import ListedAccount
from payments.providers import find_provider
from payments.providers.errors import UnreadableNotice
from payments.providers.types import ReportedTransaction

# With more notices than this still waiting, nothing is closed yet.
WAITING_MAX: Final = 2_000

LIST_WAITING = text("""
    SELECT endpoint_id, provider, body FROM notices
    WHERE org_id = :org_id AND endpoint_id = ANY(CAST(:endpoint_ids AS uuid[]))
      AND handled_at IS NULL AND attempts > 0 AND outcome = :waits
    LIMIT :limit
""")


def find_account(
    own: Mapping[tuple[UUID, str], ListedAccount], endpoint_id: UUID, reported: ReportedTransaction
) -> ListedAccount | None:
    """Find the account of a transaction: the most specific number that is listed and approved."""
    account = None
    if reported.virtual_account is not None:
        account = own.get((endpoint_id, reported.virtual_account.upper()))
    if account is None:
        account = own.get((endpoint_id, reported.account_number.upper()))
    return None if account is None or account.approved_at is None else account


def name_account(endpoint_id: UUID, reported: ReportedTransaction) -> UUID:
    """Name an unknown account: all notices of one endpoint for it are one matter, one alarm."""
    return uuid5(endpoint_id, f"account {reported.account_number.upper()}")


async def close_listed(
    session: AsyncSession,
    org_id: UUID,
    listed: Collection[UUID],
    accounts: Sequence[ListedAccount],
    *,
    endpoint_ids: Collection[UUID],
    waits: str,
    now: datetime,
) -> None:
    """Close the breaks of accounts that are known by now, where nothing waits for them any more.

    A notice whose account is listed no longer waits, though another batch may be handling it: so of
    two batches with the last ones each closes the break.

    Args:
        listed: the names of these matters; their notices are finished in this transaction.
        waits: the outcome of notices that wait for an account.
    """
    values = {
        "org_id": org_id,
        "endpoint_ids": list(endpoint_ids),
        "waits": waits,
        "limit": WAITING_MAX + 1,
    }
    rows = (await session.execute(LIST_WAITING, values)).all()
    if len(rows) > WAITING_MAX:
        return
    own = {(a.endpoint_id, a.number): a for a in accounts}
    still = {
        name_account(endpoint_id, reported)
        for endpoint_id, provider, body in rows
        for reported in _read(provider, body)
        if find_account(own, endpoint_id, reported) is None
    }
    if over := set(listed) - still:
        await break_queries.close_breaks_of(
            session,
            org_id,
            dict.fromkeys(over, "account_listed"),
            kinds=[BreakKind.UNKNOWN_ACCOUNT],
            now=now,
        )


def _read(provider: str, body: bytes) -> Sequence[ReportedTransaction]:
    adapter = find_provider(provider)
    if adapter is None:
        return ()
    try:
        return adapter.read(body).transactions
    except UnreadableNotice:
        return ()
