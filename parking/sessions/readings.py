"""Readings: photos of entries are read by the worker, for a person to confirm.

What was read is a sighting without a plate: raw text, score and candidates, never overwritten. It
becomes a vehicle's plate only where a person says so. Nothing waits for it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.tenancy import open_org_transaction
from parking.photos import queries as photo_queries
from parking.photos.errors import PhotoNotFound
from parking.photos.service import Photos
from parking.plate_reading.types import Reading
from parking.sessions import queries_readings as queries
from parking.sessions.rules import READ_TEXT_CHARS_MAX, SCORE_BPS_MAX

log = structlog.get_logger()

AT_ONCE_MAX: Final = 10  # photos in one round: seconds, which a worker that stops has to finish
READ_WITHIN: Final = timedelta(hours=24)  # older ones, of a time without a reader, stay unread
ENTERS_WITHIN: Final = timedelta(minutes=10)  # an entry names its photo seconds after the upload
CANDIDATES_MAX: Final = 5
COUNTED_FOR: Final = timedelta(days=30)
UNREADABLE: Final = Reading(candidates=(), lines=())


class Reader(Protocol):
    """What reads plates: `parking.plate_reading.reader.PlateReader`."""

    def read(self, photo: bytes) -> Reading:
        """Return the plates that a photo may show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """How a lot's photos were read."""

    right: int
    corrected: int
    not_read: int
    waiting: int  # read, and no plate is known to compare it with

    @property
    def total(self) -> int:
        """How many were read at all."""
        return self.right + self.corrected + self.not_read + self.waiting


async def read_waiting(
    app: Database, worker: Database, photos: Photos, reader: Reader, *, now: datetime
) -> int:
    """Read the photos of new entries, the newest first; return how many. Safe to repeat."""
    async with worker.begin() as session:
        waiting = await queries.list_unread(
            session, since=now - READ_WITHIN, until=now - ENTERS_WITHIN, limit=AT_ONCE_MAX
        )
    count = 0
    for org_id, photo in waiting:
        async with open_org_transaction(app, org_id) as session:
            entries = await queries.find_entries(session, org_id, photo)
            if not entries:  # of a way out, or of nobody
                await photo_queries.mark_read(session, org_id, photo)
        if entries:
            reading = await _read(org_id, photo, photos, reader)
            async with open_org_transaction(app, org_id) as session:
                await _keep(session, org_id, photo, entries, reading, now=now)
            count += 1
    return count


async def suggest_plate(session: AsyncSession, org_id: UUID, session_id: UUID) -> str | None:
    """Return the plate, compact, that the photo of a stay may show; a person decides."""
    candidates = await queries.find_reading(session, org_id, session_id)
    return next((str(one["plate"]) for one in candidates if one["is_valid"]), None)


async def read_accuracy(
    session: AsyncSession, org_id: UUID, lot_id: UUID, *, now: datetime
) -> Accuracy:
    """Count how a lot's photos were read in the last 30 days."""
    right, corrected, not_read, waiting = await queries.count_readings(
        session, org_id, lot_id, since=now - COUNTED_FOR
    )
    return Accuracy(right=right, corrected=corrected, not_read=not_read, waiting=waiting)


async def _read(org_id: UUID, photo: bytes, photos: Photos, reader: Reader) -> Reading:
    try:
        jpeg = await photos.open(org_id, photo)
    except PhotoNotFound:  # erased meanwhile, or this worker has another folder than the hub
        log.warning("plate.not_read", photo=photo.hex()[:12], error="its file is not here")
        return UNREADABLE
    try:
        return await asyncio.to_thread(reader.read, jpeg)
    except Exception as problem:  # networks raise what they like: this photo holds up no other
        log.warning("plate.not_read", photo=photo.hex()[:12], error=repr(problem)[:200])
        return UNREADABLE


async def _keep(
    session: AsyncSession,
    org_id: UUID,
    photo: bytes,
    entries: Any,
    reading: Reading,
    *,
    now: datetime,
) -> None:
    best = reading.candidates[0] if reading.candidates else None
    raw = best.raw_text if best else " ".join(line.text for line in reading.lines)
    for id_, lot_id, session_id, access_id, device_id, seen_by in entries:
        await queries.insert_reading_once(
            session,
            org_id=org_id,
            id=_reading_id(id_),
            lot_id=lot_id,
            session_id=session_id,
            access_id=access_id,
            read_text=raw[:READ_TEXT_CHARS_MAX] or None,
            read_score_bps=_bps(best.score) if best else None,
            candidates=[
                {
                    "plate": one.compact,
                    "score_bps": _bps(one.score),
                    "raw": one.raw_text[:READ_TEXT_CHARS_MAX],
                    "is_valid": one.is_valid,
                }
                for one in reading.candidates[:CANDIDATES_MAX]
            ],
            photo=photo,
            device_id=device_id,
            seen_by=seen_by,
            now=now,
        )
    await photo_queries.mark_read(session, org_id, photo)


def _bps(score: Any) -> int:
    return min(SCORE_BPS_MAX, max(0, int(score * SCORE_BPS_MAX)))


def _reading_id(entry_id: UUID) -> UUID:
    """Make the id of an entry's reading: of the entry's month, and the same whoever makes it."""
    random_bits = (1 << 62) - 1
    drawn = int.from_bytes(sha256(b"reading" + entry_id.bytes).digest()[:8]) & random_bits
    return UUID(int=entry_id.int & ~random_bits | drawn)
