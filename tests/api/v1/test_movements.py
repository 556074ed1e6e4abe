"""Movements of phones that were offline: stored once, decided at once, conflicts for people."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from identity.devices.models import Device
from ops.postgres.supervisor import Cluster
from tests.world.databases import Template
from tests.world.entries import all_are, count_parked
from tests.world.gates import CODE, Gate, KnownGate, a_gate_template
from tests.world.lots import MOTORBIKE, a_lot
from tests.world.offline import EnrolledPhone, a_phone, an_id_at

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A lot with room for five motorbikes."""
    with a_gate_template(cluster, capacity={MOTORBIKE: 5}) as template:
        yield template


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone that is enrolled at this lot."""
    return await a_phone(gate)


async def test_a_phone_enters_a_vehicle_online(gate: Gate, phone: EnrolledPhone) -> None:
    answer = await phone.client.post(gate.entries_path, json=gate.body())
    assert answer.status_code == 201, answer.text

    other = await a_lot(gate.hub.services.database, org=gate.lot.org, now=read_clock())
    refused = await phone.client.post(f"/v1/lots/{other.id}/entries", json=gate.body())
    assert refused.status_code == 403


async def test_entries_of_a_queue_are_decided_and_a_queue_may_come_twice(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    queue = [phone.entry() for _ in range(4)]

    assert await phone.send(*queue) == ["opened"] * 4
    assert await phone.send(*queue) == ["opened"] * 4

    assert all_are(await count_parked(owner_database, gate.lot), 4)
    listed = (await gate.manager.get(f"/v1/lots/{gate.lot.id}/movements")).json()["movements"]
    assert [one["verdict"] for one in listed] == ["opened"] * 4
    assert all(one["handled_at"] for one in listed)


async def test_an_entry_whose_answer_was_lost_is_a_repeat_in_the_queue(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    body = gate.body()
    await phone.client.post(gate.entries_path, json=body)

    assert await phone.send(phone.movement("entry", entry=body)) == ["repeat"]
    assert all_are(await count_parked(owner_database, gate.lot), 1)


async def test_vehicles_that_came_in_offline_are_in_although_the_lot_is_full(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    assert await phone.send(*[phone.entry() for _ in range(7)]) == ["opened"] * 7
    assert all_are(await count_parked(owner_database, gate.lot), 7)
    assert (await gate.enter())["verdict"] == "full"


async def test_the_time_of_an_entry_is_the_corrected_one(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    happened_at = read_clock() - timedelta(hours=3)
    wrong_clock = happened_at - timedelta(days=400)
    entry = phone.entry(at=happened_at)
    entry |= {"device_at": wrong_clock.isoformat(), "offset_ms": 400 * 86_400_000}

    assert await phone.send(entry) == ["opened"]

    async with owner_database.begin() as session:
        query = text("SELECT entered_at, entry_time_is FROM parking_sessions")
        row = (await session.execute(query)).one()
    assert (row.entered_at, row.entry_time_is) == (happened_at, "device")


async def test_a_stay_that_began_and_ended_offline_is_written_closed(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    now = read_clock()
    first = phone.entry(at=now - timedelta(hours=4), plate="29AA12345")
    out = phone.exit(first, at=now - timedelta(hours=3))
    second = phone.entry(at=now - timedelta(hours=2), plate="29AA12345")

    assert await phone.send(first, out, second) == ["opened", "waiting", "opened"]

    assert all_are(await count_parked(owner_database, gate.lot), 1)
    async with owner_database.begin() as session:
        query = text("SELECT status, left_at FROM parking_sessions ORDER BY entered_at")
        rows = (await session.execute(query)).all()
    assert [row.status for row in rows] == ["left", "inside"]
    assert rows[0].left_at == now - timedelta(hours=3)


async def test_an_exit_from_a_queue_is_applied_at_once_without_the_worker(
    gate: Gate, phone: EnrolledPhone
) -> None:
    now = read_clock()
    came_in = phone.entry(at=now - timedelta(hours=4))
    out = phone.exit(came_in, at=now - timedelta(hours=3))

    assert await phone.send(came_in, out) == ["opened", "waiting"]

    path = f"/v1/lots/{gate.lot.id}/movements"
    with anyio.fail_after(10):
        while True:
            listed = (await gate.manager.get(path)).json()["movements"]
            if all(one["handled_at"] for one in listed):
                break
            await anyio.sleep(0.02)
    assert len(listed) == 2


async def test_a_vehicle_inside_by_another_report_is_a_break_and_no_second_stay(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    await gate.enter(plate="29AA12345")
    entry = phone.entry(plate="29AA12345")

    assert await phone.send(entry) == ["already_inside"]
    assert await phone.send(entry) == ["already_inside"]

    assert all_are(await count_parked(owner_database, gate.lot), 1)
    breaks = await list_breaks(owner_database)
    assert [(k, r) for k, r, _ in breaks] == [("parking_conflict", "vehicle_inside_already")]
    assert "29AA12345" not in str(breaks)
    page = await gate.admin.get("/manage/breaks", params={"org": CODE})
    assert "29A***45" in page.text


async def test_a_closed_stay_that_overlaps_another_is_a_break(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    now = read_clock()
    await gate.enter(plate="29AA12345", id=str(an_id_at(now)))
    first = phone.entry(at=now - timedelta(hours=4), plate="29AA12345")
    out = phone.exit(first, at=now + timedelta(minutes=1))

    assert await phone.send(first, out) == ["opened", "waiting"]

    assert "stays_overlap" in [r for _, r, _ in await list_breaks(owner_database)]


async def test_a_revoked_phone_may_send_what_it_recorded_before(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    now = read_clock()
    async with open_org_transaction(gate.hub.services.database, gate.lot.org.id) as session:
        device = await session.get_one(Device, (gate.lot.org.id, phone.device_id))
        device.revoked_at = now - timedelta(hours=1)
    gate.hub.services.device_tokens.revocations.add_device(gate.lot.org.id, phone.device_id)

    before = phone.entry(at=now - timedelta(hours=2))
    after = phone.entry(at=now - timedelta(minutes=5))

    assert await phone.send(before, after) == ["opened", "after_revocation"]
    assert (await phone.client.post(gate.entries_path, json=gate.body())).status_code == 401
    breaks = sorted((r, f["why"]) for _, r, f in await list_breaks(owner_database))
    assert breaks == [
        ("movement_not_accepted", "after_revocation"),
        ("movement_to_check", "sent_after_revocation"),  # it counts: one for all of its queue
    ]
    assert all_are(await count_parked(owner_database, gate.lot), 1)


async def test_each_movement_is_verified_and_read_for_itself(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    stranger = await a_phone(gate)
    good, forged = phone.entry(), phone.sign(phone.entry())
    forged["body"] = forged["body"].replace("motorbike", "car")
    old = phone.entry(at=read_clock() - timedelta(hours=80))
    ahead = phone.entry(at=read_clock() + timedelta(hours=1))
    boat = phone.entry(vehicle_class="boat")
    nul = phone.entry(plate="29AA\x0012345")
    empty = phone.movement("entry")

    signed = [
        forged,
        stranger.sign(phone.entry()),
        phone.sign(good),
        phone.sign(old),
        phone.sign(ahead),
        phone.sign(boat),
        phone.sign(nul),
        phone.sign(empty),
        {"body": "{}", "signature": "!"},
        phone.sign({}),
        phone.sign(good),
    ]
    answer = await phone.post(signed)

    assert [one["verdict"] for one in answer.json()["results"]] == [
        "bad_signature",
        "bad_signature",
        "opened",
        "too_old",
        "ahead",
        "unreadable",
        "unreadable",
        "refused",
        "bad_signature",
        "unreadable",
        "unreadable",
    ]
    assert all_are(await count_parked(owner_database, gate.lot), 1)


async def test_only_an_enrolled_phone_of_the_lot_reports_movements(
    gate: Gate, phone: EnrolledPhone
) -> None:
    signed = [phone.sign(phone.entry())]
    path = f"/v1/lots/{gate.lot.id}/movements"

    assert (await gate.manager.post(path, json={"movements": signed})).status_code == 401
    for body in ({"movements": []}, {"movements": signed * 1_001}, {"movements": signed, "x": 1}):
        assert (await phone.client.post(path, json=body)).status_code == 422


async def test_two_phones_that_report_the_same_vehicle_open_one_stay(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    other = await a_phone(gate)
    entries = [[one.entry(plate=f"29AA1000{n}") for n in range(5)] for one in (phone, other)]

    told = await asyncio.gather(phone.send(*entries[0]), other.send(*reversed(entries[1])))

    assert sorted(told[0] + told[1]) == ["already_inside"] * 5 + ["opened"] * 5
    assert all_are(await count_parked(owner_database, gate.lot), 5)


async def test_who_is_inside_is_found_by_plate_look_alike_ticket_and_last_digits(
    gate: Gate,
) -> None:
    await gate.enter(plate="29AA12345")
    await gate.enter(plate="30BB98345")
    await gate.enter(plate=None, ticket="A0000123")
    path = f"/v1/lots/{gate.lot.id}/sessions"

    for q, found in (
        ("29-AA 123.45", [("29AA12345", "exact")]),
        ("29AA12346", [("29AA12345", "look_alike")]),
        ("345", [("29AA12345", "last_digits"), ("30BB98345", "last_digits")]),
        ("2345", [("29AA12345", "last_digits")]),
        ("a0000123", [(None, "exact")]),
        ("77ZZ11111", []),
    ):
        answer = await gate.attendant.get(path, params={"q": q})
        got = [(one["plate"], one["found_by"]) for one in answer.json()["sessions"]]
        assert sorted(got, key=str) == sorted(found, key=str), q
    assert len((await gate.attendant.get(path)).json()["sessions"]) == 3
    room = (await gate.attendant.get(f"/v1/lots/{gate.lot.id}/occupancy")).json()
    assert [(one["inside_count"], one["capacity"]) for one in room["classes"]] == [(3, 5)]
    foreign = await a_lot(gate.hub.services.database, now=read_clock())
    for what in ("occupancy", "sessions", "movements"):
        answer = await gate.attendant.get(f"/v1/lots/{foreign.id}/{what}")
        assert answer.status_code == 403, what
    gone = await gate.manager.get(f"/v1/lots/{foreign.id}/occupancy")
    assert gone.status_code == 404
    assert CODE not in gone.text


async def list_breaks(owner_database: Database) -> list[tuple[str, str, dict[str, object]]]:
    """List (kind, reason, facts) of what is open."""
    async with owner_database.begin() as session:
        query = text("SELECT kind, reason, reason_facts FROM breaks WHERE closed_at IS NULL")
        return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def test_a_plate_that_is_read_later_names_the_vehicle_of_a_ticket(
    gate: Gate, owner_database: Database
) -> None:
    first = await gate.enter(plate=None, ticket="A0000123")
    path = f"/v1/lots/{gate.lot.id}/sessions/{first['session_id']}/plate"
    body = {"plate": "29-AA 123.45", "vehicle_class": "motorbike"}

    for _ in range(2):
        answer = await gate.attendant.post(path, json=body)
        assert answer.json() == {"is_conflict": False}, answer.text

    assert (await gate.enter(plate="29AA12345"))["session_id"] == first["session_id"]
    other = await gate.attendant.post(path, json={**body, "plate": "29AA99999"})
    assert other.status_code == 409
    assert all_are(await count_parked(owner_database, gate.lot), 1)


async def test_a_plate_that_is_inside_already_is_a_break_and_both_stays_are_still_found(
    gate: Gate, owner_database: Database
) -> None:
    by_plate = await gate.enter(plate="29AA12345")
    by_ticket = await gate.enter(plate=None, ticket="A0000123")
    path = f"/v1/lots/{gate.lot.id}/sessions/{by_ticket['session_id']}/plate"
    body = {"plate": "29AA12345", "vehicle_class": "motorbike"}

    for _ in range(2):
        answer = await gate.attendant.post(path, json=body)
        assert answer.json() == {"is_conflict": True}, answer.text

    assert [r for _, r, _ in await list_breaks(owner_database)] == ["vehicle_inside_already"]
    assert (await gate.enter(plate="29AA12345"))["session_id"] == by_plate["session_id"]
    again = await gate.enter(plate=None, ticket="A0000123")
    assert again["session_id"] == by_ticket["session_id"]
