"""Whole plates after a day at a lot: in the tables that are named, and nowhere else."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import psycopg
import pytest
import structlog

from city.plate_requests.queries import HOLDERS
from city.plate_requests.tables import PLATE_TABLES
from core.clock import hanoi_day, read_clock
from core.ids import new_id
from core.logging import write_json
from parking.sessions.partitions import KEPT_MONTHS
from tests.migrations.release_parking import a_day
from tests.migrations.release_people import City, Place
from tests.world.databases import FreshDatabase
from tests.world.hubs import running_hub
from tests.world.offline import EnrolledPhone
from tests.world.sandboxes import a_sandbox
from tests.world.served_lots import ServedLot, a_photo
from tests.world.written_plates import find_tables, list_plates, spell

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PARKING = Path(__file__).parents[3] / "docs" / "parking.md"
PLATE, WRITTEN = "29D187654", "29-D1 876.54"  # what people write into reasons
OTHER = "29D187655"
AGO = "now() - interval '40 days'"
FORTY_DAYS_LATER = (
    "DELETE FROM inside",
    f"UPDATE parking_sessions SET status = 'left', left_at = {AGO}, arrears_vnd = 0",
    f"UPDATE movements SET received_at = {AGO}, handled_at = {AGO}",
    f"UPDATE complaints SET status = 'closed', outcome = 'withdrawn', resolved_at = {AGO}",
    f"UPDATE lane_commands SET requested_at = {AGO}",
    f"UPDATE passes SET revoked_at = {AGO} WHERE revoked_at IS NOT NULL",
    f"UPDATE watched_plates SET removed_at = {AGO} WHERE removed_at IS NOT NULL",
)
LIST_PHOTOS = f"""
    SELECT photo FROM complaints WHERE words LIKE '%{WRITTEN}%'
    UNION SELECT photo FROM lane_commands WHERE reason LIKE '%{PLATE}%'
"""
SUM_UP = """
    SELECT (SELECT sum(price_vnd) FROM parking_sessions),
           (SELECT sum(amount_vnd) FROM collections), (SELECT count(*) FROM movements),
           (SELECT count(*) FROM documents), (SELECT count(*) FROM complaints)
