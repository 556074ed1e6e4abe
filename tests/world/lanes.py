"""A lot whose way out has a controller."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.world.constants import NOON
from tests.world.gates import Gate
from tests.world.lots import LotFacts

PHOTO = bytes(range(32))


async def a_served_lane(database: Database, lot: LotFacts) -> UUID:
    """Let the way out of a lot open on command, and keep a photo; return the lane."""
    values = {"org": lot.org.id, "id": lot.way_out_id, "lot": lot.id, "hash": PHOTO, "now": NOON}
    async with open_org_transaction(database, lot.org.id) as session:
        await session.execute(
            text("UPDATE parking_accesses SET has_controller = true WHERE id = :id"), values
        )
        await session.execute(
            text(
                "INSERT INTO photos (org_id, hash, lot_id, width, height, size_bytes, taken_by,"
                " stored_at, kept_until) VALUES (:org, :hash, :lot, 1, 1, 1, :lot, :now, :now)"
            ),
            values,
        )
    return lot.way_out_id


async def a_controller_key(gate: Gate, *, lot_id: UUID | None = None) -> str:
    """Make the key of a lane's controller; of the gate's lot unless another is named."""
    body = {
        "name": "Thanh chắn",
        "scopes": ["lanes.serve"],
        "lot_id": str(lot_id or gate.lot.id),
    }
    answer = await gate.manager.post("/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    key: str = answer.json()["key"]
    return key


def controller_of(gate: Gate, key: str) -> httpx.AsyncClient:
    """Return a controller that asks with a key."""
    return gate.hub.new_client(Authorization=f"Bearer {key}")


def by_hand(**facts: Any) -> dict[str, Any]:
    """Return the body of an opening by hand."""
    return {"id": str(new_id()), "reason": "Xe cứu thương", "photo": PHOTO.hex(), **facts}
