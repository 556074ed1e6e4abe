"""Parking for other systems: APDS 4.0 for the operator's own, free spaces for everybody."""

from datetime import timedelta

import pytest

from core.clock import read_clock
from tests.world.gates import CODE, Gate
from tests.world.parking_sessions import a_tariff_document

pytestmark = pytest.mark.anyio

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
