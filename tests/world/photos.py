"""Photos that are kept, without a camera."""

from hashlib import sha256
from uuid import UUID

from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from tests.world.constants import NOON
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
