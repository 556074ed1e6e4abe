"""Readings of plates by the worker: kept beside what people say, and accepted by people alone."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from PIL import Image
from sqlalchemy import text

from city.plate_requests.service import erase_plate
from core.db import Database
from core.ids import first_id_at
from core.settings import Settings
from core.tenancy import open_org_transaction
from ops.maintenance import maintain
from parking.exits.standing import get_stay
from parking.photos.service import Photos
from parking.photos.store import FolderStore
from parking.plate_reading.types import Reading
from parking.sessions import queries
from parking.sessions.queries_readings import COUNT_READINGS
from parking.sessions.readings import (
    AT_ONCE_MAX,
    COUNTED_FOR,
    Accuracy,
    read_accuracy,
    read_waiting,
    suggest_plate,
)
from parking.sessions.rules import ID_AGE_MAX, Method
from parking.sessions.service import add_plate
from tests.world.constants import MANAGER, NOON
from tests.world.entries import an_entry
from tests.world.lots import LotFacts, a_lot
from tests.world.parking_sessions import a_gate
from tests.world.plans import explain
from tests.world.plate_photos import a_plate, a_street, as_jpeg
from tests.world.plate_reader import plate_reader

pytestmark = pytest.mark.anyio
assert MANAGER.id is not None

PLATE, COMPACT = "29-B1 123.45", "29B112345"
SOON = NOON + timedelta(seconds=5)


@dataclass
class Camera:
    """A lot's gate with a camera, and a worker that reads."""

    app: Database
    gate: Database
    worker: Database
    lot: LotFacts
    photos: Photos

    async def enter(self, picture: bytes, **facts: Any) -> UUID:
        """Let a vehicle in with a photo."""
        assert MANAGER.id is not None
        kept = await self.photos.add(
            self.lot.org.id, self.lot.id, picture, taken_by=MANAGER.id, is_at_gate=True, now=NOON
        )
        entry = msgspec.structs.replace(an_entry(self.lot, **facts), photo=kept.hash)
        async with self.gate.begin() as session:
            await queries.enter_vehicles(session, [entry], now=NOON)
        return entry.id

    async def read(self) -> int:
        """Let the worker read."""
        return await read_waiting(self.app, self.worker, self.photos, plate_reader(), now=SOON)

    async def suggest(self, session_id: UUID) -> str | None:
        """Return what the attendant is asked about a stay."""
        async with open_org_transaction(self.app, self.lot.org.id) as session:
            return await suggest_plate(session, self.lot.org.id, session_id)

    async def confirm(self, session_id: UUID, plate: str, method: Method) -> None:
        """Say what the plate is, as a person."""
        assert MANAGER.id is not None
        async with open_org_transaction(self.app, self.lot.org.id) as session:
            await add_plate(
                session,
                self.lot.org.id,
                self.lot.id,
                session_id,
                plate=plate,
                method=method,
                lot_name="Bãi xe",
                seen_by=MANAGER.id,
                now=SOON,
            )

    async def plate_of(self, session_id: UUID) -> str | None:
        """Return the plate of a stay, as a person has accepted it."""
        async with open_org_transaction(self.app, self.lot.org.id) as session:
            return (await get_stay(session, self.lot.org.id, session_id)).plate

    async def count(self) -> Accuracy:
        """Return how the lot's photos were read."""
        async with open_org_transaction(self.app, self.lot.org.id) as session:
            return await read_accuracy(session, self.lot.org.id, self.lot.id, now=SOON)

    async def sightings(self, session_id: UUID) -> list[Any]:
        """Return (plate, raw text, score, candidates) of a stay's sightings, in their order."""
        async with open_org_transaction(self.app, self.lot.org.id) as session:
            rows = await session.execute(
                text(
                    "SELECT plate, read_text, read_score_bps, candidates FROM observations"
                    " WHERE session_id = :id ORDER BY seen_at, id"
                ),
                {"id": session_id},
            )
            return [tuple(row) for row in rows]


@pytest.fixture
async def camera(
    app_database: Database, gate_database: Database, worker_database: Database, tmp_path: Path
) -> Camera:
    """A lot with an empty folder of photos."""
    return Camera(
        app=app_database,
        gate=gate_database,
        worker=worker_database,
        lot=await a_lot(app_database),
        photos=Photos(
            app_database, FolderStore(tmp_path), link_key=b"k" * 32, kept_for=timedelta(days=90)
        ),
    )


def a_photo() -> bytes:
    return as_jpeg(a_street((a_plate("29-B1", "123.45"), (380, 420))))


@pytest.mark.slow
async def test_what_the_worker_reads_is_suggested_and_no_plate_until_a_person_says_so(
    camera: Camera,
) -> None:
    stay = await camera.enter(a_photo(), ticket="0017")

    assert await camera.read() == 1

    assert await camera.suggest(stay) == COMPACT
    assert await camera.plate_of(stay) is None
    entered, reading = await camera.sightings(stay)
    assert entered == (None, None, None, None)
    assert reading[0] is None
    assert reading[1].replace(" ", "") == PLATE.replace(" ", "")
    assert 5_000 < reading[2] <= 10_000
    assert reading[3][0]["plate"] == COMPACT
    await camera.confirm(stay, COMPACT, Method.ANPR)
    assert await camera.plate_of(stay) == COMPACT


@pytest.mark.slow
async def test_a_photo_is_read_once_and_its_reading_never_overwritten(camera: Camera) -> None:
    stay = await camera.enter(a_photo(), ticket="0017")
    assert await camera.read() == 1
    before = await camera.sightings(stay)

    assert await camera.read() == 0
    async with open_org_transaction(camera.app, camera.lot.org.id) as session:
        await session.execute(text("UPDATE photos SET is_unread = true"))
    assert await camera.read() == 1  # two workers at once
    await camera.confirm(stay, "29B199999", Method.VISUAL)

    assert (await camera.sightings(stay))[: len(before)] == before


