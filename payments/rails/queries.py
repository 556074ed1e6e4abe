"""All SQL of the rails. Leases and waits are measured by the database's clock alone."""

from dataclasses import fields
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.bills.rules import RailStatus
from payments.rails.protocol import OpenedOrder, RailProblem
from payments.rails.rules import RailAttempt

INSERT_REQUEST = text("""
    INSERT INTO rail_requests (
        org_id, bill_id, rail, endpoint_id, order_id, orders, status, attempts, next_attempt_at,
        created_at)
    VALUES (:org_id, :bill_id, :rail, :endpoint_id, :order_id, 1, 'pending', 1,
            now() + CAST(:lease_for AS interval), :now)
    ON CONFLICT DO NOTHING
    RETURNING bill_id
""")
FIND_ATTEMPT = text("""
    SELECT r.org_id, r.bill_id, b.payee_id, r.rail, r.endpoint_id, r.order_id, r.orders, r.status,
           r.attempts, b.reference, b.public_token, b.amount_vnd, b.status, b.monitor_until,
           r.created_at
    FROM rail_requests r JOIN bills b ON b.org_id = r.org_id AND b.id = r.bill_id
    WHERE r.org_id = :org_id AND r.bill_id = :bill_id
""")
ATTEMPT_FIELDS = tuple(field.name for field in fields(RailAttempt))  # the order of FIND_ATTEMPT
# The count of attempts at a number says whose result counts: who took a request over has another.
# By its key: with the condition of ix_rail_requests_due as it stands there, a plan may read that
# index instead, with all that was closed in it while an older snapshot is open.
TAKE_REQUEST = text("""
    UPDATE rail_requests
    SET attempts = attempts + 1, next_attempt_at = now() + CAST(:lease_for AS interval)
    WHERE org_id = :org_id AND bill_id = :bill_id
      AND CASE WHEN status IN ('pending', 'unknown', 'open', 'reopened')
               THEN next_attempt_at <= now() END
    RETURNING bill_id
""")
# Nothing of the order before pays the bill any more: no part of its code stays.
WRITE_AGAIN = text("""
    UPDATE rail_requests
    SET status = 'pending', problem = NULL, falls_back = false, order_id = :order_id,
        orders = orders + 1, attempts = 0, endpoint_id = :endpoint_id, next_attempt_at = now(),
        resolved_at = NULL, request_id = NULL, checkout_url = NULL, payload = NULL, bin = NULL,
        account_number = NULL
    WHERE org_id = :org_id AND bill_id = :bill_id
""")
STORE_RESULT = text("""
    UPDATE rail_requests
    SET status = CAST(:status AS text), problem = :problem, order_id = :order_id, orders = :orders,
        next_attempt_at = coalesce(
            CAST(:rests_until AS timestamptz), now() + CAST(:wait AS interval)),
        resolved_at = :resolved_at,
        (request_id, checkout_url, payload, bin, account_number) = (
            SELECT request_id, checkout_url, payload, bin, account_number
            WHERE CAST(:status AS text) IN ('open', 'cancelled', 'closed')),
        falls_back = CAST(:status AS text) = 'failed' AND EXISTS (
            SELECT 1 FROM bills b
            JOIN callback_endpoint_accounts a
              ON a.org_id = b.org_id AND a.receiving_account_id = b.receiving_account_id
            JOIN callback_endpoints e ON e.org_id = a.org_id AND e.id = a.endpoint_id
            WHERE b.org_id = :org_id AND b.id = :bill_id AND e.provider <> :provider
              AND e.revoked_at IS NULL)
    WHERE org_id = :org_id AND bill_id = :bill_id AND attempts = :attempts
      AND orders = :orders_taken
    RETURNING bill_id
""")
STORE_OPENED = text("""
    UPDATE rail_requests
    SET status = 'open', problem = NULL, request_id = :request_id, checkout_url = :checkout_url,
        payload = :payload, bin = :bin, account_number = :account_number,
        next_attempt_at = coalesce(CAST(:rests_until AS timestamptz), now()), resolved_at = :now
    WHERE org_id = :org_id AND bill_id = :bill_id AND attempts = :attempts
      AND orders = :orders_taken
    RETURNING bill_id
""")
# An opened request rests until its bill is watched no longer; who settles or cancels it, wakes it.
FIND_DUE = text("""
    SELECT org_id, bill_id FROM rail_requests
    WHERE status IN ('pending', 'unknown', 'open', 'reopened') AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit
""")
# One row for each endpoint that reports on the account in force; is_sole as in the connections'
# find_sole_endpoint_id: its keys open orders for this account alone.
LIST_REPORTERS = text("""
    SELECT l.id, l.is_direct_only, e.provider,
           e.sealed_pull_token IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM callback_endpoint_accounts o
               WHERE o.org_id = e.org_id AND o.endpoint_id = e.id
                 AND o.receiving_account_id <> l.receiving_account_id)
    FROM payee_accounts l
    LEFT JOIN callback_endpoint_accounts a
      ON a.org_id = l.org_id AND a.receiving_account_id = l.receiving_account_id
    LEFT JOIN callback_endpoints e
      ON e.org_id = a.org_id AND e.id = a.endpoint_id AND e.revoked_at IS NULL
    WHERE l.org_id = :org_id AND l.payee_id = :payee_id AND l.status = 'active'
""")


