"""SQL of poll targets, and of polls by the clock. Leases and waits go by the database's clock."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.providers import list_pullable

# What is written down for each account of each connection that can be polled, unless it is. Money
# from before an account was approved is not this organisation's to explain.
PULLABLE = """
    FROM callback_endpoints e
    JOIN callback_endpoint_accounts a ON a.org_id = e.org_id AND a.endpoint_id = e.id
    JOIN receiving_accounts r ON r.org_id = a.org_id AND r.id = a.receiving_account_id
    WHERE e.org_id = :org_id AND e.revoked_at IS NULL AND e.sealed_pull_token IS NOT NULL
      AND e.provider = ANY(CAST(:providers AS text[]))
"""
INSERT_TURNS = text(f"""
    INSERT INTO endpoint_polls (org_id, endpoint_id, provider, next_request_at)
    SELECT DISTINCT e.org_id, e.id, e.provider, now() {PULLABLE}
    ON CONFLICT DO NOTHING
""")
INSERT_WINDOWS = text(f"""
    INSERT INTO poll_windows (
        org_id, id, endpoint_id, receiving_account_id, outage_id, from_at, until_at,
        next_attempt_at)
    SELECT e.org_id, gen_random_uuid(), e.id, a.receiving_account_id, CAST(:outage_id AS uuid),
           greatest(coalesce(CAST(:from_at AS timestamptz),
                             now() - CAST(:first_back AS interval)), r.approved_at),
           CAST(:until_at AS timestamptz),
           now() + random() * CAST(:spread AS interval)
    {PULLABLE}
      AND r.approved_at < coalesce(CAST(:until_at AS timestamptz), now())
      AND NOT EXISTS (
          SELECT FROM poll_windows w
          WHERE w.org_id = e.org_id AND w.endpoint_id = e.id
            AND w.receiving_account_id = a.receiving_account_id
            AND w.outage_id IS NOT DISTINCT FROM CAST(:outage_id AS uuid))
    ON CONFLICT DO NOTHING
""")  # noqa: S608 (our own words)
# The regular window of an account that is connected, or has a token, again.
REOPEN_WINDOWS = text(f"""
    UPDATE poll_windows w
    SET finished_at = NULL, problem = NULL, failures = 0, cursor = NULL, until_at = NULL,
        from_at = greatest(w.from_at, now() - CAST(:back_max AS interval)), next_attempt_at = now()
    WHERE w.org_id = :org_id AND w.outage_id IS NULL AND w.finished_at IS NOT NULL
      AND (w.endpoint_id, w.receiving_account_id) IN (
          SELECT e.id, a.receiving_account_id {PULLABLE})
""")  # noqa: S608
# As many of each provider as its row allows: a limit may hold for our address, not for a token.
LIST_DUE = text("""
    SELECT org_id, endpoint_id, provider FROM (
        SELECT w.org_id, w.endpoint_id, p.provider, min(w.next_attempt_at) AS due_at,
               row_number() OVER (
                   PARTITION BY p.provider ORDER BY min(w.next_attempt_at)) AS place
        FROM poll_windows w
        JOIN endpoint_polls p ON p.org_id = w.org_id AND p.endpoint_id = w.endpoint_id
        WHERE w.finished_at IS NULL AND w.next_attempt_at <= now()
          AND (w.outage_id IS NOT NULL OR coalesce(w.every_s, :every_s) > 0)
          AND p.next_request_at <= now()
          AND (p.leased_until IS NULL OR p.leased_until <= now())
        GROUP BY w.org_id, w.endpoint_id, p.provider) due
    WHERE place <= :of_a_provider ORDER BY due_at LIMIT :limit
""")
TAKE_TURN = text("""
    UPDATE endpoint_polls
    SET lease_token = :token, leased_until = now() + CAST(:lease_for AS interval)
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND next_request_at <= now()
      AND (leased_until IS NULL OR leased_until <= now())
    RETURNING failures
""")
# An outage's windows first, then whose turn is the longest ago.
FIND_WINDOW = text("""
    SELECT id, receiving_account_id, outage_id, every_s, from_at, until_at, cursor, failures,
           now() AS now
    FROM poll_windows
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND finished_at IS NULL
      AND next_attempt_at <= now() AND (outage_id IS NOT NULL OR coalesce(every_s, :every_s) > 0)
    ORDER BY outage_id IS NULL, next_attempt_at, id LIMIT 1
""")
SET_SLICE_END = text("""
    UPDATE poll_windows SET until_at = :until_at WHERE org_id = :org_id AND id = :id