@pytest.mark.slow
async def test_how_well_a_lot_is_read_follows_from_what_people_say(camera: Camera) -> None:
    typed = await camera.enter(a_photo(), plate=COMPACT)
    corrected = await camera.enter(as_jpeg(a_plate("51H-040.73")), ticket="2")
    await camera.enter(as_jpeg(a_street()), ticket="3")
    await camera.enter(as_jpeg(a_plate("30A-123.45")), ticket="4")
    while await camera.read():
        pass

    await camera.confirm(corrected, "51H04078", Method.VISUAL)

    assert await camera.plate_of(typed) == COMPACT
    assert await camera.count() == Accuracy(right=1, corrected=1, not_read=1, waiting=1)


async def test_a_photo_of_no_entry_is_not_read_and_keeps_nobody_waiting(camera: Camera) -> None:
    assert MANAGER.id is not None
    early = NOON - timedelta(minutes=30)
    for is_at_gate, mark in ((True, "1"), (False, "2")):
        await camera.photos.add(
            camera.lot.org.id,
            camera.lot.id,
            as_jpeg(a_plate(f"51H-040.7{mark}")),
            taken_by=MANAGER.id,
            is_at_gate=is_at_gate,
            now=early,
        )

    assert await camera.read() == 0

    async with open_org_transaction(camera.app, camera.lot.org.id) as session:
        left = await session.scalar(text("SELECT count(*) FROM photos WHERE is_unread"))
    assert left == 0


async def test_photos_of_vehicles_that_leave_keep_no_entry_from_being_read(
    camera: Camera,
) -> None:
    stay = await camera.enter(a_photo(), ticket="0017")
    for shade in range(AT_ONCE_MAX):  # of the way out: no entry names them, and they are newer
        await camera.photos.add(
            camera.lot.org.id,
            camera.lot.id,
            as_jpeg(Image.new("RGB", (64, 64), (shade * 20, 0, 0))),
            taken_by=camera.lot.id,
            is_at_gate=True,
            now=NOON + timedelta(seconds=1),
        )

    assert await camera.read() == 1

    assert await camera.suggest(stay) == COMPACT


class BrokenReader:
    """A reader on whom every photo is lost."""

    def read(self, photo: bytes) -> Reading:
        """Take too long."""
        from parking.plate_reading.errors import PlateReadingTimedOut

        raise PlateReadingTimedOut(10)


async def test_a_photo_that_cannot_be_read_counts_as_such_and_is_not_tried_for_ever(
    camera: Camera,
) -> None:
    await camera.enter(a_photo(), ticket="0017")

    for wanted in (1, 0):
        read = await read_waiting(
            camera.app, camera.worker, camera.photos, BrokenReader(), now=SOON
        )
        assert read == wanted

    assert (await camera.count()).not_read == 1


class FussyReader:
    """A reader whose networks give up on one photo, as no one foresaw."""

    def read(self, photo: bytes) -> Reading:
        """Give up on small photos."""
        if Image.open(BytesIO(photo)).width == 64:
            raise RuntimeError("Non-zero status code returned while running Conv node")
        return plate_reader().read(photo)


@pytest.mark.slow
async def test_one_photo_on_which_the_reader_gives_up_keeps_no_other_from_being_read(
    camera: Camera,
) -> None:
    stay = await camera.enter(a_photo(), ticket="0017")
    small = await camera.enter(as_jpeg(Image.new("RGB", (64, 64), "navy")), ticket="0018")

    for _ in range(2):
        with suppress(RuntimeError):
            await read_waiting(camera.app, camera.worker, camera.photos, FussyReader(), now=SOON)

    assert await camera.suggest(stay) == COMPACT
    assert (await camera.sightings(small))[1][3] == []


async def test_counting_looks_at_the_months_of_the_readings_alone(
    app_database: Database, settings: Settings
) -> None:
    gate = await a_gate(app_database)
    for months in (9, 6, 3, 0):
        maintain(settings.database_url.get_secret_value(), now=NOON - timedelta(days=30 * months))

    values = {
        "org_id": gate.org_id,
        "lot_id": gate.lot.id,
        "since": NOON - COUNTED_FOR,
        "first_id": first_id_at(NOON - COUNTED_FOR - ID_AGE_MAX),
    }
    url = settings.app_database_url.get_secret_value()

    plan = explain(url, gate.stall, COUNT_READINGS, values)

    months = {int(name) for name in re.findall(r"on parking_sessions_2026_(\d\d)", plan)}
    assert min(months) == 9, plan


async def test_erasing_a_stay_takes_what_was_read_of_it(camera: Camera) -> None:
    stay = await camera.enter(a_photo(), plate=COMPACT)
    await camera.read()
    async with open_org_transaction(camera.app, camera.lot.org.id) as session:
        await session.execute(
            text("UPDATE parking_sessions SET status = 'left', left_at = :at"), {"at": NOON}
        )

    async with open_org_transaction(camera.app, camera.lot.org.id) as session:
        erased = await erase_plate(
            session,
            camera.lot.org.id,
            PLATE,
            None,
            photos=(),
            proof="Đăng ký xe",
            actor=MANAGER,
            now=NOON + timedelta(days=60),
        )

    assert erased == 1
    assert {one[:2] + one[3:] for one in await camera.sightings(stay)} == {(None, None, None)}
