"""Tariffs as managers read them: lists, versions and their standing, and who takes them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from parking.tariffs import queries
from parking.tariffs.records_errors import TariffNotFound, TariffVersionNotFound

VERSIONS_MAX: Final = 500
ASSIGNMENTS_MAX: Final = 1_000


class Standing(StrEnum):
    """Where a version, or a lot's taking of a tariff, stands at an instant."""

    AHEAD = "ahead"
    IN_FORCE = "in_force"
    PAST = "past"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionView:
    """A version without its document."""

    tariff_id: UUID
    id: UUID
    version: int
    valid_from: datetime
    legal_basis: str
    created_by: str | None
    created_at: datetime
    standing: Standing


@dataclass(frozen=True, kw_only=True, slots=True)
class TariffView:
    """A tariff with its versions, the newest first."""

    id: UUID
    name: str
    created_at: datetime
    lots_count: int
    versions: tuple[VersionView, ...]

    @property
    def in_force(self) -> VersionView | None:
        """The version that holds now."""
        return next((one for one in self.versions if one.standing is Standing.IN_FORCE), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class AssignmentView:
    """A lot that takes a tariff from an instant on."""

    id: UUID
    lot_id: UUID
    lot_name: str
    tariff_id: UUID
    tariff_name: str
    from_at: datetime
    standing: Standing


async def list_tariffs(
    session: AsyncSession,
    org_id: UUID,
    *,
    only_id: UUID | None = None,
    before_id: UUID | None = None,
    limit: int,
    now: datetime,
) -> list[TariffView]:
    """List tariffs with their versions, newest first."""
    rows = await queries.list_tariffs(
        session, org_id, only_id=only_id, before_id=before_id, limit=limit
    )
    versions = await _read_versions(session, org_id, [row[0] for row in rows], now=now)
    return [
        TariffView(
            id=id_, name=name, created_at=created_at, lots_count=count, versions=versions[id_]
        )
        for id_, name, created_at, count in rows
    ]


async def get_tariff(
    session: AsyncSession, org_id: UUID, tariff_id: UUID, *, now: datetime
) -> TariffView:
    """Return one tariff with its versions.

    Raises:
        TariffNotFound
    """
    found = await list_tariffs(session, org_id, only_id=tariff_id, limit=1, now=now)
    if not found:
        raise TariffNotFound(tariff_id)
    return found[0]


async def get_document(
    session: AsyncSession, org_id: UUID, tariff_id: UUID, version_id: UUID
) -> dict[str, Any]:
    """Return what a version says.

    Raises:
        TariffVersionNotFound
    """
    known = await queries.find_version(session, org_id, version_id)
    if known is None or known[0] != tariff_id:
        raise TariffVersionNotFound(version_id)
    return known[3]


async def list_assignments(
    session: AsyncSession,
    org_id: UUID,
    *,
    lot_id: UUID | None = None,
    tariff_id: UUID | None = None,
    now: datetime,
) -> list[AssignmentView]:
    """List which lot takes which tariff from when on, the latest first."""
    rows = await queries.list_assignments(session, org_id, limit=ASSIGNMENTS_MAX, lot_id=lot_id)
    # Of each lot the latest that has begun holds; the list is read newest first.
    seen: set[UUID] = set()
    found = []
    for id_, of_lot, lot_name, of_tariff, tariff_name, from_at in rows:
        standing = Standing.AHEAD
        if from_at <= now:
            standing = Standing.PAST if of_lot in seen else Standing.IN_FORCE
            seen.add(of_lot)
        if tariff_id is None or tariff_id == of_tariff:
            found.append(
                AssignmentView(
                    id=id_,
                    lot_id=of_lot,
                    lot_name=lot_name,
                    tariff_id=of_tariff,
                    tariff_name=tariff_name,
                    from_at=from_at,
                    standing=standing,
                )
            )
    return found


async def _read_versions(
    session: AsyncSession, org_id: UUID, tariff_ids: Collection[UUID], *, now: datetime
) -> dict[UUID, tuple[VersionView, ...]]:
    rows = await queries.list_versions(session, org_id, tariff_ids, limit=VERSIONS_MAX)
    found: dict[UUID, tuple[VersionView, ...]] = {}
    for tariff_id in tariff_ids:
        own = [row for row in rows if row[0] == tariff_id]
        found[tariff_id] = _judge(own, now=now)
    return found


def _judge(rows: Sequence[tuple[Any, ...]], *, now: datetime) -> tuple[VersionView, ...]:
    begun = [row for row in rows if row[7] is None and row[3] <= now]
    latest = max(begun, key=lambda row: (row[3], row[2]), default=None)

    def standing_of(row: tuple[Any, ...]) -> Standing:
        if row[7] is not None:
            return Standing.WITHDRAWN
        if row[3] > now:
            return Standing.AHEAD
        return Standing.IN_FORCE if row is latest else Standing.PAST

    return tuple(
        VersionView(
            tariff_id=row[0],
            id=row[1],
            version=row[2],
            valid_from=row[3],
            legal_basis=row[4],
            created_by=row[5],
            created_at=row[6],
            standing=standing_of(row),
        )
        for row in rows
    )
