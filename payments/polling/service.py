"""Polling of providers for what came in ("kiểm tra giao dịch"), where a callback was lost.

What is new in the responses is stored like a callback and processed by the same code, so polling
twice, or a callback that comes after all, changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.errors import Busy
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.callbacks import queries as notice_queries
from payments.callbacks.service import store_notices
from payments.callbacks.types import NewNotice
from payments.credits import queries_transactions
from payments.credits.added_references import names_more
from payments.credits.processing import process_notices
from payments.credits.processor import NoticeProcessor
from payments.polling.client import RESPONSE_TIMEOUT_S, PollTarget, PullResult, poll_target
from payments.polling.targets import list_targets
from payments.providers.errors import (
    NoOrderToPoll,
    PollFailed,
    ProviderCannotBePolled,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)

# The vendor is promised an answer within five seconds; the caller needs some of them.
POLL_TIMEOUT_S: Final = 4.5
KEPT_WITHIN_S: Final = 0.5  # of that: what came is stored and processed
NEW_ROWS_MAX: Final = 50  # polling again finds the others
SEEN_BACK: Final = timedelta(hours=48)  # Casso lists whole days, so rows up to then repeat
LOCK_WAIT_MS: Final = 500  # what is left of the deadline after the last response
# Where several polls failed: what a person can mend goes before what passes by itself.
WORST_FIRST: Final = (
    ProviderRefusedToken,
    ProviderResponseUnreadable,
    ProviderDidNotRespond,
    NoOrderToPoll,
)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class PolledAccount:
    """What polling found."""

    rows: int  # transactions in the responses, known or new
    providers: tuple[str, ...]


def start_deadline_s() -> float:
    """Return by when a caller who asks now is answered, by the loop's clock."""
    return asyncio.get_running_loop().time() + POLL_TIMEOUT_S


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderPoller:
    """Polls providers for a process: what it works with stays the same from poll to poll."""

    database: Database
    processor: NoticeProcessor
    sealer: Sealer
    client: httpx.AsyncClient

    async def poll(
        self,
        org: OrgFacts,
        account_id: UUID,
        *,
        payee_id: UUID,
        bill_id: UUID | None = None,
        deadline_s: float | None = None,
        now: datetime,
    ) -> PolledAccount:
        """Poll every provider that reports on an account; store and process what they report.

        No transaction is open while the network is waited for. After POLL_TIMEOUT_S the caller
        goes on: what arrived and is not yet stored or processed is finished in the background.

        Args:
            payee_id: whose bills are polled, where a provider knows its own orders only.
            bill_id: the one bill that is polled, instead of the recent ones.
            deadline_s: by the loop's clock, where some of the time was used for something else.

        Raises:
            ProviderCannotBePolled: none of them can be.
            NoOrderToPoll, ProviderRefusedToken, ProviderResponseUnreadable, ProviderDidNotRespond:
                every poll failed; what a person can mend is named before what must be waited for.
            Busy: the database did not even say whom to poll.
        """
        if deadline_s is None:
            deadline_s = start_deadline_s()
        try:
            async with (
                asyncio.timeout_at(deadline_s),
                open_org_transaction(self.database, org.id) as session,
            ):
                targets, skipped = await list_targets(
                    session,
                    org.id,
                    account_id,
                    self.sealer,
                    payee_id=payee_id,
                    bill_id=bill_id,
                    now=now,
                )
        except TimeoutError:
            raise Busy("The hub is busy. Try again in a moment.") from None
        if not targets and not skipped:
            raise ProviderCannotBePolled
        respond_by_s = min(
            deadline_s - KEPT_WITHIN_S, asyncio.get_running_loop().time() + RESPONSE_TIMEOUT_S
        )
        results = await asyncio.gather(
            *(poll_target(self.client, one, respond_by_s) for one in targets)
        )
        for target, result in zip(targets, results, strict=True):
            _log_problems(org, target.endpoint_id, target.provider, result)
        for one in skipped:
            _log_problems(org, one.endpoint_id, one.provider, one.result)
        answered = [pair for pair in zip(targets, results, strict=True) if pair[1].is_answered]
        if not answered:
            raise _choose_problem([*results, *(one.result for one in skipped)])
        keeping = _keep(self.database, self.processor, org, account_id, answered, now=now)
        await self.processor.finish(org, keeping, deadline_s=deadline_s)
        return PolledAccount(
            rows=sum(len(result.rows) for _, result in answered),
            providers=tuple(target.provider for target, _ in answered),
        )


