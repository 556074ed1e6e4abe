"""SQL of settlement statements: their periods, lines, and how far each has come."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.settlements.errors import SettlementNotFound
from payments.settlements.rules import FINAL, LINES, Figures, LineTotal, SettlementStatus
from payments.settlements.types import (
    Carried,
    Filters,
    LineFacts,
    PeriodEnd,
    SettlementFacts,
)

COLUMNS: Final = ", ".join(field.name for field in fields(SettlementFacts))
_ONE: Final = f"SELECT {COLUMNS} FROM settlements WHERE org_id = :org_id AND id = :id"  # noqa: S608

FIND = text(_ONE)
LOCK = text(f"{_ONE} FOR NO KEY UPDATE")
LOCK_MANY = text(f"""
    SELECT {COLUMNS} FROM settlements
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
    ORDER BY id FOR NO KEY UPDATE
""")  # noqa: S608 (our names)

# Each filter that is given, and only those: otherwise no plan that serves any values can use the
# index that fits.
FILTERS: Final = {
    "payee_ids": "payee_id = ANY(CAST(:payee_ids AS uuid[]))",
    "status": "status = :status",
    "statuses": "status = ANY(CAST(:statuses AS text[]))",
    "run_id": "run_id = :run_id",
    "first_day": "last_day >= :first_day",
    "last_day": "last_day <= :last_day",
    "before_id": "id < :before_id",
}

FIND_PERIOD_END = text("""
    SELECT p.last_day, p.settlement_id, s.run_id, s.drafted_at IS NOT NULL
    FROM settlement_periods p JOIN settlements s ON (s.org_id, s.id) = (p.org_id, p.settlement_id)
    WHERE p.org_id = :org_id AND p.payee_id = :payee_id
    ORDER BY p.last_day DESC LIMIT 1
""")

# Of an organisation: by the index of first periods.
FIND_FIRST_DAY = text("""
    SELECT min(first_day) FROM settlement_periods
    WHERE org_id = :org_id AND previous_last_day IS NULL
""")

INSERT = text("""
    INSERT INTO settlements (
        org_id, id, run_id, payee_id, payee_name, payee_place, first_day, last_day, cut_off_at,
        terms_id, status, drafted_by, started_at)
    VALUES (
        :org_id, :id, :run_id, :payee_id, :payee_name, :payee_place, :first_day, :last_day,
        :cut_off_at, :terms_id, 'drafting', :by, :now)
""")

# Of two runs at once the second waits here for the first to commit, and finds the days taken.
INSERT_PERIOD = text("""
    INSERT INTO settlement_periods (
        org_id, payee_id, last_day, first_day, previous_last_day, settlement_id)
    VALUES (:org_id, :payee_id, :last_day, :first_day, :previous_last_day, :id)
    ON CONFLICT DO NOTHING
    RETURNING settlement_id
""")

DELETE_PERIOD = text("""
    DELETE FROM settlement_periods WHERE org_id = :org_id AND settlement_id = :id
""")

IS_FOLLOWED = text("""
    SELECT EXISTS (
        SELECT FROM settlement_periods
        WHERE org_id = :org_id AND payee_id = :payee_id AND previous_last_day = :last_day)
""")

# Of every part that is read, with the place up to which it was: both or neither.
ADD_LINES = text("""
    INSERT INTO settlement_lines AS l (
        org_id, settlement_id, line, credited_vnd, debited_vnd, postings)
    SELECT :org_id, :id, t.* FROM unnest(
        CAST(:lines AS text[]), CAST(:credited AS bigint[]), CAST(:debited AS bigint[]),
        CAST(:postings AS int[])) AS t
    ON CONFLICT (org_id, settlement_id, line) DO UPDATE SET
        credited_vnd = l.credited_vnd + excluded.credited_vnd,
        debited_vnd = l.debited_vnd + excluded.debited_vnd,
        postings = l.postings + excluded.postings
""")

SET_REACHED = text("""
    UPDATE settlements SET side = :side, reached_at = :reached_at, reached_id = :reached_id,
           postings = postings + :count
    WHERE org_id = :org_id AND id = :id
""")

LIST_LINES = text("""
    SELECT line, credited_vnd, debited_vnd, postings FROM settlement_lines
    WHERE org_id = :org_id AND settlement_id = :id
""")

SET_DRAFTED = text("""
    UPDATE settlements SET
        gross_vnd = :gross_vnd, refunds_vnd = :refunds_vnd, charges = CAST(:charges AS jsonb),
        charges_vnd = :charges_vnd, fixed_charge_vnd = :fixed_charge_vnd,
        commission_bps = :commission_bps, commission_vnd = :commission_vnd, net_vnd = :net_vnd,
        shares = CAST(:shares AS jsonb), payee_vnd = :payee_vnd, carried = CAST(:carried AS jsonb),
        carried_count = :carried_count, drafted_at = :now
    WHERE org_id = :org_id AND id = :id
""")

SET_REVIEWED = text("""
    UPDATE settlements SET status = 'reviewed', reviewed_by = :by, reviewed_at = :now
    WHERE org_id = :org_id AND id = :id
