"""Whose movements are: a phone says who did each and in which shift, and the hub checks it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from ops.postgres.supervisor import Cluster
from tests.world.databases import Template
from tests.world.entries import all_are, count_parked
from tests.world.gates import Gate, KnownGate, a_gate_template
from tests.world.lots import MOTORBIKE, a_lot
from tests.world.offline import EnrolledPhone, a_phone, an_id_at

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A lot with room for fifty motorbikes."""
    with a_gate_template(cluster, capacity={MOTORBIKE: 50}) as template:
        yield template


@pytest.fixture
async def phone(gate: Gate) -> EnrolledPhone:
    """A phone that is enrolled at this lot; nobody is named on it while it sends."""
    return await a_phone(gate)


async def start_shift(client: Any, lot_id: UUID) -> dict[str, str]:
    """Open the shift of who is signed in; return what a phone signs of it."""
    body = {"id": str(new_id()), "lot_id": str(lot_id), "change_vnd": 0}
    answer = await client.post("/v1/shifts", json=body)
    assert answer.status_code == 201, answer.text
    shift = answer.json()
    return {"staff_id": shift["staff_id"], "shift_id": shift["id"]}


async def read_entries(owner: Database) -> list[tuple[str, str | None]]:
    async with owner.begin() as session:
        rows = await session.execute(
            text("SELECT entry_by, entry_shift_id FROM parking_sessions ORDER BY entered_at, id")
        )
        return [(str(row[0]), None if row[1] is None else str(row[1])) for row in rows]


async def list_breaks(owner: Database) -> list[tuple[str, str]]:
    async with owner.begin() as session:
        rows = await session.execute(
            text("SELECT reason, reason_facts ->> 'why' FROM breaks ORDER BY id")
        )
        return [(row[0], row[1]) for row in rows]


def entry_of(phone: EnrolledPhone, who: dict[str, str], **facts: Any) -> dict[str, Any]:
    return phone.entry(**facts) | who


