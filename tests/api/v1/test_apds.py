"""Parking for other systems: APDS 4.0 for the operator's own, free spaces for everybody."""

import re
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import TextClause

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from parking.overview.queries_export import LIST_OBSERVATIONS, LIST_SESSIONS, range_values
from parking.sessions.partitions import Month
from tests.world.clocks import stop_refills
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.gates import CODE, Gate
from tests.world.parking_sessions import a_tariff_document

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PLACE = {"latitude_e6": 21_028_511, "longitude_e6": 105_854_167}


def today() -> dict[str, str]:
    return {"since": (read_clock() - timedelta(hours=1)).isoformat()}


async def test_places_have_lanes_and_how_full_they_are(gate: Gate) -> None:
    await gate.enter()
    await gate.manager.patch(f"/v1/lots/{gate.lot.id}", json=PLACE)

    [place] = (await gate.manager.get("/v1/apds/places")).json()["places"]

    assert (place["id"], place["version"]) == (str(gate.lot.id), 1)
    assert (place["latitude"], place["longitude"]) == (21.028511, 105.854167)
    assert {one["vehicleType"]: one["occupiedQuantity"] for one in place["supply"]} == {
        "car": 0,
        "motorbike": 1,
    }
    assert {one["direction"] for one in place["vehicularAccess"]} == {"in", "out"}


async def test_rates_have_their_versions_and_documents(gate: Gate) -> None:
    tariff = (await gate.manager.post("/v1/tariffs", json={"name": "Giá"})).json()
    document = a_tariff_document(valid_from_on=(read_clock().date() + timedelta(3)).isoformat())
    await gate.manager.post(f"/v1/tariffs/{tariff['id']}/versions", json={"document": document})

    [rate] = (await gate.manager.get("/v1/apds/rates")).json()["rates"]

    assert (rate["rateTableId"], rate["version"], rate["status"]) == (tariff["id"], 1, "ahead")
    assert rate["document"] == document