""")
# Whoever lost the lease writes nothing: another worker reads the same window.
GIVE_TURN_BACK = text("""
    UPDATE endpoint_polls
    SET lease_token = NULL, leased_until = NULL,
        next_request_at = now() + CAST(:wait AS interval),
        failures = CASE CAST(:turn AS text) WHEN 'answered' THEN 0 WHEN 'failed' THEN failures + 1
                   ELSE failures END,
        problem = CASE CAST(:turn AS text) WHEN 'unused' THEN problem ELSE :problem END,
        last_answered_at = CASE CAST(:turn AS text) WHEN 'answered' THEN now()
                           ELSE last_answered_at END
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND lease_token = :token
    RETURNING endpoint_id
""")
# A page that was read says nothing about an earlier one that was not, wholly.
IS_KEPT = """
    CASE WHEN outage_id IS NOT NULL AND problem IN ('unreadable_rows', 'answer_passed')
         THEN problem END
"""
ADVANCE = text(f"""
    UPDATE poll_windows
    SET cursor = :cursor, from_at = :from_at, until_at = CAST(:until_at AS timestamptz),
        rows_read = rows_read + :rows, failures = 0,
        problem = coalesce(CAST(:problem AS text), {IS_KEPT}),
        next_attempt_at = CAST(:next_attempt_at AS timestamptz),
        finished_at = CASE WHEN CAST(:is_finished AS boolean) THEN now() END
    WHERE org_id = :org_id AND id = :id
""")  # noqa: S608 (our own words)
PUT_OFF = text(f"""
    UPDATE poll_windows
    SET failures = failures + CAST(CAST(:is_counted AS boolean) AS int),
        problem = coalesce({IS_KEPT}, :problem),
        next_attempt_at = now() + CAST(:wait AS interval)
    WHERE org_id = :org_id AND id = :id
""")  # noqa: S608
FINISH = text("""
    UPDATE poll_windows SET finished_at = now(), problem = :problem
    WHERE org_id = :org_id AND id = :id
""")
IS_CONNECTED = text("""
    SELECT EXISTS (
        SELECT FROM callback_endpoint_accounts a
        JOIN callback_endpoints e ON e.org_id = a.org_id AND e.id = a.endpoint_id
        WHERE a.org_id = :org_id AND a.endpoint_id = :endpoint_id
          AND a.receiving_account_id = :account_id AND e.revoked_at IS NULL)
""")
SET_INTERVAL = text("""
    UPDATE poll_windows
    SET every_s = CAST(:every_s AS int), next_attempt_at = least(next_attempt_at, now())
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id
      AND receiving_account_id = :account_id AND outage_id IS NULL
    RETURNING id
""")


class DueEndpoint(NamedTuple):
    """A connection whose turn it is."""

    org_id: UUID
    endpoint_id: UUID
    provider: str


class DueWindow(NamedTuple):
    """A window of a connection that is to be read on."""

    id: UUID
    receiving_account_id: UUID
    outage_id: UUID | None
    every_s: int | None
    from_at: datetime
    until_at: datetime | None
    cursor: str | None
    failures: int
    now: datetime


async def list_pullable_endpoints(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, endpoint_id: UUID | None = None
) -> Sequence[tuple[CallbackEndpoint, str]]:
    """List the endpoints of an account that can be polled, each with the account's number.

    Args:
        endpoint_id: this one alone.
    """
    query = (
        select(CallbackEndpoint, CallbackEndpointAccount.account_number)
        .join(
            CallbackEndpointAccount,
            (CallbackEndpointAccount.org_id == CallbackEndpoint.org_id)
            & (CallbackEndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org_id,
            CallbackEndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
            CallbackEndpoint.provider.in_(list_pullable()),
            CallbackEndpoint.sealed_pull_token.is_not(None),
        )
    )
    if endpoint_id is not None:
        query = query.where(CallbackEndpoint.id == endpoint_id)
    return [(endpoint, number) for endpoint, number in (await session.execute(query)).all()]


async def insert_turns(session: AsyncSession, org_id: UUID, providers: Collection[str]) -> None:
    """Write down each connection of these providers that can be polled, unless it is."""
    await session.execute(INSERT_TURNS, {"org_id": org_id, "providers": list(providers)})


async def insert_windows(
    session: AsyncSession,
    org_id: UUID,
    *,
    outage_id: UUID,
    providers: Collection[str],
    from_at: datetime,
    until_at: datetime,
    spread: timedelta,
) -> int:
    """Write down an outage's window for each account that can be polled; return how many are new.

    Args:
        spread: the first polls are this far apart, drawn by lot.
    """
    values = {
        "org_id": org_id,
        "outage_id": outage_id,
        "providers": list(providers),
        "from_at": from_at,
        "until_at": until_at,
        "first_back": None,
        "spread": spread,
    }
    done = await session.execute(INSERT_WINDOWS, values)
    count: int = done.rowcount  # type: ignore[attr-defined]
    return count


async def insert_regular_windows(
    session: AsyncSession,
    org_id: UUID,
    *,
    providers: Collection[str],
    first_back: timedelta,
    back_max: timedelta,
    spread: timedelta,
) -> int:
    """Write down the regular window of each account that can be polled; return how many are new.

    One that ended while its account was not connected, or had no token, goes on.

    Args:
        first_back: the first one begins so long ago.
        back_max: one that goes on begins no longer ago.
        spread: the first polls are this far apart, drawn by lot.
    """
    goes_on = {"org_id": org_id, "providers": list(providers), "back_max": back_max}
    reopened = await session.execute(REOPEN_WINDOWS, goes_on)
    values = {
        "org_id": org_id,
        "outage_id": None,
        "providers": list(providers),
        "from_at": None,
        "until_at": None,
        "first_back": first_back,
        "spread": spread,
    }
    done = await session.execute(INSERT_WINDOWS, values)
    count: int = done.rowcount + reopened.rowcount  # type: ignore[attr-defined]
    return count


async def list_due(
    session: AsyncSession, *, every_s: int, of_a_provider: int, limit: int
) -> list[DueEndpoint]:
    """List connections with something to poll, whose budget allows it (worker role).

    Args:
        every_s: the regular interval where an account has none of its own; 0: none.
        of_a_provider: at most so many.
    """
    values = {"every_s": every_s, "of_a_provider": of_a_provider, "limit": limit}
    return [DueEndpoint(*row) for row in await session.execute(LIST_DUE, values)]


async def take_turn(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, token: UUID, lease_for: timedelta
) -> int | None:
    """Take a connection's turn; return its failures so far, or None if another worker has it."""
    values = {
        "org_id": org_id,
        "endpoint_id": endpoint_id,
        "token": token,
        "lease_for": lease_for,
    }
    found: int | None = (await session.execute(TAKE_TURN, values)).scalar()
    return found


