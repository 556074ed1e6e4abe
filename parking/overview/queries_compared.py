"""SQL of a lot's day, stay by stay: what was due beside the payments, the bank and the photos.

A day is bounded by the lot's traffic, and found by ix_parking_sessions_left.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.collections.rules import MONEY

# What paid for a stay that was joined into another paid for the kept one. Whoever leaves unpaid or
# by hand is photographed; of the others no photo is missing at the way out.
_COMPARED: Final = """
    SELECT s.id, s.left_at, s.vehicle_class, s.plate, s.ticket, s.exit_reason,
           coalesce(s.price_vnd, 0) AS price_vnd, s.waived_vnd, s.paid_vnd,
           b.bank_vnd, b.other_vnd, b.written_off_vnd, c.collected_vnd,
           s.entry_photo IS NULL AS no_entry_photo,
           s.exit_photo IS NULL AND s.exit_reason IN ('unconfirmed', 'manual', 'arrears')
               AS no_exit_photo,
           coalesce(s.price_vnd, 0) > s.paid_vnd + s.waived_vnd AS owes,
           s.paid_vnd <> b.bank_vnd + b.other_vnd + b.written_off_vnd + c.collected_vnd
               AS paid_differs,
           s.exit_reason = 'unconfirmed' AND b.bank_vnd = 0 AS not_in_bank
    FROM parking_sessions s
    CROSS JOIN LATERAL (
        SELECT array_agg(own.id) AS ids FROM (
            SELECT s.id
            UNION ALL
            SELECT k.other_id FROM stay_links k
            WHERE k.org_id = s.org_id AND k.kept_id = s.id AND k.kind = 'joined') AS own (id)) AS o
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.amount_vnd) FILTER (WHERE p.source_kind = 'credit'), 0)::bigint
                   AS bank_vnd,
               coalesce(sum(p.amount_vnd) FILTER (
                   WHERE p.source_kind NOT IN ('credit', 'write_off')), 0)::bigint AS other_vnd,
               coalesce(sum(p.amount_vnd) FILTER (WHERE p.source_kind = 'write_off'), 0)::bigint
                   AS written_off_vnd
        FROM bills d JOIN payments p ON p.org_id = d.org_id AND p.bill_id = d.id
        WHERE d.org_id = s.org_id AND d.owner_id = ANY(o.ids)
          AND d.owner_kind = 'parking_session' AND p.reversed_at IS NULL) AS b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(m.amount_vnd), 0)::bigint AS collected_vnd FROM collections m
        WHERE m.org_id = s.org_id AND m.session_id = ANY(o.ids) AND m.reversed_at IS NULL
          AND m.rail = ANY(CAST(:money AS text[]))) AS c
    WHERE s.org_id = :org_id AND s.lot_id = :lot_id AND s.status = 'left'
      AND s.left_at >= :since AND s.left_at < :until
"""
_IS_ODD: Final = "(owes OR paid_differs OR not_in_bank OR no_entry_photo OR no_exit_photo)"
LIST_COMPARED = text(f"""
    SELECT * FROM ({_COMPARED}
      AND (CAST(:after_id AS uuid) IS NULL OR (s.left_at, s.id) > (
          SELECT a.left_at, a.id FROM parking_sessions a
          WHERE a.org_id = :org_id AND a.id = :after_id))) AS compared
    WHERE NOT :odd_only OR {_IS_ODD}
    ORDER BY left_at, id LIMIT :limit
""")  # noqa: S608 (our own words)
SUM_COMPARED = text(f"""
    SELECT count(*), count(*) FILTER (WHERE {_IS_ODD}), coalesce(sum(price_vnd), 0)::bigint,
           coalesce(sum(waived_vnd), 0)::bigint, coalesce(sum(paid_vnd), 0)::bigint,
           coalesce(sum(bank_vnd), 0)::bigint, coalesce(sum(other_vnd), 0)::bigint,
           coalesce(sum(written_off_vnd), 0)::bigint, coalesce(sum(collected_vnd), 0)::bigint,
           count(*) FILTER (WHERE owes), count(*) FILTER (WHERE paid_differs),
           count(*) FILTER (WHERE not_in_bank), count(*) FILTER (WHERE no_entry_photo),
           count(*) FILTER (WHERE no_exit_photo)
    FROM ({_COMPARED}) AS compared
""")  # noqa: S608


async def list_compared(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    since: datetime,
    until: datetime,
    odd_only: bool,
    after_id: UUID | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List who left in [since, until), in the order of leaving, after one of them."""
    values = {
        **_values(org_id, lot_id, since, until),
        "odd_only": odd_only,
        "after_id": after_id,
        "limit": limit,
    }
    return await run(session, LIST_COMPARED, values)


async def sum_compared(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, since: datetime, until: datetime
) -> tuple[Any, ...]:
    """Add up who left in [since, until), with how many differ in what."""
    (row,) = await run(session, SUM_COMPARED, _values(org_id, lot_id, since, until))
    return row


def _values(org_id: UUID, lot_id: UUID, since: datetime, until: datetime) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "lot_id": lot_id,
        "since": since,
        "until": until,
        "money": [one.value for one in MONEY],
    }
