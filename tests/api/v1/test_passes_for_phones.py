"""The list of passes that a lot's phones keep: what is in it, and what it costs the hub."""

import hmac
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import hanoi_day, read_clock
from core.tenancy import open_org_transaction
from parking.passes.models import PassPlate
from parking.passes.queries import PHONE_PLATES_MAX, find_phone_plates
from parking.vehicles import VehicleClass
from tests.world.gates import Gate
from tests.world.lots import CAR, MOTORBIKE, a_lot
from tests.world.passes import a_pass_in_force

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MANY = 1_000


@pytest.fixture
def path(gate: Gate) -> str:
    """Where a phone of the gate asks for its list."""
    return f"/v1/lots/{gate.lot.id}/passes"


async def give(
    gate: Gate, plates: Sequence[str], *, vehicle_class: VehicleClass = MOTORBIKE
) -> UUID:
    """Give these vehicles one pass for a month from today on, at every lot of the operator."""
    today = hanoi_day(read_clock())
    return await a_pass_in_force(
        gate.hub.services.database,
        gate.lot.org.id,
        plates=plates,
        vehicle_class=vehicle_class,
        valid_from=today,
        valid_until=today + timedelta(days=29),
    )


async def add(gate: Gate, pass_id: UUID, vehicle_class: VehicleClass, *plates: str) -> None:
    """Add vehicles to a pass: of any class and as many as one likes, as no use case does."""
    org_id = gate.lot.org.id
    async with open_org_transaction(gate.hub.services.database, org_id) as session:
        session.add_all(
            PassPlate(
                org_id=org_id, pass_id=pass_id, vehicle_class=vehicle_class.value, plate=plate
            )
            for plate in plates
        )


def many_plates(count: int) -> list[str]:
    return [f"29B1{number:05}" for number in range(count)]


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """Count the calls of this thread, which the hub's event loop runs in."""
    calls, before = [0], sys.getprofile()

    def count(_frame: FrameType, event: str, _arg: Any) -> None:
        calls[0] += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


async def test_the_event_loop_does_no_work_for_each_vehicle_of_a_phones_list(
    gate: Gate, path: str
) -> None:
    """Vehicles come in and wait meanwhile: 5,000 hashes are a whole answer's time."""
    counts: list[tuple[int, int]] = []
    for count in (1, MANY):
        await add(gate, await give(gate, ["29B112345"]), MOTORBIKE, *many_plates(count))
        known = {"If-None-Match": (await gate.attendant.get(path)).headers["etag"]}
        with counted_calls() as whole:
            first = await gate.attendant.get(path)
        with counted_calls() as unchanged:
            again = await gate.attendant.get(path, headers=known)
        assert (first.status_code, again.status_code) == (200, 304)
        counts.append((whole[0], unchanged[0]))

    (whole_few, unchanged_few), (whole_many, unchanged_many) = counts
    assert unchanged_many - unchanged_few < MANY
    assert whole_many - whole_few < MANY


async def test_a_list_says_hashes_kinds_and_days_in_the_order_of_passes_and_vehicles(
    gate: Gate, path: str
) -> None:
    first = await give(gate, ["30F12345", "29B112345"])
    second = await give(gate, ["30F12345"], vehicle_class=CAR)
    today = hanoi_day(read_clock())

    listed = (await gate.attendant.get(path)).json()

    key = bytes.fromhex(listed["key"])
    days = {
        "valid_from": today.isoformat(),
        "valid_until": (today + timedelta(days=29)).isoformat(),
    }
    assert listed["is_complete"] is True
    assert listed["plates"] == [
        {
            "plate_hash": hmac.digest(key, vehicle.encode(), "sha256").hex()[:32],
            "pass_id": str(pass_id),
            "kind": "monthly",
            **days,
        }
        for pass_id, vehicle in (
            (first, "motorbike:29B112345"),
            (first, "motorbike:30F12345"),
            (second, "car:30F12345"),
        )
    ]


async def test_a_list_is_the_same_by_whichever_way_the_database_reads_it(gate: Gate) -> None:
    """One plate in two classes is the tie that is left when passes and plates are in order."""
    org_id, today = gate.lot.org.id, hanoi_day(read_clock())
    pass_id = await give(gate, ["29B112345"])
    await add(gate, pass_id, CAR, "29B112345")
    found: list[tuple[str, str | None]] = []
    async with open_org_transaction(gate.hub.services.database, org_id) as session:
        for way in ("indexscan", "bitmapscan", "seqscan"):
            for other in ("indexscan", "indexonlyscan", "bitmapscan", "seqscan"):
                is_on = other.endswith(way)
                await session.execute(text(f"SET LOCAL enable_{other} = {is_on}"))
            found.append(
                await find_phone_plates(
                    session, org_id, gate.lot.id, from_on=today, until_on=today, salt=b"", known=[]
                )
            )

    assert found == [found[0]] * 3
    assert '"car"' in (found[0][1] or "").split(str(pass_id))[1]


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"a", {etag}', '{etag} , "b"'])
async def test_a_phone_may_name_the_list_that_it_has_in_every_way_of_http(
    gate: Gate, path: str, known: str
) -> None:
    await give(gate, ["29B112345"])
    etag = (await gate.attendant.get(path)).headers["etag"]

    answer = await gate.attendant.get(path, headers={"If-None-Match": known.format(etag=etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("known", ["", '"', "W/", '"é"', "'; --", '"' + "0" * 32 + '"', "a" * 4000])
async def test_a_phone_that_names_another_list_gets_the_whole_one(
    gate: Gate, path: str, known: str
) -> None:
    await give(gate, ["29B112345"])

    headers = {b"If-None-Match": known.encode("latin-1")}
    answer = await gate.attendant.get(path, headers=headers)

    assert (answer.status_code, len(answer.json()["plates"])) == (200, 1)


async def test_lists_of_two_lots_with_the_same_passes_are_two(gate: Gate, path: str) -> None:
    """Their keys differ: the hashes of one are of no use at the other."""
    await give(gate, ["29B112345"])
    elsewhere = await a_lot(gate.hub.services.database, org=gate.lot.org, now=read_clock())
    known = {"If-None-Match": (await gate.manager.get(path)).headers["etag"]}

    answer = await gate.manager.get(f"/v1/lots/{elsewhere.id}/passes", headers=known)

    assert answer.status_code == 200
    assert len(answer.json()["plates"]) == 1


async def test_a_list_says_when_there_are_more_vehicles_than_fit(gate: Gate, path: str) -> None:
    pass_id = await give(gate, many_plates(1))
    await add(gate, pass_id, MOTORBIKE, *many_plates(PHONE_PLATES_MAX)[1:])
    full = await gate.attendant.get(path)
    await add(gate, pass_id, MOTORBIKE, "99Z199999")

    known = {"If-None-Match": full.headers["etag"]}
    over = await gate.attendant.get(path, headers=known)

    assert full.json()["is_complete"] is True
    assert (over.status_code, over.json()["is_complete"]) == (200, False)
    assert over.json()["plates"] == full.json()["plates"]