"""


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """Collect what is logged, at every level and with tracebacks."""
    written = StringIO()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=write_json),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=written),
        cache_logger_on_first_use=False,
    )
    yield written
    structlog.reset_defaults()


async def test_whole_plates_stand_in_the_named_tables_alone_and_leave_them_on_request(
    fresh_database: FreshDatabase, logged: StringIO
) -> None:
    with a_sandbox() as sandbox:
        origin = str(sandbox.base_url).rstrip("/")
        settings = fresh_database.settings.model_copy(update={"sandbox_origins": (origin,)})
        async with running_hub(settings) as hub:
            city = City(hub, fresh_database)
            await city.found()
            office = await city.office("DXA2", "Bãi xe", is_live=False)
            place = await city.stall(office, "Bãi xe Trần Quang Khải")
            await city.connect(place, "sepay")
            await city.activate(place)
            lot, lanes, phone, shift_id = await a_day(city, place, sandbox)
            stay_id = await somebody_quotes_a_plate_everywhere(city, place, lot, phone)
            await quoted_at_a_lane(city, lot, lanes["out"], stay_id)
            note = {"counted_vnd": 205_000, "note": f"Thiếu của xe {WRITTEN}"}
            await city.ask(lot.attendant, "POST", f"/v1/shifts/{shift_id}/close", note)
            check_named_tables(fresh_database, logged)
            await check_erasure(fresh_database, lot)


def check_named_tables(fresh_database: FreshDatabase, logged: StringIO) -> None:
    """Look for all plates of the day in all tables and log lines."""
    plates = list_plates(fresh_database.owner_url) | {PLATE}
    assert len(plates) > 15

    found = find_tables(fresh_database.owner_url, *plates)

    elsewhere = {table: rows for table, rows in found.items() if table not in PLATE_TABLES}
    assert elsewhere == {}
    assert set(found) == set(PLATE_TABLES), "a table is named in which no plate was seen"
    of_one = find_tables(fresh_database.owner_url, PLATE)
    assert set(of_one) == set(PLATE_TABLES) == set(HOLDERS)
    lines = logged.getvalue()
    assert "request" in lines, "the hub logged nothing"
    assert re.findall("|".join(map(spell, plates)), lines) == []


async def check_erasure(fresh_database: FreshDatabase, lot: ServedLot) -> None:
    """Let forty days pass, and the owner of the vehicle ask; the figures stay."""
    with psycopg.connect(fresh_database.owner_url) as owner:
        for statement in FORTY_DAYS_LATER:
            owner.execute(statement)
        photos = [row[0] for row in owner.execute(LIST_PHOTOS)]
        figures = owner.execute(SUM_UP).fetchall()
    assert len(photos) == 2, "of the complaint and of the lane"
    asked = {"plate": WRITTEN, "proof": "giấy đăng ký xe", "do": "look"}
    shown = await lot.manager.post("/manage/plate-requests", data=asked)
    assert shown.status_code == 200, shown.text

    erased = await lot.manager.post("/manage/plate-requests", data=asked | {"do": "erase"})
    assert erased.status_code == 200, erased.text

    assert find_tables(fresh_database.owner_url, PLATE) == {}
    with psycopg.connect(fresh_database.owner_url) as owner:
        left = owner.execute("SELECT count(*) FROM photos WHERE hash = ANY(%s)", [photos])
        assert left.fetchone() == (0,)
        assert owner.execute(SUM_UP).fetchall() == figures


def test_the_documentation_lists_these_tables_with_how_long_each_is_kept() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+? \| (.+?) \|$", PARKING.read_text(), re.MULTILINE)
    assert [table for table, _ in rows] == list(PLATE_TABLES)
    kept = dict(rows)
    for table, months in KEPT_MONTHS.items():
        assert kept[table] == f"{months} months"


async def somebody_quotes_a_plate_everywhere(
    city: City, place: Place, lot: ServedLot, phone: EnrolledPhone
) -> str:
    """Let people write a plate wherever they can write words; return a stay of it."""
    ask, office, words = city.ask, place.office, f"Xe {WRITTEN} của khách quen"
    stay = await lot.enter(plate=WRITTEN, method="anpr", read_text="29D1 876.54")
    stay_id = stay["session_id"]
    path = f"/v1/parking-sessions/{stay_id}"
    for plate in (OTHER, PLATE):
        body = {"plate": plate, "vehicle_class": "motorbike", "reason": words}
        await ask(lot.manager, "PATCH", path, body)
    for query in (f"{lot.path}/sessions?q={PLATE}", f"/v1/passes?plate={PLATE}"):
        await ask(lot.manager, "GET", query)
    await ask(lot.manager, "GET", "/v1/lots")
    refused = await lot.attendant.post(f"{path}/exit", json={"plate": "29D1 999.99"})
    assert refused.status_code == 409, refused.text
    bill = await lot.open_bill(stay_id)
    await ask(office.manager, "POST", f"/v1/bills/{bill['id']}/cancel", {"reason": words})
    taken = await lot.take(stay_id)
    back = f"{path}/collections/{taken['id']}/reverse"
    await ask(lot.manager, "POST", back, {"reason": words})
    await lot.take(stay_id, "exempt", reason=words)
    sent = await lot.complain(stay, words=words, photo=a_photo(90), contact="0900000009")
    assert sent.status_code == 303, sent.text
    listed = await ask(office.finance, "GET", "/v1/complaints")
    mine = next(one for one in listed["complaints"] if one["session_id"] == stay_id)
    answer = {"outcome": "rejected", "answer": f"Xe {PLATE} đã được miễn phí."}
    await ask(office.finance, "POST", f"/v1/complaints/{mine['id']}/resolve", answer)

    again = await lot.enter(by=lot.manager, plate=PLATE, override_reason=words)
    body = {"decision": "left", "reason": words}
    await ask(lot.manager, "POST", f"{path}/review", body)
    await lot.leave(again["session_id"], forced="manual", reason=words)

    await lot.enter(plate=PLATE)
    assert await phone.send(phone.entry(plate=PLATE, read_text="29D1.87654")) == ["already_inside"]
    found = await ask(office.finance, "GET", "/v1/breaks")
    conflict = next(one for one in found["breaks"] if one["kind"] == "parking_conflict")
    closed = {"resolution": words}
    await ask(office.finance, "POST", f"/v1/breaks/{conflict['id']}/close", closed)
    await quoted_in_lists(city, place, lot, words)
    twice = [(await lot.enter(ticket=f"V-900{n}"))["session_id"] for n in range(2)]
    body = {"other_id": twice[1], "reason": words}
    await ask(lot.manager, "POST", f"/v1/parking-sessions/{twice[0]}/join", body)
    counted = {"id": str(new_id()), "counted": {"motorbike": 9, "car": 0}, "note": words}
    await ask(office.finance, "POST", f"{lot.path}/recounts", counted)
    return str(stay_id)


async def quoted_in_lists(city: City, place: Place, lot: ServedLot, words: str) -> None:
    """Write the plate into what is said about passes and the watch list."""
    today = str(hanoi_day(read_clock()))
    given = {
        "kind": "exempt",
        "vehicle_class": "motorbike",
        "plates": [WRITTEN],
        "holder_name": "Cô Lan",
        "lot_id": lot.id,
        "valid_from": today,
        "valid_until": today,
        "exempt_as": "resident",
        "reason": words,
    }
    made = await city.ask(lot.manager, "POST", "/v1/passes", given)
    path = f"/v1/passes/{made['id']}"
    for plate in (OTHER, PLATE):
        body = {"plates": [plate], "reason": words}
        await city.ask(lot.manager, "PUT", f"{path}/plates", body)
    await city.ask(lot.manager, "POST", f"{path}/revoke", {"reason": words})
    watched = {
        "vehicle_class": "motorbike",
        "plate": PLATE,
        "reason": words,
        "source": f"CV 45, xe {PLATE}",
        "from_on": today,
        "expires_on": today,
    }
    made = await city.ask(lot.manager, "POST", "/v1/watched-plates", watched)
    path = f"/v1/watched-plates/{made['id']}/remove"
    await city.ask(lot.manager, "POST", path, {"reason": words})


async def quoted_at_a_lane(city: City, lot: ServedLot, lane_id: str, stay_id: str) -> None:
    """Open a lane by hand for the vehicle, with a photo."""
    words = {"reason": f"Mở cho xe {PLATE}", "photo": await lot.add_photo(91)}
    body = {"id": str(new_id())} | words
    path = f"{lot.path}/accesses/{lane_id}/open"
    await city.ask(lot.attendant, "POST", path, body, params={"wait_s": 0})