""")
SET_APPROVED = text("""
    UPDATE settlements SET status = 'approved', approved_by = :by, approved_at = :now,
           is_approved_alone = :is_alone, number = :number
    WHERE org_id = :org_id AND id = :id
""")
SET_SENT = text("""
    UPDATE settlements SET status = 'sent', sent_by = :by, sent_at = :now
    WHERE org_id = :org_id AND id = :id
""")
SET_DISCARDED = text("""
    UPDATE settlements SET status = 'discarded', discarded_by = :by, discarded_at = :now,
           discarded_words = :words
    WHERE org_id = :org_id AND id = :id
""")

# An organisation's open breaks, the oldest first, with the payee whose money each is about: of its
# bill, or of the only payee that its credit's account belongs to.
LIST_CARRIED = text("""
    SELECT k.id, k.kind, k.amount_vnd, k.opened_at, coalesce(b.payee_id, sole.payee_id)
    FROM breaks k
    LEFT JOIN bills b ON (b.org_id, b.id) = (k.org_id, k.bill_id)
    LEFT JOIN bank_transactions t ON (t.org_id, t.id) = (k.org_id, k.credit_id)
    LEFT JOIN LATERAL (
        SELECT min(CAST(l.payee_id AS text))::uuid AS payee_id FROM payee_accounts l
        WHERE l.org_id = k.org_id AND l.receiving_account_id = t.receiving_account_id
          AND l.status IN ('active', 'former')
        HAVING count(DISTINCT l.payee_id) = 1) AS sole ON b.id IS NULL
    WHERE k.org_id = :org_id AND k.closed_at IS NULL
      AND (k.bill_id IS NOT NULL OR k.credit_id IS NOT NULL)
    ORDER BY k.opened_at, k.id LIMIT :limit
""")


async def get_settlement(
    session: AsyncSession, org_id: UUID, settlement_id: UUID
) -> SettlementFacts:
    """Return a statement.

    Raises:
        SettlementNotFound
    """
    return await _one(session, FIND, org_id, settlement_id)


async def lock_settlement(
    session: AsyncSession, org_id: UUID, settlement_id: UUID
) -> SettlementFacts:
    """Lock a statement.

    Raises:
        SettlementNotFound
    """
    return await _one(session, LOCK, org_id, settlement_id)


async def lock_settlements(
    session: AsyncSession, org_id: UUID, settlement_ids: Collection[UUID]
) -> dict[UUID, SettlementFacts]:
    """Lock statements in the order of their ids; those that are not there are left out."""
    values = {"org_id": org_id, "ids": list(settlement_ids)}
    rows = (await session.execute(LOCK_MANY, values)).mappings()
    return {row["id"]: _facts(row) for row in rows}


async def list_settlements(
    session: AsyncSession,
    org_id: UUID,
    filters: Filters,
    *,
    before_id: UUID | None = None,
    limit: int,
) -> list[SettlementFacts]:
    """List statements, the newest first."""
    given: dict[str, Any] = {
        "payee_ids": None if filters.payee_ids is None else list(filters.payee_ids),
        "status": None if filters.status is None else filters.status.value,
        "statuses": [status.value for status in FINAL] if filters.is_final else None,
        "run_id": filters.run_id,
        "first_day": filters.first_day,
        "last_day": filters.last_day,
        "before_id": before_id,
    }
    values = {name: value for name, value in given.items() if value is not None}
    wanted = " AND ".join(["org_id = :org_id", *(FILTERS[name] for name in values)])
    query = f"SELECT {COLUMNS} FROM settlements WHERE {wanted} ORDER BY id DESC LIMIT :limit"  # noqa: S608 (our own conditions)
    rows = await session.execute(text(query), {**values, "org_id": org_id, "limit": limit})
    return [_facts(row) for row in rows.mappings()]


async def find_period_end(session: AsyncSession, org_id: UUID, payee_id: UUID) -> PeriodEnd | None:
    """Return where a payee's newest statement that is not discarded ends."""
    values = {"org_id": org_id, "payee_id": payee_id}
    row = (await session.execute(FIND_PERIOD_END, values)).one_or_none()
    return None if row is None else PeriodEnd(*row)


async def find_first_day(session: AsyncSession, org_id: UUID) -> date | None:
    """Return the first day that any statement of an organisation owns."""
    found: date | None = await session.scalar(FIND_FIRST_DAY, {"org_id": org_id})
    return found


async def insert_settlement(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    *,
    facts: Mapping[str, Any],
    first_day: date,
    last_day: date,
    previous_last_day: date | None,
    payee_id: UUID,
) -> bool:
    """Write a statement and the days that it owns; False: another has some of them.

    The transaction can only be rolled back then.
    """
    days = {"first_day": first_day, "last_day": last_day, "payee_id": payee_id}
    values = {"org_id": org_id, "id": settlement_id, **days}
    await session.execute(INSERT, {**values, **facts})
    own = {**values, "previous_last_day": previous_last_day}
    return (await session.execute(INSERT_PERIOD, own)).one_or_none() is not None