async def test_sessions_and_observations_come_in_pages_with_masked_plates(gate: Gate) -> None:
    for n in range(5):
        await gate.enter(plate=f"29AA1234{n}", ticket=f"V{n}")

    for name in ("sessions", "observations"):
        seen: list[str] = []
        after: dict[str, str] = {}
        for _ in range(9):
            answer = await gate.manager.get(
                f"/v1/apds/{name}", params={**today(), "limit": 2, **after}
            )
            page = answer.json()
            assert "29AA1234" not in answer.text
            seen += [one["id"] for one in page[name]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert len(set(seen)) == len(seen) == 5, name
    session = (await gate.manager.get("/v1/apds/sessions", params=today())).json()["sessions"][0]
    assert session["credentials"] == [
        {"type": "licensePlate", "identifier": "29A***40"},
        {"type": "ticket", "identifier": "V0"},
    ]
    assert (session["actualEnd"], session["version"]) == (None, 1)


async def test_what_an_exemption_waived_stands_beside_what_was_paid(
    gate: Gate, fresh_database: FreshDatabase
) -> None:
    await gate.enter()
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute(
            "UPDATE parking_sessions SET price_vnd = 5000, paid_vnd = 2000, waived_vnd = 3000"
        )

    [session] = (await gate.manager.get("/v1/apds/sessions", params=today())).json()["sessions"]

    amounts = {name: session.get(name) for name in ("amountVnd", "paidVnd", "waivedVnd")}
    assert amounts == {"amountVnd": 5_000, "paidVnd": 2_000, "waivedVnd": 3_000}


async def test_rates_come_in_pages_each_with_its_standing(gate: Gate) -> None:
    tariff = (await gate.manager.post("/v1/tariffs", json={"name": "Giá"})).json()
    path = f"/v1/tariffs/{tariff['id']}/versions"
    for days in (0, 3, 4):
        first_on = hanoi_day(read_clock()) + timedelta(days)
        document = a_tariff_document(valid_from_on=first_on.isoformat())
        made = await gate.manager.post(path, json={"document": document})
        assert made.status_code == 201, made.text
    await gate.manager.post(f"{path}/{made.json()['id']}/withdraw", json={})

    said = []
    after: dict[str, str] = {}
    for _ in range(5):
        answer = await gate.manager.get("/v1/apds/rates", params={"limit": "1", **after})
        page = answer.json()
        said += [(one["version"], one["status"]) for one in page["rates"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert said == [(1, "in_force"), (2, "ahead"), (3, "withdrawn")]
    shown = (await gate.manager.get(f"/v1/tariffs/{tariff['id']}")).json()["versions"]
    assert {(one["version"], one["standing"]) for one in shown} == set(said)


@pytest.mark.parametrize("query", [LIST_SESSIONS, LIST_OBSERVATIONS])
@pytest.mark.parametrize("after", [None, UUID(int=0), UUID(int=2**128 - 1)])
def test_whatever_the_cursor_only_the_partitions_of_the_range_are_read(
    fresh_database: FreshDatabase, query: TextClause, after: UUID | None
) -> None:
    table = "parking_sessions" if query is LIST_SESSIONS else "observations"
    months = [Month.of(NOON).plus(number) for number in range(-3, 2)]
    values = range_values(new_id(), NOON, NOON + timedelta(hours=1), after=after, limit=10)
    statement = re.sub(r"(?<!:):(\w+)", r"%(\1)s", str(query))
    with psycopg.connect(fresh_database.owner_url) as owner:
        for month in months:
            owner.execute(
                f"CREATE TABLE {month.name(table)} PARTITION OF {table}"
                f" FOR VALUES FROM ('{month.first_id}') TO ('{month.plus(1).first_id}')"
            )
        plan = "\n".join(row[0] for row in owner.execute(f"EXPLAIN {statement}", values))

    read = {month for month in months if month.name(table) in plan}
    assert read <= {Month.of(NOON)}, plan
    assert f"{table}_default" not in plan


async def test_a_range_of_more_than_a_month_is_refused(gate: Gate) -> None:
    since = (read_clock() - timedelta(days=40)).isoformat()
    answer = await gate.manager.get("/v1/apds/sessions", params={"since": since})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_an_attendant_reads_places_and_no_sessions(gate: Gate) -> None:
    assert (await gate.attendant.get("/v1/apds/places")).status_code == 200
    assert (await gate.attendant.get("/v1/apds/sessions", params=today())).status_code == 403


async def test_everybody_sees_free_spaces_and_nothing_of_who_is_inside(gate: Gate) -> None:
    await gate.manager.patch(f"/v1/lots/{gate.lot.id}", json=PLACE)
    await gate.enter(plate="29AA12345")

    answer = await gate.hub.client.get("/open/parking.geojson", params={"org": CODE})
    await gate.enter()
    again = await gate.hub.client.get("/open/parking.geojson", params={"org": CODE})

    [lot] = answer.json()["features"]
    assert lot["geometry"] == {"type": "Point", "coordinates": [105.854167, 21.028511]}
    assert lot["properties"]["free"] == {"car": 100, "motorbike": 99}
    assert answer.headers["cache-control"] == "public, max-age=10"
    assert "29A" not in answer.text
    assert again.json() == answer.json()  # read once in ten seconds, whoever asks
    unknown = await gate.hub.client.get("/open/parking.geojson", params={"org": "ZZZZ"})
    assert unknown.status_code == 404


async def test_a_lot_without_a_position_is_on_no_map(gate: Gate) -> None:
    answer = await gate.hub.client.get("/open/parking.geojson", params={"org": CODE})
    assert answer.json()["features"] == []


async def test_open_data_is_limited_for_each_network(gate: Gate) -> None:
    address = f"/open/parking.geojson?org={CODE}"
    limit = gate.hub.services.limits.open_data
    stop_refills(limit)
    assert (await gate.hub.client.get(address)).status_code == 200
    for _ in range(119):
        limit.take("127.0.0.1")

    refused = await gate.hub.client.get(address)
    assert refused.status_code == 429, refused.text
    assert int(refused.headers["Retry-After"]) >= 1
