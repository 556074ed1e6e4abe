"""SQL of the watch list."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.passes.errors import WatchedPlateNotFound
from parking.passes.models import WatchedPlate
from parking.passes.rules import WatchState
from parking.passes.types import WatchView

# Each state is judged by the day, as watch_state() judges it (a test holds them equal).
LIST_WATCHED: Final = text("""
    SELECT w.id, w.vehicle_class, w.plate, w.reason, w.source, w.from_on, w.expires_on,
           w.proposed_by, p.display_name AS proposed_by_name, w.proposed_at,
           w.approved_by, a.display_name AS approved_by_name, w.approved_at, w.removed_at
    FROM watched_plates w
    LEFT JOIN staff p ON p.org_id = w.org_id AND p.id = w.proposed_by
    LEFT JOIN staff a ON a.org_id = w.org_id AND a.id = w.approved_by
    WHERE w.org_id = :org_id
      AND (CAST(:id AS uuid) IS NULL OR w.id = CAST(:id AS uuid))
      AND (CAST(:before_id AS uuid) IS NULL OR w.id < CAST(:before_id AS uuid))
      AND (CAST(:state AS text) IS NULL OR CAST(:state AS text) = CASE
          WHEN w.removed_at IS NOT NULL THEN 'removed'
          WHEN w.expires_on < CAST(:today AS date) THEN 'over'
          WHEN w.approved_at IS NULL THEN 'proposed'
          WHEN w.from_on > CAST(:today AS date) THEN 'coming'
          ELSE 'watched' END)
    ORDER BY w.id DESC LIMIT :limit
""")
_NAMES: Final = tuple(field.name for field in fields(WatchView))


async def lock_watched(session: AsyncSession, org_id: UUID, watched_id: UUID) -> WatchedPlate:
    """Lock one entry of the watch list as it is now.

    Raises:
        WatchedPlateNotFound
    """
    query = (
        select(WatchedPlate)
        .filter_by(org_id=org_id, id=watched_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(query)
    if found is None:
        raise WatchedPlateNotFound(watched_id)
    return found


async def list_watched(
    session: AsyncSession,
    org_id: UUID,
    *,
    today: date,
    state: WatchState | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> Sequence[WatchView]:
    """List entries of the watch list, the newest first."""
    values = {
        "org_id": org_id,
        "id": None,
        "state": None if state is None else state.value,
        "before_id": before_id,
        "today": today,
        "limit": limit,
    }
    return [_view(row) for row in await run(session, LIST_WATCHED, values)]


async def view_watched(
    session: AsyncSession, org_id: UUID, watched_id: UUID, *, today: date
) -> WatchView:
    """Return one entry of the watch list.

    Raises:
        WatchedPlateNotFound
    """
    values = {
        "org_id": org_id,
        "id": watched_id,
        "state": None,
        "before_id": None,
        "today": today,
        "limit": 1,
    }
    rows = await run(session, LIST_WATCHED, values)
    if not rows:
        raise WatchedPlateNotFound(watched_id)
    return _view(rows[0])


def _view(row: tuple[object, ...]) -> WatchView:
    return WatchView(**dict(zip(_NAMES, row, strict=True)))  # type: ignore[arg-type]