async def find_window(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, every_s: int
) -> DueWindow | None:
    """Find what is to be read on at a connection whose turn the caller has."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "every_s": every_s}
    row = (await session.execute(FIND_WINDOW, values)).one_or_none()
    return None if row is None else DueWindow(*row)


async def set_slice_end(
    session: AsyncSession, org_id: UUID, window_id: UUID, until_at: datetime
) -> None:
    """Begin a regular window's next slice."""
    values = {"org_id": org_id, "id": window_id, "until_at": until_at}
    await session.execute(SET_SLICE_END, values)


async def give_turn_back(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    token: UUID,
    turn: Literal["answered", "failed", "unused"],
    wait: timedelta,
    problem: str | None = None,
) -> bool:
    """Give a turn back, and say when the next one may be; False if it was lost meanwhile.

    Args:
        problem: what failed, where it did.
    """
    values = {
        "org_id": org_id,
        "endpoint_id": endpoint_id,
        "token": token,
        "turn": turn,
        "wait": wait,
        "problem": problem,
    }
    return (await session.execute(GIVE_TURN_BACK, values)).scalar() is not None


async def advance(
    session: AsyncSession,
    org_id: UUID,
    window_id: UUID,
    *,
    cursor: str | None,
    from_at: datetime,
    until_at: datetime | None,
    rows: int,
    problem: str | None,
    next_attempt_at: datetime,
    is_finished: bool,
) -> None:
    """Note how far a window is read."""
    values = {
        "org_id": org_id,
        "id": window_id,
        "cursor": cursor,
        "from_at": from_at,
        "until_at": until_at,
        "rows": rows,
        "problem": problem,
        "next_attempt_at": next_attempt_at,
        "is_finished": is_finished,
    }
    await session.execute(ADVANCE, values)


async def put_off(
    session: AsyncSession,
    org_id: UUID,
    window_id: UUID,
    *,
    problem: str,
    wait: timedelta,
    is_counted: bool,
) -> None:
    """Try a window again later.

    Args:
        is_counted: it is a failure of this window.
    """
    values = {
        "org_id": org_id,
        "id": window_id,
        "problem": problem,
        "wait": wait,
        "is_counted": is_counted,
    }
    await session.execute(PUT_OFF, values)


async def finish(session: AsyncSession, org_id: UUID, window_id: UUID, *, problem: str) -> None:
    """End a window that cannot be read any more."""
    await session.execute(FINISH, {"org_id": org_id, "id": window_id, "problem": problem})


async def is_connected(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, account_id: UUID
) -> bool:
    """Find out whether an endpoint in use speaks for an account."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "account_id": account_id}
    found: bool = (await session.execute(IS_CONNECTED, values)).scalar_one()
    return found


async def set_interval(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, account_id: UUID, every_s: int | None
) -> bool:
    """Set an account's regular interval (0: never, None: the installation's); False without one."""
    values = {
        "org_id": org_id,
        "endpoint_id": endpoint_id,
        "account_id": account_id,
        "every_s": every_s,
    }
    return (await session.execute(SET_INTERVAL, values)).scalar() is not None
