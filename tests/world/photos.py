"""Photos that are kept, without a camera: a row alone, or rows with their files."""

from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import UUID

from PIL import Image
from sqlalchemy import text

from core.db import Database
from core.sealing import derive_key
from core.tenancy import open_org_transaction
from parking.photos.rules import LINK_KEY, Picture
from parking.photos.service import Photos
from parking.photos.store import FolderStore
from tests.world.constants import MANAGER, NOON
from tests.world.databases import TEST_SECRET_KEY
from tests.world.lots import LotFacts
from tests.world.serials import next_number


async def a_photo(database: Database, org_id: UUID) -> bytes:
    """Keep a photo that no other test has; return its hash."""
    hash_ = sha256(f"photo {next_number()}".encode()).digest()
    async with open_org_transaction(database, org_id) as session:
        await session.execute(
            text(
                "INSERT INTO photos (org_id, hash, width, height, size_bytes, taken_by, stored_at,"
                " kept_until) VALUES (:org, :hash, 1, 1, 1, :org, :now, :now)"
            ),
            {"org": org_id, "hash": hash_, "now": NOON},
        )
    return hash_


async def an_entry_photo(database: Database, org_id: UUID, stay_id: UUID) -> bytes:
    """Keep a photo that a stay's vehicle came in with; return its hash."""
    hash_ = await a_photo(database, org_id)
    async with open_org_transaction(database, org_id) as session:
        await session.execute(
            text(
                "INSERT INTO observations (org_id, id, lot_id, session_id, direction, method,"
                " photo, seen_by, seen_at) SELECT org_id, id, lot_id, id, 'in', 'visual', :hash,"
                " entry_by, entered_at FROM parking_sessions WHERE id = :stay"
            ),
            {"stay": stay_id, "hash": hash_},
        )
    return hash_


def photos_in(folder: Path, database: Database) -> Photos:
    """Return what keeps the photos of an installation that has the tests' key."""
    return Photos(
        database,
        FolderStore(folder),
        link_key=derive_key(TEST_SECRET_KEY, LINK_KEY),
        kept_for=timedelta(days=90),
    )


async def keep_photos(photos: Photos, lot: LotFacts, count: int) -> list[Picture]:
    """Keep pictures that no other test has, files and rows, as a phone sent them."""
    assert MANAGER.id is not None
    kept = []
    for _ in range(count):
        picture, number = Image.new("RGB", (256, 32), "navy"), next_number()
        for bit in range(32):  # a column for each, so that no two pictures become one JPEG
            if number >> bit & 1:
                picture.paste("white", (8 * bit, 0, 8 * bit + 8, 32))
        sent = BytesIO()
        picture.save(sent, "PNG")
        kept.append(
            await photos.add(lot.org.id, lot.id, sent.getvalue(), taken_by=MANAGER.id, now=NOON)
        )
    return kept
