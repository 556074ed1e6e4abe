"""The attendant's phone where the hub has read a plate from the photo at the way in."""

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import expect

from core.clock import read_clock
from core.db import Database, open_database, open_engine
from parking.photos.service import Photos
from parking.photos.store import FolderStore
from parking.sessions import queries
from parking.sessions.readings import read_waiting
from tests.browser.conftest import OpenPage
from tests.browser.gate_steps import at_the_gate, find
from tests.world.constants import MANAGER
from tests.world.entries import an_entry
from tests.world.plate_photos import a_plate, as_jpeg
from tests.world.plate_reader import plate_reader
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot

pytestmark = pytest.mark.browser


def let_in_and_read(city: RunningCity, place: StaffedLot, ticket: str, folder: Path) -> None:
    """Let a motorbike in on a ticket with a photo, and let the worker read it."""
    settings = city.fresh_database.settings

    async def work(app: Database) -> None:
        assert MANAGER.id is not None
        engines = [
            open_engine(url.get_secret_value(), settings)
            for url in (settings.gate_database_url, settings.worker_database_url)
        ]
        try:
            gate, worker = (open_database(engine) for engine in engines)
            photos = Photos(
                app, FolderStore(folder), link_key=b"k" * 32, kept_for=timedelta(days=1)
            )
            now = read_clock()
            picture = await photos.add(
                place.lot.org.id,
                place.lot.id,
                as_jpeg(a_plate("29-B1", "123.45")),
                taken_by=MANAGER.id,
                is_at_gate=True,
                now=now,
            )
            entry = an_entry(place.lot, ticket=ticket, entered_at=now)
            entry = msgspec.structs.replace(entry, photo=picture.hash)
            async with gate.begin() as session:
                await queries.enter_vehicles(session, [entry], now=now)
            # The city's other files have photos too, in folders of their own.
            assert await read_waiting(app, worker, photos, plate_reader(), now=now) >= 1
        finally:
            await asyncio.gather(*[engine.dispose() for engine in engines])

    city.do(work)


def test_what_was_read_is_confirmed_or_corrected_at_the_way_out(
    city: RunningCity, new_page: OpenPage, tmp_path: Path
) -> None:
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    suggested = page.locator("[data-read]")
    for ticket in ("417", "518"):
        let_in_and_read(city, place, ticket, tmp_path)

    find(page, "417")
    page.locator(".gate-found", has_text="417").click()
    expect(suggested).to_contain_text("29-B1 123.45")
    page.get_by_role("button", name="Đúng").click()
    expect(page.locator("[data-screen=stay] h1")).to_have_text("29-B1 123.45")
    expect(suggested).to_be_hidden()

    find(page, "518")
    page.locator(".gate-found", has_text="518").click()
    page.get_by_role("button", name="Sửa").click()
    page.locator("dialog[open] input").fill("29-B1 123.46")
    page.get_by_role("button", name="Lưu").click()
    expect(page.locator("[data-screen=stay] h1")).to_have_text("29-B1 123.46")
    expect(page.get_by_role("button", name="Tiền mặt")).to_be_in_viewport()

    said = """
        SELECT method, plate FROM observations
        WHERE lot_id = %(lot)s AND direction = 'inside' ORDER BY id"""
    assert city.sql(said, lot=place.lot.id) == [("anpr", "29B112345"), ("visual", "29B112346")]
