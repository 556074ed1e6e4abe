"""SQL of the heartbeat, of outages and of their reports. All instants are the database's."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from payments.outages.rules import Silence

LOCK_BEAT = text("SELECT beat_at, stopped_at FROM hub_heartbeats WHERE id = 1 FOR UPDATE")
# A statement of its own: the time is read once the lock is held.
BEAT = text("""
    UPDATE hub_heartbeats SET beat_at = clock_timestamp(), stopped_at = NULL WHERE id = 1
    RETURNING beat_at
""")
STOP = text("UPDATE hub_heartbeats SET stopped_at = clock_timestamp() WHERE id = 1")
INSERT_OUTAGE = text("""
    INSERT INTO outages (id, from_at, until_at, reason)
    VALUES (:id, :from_at, :until_at, :reason)
""")
LIST_UNPLANNED = text("""
    SELECT id, from_at, until_at FROM outages WHERE planned_at IS NULL ORDER BY until_at LIMIT 50
""")
LIST_RECENT = text("""
    SELECT id, from_at, until_at FROM outages WHERE until_at > now() - CAST(:for AS interval)
    ORDER BY until_at DESC LIMIT 50
""")
MARK_PLANNED = text("UPDATE outages SET planned_at = now() WHERE id = :id AND planned_at IS NULL")
LIST_ORG_IDS = text("SELECT id FROM organisations ORDER BY id")
# Everything was read, and everything that was read is processed. Of outages that are not closed:
# what was ever written is not gone through each time.
FIND_CAUGHT_UP = text("""
    SELECT w.org_id, w.outage_id
    FROM outages o JOIN poll_windows w ON w.outage_id = o.id
    WHERE o.closed_at IS NULL
      AND NOT EXISTS (SELECT FROM outage_reports r
                      WHERE r.org_id = w.org_id AND r.outage_id = w.outage_id)
    GROUP BY w.org_id, w.outage_id
    HAVING bool_and(w.finished_at IS NOT NULL)
       AND NOT EXISTS (SELECT FROM notices n
                       WHERE n.org_id = w.org_id AND n.handled_at IS NULL AND n.attempts = 0
                         AND n.source = 'pulled')
    LIMIT 200
""")
# A day more than it is polled for: by then nobody is about to write a window any more.
CLOSE_OUTAGES = text("""
    UPDATE outages o SET closed_at = now()
    WHERE o.closed_at IS NULL AND o.planned_at IS NOT NULL
      AND o.until_at < now() - CAST(:replayed_for AS interval) - interval '1 day'
      AND NOT EXISTS (
          SELECT FROM poll_windows w
          WHERE w.outage_id = o.id
            AND NOT EXISTS (SELECT FROM outage_reports r
                            WHERE r.org_id = w.org_id AND r.outage_id = w.outage_id))
""")
INSERT_REPORT = text("""
    INSERT INTO outage_reports (org_id, outage_id, recorded_at) VALUES (:org_id, :outage_id, now())
    ON CONFLICT DO NOTHING RETURNING outage_id
""")

LIST_OUTAGES = text("""
    SELECT o.id, o.from_at, o.until_at, o.reason, o.planned_at, r.recorded_at
    FROM outages o
    LEFT JOIN outage_reports r ON r.org_id = :org_id AND r.outage_id = o.id
    WHERE o.until_at > (SELECT created_at FROM organisations WHERE id = :org_id)
      AND (CAST(:id AS uuid) IS NULL OR o.id = CAST(:id AS uuid))
      AND (CAST(:before_id AS uuid) IS NULL OR o.id < CAST(:before_id AS uuid))
    ORDER BY o.id DESC LIMIT :limit
""")
# By accounts, so that the index of an account's times serves, however long the history is. A bank
# that gives days alone reports every credit of the day so: of those only polled ones count.
COUNT_CREDITS = text("""
    SELECT count(*) FILTER (WHERE c.source = 'pulled'),
           count(*) FILTER (WHERE c.source <> 'pulled'),
           max(c.received_at - c.occurred_at) FILTER (WHERE NOT c.is_date_only)
    FROM receiving_accounts a
    CROSS JOIN LATERAL (
        SELECT t.received_at, t.occurred_at, t.is_date_only, n.source
        FROM bank_transactions t JOIN notices n ON n.org_id = t.org_id AND n.id = t.notice_id
        WHERE t.org_id = a.org_id AND t.receiving_account_id = a.id AND t.direction = 'in'
          AND t.occurred_at >= CAST(:from_at AS timestamptz) - interval '1 day'
          AND t.occurred_at < :until_at
          AND CASE WHEN t.is_date_only
              THEN n.source = 'pulled' AND t.received_at >= :from_at
              ELSE t.occurred_at >= :from_at
                   AND (n.source = 'pulled' OR t.received_at >= :until_at) END) c
    WHERE a.org_id = :org_id
""")
COUNT_WAITING = text("""
    SELECT count(*) FROM notices
    WHERE org_id = :org_id AND handled_at IS NULL AND source = 'pulled' AND id >= :first_id
