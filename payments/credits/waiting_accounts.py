"""Accounts that notices waited for: which of these matters are over.

All that one endpoint reports on one unknown account is one matter with one break, whatever virtual
accounts it names. Accounts are listed by virtual account too, so a part of it may still wait.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind
from payments.callbacks import queries as notice_queries
from payments.callbacks.rules import NoticeOutcome
from payments.credits.reading import find_account, name_account
from payments.credits.types import ListedAccount
from payments.providers import find_provider
from payments.providers.errors import UnreadableNotice
from payments.providers.types import ReportedTransaction

# With more notices than this still waiting, nothing is closed yet.
WAITING_MAX: Final = 2_000


async def close_listed(
    session: AsyncSession,
    org_id: UUID,
    listed: Collection[UUID],
    accounts: Sequence[ListedAccount],
    *,
    endpoint_ids: Collection[UUID],
    outcome: NoticeOutcome,
    now: datetime,
) -> None:
    """Close the breaks of accounts that are known by now, where nothing waits for them any more.

    A notice whose account is listed no longer waits, though another batch may be handling it: so of
    two batches with the last ones each closes the break.

    Args:
        listed: the names of these matters; their notices are finished in this transaction.
        outcome: of notices that wait for an account.
    """
    rows = await notice_queries.list_waiting(
        session, org_id, endpoint_ids, outcome=outcome, limit=WAITING_MAX + 1
    )
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