class Reporter(NamedTuple):
    """An endpoint that reports on a payee's account."""

    link_id: UUID
    is_direct_only: bool
    provider: str | None  # None: nobody reports
    is_sole: bool


async def list_reporters(session: AsyncSession, org_id: UUID, payee_id: UUID) -> list[Reporter]:
    """List who reports on the account in force of a payee; empty without such an account."""
    rows = await session.execute(LIST_REPORTERS, {"org_id": org_id, "payee_id": payee_id})
    return [Reporter(*row) for row in rows]


async def insert_request_once(
    session: AsyncSession,
    org_id: UUID,
    bill_id: UUID,
    *,
    rail: str,
    endpoint_id: UUID,
    order_id: str,
    lease_for: timedelta,
    now: datetime,
) -> bool:
    """Write down the request, and take it; True means that this call stored it."""
    values = {
        "org_id": org_id,
        "bill_id": bill_id,
        "rail": rail,
        "endpoint_id": endpoint_id,
        "order_id": order_id,
        "lease_for": lease_for,
        "now": now,
    }
    return (await session.execute(INSERT_REQUEST, values)).scalar() is not None


async def take_request(
    session: AsyncSession, org_id: UUID, bill_id: UUID, *, lease_for: timedelta
) -> RailAttempt | None:
    """Take a request that is due, so that no other process calls about it; None if none is."""
    values = {"org_id": org_id, "bill_id": bill_id, "lease_for": lease_for}
    if (await session.execute(TAKE_REQUEST, values)).scalar() is None:
        return None
    return await get_attempt(session, org_id, bill_id)


async def write_again(
    session: AsyncSession,
    org_id: UUID,
    bill_id: UUID,
    *,
    endpoint_id: UUID,
    order_id: str,
) -> None:
    """Write that a bill is requested under its next number; the caller has locked the bill."""
    values = {
        "org_id": org_id,
        "bill_id": bill_id,
        "endpoint_id": endpoint_id,
        "order_id": order_id,
    }
    await session.execute(WRITE_AGAIN, values)


async def get_attempt(session: AsyncSession, org_id: UUID, bill_id: UUID) -> RailAttempt:
    """Return a request that this process has taken."""
    row = (await session.execute(FIND_ATTEMPT, {"org_id": org_id, "bill_id": bill_id})).one()
    return RailAttempt(**dict(zip(ATTEMPT_FIELDS, row, strict=True)))


async def store_result(
    session: AsyncSession,
    attempt: RailAttempt,
    status: RailStatus,
    *,
    provider: str,
    problem: RailProblem | None,
    order_id: str,
    orders: int,
    rests_until: datetime | None,
    wait: timedelta,
    now: datetime,
) -> bool:
    """Write what an attempt came to, unless another process has taken the request over.

    Args:
        rests_until: None: it is due again after `wait`.
    """
    is_over = status in (RailStatus.FAILED, RailStatus.CANCELLED, RailStatus.CLOSED)
    values = {
        "org_id": attempt.org_id,
        "bill_id": attempt.bill_id,
        "attempts": attempt.attempts,
        "orders_taken": attempt.orders,
        "status": status.value,
        "provider": provider,
        "problem": None if problem is None else problem.value,
        "order_id": order_id,
        "orders": orders,
        "rests_until": rests_until,
        "wait": wait,
        "resolved_at": now if is_over else None,
    }
    return (await session.execute(STORE_RESULT, values)).scalar() is not None


async def store_opened(
    session: AsyncSession,
    attempt: RailAttempt,
    opened: OpenedOrder,
    *,
    rests_until: datetime | None,
    now: datetime,
) -> bool:
    """Write the code that pays a bill, unless another process has taken the request over.

    Args:
        rests_until: None: its bill is owed no longer, and it is due at once.
    """
    values = {
        "org_id": attempt.org_id,
        "bill_id": attempt.bill_id,
        "attempts": attempt.attempts,
        "orders_taken": attempt.orders,
        "request_id": opened.request_id,
        "checkout_url": opened.checkout_url,
        "payload": opened.payload,
        "bin": opened.bin,
        "account_number": opened.account_number,
        "rests_until": rests_until,
        "now": now,
    }
    return (await session.execute(STORE_OPENED, values)).scalar() is not None


async def find_due(session: AsyncSession, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Find requests that wait for somebody, as (organisation, bill) (worker: all of them)."""
    rows = await session.execute(FIND_DUE, {"limit": limit})
    return [(row[0], row[1]) for row in rows]