async def _keep(
    database: Database,
    processor: NoticeProcessor,
    org: OrgFacts,
    account_id: UUID,
    answered: Sequence[tuple[PollTarget, PullResult]],
    *,
    now: datetime,
) -> None:
    """Store what is new, commit, then process it."""
    async with open_org_transaction(database, org.id) as session:
        new, untried = await pick_new(session, org.id, account_id, answered, now=now)
        if new:
            await store_notices(session, org.id, new)
    if notice_ids := [*untried, *(notice.id for notice in new)]:
        await _process(database, processor, org, notice_ids, now=now)


async def pick_new(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    answered: Sequence[tuple[PollTarget, PullResult]],
    *,
    rows_max: int = NEW_ROWS_MAX,
    now: datetime,
) -> tuple[list[NewNotice], list[UUID]]:
    """Leave out what is known with the same amount, and rows that an earlier poll stored.

    Vendors poll often, notices are kept, and some rows never become credits: another amount than
    before, simulated money in a live organisation, an account that is not approved.

    Returns:
        (what is to be stored, stored notices whose processing has not begun).
    """
    new: list[NewNotice] = []
    untried: list[UUID] = []
    for target, result in answered:
        known = await queries_transactions.find_known(
            session,
            org_id,
            account_id,
            target.provider,
            [row.transaction_id for row in result.rows],
        )
        unknown = [
            row.body
            for row in result.rows
            if (memo := known.get((row.transaction_id, row.amount_vnd))) is None
            or names_more(target.provider, row.body, memo)
        ]
        if not unknown:
            continue
        before = await notice_queries.find_pulled(
            session, org_id, target.endpoint_id, unknown, since=now - SEEN_BACK
        )
        untried += [notice.id for notice in before if notice.is_untried]
        stored_before = {notice.body for notice in before}
        fresh = [body for body in dict.fromkeys(unknown) if body not in stored_before]
        new += [
            NewNotice(
                id=new_id(),
                endpoint_id=target.endpoint_id,
                provider=target.provider,
                source="pulled",
                body=body,
                headers={},
                skew_s=None,
                received_at=now,
            )
            for body in fresh[:rows_max]
        ]
    return new, untried


async def _process(
    database: Database,
    processor: NoticeProcessor,
    org: OrgFacts,
    notice_ids: Sequence[UUID],
    *,
    now: datetime,
) -> None:
    """Process these notices, not the backlog: a vendor waits. The processor retries failures."""
    try:
        async with open_org_transaction(database, org.id) as session:
            await notice_queries.limit_lock_wait(session, LOCK_WAIT_MS)
            due = await notice_queries.lock_notices(session, org.id, notice_ids)
            await process_notices(session, org, due, now=now)
    except Exception as error:  # whatever it is: the notices are stored, and tried one by one there
        log.warning("polling.left_to_processor", org=org.code, error=type(error).__name__)
        processor.wake(org)


def _choose_problem(results: Sequence[PullResult]) -> PollFailed:
    """Choose which error to show a vendor when all polls failed."""
    problems = [problem for result in results for problem in result.problems]
    if any(result.unreadable for result in results):
        problems.append(ProviderResponseUnreadable("The provider's rows cannot be read."))
    return min(problems, key=lambda problem: WORST_FIRST.index(type(problem)))


def _log_problems(org: OrgFacts, endpoint_id: UUID, provider: str, result: PullResult) -> None:
    problems = {one.code for one in result.problems if not isinstance(one, NoOrderToPoll)}
    surprises = {type(one.__cause__).__name__ for one in result.problems if one.__cause__}
    if problems or result.unreadable:
        log.warning(
            "polling.failed",
            org=org.code,
            endpoint=str(endpoint_id),
            provider=provider,
            problems=sorted(problems),
            unreadable_rows=result.unreadable,
            surprises=sorted(surprises),
        )
