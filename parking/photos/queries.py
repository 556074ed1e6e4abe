"""All SQL of photos."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many_returning, run
from parking.photos.models import Photo
from parking.photos.rules import Picture

# The same picture again is kept as long as the later one.
INSERT_PHOTO = text("""
    INSERT INTO photos (
        org_id, hash, lot_id, width, height, size_bytes, taken_by, stored_at, kept_until,
        is_unread)
    VALUES (:org_id, :hash, :lot_id, :width, :height, :size_bytes, :taken_by, :now, :kept_until,
            :is_unread)
    ON CONFLICT (org_id, hash) DO UPDATE
    SET kept_until = greatest(photos.kept_until, excluded.kept_until),
        is_unread = photos.is_unread OR excluded.is_unread
""")

# Of two at once the second waits for the first, and finds what it is used for.
INSERT_USES = InsertMany(
    "photo_uses",
    {"hash": "bytea", "subject_id": "uuid"},
    shared=("org_id", "subject_kind", "used_at"),
    ending="ON CONFLICT (org_id, hash) DO NOTHING RETURNING hash, subject_id",
)
FIND_USES = text("""
    SELECT hash, subject_id FROM photo_uses
    WHERE org_id = :org_id AND subject_kind = :subject_kind
      AND hash = ANY(CAST(:hashes AS bytea[]))
""")
# By ix_observations_photo.
FIND_AT_ENTRIES = text("""
    SELECT DISTINCT photo FROM observations
    WHERE org_id = :org_id AND photo = ANY(CAST(:hashes AS bytea[])) AND direction = 'in'
""")

DELETE_EXPIRED = text("""
    DELETE FROM photos WHERE org_id = :org_id AND hash = :hash AND kept_until < :now
""")
DELETE_OLD_USES = text("""
    DELETE FROM photo_uses WHERE (org_id, hash) IN (
        SELECT u.org_id, u.hash FROM photo_uses u
        WHERE u.used_at < :before AND NOT EXISTS (
            SELECT FROM photos p WHERE (p.org_id, p.hash) = (u.org_id, u.hash))
        ORDER BY u.used_at LIMIT :limit)
""")


async def insert_photo_once(
    session: AsyncSession,
    org_id: UUID,
    picture: Picture,
    *,
    lot_id: UUID | None,
    taken_by: UUID,
    kept_until: datetime,
    is_unread: bool,
    now: datetime,
) -> None:
    """Record that a picture is kept."""
    values = {
        "org_id": org_id,
        "hash": picture.hash,
        "lot_id": lot_id,
        "width": picture.width,
        "height": picture.height,
        "size_bytes": len(picture.jpeg),
        "taken_by": taken_by,
        "kept_until": kept_until,
        "is_unread": is_unread,
        "now": now,
    }
    await session.execute(INSERT_PHOTO, values)


async def list_expired(
    session: AsyncSession, *, now: datetime, limit: int
) -> Sequence[tuple[UUID, bytes]]:
    """List (organisation, hash) of pictures past their retention, of all organisations."""
    query = (
        select(Photo.org_id, Photo.hash)
        .where(Photo.kept_until < now)
        .order_by(Photo.kept_until)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def mark_read(session: AsyncSession, org_id: UUID, hash_: bytes) -> None:
    """Let no reader look at a picture again."""
    await session.execute(
        update(Photo).where(Photo.org_id == org_id, Photo.hash == hash_).values(is_unread=False)
    )


async def delete_expired(
    session: AsyncSession, org_id: UUID, hash_: bytes, *, now: datetime
) -> bool:
    """Delete the row of a picture that is past its retention; False if it is kept longer by now."""
    result = await session.execute(DELETE_EXPIRED, {"org_id": org_id, "hash": hash_, "now": now})
    return bool(result.rowcount)  # type: ignore[attr-defined]


async def use_photos(
    session: AsyncSession,
    org_id: UUID,
    subjects: Sequence[tuple[bytes, UUID]],
    *,
    subject_kind: str,
    now: datetime,
) -> set[tuple[bytes, UUID]]:
    """Let pictures be the evidence of acts: (hash, subject), unless they are another's.

    Returns:
        Those that are, from now on or before.
    """
    rows = sorted(dict(reversed(subjects)).items())
    found = await insert_many_returning(
        session, INSERT_USES, rows, org_id=org_id, subject_kind=subject_kind, used_at=now
    )
    used = {(bytes(row[0]), row[1]) for row in found}
    if known := [row[0] for row in rows if row not in used]:
        values = {"org_id": org_id, "subject_kind": subject_kind, "hashes": known}
        used |= {(bytes(row[0]), row[1]) for row in await run(session, FIND_USES, values)}
    return used & set(subjects)


async def use_fresh_photos(
    session: AsyncSession,
    org_id: UUID,
    subjects: Sequence[tuple[bytes, UUID]],
    *,
    subject_kind: str,
    now: datetime,
) -> set[tuple[bytes, UUID]]:
    """Let pictures be the evidence of acts, unless they show a way in or are another's.

    A photo of a vehicle that came in was taken before the act, whosever it is.

    Returns:
        Those that are, from now on or before.
    """
    values = {"org_id": org_id, "hashes": list({photo for photo, _ in subjects})}
    old = {bytes(row[0]) for row in await run(session, FIND_AT_ENTRIES, values)}
    fresh = [one for one in subjects if one[0] not in old]
    if not fresh:
        return set()
    return await use_photos(session, org_id, fresh, subject_kind=subject_kind, now=now)


async def delete_old_uses(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """Forget of what pictures were the evidence long ago, in all organisations; return how many."""
    result = await session.execute(DELETE_OLD_USES, {"before": before, "limit": limit})
    return int(result.rowcount)  # type: ignore[attr-defined]


async def find_hashes(
    session: AsyncSession, org_id: UUID, hashes: Collection[bytes]
) -> Collection[bytes]:
    """Return which of these pictures have a row."""
    if not hashes:
        return []
    query = select(Photo.hash).where(Photo.org_id == org_id, Photo.hash.in_(hashes))
    return (await session.scalars(query)).all()


async def delete_photo(session: AsyncSession, org_id: UUID, hash_: bytes) -> None:
    """Delete the row of a picture that a person asked to have erased."""
    await session.execute(delete(Photo).where(Photo.org_id == org_id, Photo.hash == hash_))
