"""API keys: their scopes, their end, their rotation, and when they were used last."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from core.clock import read_clock
from core.db import Database
from identity.people.models import ApiKey
from tests.world.cities import add_market, set_up_city
from tests.world.hubs import Hub

pytestmark = pytest.mark.anyio


async def test_an_api_key_does_what_its_scopes_say_and_no_more(
    hub: Hub, owner_database: Database
) -> None:
    admin = await set_up_city(hub)
    machine = await hub.machine(admin, "bills.read")

    me = await machine.get("/v1/me")
    staff = await machine.get("/v1/staff")

    assert me.json()["permissions"] == ["bills.read"]
    assert staff.json()["code"] == "forbidden"
    async with owner_database.begin() as session:
        key = (await session.scalars(select(ApiKey))).one()
        assert key.secret_hash not in (b"", None)
    text_of_key = machine.headers["Authorization"].removeprefix("Bearer ")
    assert text_of_key.startswith(f"pp_test_HANX_{key.prefix}_")


async def test_keys_get_no_scope_over_people_and_none_that_their_maker_lacks(hub: Hub) -> None:
    admin = await set_up_city(hub)
    for scope in ("staff.manage", "keys.manage", "accounts.approve"):
        answer = await admin.post("/v1/keys", json={"name": "x", "scopes": [scope]})
        assert answer.json()["code"] == "scope_not_grantable"


async def test_a_wrong_foreign_or_malformed_key_is_nobody(hub: Hub) -> None:
    admin = await set_up_city(hub)
    await add_market(admin)
    machine = await hub.machine(admin, "bills.read")
    good = machine.headers["Authorization"]
    bad = [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good.replace("HANX", "DXA2"),
        good.replace("pp_test", "pp_live"),
        "Bearer nonsense",
        "Bearer " + "x" * 5_000,
    ]

    for header in bad:
        answer = await hub.client.get("/v1/me", headers={"Authorization": header})
        assert (answer.status_code, answer.json()["code"]) == (401, "api_key_not_valid")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_revoked_key_ends(hub: Hub) -> None:
    admin = await set_up_city(hub)
    machine = await hub.machine(admin, "bills.read")
    assert (await machine.get("/v1/me")).status_code == 200
    key_id = (await admin.get("/v1/keys")).json()["keys"][0]["id"]

    await admin.delete(f"/v1/keys/{key_id}", params={"reason": "lộ khoá"})

    assert (await machine.get("/v1/me")).json()["code"] == "api_key_not_valid"


async def test_a_rotated_key_holds_through_the_overlap(hub: Hub, owner_database: Database) -> None:
    admin = await set_up_city(hub)
    old = await hub.machine(admin, "bills.read")
    key_id = (await admin.get("/v1/keys")).json()["keys"][0]["id"]

    rotated = await admin.post(f"/v1/keys/{key_id}/rotate", json={"overlap_s": 3_600})
    new = hub.new_client(Authorization=f"Bearer {rotated.json()['key']}")

    assert rotated.status_code == 201
    assert [(await c.get("/v1/me")).status_code for c in (old, new)] == [200, 200]
    async with owner_database.begin() as session:
        past = read_clock() - timedelta(seconds=1)
        await session.execute(
            text("UPDATE api_keys SET expires_at = :past WHERE id = :id"),
            {"past": past, "id": key_id},
        )
    hub.services.directory.keys.clear()
    assert [(await c.get("/v1/me")).status_code for c in (old, new)] == [401, 200]
    again = await admin.post(f"/v1/keys/{key_id}/rotate", json={})
    assert again.json()["code"] == "api_key_closed"


async def test_a_keys_last_use_is_written_beside_the_requests(
    hub: Hub, owner_database: Database
) -> None:
    machine = await hub.machine(await set_up_city(hub), "bills.read")
    await machine.get("/v1/me")

    written = [await hub.services.directory.write_key_uses() for _ in range(2)]
    await machine.get("/v1/me")  # within the same minute
    written.append(await hub.services.directory.write_key_uses())

    assert written == [1, 0, 0]
    async with owner_database.begin() as session:
        assert (await session.scalars(select(ApiKey.last_used_at))).one() is not None


async def test_a_key_whose_end_is_past_is_not_made(hub: Hub) -> None:
    admin = await set_up_city(hub)
    now = read_clock()

    def body(ends_at: datetime) -> dict[str, Any]:
        return {"name": "till", "scopes": ["bills.read"], "expires_at": ends_at.isoformat()}

    for ends_at in (datetime(2001, 1, 1, tzinfo=UTC), now - timedelta(seconds=1), now):
        refused = await admin.post("/v1/keys", json=body(ends_at))
        assert (refused.status_code, refused.json()["code"]) == (422, "key_over_already")
        assert refused.json()["violations"][0]["field"] == "expires_at"
    made = await admin.post("/v1/keys", json=body(now + timedelta(minutes=1)))

    assert made.status_code == 201
    assert len((await admin.get("/v1/keys")).json()["keys"]) == 1
