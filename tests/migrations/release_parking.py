"""Parking in the frozen city: who comes to its lot, pays, leaves, and complains."""

from datetime import timedelta
from uuid import UUID

import httpx

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from parking.passes.jobs import warn_of_ends
from parking.plate_reading.types import Reading
from parking.sessions.readings import read_waiting
from tests.migrations.release_background import worker_database
from tests.migrations.release_lots import begin_shift, enrol_phones, open_lots, set_prices
from tests.migrations.release_people import City, Office, Place
from tests.world.entries import a_plate
from tests.world.offline import EnrolledPhone
from tests.world.sandboxes import tell
from tests.world.served_lots import ServedLot, a_photo
from tests.world.tolls import CLIENT_ID, ENOUGH_VND, TOLL_SECRET

PLATE, POOR_PLATE = "29AA12345", "29AA54321"


async def parking(city: City, place: Place, sandbox: httpx.Client) -> None:
    """Open a lot of a stall that can be paid; a day passes there."""
    lot, _, _, shift_id = await a_day(city, place, sandbox)
    counted = {"counted_vnd": 205_000, "note": "Thiếu tiền lẻ"}
    await city.ask(lot.attendant, "POST", f"/v1/shifts/{shift_id}/close", counted)


async def a_day(
    city: City, place: Place, sandbox: httpx.Client
) -> tuple[ServedLot, dict[str, str], EnrolledPhone, str]:
    """Let a day pass at a new lot; return it, its lanes, its phone, and the shift that runs."""
    lanes, lot = await open_lots(city, place)
    await set_prices(city, place.office, lot)
    shift = await begin_shift(city, lot)
    phone = await enrol_phones(city, lot)
    await passes(city, place, lot)
    await watched_plates(city, place.office, lot)
    await ways_to_pay(city, place, lot, shift["id"])
    await toll_wallets(city, place.office, lot, sandbox)
    await at_the_lanes(city, lot, lanes, phone)
    await stays_to_review(lot)
    await lost_ticket(city, lot, phone)
    await looked_at_again(city, place, lot)
    await offline(city, phone)
    await complaints(city, place, lot)
    return lot, lanes, phone, shift["id"]


async def passes(city: City, place: Place, lot: ServedLot) -> None:
    """A pass that is paid and ends soon, one that is revoked, and an exemption."""
    ask, today = city.ask, hanoi_day(read_clock())
    sold = {
        "kind": "monthly",
        "vehicle_class": "motorbike",
        "plates": ["29-B1 234.56", "29-B1 234.57"],
        "holder_name": "Nguyễn Thị Hoa",
        "holder_contact": "0900000001",
        "lot_id": lot.id,
        "valid_from": str(today),
        "months": 1,
    }
    made = await ask(lot.manager, "POST", "/v1/passes", sold)
    path = f"/v1/passes/{made['id']}"
    bill = await ask(lot.manager, "POST", f"{path}/bill")
    await city.transfer(place, bill["amount_vnd"], bill["reference"])
    await city.wait_for("SELECT 1 FROM passes WHERE in_force_at IS NOT NULL", count=1)
    for column in (
        "passes SET valid_from = valid_from - 26, valid_until = valid_until - 26",
        "pass_terms SET first_on = first_on - 26, last_on = last_on - 26",
    ):
        city.query(f"UPDATE {column} RETURNING id")  # it was sold four weeks ago
    for months in (1, 2):  # the second replaces the first, which nobody paid
        await ask(lot.manager, "POST", f"{path}/renewals", {"months": months})
    everywhere = {"plates": ["29-B1 234.58"], "lot_id": None, "seller_lot_id": lot.id}
    gone = await ask(lot.manager, "POST", "/v1/passes", sold | everywhere)
    in_cash = await ask(lot.manager, "POST", "/v1/passes", sold | {"plates": ["29-B1 234.60"]})
    cash = {"id": str(new_id()), "amount_vnd": in_cash["price_vnd"]}
    await ask(lot.attendant, "POST", f"/v1/passes/{in_cash['id']}/cash", cash)
    body = {"reason": "Khách trả vé"}
    await ask(lot.manager, "POST", f"/v1/passes/{gone['id']}/revoke", body)
    given = sold | {
        "kind": "exempt",
        "plates": ["29-B1 234.59"],
        "valid_until": str(today + timedelta(days=30)),
        "exempt_as": "resident",
        "reason": "Công văn 12/UBND",
        "months": None,
    }
    exemption = await ask(lot.manager, "POST", "/v1/passes", given)
    async with worker_database(city) as database:
        databases = JobDatabases(app=city.hub.services.database, worker=database)
        assert await warn_of_ends(databases, now=read_clock()) == 1
    with_ticket = await lot.enter(ticket="V-0001")  # its plate is read at the way out
    first = await lot.enter(plate="29B123456")
    assert first["pass_id"] == made["id"], first
    path = f"{lot.path}/sessions/{with_ticket['session_id']}/plate"
    read = {"plate": "29-B1 234.59", "vehicle_class": "motorbike"}
    await ask(lot.attendant, "POST", path, read)
    await lot.take(with_ticket["session_id"], "pass", pass_id=exemption["id"])