async def test_an_entry_is_of_whom_the_phone_signed_and_not_of_who_sends_it(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    who = await start_shift(gate.attendant, gate.lot.id)

    assert await phone.send(entry_of(phone, who)) == ["opened"]

    assert await read_entries(owner_database) == [(who["staff_id"], who["shift_id"])]
    assert await list_breaks(owner_database) == []


async def test_an_entry_of_anothers_shift_is_kept_and_a_manager_looks_at_it(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    theirs = await start_shift(gate.attendant, gate.lot.id)
    other = await gate.staff("lan", "attendant", lot=gate.lot)
    hers = await start_shift(other, gate.lot.id)
    mixed = theirs | {"staff_id": hers["staff_id"]}

    entry = entry_of(phone, mixed)
    assert await phone.send(entry) == ["opened"]
    assert await phone.send(entry) == ["opened"]

    assert await read_entries(owner_database) == [(hers["staff_id"], None)]
    assert await list_breaks(owner_database) == [("movement_to_check", "other_shift")]


async def test_what_a_manager_has_closed_is_not_opened_again_by_a_repeated_queue(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    who = await start_shift(gate.attendant, gate.lot.id)
    await gate.enter(plate="29AA12345")
    twice = entry_of(phone, who, plate="29AA12345")
    nobodys = entry_of(phone, {"staff_id": str(new_id())})
    queue = (twice, nobodys)
    assert await phone.send(*queue) == ["already_inside", "opened"]
    assert len(await list_breaks(owner_database)) == 2
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE breaks SET closed_at = now(), resolution = 'Đã xem'"))

    assert await phone.send(*queue) == ["already_inside", "opened"]

    assert len(await list_breaks(owner_database)) == 2


@pytest.mark.parametrize(
    ("opened", "closed"),
    [(timedelta(hours=-1), None), (timedelta(hours=-9), timedelta(hours=-3))],
    ids=["before the shift began", "after it was closed"],
)
async def test_an_entry_outside_the_time_of_its_shift_is_looked_at(
    gate: Gate,
    phone: EnrolledPhone,
    owner_database: Database,
    opened: timedelta,
    closed: timedelta | None,
) -> None:
    now = read_clock()
    who = await start_shift(gate.attendant, gate.lot.id)
    async with owner_database.begin() as session:
        await session.execute(
            text(
                "UPDATE shifts SET opened_at = :opened, closed_at = :closed,"
                " counted_vnd = :counted, expected_vnd = :counted"
            ),
            {
                "opened": now + opened,
                "closed": None if closed is None else now + closed,
                "counted": None if closed is None else 0,
            },
        )

    assert await phone.send(entry_of(phone, who, at=now - timedelta(hours=2))) == ["opened"]

    assert await read_entries(owner_database) == [(who["staff_id"], None)]
    assert await list_breaks(owner_database) == [("movement_to_check", "other_shift")]


async def test_an_entry_of_a_shift_at_another_lot_is_looked_at(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    other = await a_lot(gate.hub.services.database, org=gate.lot.org, now=read_clock())
    everywhere = await gate.staff("lan", "attendant")
    hers = await start_shift(everywhere, other.id)

    assert await phone.send(entry_of(phone, hers)) == ["opened"]

    assert await list_breaks(owner_database) == [("movement_to_check", "other_shift")]


@pytest.mark.parametrize("who", ["nobody", "removed before", "of another lot"])
async def test_an_entry_of_who_is_not_of_this_gate_is_the_devices_and_is_looked_at(
    gate: Gate, phone: EnrolledPhone, owner_database: Database, who: str
) -> None:
    other = await a_lot(gate.hub.services.database, org=gate.lot.org, now=read_clock())
    place = other if who == "of another lot" else gate.lot
    theirs = await start_shift(await gate.staff("lan", "attendant", lot=place), place.id)
    if who == "nobody":
        theirs = {"staff_id": str(new_id()), "shift_id": str(new_id())}
    if who == "removed before":
        await disable(owner_database, theirs["staff_id"], hours_ago=3)

    assert await phone.send(entry_of(phone, theirs)) == ["opened"]

    assert await read_entries(owner_database) == [(str(phone.device_id), None)]
    assert await list_breaks(owner_database) == [("movement_to_check", "unknown_person")]


async def test_who_was_removed_after_it_happened_did_let_the_vehicle_in(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    theirs = await start_shift(await gate.staff("lan", "attendant", lot=gate.lot), gate.lot.id)
    entry = entry_of(phone, theirs)
    await disable(owner_database, theirs["staff_id"], hours_ago=-1)

    assert await phone.send(entry) == ["opened"]

    assert await read_entries(owner_database) == [(theirs["staff_id"], theirs["shift_id"])]
    assert await list_breaks(owner_database) == []


async def test_a_phone_on_which_nobody_is_named_says_so_and_nobody_looks(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    assert await phone.send(entry_of(phone, {"staff_id": str(phone.device_id)})) == ["opened"]

    assert await read_entries(owner_database) == [(str(phone.device_id), None)]
    assert await list_breaks(owner_database) == []


async def test_a_movement_of_who_was_chosen_without_a_pin_is_marked(
    gate: Gate, phone: EnrolledPhone
) -> None:
    who = await start_shift(gate.attendant, gate.lot.id)
    checked, unchecked = entry_of(phone, who), entry_of(phone, who)

    assert await phone.send(checked, unchecked | {"is_pin_checked": False}) == ["opened"] * 2

    listed = (await gate.manager.get(f"/v1/lots/{gate.lot.id}/movements")).json()["movements"]
    marks = {one["id"]: one["is_pin_checked"] for one in listed}
    assert marks == {checked["id"]: True, unchecked["id"]: False}


async def test_of_a_batch_each_movement_is_of_its_own_person(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    first = await start_shift(gate.attendant, gate.lot.id)
    second = await start_shift(await gate.staff("lan", "attendant", lot=gate.lot), gate.lot.id)
    now = read_clock()
    at = [now - timedelta(minutes=left) for left in (3, 2, 1)]
    stranger = {"staff_id": str(new_id())}
    queue = [
        entry_of(phone, who, at=when)
        for who, when in zip((first, stranger, second), at, strict=True)
    ]

    assert await phone.send(*queue) == ["opened"] * 3

    people = [by for by, _ in await read_entries(owner_database)]
    assert people == [first["staff_id"], str(phone.device_id), second["staff_id"]]
    assert all_are(await count_parked(owner_database, gate.lot), 3)
    assert await list_breaks(owner_database) == [("movement_to_check", "unknown_person")]


async def test_an_exit_in_anothers_shift_is_applied_and_a_manager_looks_at_it(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    theirs = await start_shift(gate.attendant, gate.lot.id)
    hers = await start_shift(await gate.staff("lan", "attendant", lot=gate.lot), gate.lot.id)
    came_in = entry_of(phone, theirs)
    who = {"staff_id": theirs["staff_id"], "shift_id": hers["shift_id"]}
    out = phone.exit(came_in)
    out["data"] |= who

    assert await phone.send(came_in, out | who) == ["opened", "waiting"]

    with anyio.fail_after(10):
        while True:
            verdict = await read_verdict(owner_database, out["id"])
            if verdict is not None:
                break
            await anyio.sleep(0.02)
    assert verdict == "other_shift"
    async with owner_database.begin() as session:
        assert await session.scalar(text("SELECT status FROM parking_sessions")) == "left"
    assert ("movement_to_check", "other_shift") in await list_breaks(owner_database)


async def test_a_break_that_was_never_written_is_when_the_queue_comes_again(
    gate: Gate, phone: EnrolledPhone, owner_database: Database
) -> None:
    """A process may die between storing a conflict and opening its break."""
    await gate.enter(plate="29AA12345", id=str(an_id_at(read_clock())))
    nobodys = entry_of(phone, {"staff_id": str(new_id())})
    queue = (phone.entry(plate="29AA12345"), nobodys)
    assert await phone.send(*queue) == ["already_inside", "opened"]
    opened = await list_breaks(owner_database)
    async with owner_database.begin() as session:  # both are of one transaction
        await session.execute(text("DELETE FROM breaks"))
        await session.execute(text("UPDATE movements SET handled_at = NULL"))

    assert await phone.send(*queue) == ["already_inside", "opened"]

    assert await list_breaks(owner_database) == opened
    assert len(opened) == 2


async def disable(owner: Database, staff_id: str, *, hours_ago: int) -> None:
    async with owner.begin() as session:
        await session.execute(
            text("UPDATE staff SET disabled_at = :at WHERE id = :id"),
            {"at": read_clock() - timedelta(hours=hours_ago), "id": staff_id},
        )


async def read_verdict(owner: Database, movement_id: str) -> str | None:
    async with owner.begin() as session:
        query = text("SELECT verdict FROM movements WHERE id = :id")
        found: str | None = await session.scalar(query, {"id": movement_id})
        return found
