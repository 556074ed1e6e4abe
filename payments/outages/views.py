"""Reports of outages: how many callbacks an organisation missed, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.masking import mask_tail
from payments.outages import queries
from payments.outages.queries import AccountRow, OutageRow


class OutageState(StrEnum):
    """How far an organisation's outage is caught up with."""

    POLLING = "polling"  # windows are read, or what was read is processed
    WAITING_FOR_STATEMENT = "waiting_for_statement"  # some account could not be polled, or not all
    CAUGHT_UP = "caught_up"


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAccount:
    """An account whose missed callbacks are not all known yet."""

    id: UUID
    bin: str
    number: str  # its last four characters
    problem: str | None  # code of the last failure, where a poll failed


@dataclass(frozen=True, kw_only=True, slots=True)
class OutageRead:
    """An outage, and what became of the callbacks that one organisation missed."""

    id: UUID
    from_at: datetime
    until_at: datetime
    reason: str
    is_planned: bool  # what is to be polled about it is written down
    recovered_by_polling: int
    called_back_late: int
    waiting: int  # polled, and not processed yet
    oldest_age_s: int | None  # of the credit that was learned of last, from its transfer on
    accounts_polled: int
    being_polled: Sequence[OpenAccount]
    waiting_for_statement: Sequence[OpenAccount]
    reported_at: datetime | None

    @property
    def missed(self) -> int:
        """Credits of the window that no callback reported in time, as far as they are known."""
        return self.recovered + self.waiting

    @property
    def recovered(self) -> int:
        """Those that are credits by now."""
        return self.recovered_by_polling + self.called_back_late

    @property
    def state(self) -> OutageState:
        """How far it is."""
        is_unreported = self.accounts_polled > 0 and self.reported_at is None
        if not self.is_planned or self.being_polled or self.waiting or is_unreported:
            return OutageState.POLLING
        if self.waiting_for_statement:
            return OutageState.WAITING_FOR_STATEMENT
        return OutageState.CAUGHT_UP


async def list_outages(
    session: AsyncSession, org_id: UUID, *, limit: int, before_id: UUID | None = None
) -> list[OutageRead]:
    """List outages with an organisation's figures, newest first."""
    rows = await queries.list_outages(session, org_id, limit=limit, before_id=before_id)
    return [await _read(session, org_id, row) for row in rows]


async def read_outage(session: AsyncSession, org_id: UUID, outage_id: UUID) -> OutageRead | None:
    """Return one outage with an organisation's figures; None if it was before its time."""
    rows = await queries.list_outages(session, org_id, id_=outage_id, limit=1)
    return await _read(session, org_id, rows[0]) if rows else None


async def _read(session: AsyncSession, org_id: UUID, outage: OutageRow) -> OutageRead:
    found = await queries.count_credits(session, org_id, outage)
    accounts = await queries.list_accounts(session, org_id, outage.id)
    oldest = found.oldest_age
    return OutageRead(
        id=outage.id,
        from_at=outage.from_at,
        until_at=outage.until_at,
        reason=outage.reason,
        is_planned=outage.planned_at is not None,
        recovered_by_polling=found.polled,
        called_back_late=found.called_back_late,
        waiting=await queries.count_waiting(session, org_id, outage),
        oldest_age_s=None if oldest is None else max(0, round(oldest.total_seconds())),
        accounts_polled=sum(one.is_polled for one in accounts),
        being_polled=[_open(one) for one in accounts if one.unfinished],
        waiting_for_statement=[
            _open(one) for one in accounts if not (one.unfinished or one.is_read)
        ],
        reported_at=outage.reported_at,
    )


def _open(account: AccountRow) -> OpenAccount:
    return OpenAccount(
        id=account.id,
        bin=account.bin,
        number=mask_tail(account.account_number),
        problem=account.problem,
    )