async def free_period(session: AsyncSession, org_id: UUID, settlement_id: UUID) -> None:
    """Let another statement have the days of one that is discarded."""
    await session.execute(DELETE_PERIOD, {"org_id": org_id, "id": settlement_id})


async def is_followed(session: AsyncSession, org_id: UUID, settlement: SettlementFacts) -> bool:
    """Tell whether a later statement of the payee begins where this one ends."""
    values = {"payee_id": settlement.payee_id, "last_day": settlement.last_day}
    return bool(await session.scalar(IS_FOLLOWED, {"org_id": org_id, **values}))


async def add_lines(
    session: AsyncSession, org_id: UUID, settlement_id: UUID, moved: Mapping[str, LineTotal]
) -> None:
    """Add what a part of the postings moved."""
    values = {
        "lines": list(moved),
        "credited": [one.credited_vnd for one in moved.values()],
        "debited": [one.debited_vnd for one in moved.values()],
        "postings": [one.postings for one in moved.values()],
    }
    await session.execute(ADD_LINES, {"org_id": org_id, "id": settlement_id, **values})


async def set_reached(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    *,
    side: str,
    reached_at: datetime | None,
    reached_id: UUID | None,
    count: int,
) -> None:
    """Write up to where the postings are counted."""
    values = {"side": side, "reached_at": reached_at, "reached_id": reached_id, "count": count}
    await session.execute(SET_REACHED, {"org_id": org_id, "id": settlement_id, **values})


async def list_lines(session: AsyncSession, org_id: UUID, settlement_id: UUID) -> list[LineFacts]:
    """Return the lines of a statement in the order of rules.LINES."""
    rows = await session.execute(LIST_LINES, {"org_id": org_id, "id": settlement_id})
    return sorted((LineFacts(*row) for row in rows), key=lambda one: LINES.index(one.line))


async def set_drafted(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    figures: Figures,
    carried: Carried,
    *,
    commission_bps: int,
    now: datetime,
) -> None:
    """Write a statement's amounts: from then on it can be reviewed."""
    values = {
        "gross_vnd": figures.gross_vnd,
        "refunds_vnd": figures.refunds_vnd,
        "charges": _write(figures.charges),
        "charges_vnd": figures.charges_vnd,
        "fixed_charge_vnd": figures.fixed_charge_vnd,
        "commission_bps": commission_bps,
        "commission_vnd": figures.commission_vnd,
        "net_vnd": figures.net_vnd,
        "shares": _write(figures.shares),
        "payee_vnd": figures.payee_vnd,
        "carried": _write(carried.shown),
        "carried_count": carried.count,
        "now": now,
    }
    await session.execute(SET_DRAFTED, {"org_id": org_id, "id": settlement_id, **values})


async def set_reviewed(
    session: AsyncSession, org_id: UUID, settlement_id: UUID, *, by: UUID, now: datetime
) -> None:
    """Write that a person has looked at it."""
    await session.execute(
        SET_REVIEWED, {"org_id": org_id, "id": settlement_id, "by": by, "now": now}
    )


async def set_approved(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    *,
    by: UUID,
    is_alone: bool,
    number: str,
    now: datetime,
) -> None:
    """Write that another person approved it, with its number."""
    values = {"by": by, "is_alone": is_alone, "number": number, "now": now}
    await session.execute(SET_APPROVED, {"org_id": org_id, "id": settlement_id, **values})


async def set_sent(
    session: AsyncSession, org_id: UUID, settlement_id: UUID, *, by: UUID, now: datetime
) -> None:
    """Write that it was handed out."""
    await session.execute(SET_SENT, {"org_id": org_id, "id": settlement_id, "by": by, "now": now})


async def set_discarded(
    session: AsyncSession,
    org_id: UUID,
    settlement_id: UUID,
    *,
    by: UUID,
    words: str | None,
    now: datetime,
) -> None:
    """Write that it is put aside."""
    values = {"by": by, "words": words, "now": now}
    await session.execute(SET_DISCARDED, {"org_id": org_id, "id": settlement_id, **values})


async def list_carried(
    session: AsyncSession, org_id: UUID, *, limit: int
) -> list[tuple[UUID, str, int | None, datetime, UUID | None]]:
    """List open breaks as (id, kind, đồng, since when, payee), the oldest first."""
    rows = await session.execute(LIST_CARRIED, {"org_id": org_id, "limit": limit})
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


async def _one(
    session: AsyncSession, query: Any, org_id: UUID, settlement_id: UUID
) -> SettlementFacts:
    values = {"org_id": org_id, "id": settlement_id}
    row = (await session.execute(query, values)).mappings().one_or_none()
    if row is None:
        raise SettlementNotFound(settlement_id)
    return _facts(row)


def _facts(row: RowMapping) -> SettlementFacts:
    return SettlementFacts(**{**row, "status": SettlementStatus(row["status"])})


def _write(rows: Any) -> str:
    return msgspec.json.encode(rows).decode()
