"""Photos that a lot requires, and those that come after their vehicle."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from ops.postgres.supervisor import Cluster
from tests.world.databases import Template
from tests.world.gates import Gate, KnownGate, a_gate_template, find_gate
from tests.world.hubs import Hub
from tests.world.lots import MOTORBIKE, a_lot
from tests.world.offline import EnrolledPhone, a_phone

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A lot with room for fifty motorbikes."""
    with a_gate_template(cluster, capacity={MOTORBIKE: 50}) as template:
        yield template


@pytest.fixture
async def gate(gate: Gate) -> Gate:
    """A lot that requires a photo of each vehicle."""
    path = f"/v1/lots/{gate.lot.id}"
    answer = await gate.manager.patch(path, json={"photo_required": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["photo_required"] is True
    return gate


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone that is enrolled at this lot."""
    return await a_phone(gate)


async def upload(gate: Gate, colour: str = "navy") -> str:
    """Let the attendant send a photo; return its hash."""
    picture = BytesIO()
    Image.new("RGB", (320, 160), colour).save(picture, "JPEG")
    answer = await gate.attendant.post(
        f"/v1/lots/{gate.lot.id}/photos",
        content=picture.getvalue(),
        headers={"Content-Type": "image/jpeg"},
    )
    assert answer.status_code == 201, answer.text
    hash_: str = answer.json()["hash"]
    return hash_


async def attach(gate: Gate, session_id: str, **facts: Any) -> httpx.Response:
    path = f"/v1/lots/{gate.lot.id}/sessions/{session_id}/photos"
    return await gate.attendant.post(path, json={"id": str(new_id()), **facts})


async def read_stay(owner: Database, session_id: str) -> tuple[Any, ...]:
    query = text(
        "SELECT encode(entry_photo, 'hex'), encode(exit_photo, 'hex'), is_photo_missing"
        " FROM parking_sessions WHERE id = :id"
    )
    async with owner.begin() as session:
        row = (await session.execute(query, {"id": session_id})).one()
    return tuple(row)


async def count_sightings(owner: Database, session_id: str) -> int:
    query = text("SELECT count(*) FROM observations WHERE session_id = :id")
    async with owner.begin() as session:
        return int(await session.scalar(query, {"id": session_id}) or 0)


async def test_an_entry_without_the_required_photo_is_let_in_and_says_so(
    gate: Gate, owner_database: Database
) -> None:
    bare = await gate.enter()
    seen = await gate.enter(photo=await upload(gate))

    assert (bare["verdict"], bare["is_photo_missing"]) == ("opened", True)
    assert (seen["verdict"], seen["is_photo_missing"]) == ("opened", False)
    assert (await read_stay(owner_database, bare["session_id"]))[2] is True


async def test_a_lot_that_requires_none_misses_none(
    hub: Hub, gate_template: Template[KnownGate]
) -> None:
    gate = find_gate(hub, gate_template.holds)

    assert (await gate.enter())["is_photo_missing"] is False


@pytest.mark.parametrize("second", ["repeat", "already_inside"])
async def test_an_answer_that_opens_nothing_misses_no_photo(gate: Gate, second: str) -> None:
    body = gate.body(plate="29AA12345")
    await gate.attendant.post(gate.entries_path, json=body)
    again = body if second == "repeat" else gate.body(plate="29AA12345")

    answer = (await gate.attendant.post(gate.entries_path, json=again)).json()

    assert (answer["verdict"], answer["is_photo_missing"]) == (second, False)


async def test_a_shift_counts_the_vehicles_without_a_photo(
    gate: Gate, owner_database: Database
) -> None:
    opened = await gate.attendant.post(
        "/v1/shifts", json={"id": str(new_id()), "lot_id": str(gate.lot.id)}
    )
    shift_path = f"/v1/shifts/{opened.json()['id']}"
    bare = await gate.enter()
    await gate.enter()
    await gate.enter(photo=await upload(gate))
    assert (await gate.attendant.get(shift_path)).json()["without_photo"] == 2

    late = await attach(gate, bare["session_id"], photo=await upload(gate, "maroon"))

    assert late.status_code == 201, late.text
    report = (await gate.attendant.get(shift_path)).json()
    assert (report["entered"], report["without_photo"]) == (3, 1)


async def test_a_photo_that_comes_later_is_a_sighting_of_its_own_and_comes_once(
    gate: Gate, owner_database: Database
) -> None:
    stay = (await gate.enter())["session_id"]
    hash_, photo_id = await upload(gate), str(new_id())
    taken_at = (read_clock() - timedelta(hours=1)).isoformat()
    body = {"id": photo_id, "photo": hash_, "taken_at": taken_at}

    answers = [await attach(gate, stay, **body) for _ in range(2)]

    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert await read_stay(owner_database, stay) == (hash_, None, False)
    assert await count_sightings(owner_database, stay) == 2  # at the way in, and the photo


async def test_the_same_photo_sent_twice_at_once_is_attached_once(
    gate: Gate, owner_database: Database
) -> None:
    stay = (await gate.enter())["session_id"]
    hash_, photo_id = await upload(gate), str(new_id())

    answers = await asyncio.gather(
        *(attach(gate, stay, id=photo_id, photo=hash_) for _ in range(6))
    )

    assert [one.status_code for one in answers] == [201] * 6
    assert await count_sightings(owner_database, stay) == 2


async def test_a_photo_of_the_way_out_is_the_exits_and_the_first_photo_stays(
    gate: Gate, owner_database: Database
) -> None:
    first = await upload(gate)
    stay = (await gate.enter(photo=first))["session_id"]
    second, out = await upload(gate, "olive"), await upload(gate, "teal")

    assert (await attach(gate, stay, photo=second)).status_code == 201
    assert (await attach(gate, stay, photo=out, direction="out")).status_code == 201

    assert await read_stay(owner_database, stay) == (first, out, False)


async def test_one_id_is_one_photo_of_one_stay(gate: Gate) -> None:
    stay, other = (await gate.enter())["session_id"], (await gate.enter())["session_id"]
    hash_, photo_id = await upload(gate), str(new_id())
    await attach(gate, stay, id=photo_id, photo=hash_)

    elsewhere = await attach(gate, other, id=photo_id, photo=hash_)
    another = await attach(gate, stay, id=photo_id, photo=await upload(gate, "olive"))

    for one in (elsewhere, another):
        assert (one.status_code, one.json()["code"]) == (409, "photo_id_taken")


async def test_only_an_uploaded_photo_is_attached_and_only_to_a_stay_of_the_lot(
    gate: Gate, app_database: Database
) -> None:
    stay, hash_ = (await gate.enter())["session_id"], await upload(gate)
    never_sent = await attach(gate, stay, photo="0" * 64)
    nowhere = await attach(gate, str(new_id()), photo=hash_)
    bad_id = await attach(gate, stay, id="6f1f3b6e-1c1a-4d6b-8f2f-0a1b2c3d4e5f", photo=hash_)
    other = await a_lot(app_database, org=gate.lot.org)
    path = f"/v1/lots/{other.id}/sessions/{stay}/photos"
    body = {"id": str(new_id()), "photo": hash_}
    elsewhere = await gate.manager.post(path, json=body)

    assert (never_sent.status_code, never_sent.json()["code"]) == (404, "photo_not_found")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "parking_stay_not_found")
    assert bad_id.status_code == 422
    assert elsewhere.status_code in (403, 404)


async def test_an_entry_that_a_phone_kept_misses_its_photo_until_it_comes(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    entry = phone.entry(at=read_clock() - timedelta(hours=2))
    assert await phone.send(entry) == ["opened"]
    stay = entry["entry"]["id"]
    assert await read_stay(owner_database, stay) == (None, None, True)
    hash_ = await upload(gate)
    path = f"/v1/lots/{gate.lot.id}/sessions/{stay}/photos"

    sent = await phone.client.post(path, json={"id": str(new_id()), "photo": hash_})

    assert sent.status_code == 201, sent.text
    assert await read_stay(owner_database, stay) == (hash_, None, False)


async def test_a_photo_is_attached_to_one_vehicle(gate: Gate) -> None:
    stays = [(await gate.enter())["session_id"] for _ in range(2)]
    photo = await upload(gate, "olive")
    facts = {"photo": photo, "direction": "in"}

    first, again = [await attach(gate, stays[0], **facts) for _ in range(2)]
    other = await attach(gate, stays[1], **facts)

    assert (first.status_code, again.status_code) == (201, 201)
    assert (other.status_code, other.json()["code"]) == (409, "photo_used")


async def test_one_photo_is_no_evidence_of_two_vehicles_that_left(gate: Gate) -> None:
    hash_ = await upload(gate)
    first, second = [(await gate.enter())["session_id"] for _ in range(2)]

    kept = [await attach(gate, first, photo=hash_, direction="out") for _ in range(2)]
    again = await attach(gate, second, photo=hash_, direction="out")

    assert [one.status_code for one in kept] == [201, 201]
    assert (again.status_code, again.json()["code"]) == (409, "photo_used")