async def watched_plates(city: City, office: Office, lot: ServedLot) -> None:
    """A plate that is watched and comes in, and one that is watched no longer."""
    today = hanoi_day(read_clock())
    wanted = {
        "vehicle_class": "motorbike",
        "reason": "Xe bị báo mất cắp",
        "source": "CV 45/CAQ-HK",
        "from_on": str(today),
        "expires_on": str(today + timedelta(days=30)),
    }
    for plate in ("29-C1 765.43", "29-C1 765.44"):
        body = wanted | {"plate": plate}
        made = await city.ask(office.manager, "POST", "/v1/watched-plates", body)
        await city.ask(office.approver, "POST", f"/v1/watched-plates/{made['id']}/approve")
    gone = {"reason": "Đã tìm thấy xe"}
    await city.ask(office.manager, "POST", f"/v1/watched-plates/{made['id']}/remove", gone)
    stay = await lot.enter(plate="29C176543")
    assert stay["is_watched"], stay


async def ways_to_pay(city: City, place: Place, lot: ServedLot, shift_id: str) -> None:
    """Stays that are paid by code, in cash, by the float and by the poster, exempted, or not."""
    by_code = await lot.enter(plate=a_plate())
    bill = await lot.open_bill(by_code["session_id"])
    await city.transfer(place, bill["amount_vnd"], bill["reference"])
    await city.wait_for("SELECT 1 FROM parking_sessions WHERE bill_paid_vnd > 0", count=1)
    await lot.leave(by_code["session_id"])

    in_cash = await lot.enter(plate=a_plate())
    mistaken = await lot.take(in_cash["session_id"])
    path = f"/v1/parking-sessions/{in_cash['session_id']}/collections/{mistaken['id']}/reverse"
    await city.ask(lot.attendant, "POST", path, {})
    await lot.take(in_cash["session_id"])
    await lot.leave(in_cash["session_id"])

    on_behalf = await lot.enter(ticket="A0001", plate=a_plate())
    await lot.take(on_behalf["session_id"], "float")
    path = f"/v1/shifts/{shift_id}/deposits"
    deposit = await city.ask(lot.attendant, "POST", path, {"id": str(new_id())})
    await city.transfer(place, deposit["amount_vnd"], deposit["reference"])
    exempted = await lot.enter(tag="TAG-0001")
    await lot.take(exempted["session_id"], "exempt", reason="Xe cứu thương")
    await lot.leave(exempted["session_id"])
    await city.transfer(place, 5_000, "gui xe may")
    await city.wait_for("SELECT 1 FROM collections WHERE rail = 'poster'", count=1)

    unpaid = await lot.enter(plate=a_plate())
    await lot.leave(unpaid["session_id"], forced="arrears", reason="Khách không mang tiền")
    unconfirmed = await lot.enter(plate=a_plate())
    await lot.leave(unconfirmed["session_id"], forced="unconfirmed", reason="Mất mạng")


async def toll_wallets(city: City, office: Office, lot: ServedLot, sandbox: httpx.Client) -> None:
    """A wallet that pays and is given back, one that has too little, and a contract that ended."""
    admitted = {"client_id": CLIENT_ID, "secret": TOLL_SECRET}
    tell(sandbox, "toll/clients", admitted)
    for value, balance_vnd in ((PLATE, ENOUGH_VND), (POOR_PLATE, 1)):
        wallet = {"kind": "plate", "value": value, "balance_vnd": balance_vnd}
        tell(sandbox, "toll/wallets", wallet)
    wanted = admitted | {"name": "Ví thu phí", "url": str(sandbox.base_url)}
    gone = await city.ask(office.approver, "POST", "/v1/toll-contracts", wanted)
    await city.ask(office.approver, "POST", f"/v1/toll-contracts/{gone['id']}/revoke")
    await city.ask(office.approver, "POST", "/v1/toll-contracts", wanted)
    poor = await lot.enter(plate=POOR_PLATE)
    await lot.charge_toll(poor["session_id"])
    stay = await lot.enter(plate=PLATE)
    await lot.charge_toll(stay["session_id"])
    await lot.leave(stay["session_id"])

    tell(sandbox, "toll/faults", {"fault": "error_after", "calls_left": 1})
    again = await lot.enter(plate=PLATE)  # the answer is lost, and its driver pays in cash
    charged = await lot.charge_toll(again["session_id"])
    await lot.take(again["session_id"])
    ((id_,),) = city.query(
        "UPDATE toll_requests SET next_attempt_at = now() WHERE status = 'unknown' RETURNING id"
    )
    assert await city.hub.services.tolls.resume(UUID(office.id), id_)
    body = {"reason": "Khách đã trả tiền mặt"}
    await city.ask(office.finance, "POST", f"/v1/toll-charges/{charged['id']}/refund", body)


