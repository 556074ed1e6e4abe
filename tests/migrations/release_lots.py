"""Lots of the frozen city: lanes, prices, who works there, and their phones."""

from datetime import timedelta
from typing import Any

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from tests.migrations.release_people import City, Office, Place
from tests.world.cities import employ
from tests.world.offline import EnrolledPhone
from tests.world.passes import with_monthly_prices
from tests.world.phones import Phone
from tests.world.served_lots import ServedLot

PIN = "739204"


async def open_lots(city: City, place: Place) -> tuple[dict[str, str], ServedLot]:
    """Open a lot with lanes and an area, and one that is closed again; employ who works there."""
    office, ask = place.office, city.ask
    operator = {"name": "Công ty Bãi xe", "address": "1 Hàng Bài", "tax_code": "0100109106"}
    made = await ask(office.manager, "POST", "/v1/parking-operators", operator)
    today = hanoi_day(read_clock())
    facts = {
        "operator_id": made["id"],
        "payee_id": place.payee_id,
        "address": "Trần Quang Khải, Hà Nội",
        "kind": "off_street",
    }
    more = {
        "zone": "I",
        "latitude_e6": 21_030_000,
        "longitude_e6": 105_850_000,
        "licence_number": "123/GP-SXD",
        "licence_issuer": "Sở Xây dựng",
        "licence_from": str(today),
        "licence_until": str(today + timedelta(days=365)),
        "payment_timing": "payPriorToExit",
    }
    gone = await ask(office.manager, "POST", "/v1/lots", facts | {"name": "Bãi cũ"})
    body = {"is_closed": True, "reason": "Trả lại đất"}
    await ask(office.manager, "PATCH", f"/v1/lots/{gone['id']}", body)
    lot = await ask(office.manager, "POST", "/v1/lots", facts | more | {"name": "Bãi xe Trần"})
    path = f"/v1/lots/{lot['id']}"
    for vehicle_class in ("motorbike", "car"):
        room = {"capacity": 50, "licensed_capacity": 40}
        await ask(office.manager, "PUT", f"{path}/capacities/{vehicle_class}", room)
    lanes = {}
    for direction in ("in", "out", "both"):
        lane = {"name": f"Làn {direction}", "direction": direction, "has_controller": True}
        made = await ask(office.manager, "POST", f"{path}/accesses", lane)
        lanes[direction] = made["id"]
    await ask(office.manager, "DELETE", f"{path}/accesses/{lanes['both']}")
    await ask(office.manager, "POST", f"{path}/areas", {"name": "Tầng B1"})
    await ask(office.manager, "POST", f"{path}/poster")
    hired = await employ(city.admin, "bao.ve", "attendant", org=office.code, lot_ids=[lot["id"]])
    assert hired.status_code == 201, hired.text
    served = ServedLot(
        hub=city.hub,
        org_code=office.code,
        id=lot["id"],
        manager=office.manager,
        attendant=await city.hub.browser("bao.ve"),
    )
    return lanes, served


async def set_prices(city: City, office: Office, lot: ServedLot) -> None:
    """Let the lot take a tariff; another version and another tariff are withdrawn again."""
    ask, tomorrow = city.ask, hanoi_day(read_clock()) + timedelta(days=1)
    tariff = await ask(office.manager, "POST", "/v1/tariffs", {"name": "Biểu giá thử"})
    path = f"/v1/tariffs/{tariff['id']}"
    for first_on in (hanoi_day(read_clock()), tomorrow):
        document = with_monthly_prices() | {"valid_from_on": str(first_on)}
        version = await ask(office.manager, "POST", f"{path}/versions", {"document": document})
    await ask(office.manager, "POST", f"{path}/versions/{version['id']}/withdraw", {})
    at_lot = f"{lot.path}/tariffs"
    await ask(office.manager, "POST", at_lot, {"tariff_id": tariff["id"]})
    later = {"tariff_id": tariff["id"], "from_at": f"{tomorrow}T00:00:00+07:00"}
    unwanted = await ask(office.manager, "POST", at_lot, later)
    await ask(office.manager, "DELETE", f"{at_lot}/{unwanted['id']}")


async def begin_shift(city: City, lot: ServedLot) -> dict[str, Any]:
    """Open the attendant's shift, with ticket books: in use, returned, and lost."""
    body = {"id": str(new_id()), "lot_id": lot.id, "change_vnd": 200_000}
    shift: dict[str, Any] = await city.ask(lot.attendant, "POST", "/v1/shifts", body)
    books = {}
    for prefix in ("A", "B", "C"):
        book = {"id": str(new_id()), "shift_id": shift["id"], "prefix": prefix, "digits": 4}
        book |= {"first_number": 1, "last_number": 20}
        made = await city.ask(lot.manager, "POST", "/v1/ticket-books", book)
        books[prefix] = f"/v1/ticket-books/{made['id']}"
    await city.ask(lot.manager, "POST", f"{books['B']}/return", {"last_used": 3})
    await city.ask(lot.manager, "POST", f"{books['C']}/lost", {"reason": "Rơi mất"})
    return shift


async def enrol_phones(city: City, lot: ServedLot) -> EnrolledPhone:
    """Enrol two phones: one has a person named on it by their PIN, the other is lost.

    Another person with a PIN mistyped it until it was locked, and has left.
    """
    await employ(city.admin, "bao.ve.cu", "attendant", org=lot.org_code, lot_ids=[lot.id])
    staff = await city.ask(lot.manager, "GET", "/v1/staff")
    ids = {one["login"]: one["id"] for one in staff["staff"]}
    for login in ("bao.ve", "bao.ve.cu"):
        await city.ask(lot.manager, "POST", f"/v1/staff/{ids[login]}/pin", {"pin": PIN})
    lost, used = [await enrol(city, lot, name) for name in ("Cổng phụ", "Cổng chính")]
    body = {"reason": "Mất máy"}
    await city.ask(lot.manager, "POST", f"/v1/devices/{lost.device_id}/revoke", body)
    named = {"staff_id": ids["bao.ve"], "pin": PIN}
    for _ in range(5):
        wrong = {"staff_id": ids["bao.ve.cu"], "pin": "112358"}
        await used.client.post("/v1/devices/me/person", json=wrong)
    gone = {"is_disabled": True, "reason": "Nghỉ việc"}
    await city.ask(lot.manager, "PATCH", f"/v1/staff/{ids['bao.ve.cu']}", gone)
    made = await city.ask(used.client, "POST", "/v1/devices/me/person", named)
    used.client.headers["Authorization"] = f"Bearer {made['token']}"
    return used


async def enrol(city: City, lot: ServedLot, name: str) -> EnrolledPhone:
    """Enrol a phone by its code; it has a token, and references for codes without network."""
    phone, stranger = Phone.make(), city.hub.client
    wanted = {"name": name, "lot_id": lot.id}
    code = await city.ask(lot.manager, "POST", "/v1/devices/codes", wanted)
    made = await city.ask(stranger, "POST", "/v1/devices/enrol", phone.enrol_body(code["code"]))
    path = f"/v1/devices/{made['device_id']}"
    challenge = await city.ask(stranger, "POST", f"{path}/challenge")
    body = phone.token_body(challenge["challenge"]) | {"org_code": lot.org_code}
    token = await city.ask(stranger, "POST", f"{path}/token", body)
    client = city.hub.new_client(Authorization=f"Bearer {token['token']}")
    block = {"id": str(new_id())}
    await city.ask(client, "POST", "/v1/devices/me/reference-blocks", block)
    return EnrolledPhone(
        hub=city.hub, lot=lot, phone=phone, device_id=made["device_id"], client=client
    )
