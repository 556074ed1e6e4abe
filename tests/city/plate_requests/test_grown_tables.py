"""A request about one plate among many: found by indexes, whatever a lot has been through."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from city.plate_requests import queries
from city.plate_requests.service import EVIDENCE_KEPT_FOR, erase_plate, find_photos, read_held
from city.plate_requests.tables import list_readings, spell_plate
from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.offline import an_id_at
from tests.world.parking_sessions import Gate
from tests.world.plans import scans_of

pytestmark = pytest.mark.anyio

PLATE, WRITTEN = "29AA12345", "29-AA 123.45"
LONG_AGO = NOON - timedelta(days=50)
ROWS = 60_000
MOVEMENT = (
    "INSERT INTO movements (org_id, device_id, id, lot_id, seq, kind, plate, has_words, body,"
    " signature, device_at, offset_ms, received_at, received_from, handled_at, verdict)"
)
GROW_MOVEMENTS = f"""{MOVEMENT}
    SELECT %(org)s, %(by)s, gen_random_uuid(), %(lot)s, n, 'entry',
           '29BB' || lpad(n::text, 5, '0'), n %% 1000 = 0,
           json_build_object('entry', json_build_object('plate', '29-BB ' || n)), '', %(at)s, 0,
           %(at)s, %(by)s, %(at)s, 'opened'
    FROM generate_series(1, %(rows)s) n
"""
GROW_READINGS = """
    INSERT INTO observations (org_id, id, lot_id, direction, method, candidates, seen_by, seen_at)
    SELECT %(org)s, gen_random_uuid(), %(lot)s, 'in', 'anpr',
           json_build_array(json_build_object('plate', '29BB' || n),
                            json_build_object('plate', '29CC' || n)), %(by)s, %(at)s
    FROM generate_series(1, %(rows)s) n
"""
GROW_COMMANDS = """
    INSERT INTO lane_commands (
        org_id, id, lot_id, access_id, session_id, requested_by, requested_at, expires_at)
    SELECT %(org)s, gen_random_uuid(), %(lot)s, %(lane)s, gen_random_uuid(), %(by)s, %(at)s, %(at)s
    FROM generate_series(1, %(rows)s) n
"""
ADD_MOVEMENT = f"""{MOVEMENT}
    VALUES (%(org)s, %(by)s, %(id)s, %(lot)s, 1, 'exit', %(plate)s, %(has_words)s, %(body)s, '',
            %(at)s, 0, %(at)s, %(by)s, %(at)s, 'applied')
"""
ADD_READING = """
    INSERT INTO observations (
        org_id, id, lot_id, direction, method, candidates, photo, seen_by, seen_at)
    VALUES (%(org)s, %(id)s, %(lot)s, 'in', 'anpr', %(candidates)s, %(photo)s, %(by)s, %(at)s)
"""


def grow(owner_url: str, gate: Gate) -> None:
    """Give the lot's organisation many movements, readings and openings of other vehicles."""
    values = {
        "org": gate.org_id, "lot": gate.lot.id, "by": new_id(), "at": LONG_AGO, "rows": ROWS
    }  # fmt: skip
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(GROW_MOVEMENTS, values)
        owner.execute(GROW_READINGS, values)
        owner.execute(GROW_COMMANDS, values | {"lane": gate.lot.way_out_id})
        owner.execute("ANALYZE movements, observations, lane_commands")


def name_in_all_places(owner_url: str, gate: Gate) -> None:
    """Let the plate stand wherever a movement or a reading may have it."""
    other = '{"kind": "exit"}'
    quoted = f'{{"data": {{"reason": "xe {WRITTEN} kẹt"}}}}'
    said = f'{{"data": {{"plate": "{PLATE}"}}}}'
    readings = ["29BB1", "29BB2", PLATE]
    with psycopg.connect(owner_url, autocommit=True) as owner:
        facts = {"org": gate.org_id, "lot": gate.lot.id, "by": new_id(), "at": LONG_AGO}
        for plate, has_words, body in (
            (PLATE, False, said),
            (None, True, quoted),
            ("29BB00001", True, quoted),
            ("29BB00002", False, other),
        ):
            own = {"id": an_id_at(LONG_AGO), "plate": plate, "has_words": has_words, "body": body}
            owner.execute(ADD_MOVEMENT, facts | own)
        for place in range(5):
            plates = [*readings[:2], *["29BB3"] * 3]
            plates[place] = PLATE
            candidates = psycopg.types.json.Json([{"plate": one} for one in plates])
            own = {"id": an_id_at(LONG_AGO), "candidates": candidates, "photo": bytes([place]) * 32}
            owner.execute(ADD_READING, facts | own)


async def test_a_plate_is_found_and_erased_in_every_place_of_movements_and_readings(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    name_in_all_places(fresh_database.owner_url, gate)
    said = {"proof": "giấy đăng ký xe", "actor": MANAGER, "now": NOON}

    async def ask() -> tuple[int, int]:
        async with open_org_transaction(app_database, gate.org_id) as tx:
            held = await read_held(tx, gate.org_id, WRITTEN, None, **said)
        return held.rows["movements"][1], held.rows["observations"][1]

    assert await ask() == (3, 5)
    async with open_org_transaction(app_database, gate.org_id) as tx:
        photos = await find_photos(tx, gate.org_id, WRITTEN, None, now=NOON)
    assert sorted(photos) == [bytes([place]) * 32 for place in range(5)]
    async with open_org_transaction(app_database, gate.org_id) as tx:
        await erase_plate(tx, gate.org_id, WRITTEN, None, photos=photos, **said)

    assert await ask() == (0, 0)
    with psycopg.connect(fresh_database.owner_url) as owner:
        left = "SELECT count(*) FROM {} t WHERE t::text ~* %s"
        for table, rows in (("movements", 4), ("observations", 5)):
            assert owner.execute(left.format(table), [spell_plate(PLATE)]).fetchone() == (0,)
            assert owner.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,)


@pytest.mark.slow
async def test_nothing_of_a_request_reads_through_what_other_vehicles_have_left(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    grow(fresh_database.owner_url, gate)
    name_in_all_places(fresh_database.owner_url, gate)
    ago = NOON - EVIDENCE_KEPT_FOR
    values: dict[str, Any] = {
        "org_id": gate.org_id,
        "plate": PLATE,
        "masked": "29A***45",
        "pattern": spell_plate(PLATE),
        "readings": list_readings(PLATE, WRITTEN),
        "vehicle_class": None,
        "before": ago,
        "before_on": hanoi_day(ago),
        "own_ids": [],
        "erased_ids": [],
        "read_ids": [],
        "photos": [],
        "limit": 501,
    }
    erasing = [one.erase for one in queries.HOLDERS.values() if one.erase is not None]
    found = {}
    async with open_org_transaction(app_database, gate.org_id) as tx:
        for statement in (queries.LIST_STAYS, queries.COUNT_ROWS, queries.LIST_PHOTOS, *erasing):
            found |= await scans_of(tx, statement, values)

    assert found == {}