""")
LIST_ACCOUNTS = text("""
    SELECT a.id, a.bin, a.account_number,
           count(w.id) > 0 AS is_polled,
           count(w.id) FILTER (WHERE w.finished_at IS NULL) AS unfinished,
           count(w.id) FILTER (WHERE w.finished_at IS NOT NULL AND w.problem IS NULL) > 0
               AS is_read,
           coalesce(max(w.problem), max(p.problem) FILTER (WHERE w.finished_at IS NULL)) AS problem
    FROM receiving_accounts a
    LEFT JOIN poll_windows w ON w.org_id = a.org_id AND w.receiving_account_id = a.id
                            AND w.outage_id = :outage_id
    LEFT JOIN endpoint_polls p ON p.org_id = w.org_id AND p.endpoint_id = w.endpoint_id
    WHERE a.org_id = :org_id AND a.status = 'active'
      AND EXISTS (
          SELECT FROM callback_endpoint_accounts l
          JOIN callback_endpoints e ON e.org_id = l.org_id AND e.id = l.endpoint_id
          WHERE l.org_id = a.org_id AND l.receiving_account_id = a.id AND e.revoked_at IS NULL)
    GROUP BY a.id, a.bin, a.account_number ORDER BY a.account_number LIMIT 5000
""")


class OutageSpan(NamedTuple):
    """An outage that is to be polled about."""

    id: UUID
    from_at: datetime
    until_at: datetime


class OutageRow(NamedTuple):
    """An outage, as an organisation sees it."""

    id: UUID
    from_at: datetime
    until_at: datetime
    reason: str
    planned_at: datetime | None
    reported_at: datetime | None


class CreditCounts(NamedTuple):
    """Credits of an outage's window that the hub learned of only afterwards."""

    polled: int
    called_back_late: int
    oldest_age: timedelta | None


class AccountRow(NamedTuple):
    """An account whose callbacks were missed, and how far its polls are."""

    id: UUID
    bin: str
    account_number: str
    is_polled: bool
    unfinished: int
    is_read: bool  # to the end and wholly, at one connection
    problem: str | None


async def lock_beat(session: AsyncSession) -> tuple[datetime | None, datetime | None]:
    """Lock the heartbeat; return (last beat, orderly stop since then)."""
    row = (await session.execute(LOCK_BEAT)).one()
    return row.beat_at, row.stopped_at


async def write_beat(session: AsyncSession) -> datetime:
    """Write a beat; return its time."""
    at: datetime = (await session.execute(BEAT)).scalar_one()
    return at


async def write_stop(session: AsyncSession) -> None:
    """Write that a hub stops in order; another one's next beat takes it back."""
    await session.execute(STOP)


async def insert_outage(session: AsyncSession, id_: UUID, silence: Silence) -> None:
    """Store an outage."""
    await session.execute(
        INSERT_OUTAGE,
        {
            "id": id_,
            "from_at": silence.from_at,
            "until_at": silence.until_at,
            "reason": silence.reason.value,
        },
    )


async def list_unplanned(session: AsyncSession) -> list[OutageSpan]:
    """List outages about which no polls are written down yet."""
    return [OutageSpan(*row) for row in await session.execute(LIST_UNPLANNED)]


async def list_recent(session: AsyncSession, *, within: timedelta) -> list[OutageSpan]:
    """List the newest outages."""
    return [OutageSpan(*row) for row in await session.execute(LIST_RECENT, {"for": within})]


async def mark_planned(session: AsyncSession, outage_id: UUID) -> None:
    """Note that all organisations' polls about an outage are written down."""
    await session.execute(MARK_PLANNED, {"id": outage_id})


async def list_org_ids(session: AsyncSession) -> Sequence[UUID]:
    """List all organisations."""
    return (await session.scalars(LIST_ORG_IDS)).all()


async def find_caught_up(session: AsyncSession) -> list[tuple[UUID, UUID]]:
    """Find (organisation, outage) whose polls have all been read, and which nobody reported."""
    return [(row.org_id, row.outage_id) for row in await session.execute(FIND_CAUGHT_UP)]


async def close_outages(session: AsyncSession, *, replayed_for: timedelta) -> None:
    """Close outages that are no longer polled about, and which all have reported."""
    await session.execute(CLOSE_OUTAGES, {"replayed_for": replayed_for})


async def insert_report_once(session: AsyncSession, org_id: UUID, outage_id: UUID) -> bool:
    """Note that an outage is reported; True means that this call did."""
    values = {"org_id": org_id, "outage_id": outage_id}
    return (await session.execute(INSERT_REPORT, values)).scalar() is not None


async def list_outages(
    session: AsyncSession,
    org_id: UUID,
    *,
    limit: int,
    id_: UUID | None = None,
    before_id: UUID | None = None,
) -> list[OutageRow]:
    """List outages since the organisation was made, newest first; or one of them."""
    values = {"org_id": org_id, "id": id_, "before_id": before_id, "limit": limit}
    return [OutageRow(*row) for row in await session.execute(LIST_OUTAGES, values)]


async def count_credits(session: AsyncSession, org_id: UUID, outage: OutageRow) -> CreditCounts:
    """Count credits of the outage's window that were learned of afterwards."""
    values = {"org_id": org_id, "from_at": outage.from_at, "until_at": outage.until_at}
    return CreditCounts(*(await session.execute(COUNT_CREDITS, values)).one())


async def count_waiting(session: AsyncSession, org_id: UUID, outage: OutageRow) -> int:
    """Count transactions that were polled since the outage and are no credits yet."""
    values = {"org_id": org_id, "first_id": first_id_at(outage.until_at)}
    found: int = (await session.execute(COUNT_WAITING, values)).scalar_one()
    return found


async def list_accounts(session: AsyncSession, org_id: UUID, outage_id: UUID) -> list[AccountRow]:
    """List the accounts in force that some connection reports on, by number."""
    values = {"org_id": org_id, "outage_id": outage_id}
    return [AccountRow(*row) for row in await session.execute(LIST_ACCOUNTS, values)]
