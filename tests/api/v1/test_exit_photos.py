"""Photos of vehicles that leave unpaid or by hand: taken, or left out for a reason that counts."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.tenancy import open_org_transaction
from tests.world.gates import Gate
from tests.world.parking_sessions import a_tariff
from tests.world.served_lots import a_photo

pytestmark = pytest.mark.anyio

NEEDED = (422, "exit_photo_needed")
WHY_NONE = {"no_photo_reason": "Máy ảnh hỏng, hỏi xe 29A1 12345"}
FORCED = ("unconfirmed", "manual", "arrears")


@pytest.fixture
async def gate(gate: Gate) -> Gate:
    """The lot with a tariff."""
    await a_tariff(gate.hub.services.database, gate.lot, now=read_clock())
    return gate


async def leave(
    gate: Gate, client: httpx.AsyncClient, forced: str, **facts: Any
) -> tuple[int, str, str]:
    """Let a vehicle in, and out that way; return (status, code or reason, its id)."""
    entered = await gate.enter()
    body = {"forced": forced, "reason": "Vì thế", **facts}
    path = f"/v1/parking-sessions/{entered['session_id']}/exit"
    answer = await client.post(path, json=body)
    said = answer.json()
    return answer.status_code, said.get("code") or said["reason"], entered["session_id"]


async def upload(gate: Gate, shade: int) -> str:
    sent = {"content": a_photo(shade), "headers": {"Content-Type": "image/png"}}
    kept = await gate.attendant.post(f"/v1/lots/{gate.lot.id}/photos", **sent)
    assert kept.status_code == 201, kept.text
    return str(kept.json()["hash"])


@pytest.mark.slow
async def test_a_vehicle_that_leaves_unpaid_or_by_hand_is_photographed(gate: Gate) -> None:
    for shade, forced in enumerate(FORCED):
        assert (await leave(gate, gate.attendant, forced))[:2] == NEEDED
        assert (await leave(gate, gate.manager, forced))[:2] == NEEDED
        photo = await upload(gate, shade)
        assert (await leave(gate, gate.attendant, forced, photo=photo))[:2] == (200, forced)


async def test_only_who_may_override_does_without_a_photo_of_a_vehicle_that_stands_there(
    gate: Gate,
) -> None:
    for forced in ("unconfirmed", "manual"):
        assert (await leave(gate, gate.attendant, forced, **WHY_NONE))[:2] == NEEDED
        status, reason, stay_id = await leave(gate, gate.manager, forced, **WHY_NONE)
        assert (status, reason) == (200, forced)
        assert await read_audit(gate, stay_id) == "Máy ảnh hỏng, hỏi xe 29A***45"


async def test_one_that_drove_off_leaves_without_a_photo_and_the_reason_is_kept(
    gate: Gate,
) -> None:
    status, reason, stay_id = await leave(gate, gate.attendant, "arrears", **WHY_NONE)

    assert (status, reason) == (200, "arrears")
    assert await read_audit(gate, stay_id) == "Máy ảnh hỏng, hỏi xe 29A***45"


@pytest.mark.slow
@pytest.mark.parametrize("forced", FORCED)
async def test_a_photo_of_a_way_in_is_no_evidence_of_the_way_out(gate: Gate, forced: str) -> None:
    own, others = await upload(gate, 8), await upload(gate, 9)
    entered = await gate.enter(photo=own)
    await gate.enter(photo=others)
    path = f"/v1/parking-sessions/{entered['session_id']}/exit"
    body = {"forced": forced, "reason": "Vì thế"}

    for old in (own, others, own):
        refused = await gate.attendant.post(path, json={**body, "photo": old})
        assert (refused.status_code, refused.json()["code"]) == (409, "photo_used")

    left = await gate.attendant.post(path, json={**body, "photo": await upload(gate, 10)})
    assert (left.status_code, left.json()["reason"]) == (200, forced)


async def test_one_that_owes_nothing_leaves_without_a_photo(gate: Gate) -> None:
    entered = await gate.enter()
    path = f"/v1/parking-sessions/{entered['session_id']}"
    shift = {"id": entered["session_id"], "lot_id": str(gate.lot.id)}
    assert (await gate.attendant.post("/v1/shifts", json=shift)).status_code == 201
    said = (await gate.attendant.post(f"{path}/quotes", json={})).json()
    money = {"amount_vnd": said["amount_vnd"], "quote": said["quote"]}
    cash = {"id": entered["session_id"], "rail": "cash", **money}
    assert (await gate.attendant.post(f"{path}/collections", json=cash)).status_code == 201

    body = {"forced": "unconfirmed", "reason": "Đã chuyển"}
    left = await gate.attendant.post(f"{path}/exit", json=body)

    assert (left.status_code, left.json()["reason"]) == (200, "paid")


async def read_audit(gate: Gate, stay_id: str) -> str | None:
    """Return why there is no photo, as the audit log says it."""
    query = text("""
        SELECT after->>'no_photo' FROM audit_log
        WHERE object_id = CAST(:id AS uuid) AND action = 'parking_session.let_out'""")
    async with open_org_transaction(gate.hub.services.database, gate.lot.org.id) as session:
        found: str | None = (await session.execute(query, {"id": stay_id})).scalar_one()
    return found
