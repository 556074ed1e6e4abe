"""Plates that the hub's worker read from photos, at the way out and on the manager's page."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from core.clock import read_clock
from core.db import Database
from parking.sessions.readings import read_waiting
from tests.world.databases import FreshDatabase
from tests.world.gates import Gate, set_up_gate
from tests.world.hubs import Hub
from tests.world.pages import text_of
from tests.world.parking_sessions import a_tariff
from tests.world.plate_photos import a_plate, a_street, as_jpeg
from tests.world.plate_reader import plate_reader, plate_weights
from tests.world.waits import LOOKS_EVERY_S

pytestmark = pytest.mark.anyio
JPEG = {"Content-Type": "image/jpeg"}
ROOT: Final = Path(__file__).parents[3]
READ_WITHIN_S: Final = 60.0  # a new process, which loads its networks first


@pytest.fixture
async def gate(hub: Hub) -> Gate:
    gate = await set_up_gate(hub)
    await a_tariff(hub.services.database, gate.lot, now=read_clock())
    return gate


async def test_a_ticket_s_plate_is_suggested_at_the_way_out_and_named_by_the_attendant(
    gate: Gate, hub: Hub, worker_database: Database
) -> None:
    attendant = await hub.browser("bao.ve")
    stays = []
    for number, plate in ((17, ("29-B1", "123.45")), (18, ("29-B1", "678.90"))):
        photo = as_jpeg(a_street((a_plate(*plate), (380, 420))))
        stays.append(await let_in(gate, photo, ticket=f"00{number}"))
    assert [(await show(attendant, gate, one))["read_plate"] for one in stays] == [None, None]

    now, photos = read_clock(), hub.services.photos
    read = await read_waiting(
        hub.services.database, worker_database, photos, plate_reader(), now=now
    )

    assert read == 2
    shown = [await show(attendant, gate, one) for one in stays]
    assert [one["read_plate"] for one in shown] == ["29-B1 123.45", "29-B1 678.90"]
    assert [one["plate"] for one in shown] == [None, None]
    for stay, plate, method in (
        (stays[0], "29-B1 123.45", "anpr"),  # right
        (stays[1], "29-B1 678.98", "visual"),  # corrected
    ):
        body = {"plate": plate, "vehicle_class": "motorbike", "method": method}
        path = f"/v1/lots/{gate.lot.id}/sessions/{stay}/plate"
        assert (await gate.manager.post(path, json=body)).status_code == 200
        named = await show(attendant, gate, stay)
        assert (named["plate"], named["read_plate"]) == (plate, None)
    manager = await hub.browser("quan.ly")
    page = text_of(await manager.get(f"/manage/lots/{gate.lot.id}"))
    assert "Đúng 50% số lượt đã đối chiếu" in page
    assert "Đọc đúng 1 Đọc sai, người trực sửa 1" in page


@pytest.mark.slow
async def test_the_worker_s_process_offers_what_it_read_and_a_person_decides(
    gate: Gate, hub: Hub, fresh_database: FreshDatabase
) -> None:
    plate_weights()
    attendant = await hub.browser("bao.ve")
    street = as_jpeg(a_street((a_plate("29-B1", "123.45"), (380, 420))))

    async with a_reading_worker(fresh_database):
        stay = await let_in(gate, street, ticket="0017")
        async with asyncio.timeout(READ_WITHIN_S):
            while (shown := await show(attendant, gate, stay))["read_plate"] is None:  # noqa: ASYNC110
                await asyncio.sleep(LOOKS_EVERY_S)

    assert (shown["read_plate"], shown["plate"]) == ("29-B1 123.45", None)
    body = {"plate": shown["read_plate"], "vehicle_class": "motorbike", "method": "anpr"}
    path = f"/v1/lots/{gate.lot.id}/sessions/{stay}/plate"
    assert (await gate.attendant.post(path, json=body)).status_code == 200
    named = await show(attendant, gate, stay)
    assert (named["plate"], named["read_plate"]) == ("29-B1 123.45", None)


@asynccontextmanager
async def a_reading_worker(fresh: FreshDatabase) -> AsyncIterator[None]:
    """Run `./phopay worker --alpr` on a database, until it is told to stop."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "worker", "--alpr"),
        *("--data", fresh.environment["PHOPAY_DATA_DIR"]),
        cwd=ROOT,
        env={**os.environ, **fresh.environment, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield
        assert process.returncode is None, "the worker has ended"
        process.terminate()
        async with asyncio.timeout(READ_WITHIN_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def let_in(gate: Gate, photo: bytes, *, ticket: str) -> str:
    """Let a motorbike in on a ticket, with a photo of it."""
    path = f"/v1/lots/{gate.lot.id}/photos"
    kept = await gate.manager.post(path, content=photo, headers=JPEG)
    assert kept.status_code == 201, kept.text
    body = gate.body(ticket=ticket, photo=kept.json()["hash"])
    body.pop("plate", None)
    entered = await gate.manager.post(gate.entries_path, json=body)
    assert entered.status_code == 201, entered.text
    return str(body["id"])


async def show(attendant: httpx.AsyncClient, gate: Gate, session_id: str) -> dict[str, Any]:
    """Return a stay as the attendant's phone reads it."""
    answer = await attendant.get(f"/gate/lots/{gate.lot.id}/stays/{session_id}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown
