"""SQL of what keeps a day open, and of what proves each account. Bounded by the day, or by indexes
of what is unfinished."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.closing.rules import COUNTED_MAX, DISAGREEING, NOT_READ

# Accounts that have part in a day: in force by its end, or with clearing that is carried.
# Lines from before a go-live are in its opening balance.
# What is open is found by partial indexes; the proof, the statement's day and the word of two
# people by their keys.
LIST_ACCOUNTS = text("""
    SELECT a.id, a.bin, a.account_number, a.holder_name,
           coalesce(p.proof, 'callbacks_only') AS proof,
           s.in_vnd, s.out_vnd, s.closing_vnd, s.line_count,
           coalesce(p.proof, '') = 'statement' AND EXISTS (
               SELECT FROM statements t
               WHERE t.org_id = a.org_id AND t.receiving_account_id = a.id
                 AND t.period_to >= :day AND t.period_from <= :day AND t.status = 'accepted')
               AS is_being_written,
           coalesce(p.proof, '') <> 'statement' OR EXISTS (
               SELECT FROM statements t
               WHERE t.org_id = a.org_id AND t.receiving_account_id = a.id
                 AND t.period_to >= :day AND t.period_from <= :day
                 AND t.status IN ('accepted', 'visible') AND t.created_at >= :ends_at)
               AS is_whole,
           l.open_lines, l.open_lines_vnd, l.late_lines_vnd,
           o.by_1, o.by_2, o.reason
    FROM receiving_accounts a
    LEFT JOIN LATERAL (
        SELECT proof FROM account_proofs
        WHERE org_id = a.org_id AND receiving_account_id = a.id AND from_day <= :day
        ORDER BY from_day DESC LIMIT 1) p ON true
    LEFT JOIN statement_days s
      ON (s.org_id, s.receiving_account_id, s.day) = (a.org_id, a.id, CAST(:day AS date))
    LEFT JOIN LATERAL (
        SELECT day FROM opening_balances
        WHERE org_id = a.org_id AND receiving_account_id = a.id AND day <= :day
          AND confirmed_at IS NOT NULL AND ended_at IS NULL
        ORDER BY day DESC LIMIT 1) g ON true
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE booked_on = :day) AS open_lines,
               CAST(coalesce(sum(open_vnd) FILTER (WHERE booked_on = :day), 0) AS bigint)
                   AS open_lines_vnd,
               CAST(coalesce(sum(CASE direction WHEN 'in' THEN open_vnd ELSE -open_vnd END), 0)
                   AS bigint) AS late_lines_vnd
        FROM statement_lines
        WHERE org_id = a.org_id AND receiving_account_id = a.id AND booked_on <= :day
          AND booked_on >= coalesce(g.day, CAST('-infinity' AS date)) AND open_vnd > 0) l
    LEFT JOIN closed_over_days o
      ON (o.org_id, o.day, o.receiving_account_id) = (a.org_id, CAST(:day AS date), a.id)
    WHERE a.org_id = :org_id
      AND (a.activated_at < :ends_at OR a.id = ANY(CAST(:moved AS uuid[])) OR (
          SELECT true FROM ledger_checkpoints c
          WHERE c.org_id = a.org_id AND c.code = 'bank_clearing' AND c.subject_id = a.id
          ORDER BY c.day DESC LIMIT 1))
    ORDER BY a.id
""")
# The regular poll reads on from ten minutes before where it ended (payments/polling/rules.py).
LIST_POLLS = text("""
    SELECT receiving_account_id,
           count(*) FILTER (WHERE outage_id IS NOT NULL) AS outage_windows,
           min(from_at) FILTER (
               WHERE outage_id IS NULL AND from_at < :ends_at - interval '10 minutes')
               AS polled_until
    FROM poll_windows
    WHERE org_id = :org_id AND finished_at IS NULL AND from_at < :ends_at
      AND (outage_id IS NOT NULL OR coalesce(every_s, CAST(:every_s AS int)) > 0)
    GROUP BY receiving_account_id
""")
LIST_BREAKS = text("""
    SELECT c.receiving_account_id, k.kind, count(*) AS count
    FROM breaks k JOIN bank_transactions c ON (c.org_id, c.id) = (k.org_id, k.credit_id)
    WHERE k.org_id = :org_id AND k.closed_at IS NULL AND k.kind = ANY(CAST(:disagreeing AS text[]))
      AND c.occurred_at >= CAST(:starts_at AS timestamptz) AND c.occurred_at < :ends_at
    GROUP BY c.receiving_account_id, k.kind
    UNION ALL
    SELECT w.receiving_account_id, k.kind, count(*)
    FROM breaks k JOIN poll_windows w ON (w.org_id, w.id) = (k.org_id, k.subject_id)
    WHERE k.org_id = :org_id AND k.closed_at IS NULL AND k.kind = 'poll_incomplete'
      AND k.opened_at >= CAST(:starts_at AS timestamptz) AND w.from_at < :ends_at
    GROUP BY w.receiving_account_id, k.kind
    UNION ALL
    SELECT l.receiving_account_id, k.kind, count(*)
    FROM breaks k
    JOIN notices n ON (n.org_id, n.id) = (k.org_id, k.subject_id)
    JOIN callback_endpoint_accounts l ON (l.org_id, l.endpoint_id) = (n.org_id, n.endpoint_id)
    WHERE k.org_id = :org_id AND k.closed_at IS NULL AND k.kind = ANY(CAST(:not_read AS text[]))
      AND n.received_at >= CAST(:starts_at AS timestamptz) AND n.received_at < :ends_at
    GROUP BY l.receiving_account_id, k.kind