async def at_the_lanes(
    city: City, lot: ServedLot, lanes: dict[str, str], phone: EnrolledPhone
) -> None:
    """A vehicle that comes and goes by lanes whose barriers open, with photos, by a phone."""
    key = {"name": "Thanh chắn", "scopes": ["lanes.serve"], "lot_id": lot.id}
    made = await city.ask(lot.manager, "POST", "/v1/keys", key)
    controller = city.hub.new_client(Authorization=f"Bearer {made['key']}")
    seen = {"plate": a_plate(), "photo": await lot.add_photo(10), "access_id": lanes["in"]}
    read = {"method": "anpr", "read_text": "29AA 000.0?", "read_score_bps": 8_700}
    stay = await lot.enter(by=phone.client, **seen, **read)
    stay_id = stay["session_id"]
    await lot.open_lane(lanes["in"], controller, "opened", session_id=stay_id)
    await lot.take(stay_id, by=phone.client)
    seen = {"photo": await lot.add_photo(20), "access_id": lanes["out"]}
    await lot.leave(stay_id, by=phone.client, **seen)
    by_hand = {"reason": "Xe cứu thương", "photo": await lot.add_photo(30)}
    await lot.open_lane(lanes["out"], controller, "stuck", **by_hand)


async def lost_ticket(city: City, lot: ServedLot, phone: EnrolledPhone) -> None:
    """A ticket that was lost, with a photo of the owner's papers."""
    stay = await lot.enter(ticket="A0002", plate=a_plate(), by=phone.client)
    path = f"/v1/parking-sessions/{stay['session_id']}/lost-ticket"
    body = {"photo": await lot.add_photo(50), "reason": "Khách làm rơi vé"}
    await city.ask(phone.client, "POST", path, body)


async def stays_to_review(lot: ServedLot) -> None:
    """Two vehicles that came in although their plates were inside: one had left unseen."""
    for decision in ("left", "inside"):
        plate = a_plate()
        before = await lot.enter(plate=plate)
        after = await lot.enter(by=lot.manager, plate=plate, override_reason="Xe trước đã ra")
        if decision == "inside":
            await lot.leave(after["session_id"], forced="manual", reason="Gõ nhầm biển số")
        path = f"/v1/parking-sessions/{before['session_id']}/review"
        body = {"decision": decision, "reason": "Xem lại camera"}
        await lot.ask(lot.manager, "POST", path, body)


async def looked_at_again(city: City, place: Place, lot: ServedLot) -> None:
    """Two stays of one vehicle are joined, photos are read, and who is inside is counted."""
    stays = [await lot.enter(ticket="V-0002"), await lot.enter(plate=a_plate())]
    path = f"/v1/parking-sessions/{stays[0]['session_id']}/join"
    body = {"other_id": stays[1]["session_id"], "reason": "Một xe, hai lượt"}
    await city.ask(lot.manager, "POST", path, body)
    async with worker_database(city) as database:
        services, now = city.hub.services, read_clock()
        assert await read_waiting(services.database, database, services.photos, Blind(), now=now)
    counted = {"motorbike": 12, "car": 0}
    body = {"id": str(new_id()), "counted": counted, "note": "Đếm cuối ca"}
    await city.ask(place.office.finance, "POST", f"{lot.path}/recounts", body)


class Blind:
    """A reader that finds no plate: what is drawn for the frozen city shows none."""

    def read(self, photo: bytes) -> Reading:
        """Return nothing."""
        return Reading(candidates=(), lines=())


async def offline(city: City, phone: EnrolledPhone) -> None:
    """What the phone reports after it was offline."""
    came_in = phone.entry(at=read_clock() - timedelta(hours=2))
    out = phone.exit(came_in, at=read_clock() - timedelta(hours=1))
    assert await phone.send(came_in, out) == ["opened", "waiting"]
    await city.wait_for("SELECT 1 FROM movements WHERE handled_at IS NULL")


async def complaints(city: City, place: Place, lot: ServedLot) -> None:
    """A complaint about a bill that is answered with a refund, and one that is open."""
    stay = await lot.enter(plate=a_plate())
    bill = await lot.open_bill(stay["session_id"])
    await city.transfer(place, bill["amount_vnd"], bill["reference"])
    facts = {"taken": "20000", "words": "Thu thừa tiền", "contact": "0900000002"}
    sent = await lot.complain_at(bill["pay_url"], photo=a_photo(40), **facts)
    assert sent.status_code == 303, sent.text
    assert (await lot.complain(stay, category="rude")).status_code == 303
    listed = await city.ask(place.office.finance, "GET", "/v1/complaints")
    about_bill = next(one for one in listed["complaints"] if one["contact"])
    answer = {"outcome": "upheld", "answer": "Bãi xe trả lại bạn.", "refund_vnd": 1_000}
    path = f"/v1/complaints/{about_bill['id']}/resolve"
    await city.ask(place.office.finance, "POST", path, answer)