""")
# One of an account that nobody has listed waits for it, and is in a break of its own.
_NOTICES: Final = """
    SELECT outcome FROM notices
    WHERE org_id = :org_id AND handled_at IS NULL AND attempts {attempts}
      AND received_at < :ends_at
"""
COUNT_NOTICES = text(f"""
    SELECT count(*) FILTER (WHERE outcome IS DISTINCT FROM 'waits_for_account'),
           count(*) FILTER (WHERE outcome = 'waits_for_account')
    FROM (({_NOTICES.format(attempts="= 0")} LIMIT :most)
          UNION ALL ({_NOTICES.format(attempts="> 0")} LIMIT :most)) AS waiting
""")  # noqa: S608 (our words)
COUNT_UNPLANNED = text("""
    SELECT count(*) FROM outages WHERE planned_at IS NULL AND from_at < :ends_at
""")
COUNT_SHIFTS = text("""
    SELECT count(*) FROM shifts
    WHERE org_id = :org_id AND closed_at IS NULL AND opened_at < :ends_at
""")
# What a close has read of proofs and statements holds as long as this is the same.
READ_MARK = text("""
    SELECT (SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE proof = 'statement'),
                             max(set_at)) FROM account_proofs
            WHERE org_id = :org_id AND from_day <= :day),
           (SELECT concat_ws(' ', count(*), sum(s.line_count))
            FROM unnest(CAST(:account_ids AS uuid[])) AS a (id)
            JOIN statement_days s ON (s.org_id, s.receiving_account_id, s.day)
                                   = (CAST(:org_id AS uuid), a.id, CAST(:day AS date)))
""")
LIST_ACCOUNT_IDS = text("SELECT id FROM receiving_accounts WHERE org_id = :org_id")
EVER: Final = "-infinity"


class AccountRow(NamedTuple):
    """An account of a day, as it stands."""

    id: UUID
    bin: str
    account_number: str
    holder_name: str
    proof: str
    in_vnd: int | None
    out_vnd: int | None
    closing_vnd: int | None
    line_count: int | None
    is_being_written: bool
    is_whole: bool
    open_lines: int
    open_lines_vnd: int
    late_lines_vnd: int
    by_1: UUID | None
    by_2: UUID | None
    reason: str | None


async def list_accounts(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    *,
    ends_at: datetime,
    moved: Collection[UUID],
) -> list[AccountRow]:
    """List the accounts of a day by id.

    Args:
        moved: accounts whose clearing moved in it.
    """
    values = {"org_id": org_id, "day": day, "ends_at": ends_at, "moved": list(moved)}
    return [AccountRow(*row) for row in await session.execute(LIST_ACCOUNTS, values)]


async def list_account_ids(session: AsyncSession, org_id: UUID) -> list[UUID]:
    """List all receiving accounts of an organisation."""
    return list((await session.scalars(LIST_ACCOUNT_IDS, {"org_id": org_id})).all())


async def list_polls(
    session: AsyncSession, org_id: UUID, *, ends_at: datetime, every_s: int
) -> dict[UUID, tuple[int, datetime | None]]:
    """Return {account: (outage's spans that are not read, how far regular polls are)}.

    Where they have reached the day's end, None.

    Args:
        every_s: the installation's interval; 0: no regular polls.
    """
    values = {"org_id": org_id, "ends_at": ends_at, "every_s": every_s}
    rows = await session.execute(LIST_POLLS, values)
    return {row.receiving_account_id: (row.outage_windows, row.polled_until) for row in rows}


async def list_breaks(
    session: AsyncSession, org_id: UUID, *, starts_at: datetime | None, ends_at: datetime
) -> dict[UUID, dict[str, int]]:
    """Return {account: {kind: open breaks about what was reported in a span of time}}.

    Args:
        starts_at: None: since ever.
    """
    values: dict[str, Any] = {
        "org_id": org_id,
        "starts_at": EVER if starts_at is None else starts_at.isoformat(),
        "ends_at": ends_at,
        "disagreeing": [kind.value for kind in DISAGREEING],
        "not_read": [kind.value for kind in NOT_READ],
    }
    found: dict[UUID, dict[str, int]] = {}
    for account_id, kind, count in await session.execute(LIST_BREAKS, values):
        by_kind = found.setdefault(account_id, {})
        by_kind[kind] = by_kind.get(kind, 0) + int(count)
    return found


async def count_notices(
    session: AsyncSession, org_id: UUID, *, ends_at: datetime
) -> tuple[int, int]:
    """Count notices that came by then and are not handled: (to be handled, waiting for an account).

    To COUNTED_MAX or twice that.
    """
    values = {"org_id": org_id, "ends_at": ends_at, "most": COUNTED_MAX}
    unhandled, waiting = (await session.execute(COUNT_NOTICES, values)).one()
    return int(unhandled), int(waiting)


async def count_unplanned(session: AsyncSession, *, ends_at: datetime) -> int:
    """Count outages that began by then, and about which no polls are written down yet."""
    return int((await session.execute(COUNT_UNPLANNED, {"ends_at": ends_at})).scalar_one())


async def count_open_shifts(session: AsyncSession, org_id: UUID, *, ends_at: datetime) -> int:
    """Count shifts that began by then and are not closed."""
    values = {"org_id": org_id, "ends_at": ends_at}
    return int((await session.execute(COUNT_SHIFTS, values)).scalar_one())


async def read_mark(
    session: AsyncSession, org_id: UUID, day: date, account_ids: Collection[UUID]
) -> tuple[str, str]:
    """Return what changes when a proof, or a statement of one of these accounts' day, changes."""
    values = {"org_id": org_id, "day": day, "account_ids": list(account_ids)}
    proofs, statements = (await session.execute(READ_MARK, values)).one()
    return proofs, statements
