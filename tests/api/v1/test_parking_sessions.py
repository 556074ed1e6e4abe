"""The way out over HTTP: quote, code, cash, leave, undo; who may see what; shifts."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from api.http import deps
from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.quoting import QUOTED_FOR
from payments.bills.queries import get_bill
from tests.world.entries import all_are, count_parked
from tests.world.gates import CODE, Gate
from tests.world.lots import a_lot
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, a_tariff, as_stall
from tests.world.waits import DEADLINE_S, LOOKS_EVERY_S

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gate(gate: Gate) -> Gate:
    """The lot with a tariff."""
    await a_tariff(gate.hub.services.database, gate.lot, now=read_clock())
    return gate


async def enter(gate: Gate, **facts: Any) -> str:
    entered = await gate.enter(**facts)
    assert entered["verdict"] == "opened"
    return f"/v1/parking-sessions/{entered['session_id']}"


async def open_shift(gate: Gate, client: httpx.AsyncClient | None = None) -> str:
    body = {"id": str(new_id()), "lot_id": str(gate.lot.id), "change_vnd": 100_000}
    answer = await (client or gate.attendant).post("/v1/shifts", json=body)
    assert answer.status_code == 201, answer.text
    return f"/v1/shifts/{body['id']}"


async def quote(gate: Gate, path: str) -> dict[str, Any]:
    answer = await gate.attendant.post(f"{path}/quotes", json={})
    assert answer.status_code == 201, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def take_cash(gate: Gate, path: str, said: dict[str, Any], **facts: Any) -> httpx.Response:
    body = {
        "id": str(new_id()),
        "rail": "cash",
        "amount_vnd": said["amount_vnd"],
        "quote": said["quote"],
        **facts,
    }
    return await gate.attendant.post(f"{path}/collections", json=body)


async def test_a_motorbike_is_quoted_pays_by_code_and_leaves(gate: Gate) -> None:
    path = await enter(gate)
    said = await quote(gate, path)
    assert (said["amount_vnd"], said["price_vnd"], said["paid_vnd"]) == (5_000, 5_000, 0)
    assert sum(line["amount_vnd"] for line in said["lines"]) == PER_VISIT_VND
    body = {"id": str(new_id()), "amount_vnd": said["amount_vnd"], "quote": said["quote"]}

    shown = await gate.attendant.post(f"{path}/bills", json=body)
    assert shown.status_code == 201, shown.text
    assert shown.json()["vietqr"].startswith("000201")
    again = await gate.attendant.post(f"{path}/bills", json=body)
    assert again.json()["id"] == shown.json()["id"] == body["id"]
    refused = await gate.attendant.post(f"{path}/exit", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_paid")

    database = gate.hub.services.database
    stall = await as_stall(database, gate.lot)
    async with open_org_transaction(database, gate.lot.org.id) as session:
        bill = await get_bill(session, gate.lot.org.id, UUID(body["id"]))
    await pay(database, stall, bill, now=read_clock())

    async with asyncio.timeout(DEADLINE_S):
        while not (await gate.attendant.get(path)).json()["paid_until"]:  # noqa: ASYNC110
            await asyncio.sleep(LOOKS_EVERY_S)
    left = await gate.attendant.post(f"{path}/exit", json={})
    assert (left.status_code, left.json()["reason"]) == (200, "paid")
    assert (await gate.attendant.post(f"{path}/exit", json={})).json()["is_repeat"]


async def test_cash_belongs_to_a_shift_and_a_closed_shift_says_what_was_missing(
    gate: Gate,
) -> None:
    path = await enter(gate)
    said = await quote(gate, path)
    nobody = await take_cash(gate, path, said)
    assert (nobody.status_code, nobody.json()["code"]) == (409, "no_open_shift")
    shift = await open_shift(gate)

    taken = await take_cash(gate, path, said)
    assert taken.status_code == 201, taken.text
    assert taken.json()["receipt_number"].startswith("PT")
    assert (await gate.attendant.post(f"{path}/exit", json={})).status_code == 200
    running = (await gate.attendant.get("/v1/shifts/open")).json()
    assert (running["entered"], running["left"], running["expected_vnd"]) == (0, 1, None)
    assert "cash" not in running["by_rail"]

    closed = await gate.attendant.post(f"{shift}/close", json={"counted_vnd": 104_000})
    assert closed.status_code == 200, closed.text
    assert (closed.json()["expected_vnd"], closed.json()["variance_vnd"]) == (105_000, -1_000)
    other = await gate.attendant.post(f"{shift}/close", json={"counted_vnd": 105_000})
    assert (other.status_code, other.json()["code"]) == (409, "shift_closed")


async def test_only_what_was_quoted_for_this_stay_is_taken(gate: Gate) -> None:
    await open_shift(gate)
    path, other = await enter(gate), await enter(gate)
    said = await quote(gate, path)

    for answer in (
        await take_cash(gate, path, said, amount_vnd=4_000),
        await take_cash(gate, other, said),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "quote_amount_differs")
    first = "y" if said["quote"].startswith("x") else "x"
    forged = await take_cash(gate, path, said, quote=first + said["quote"][1:])
    assert (forged.status_code, forged.json()["code"]) == (422, "quote_not_authentic")
    missing = await take_cash(gate, path, said, quote=None)
    assert missing.status_code == 422


async def test_a_slip_is_undone_and_later_it_takes_a_manager(gate: Gate) -> None:
    await open_shift(gate)
    path = await enter(gate, plate="29-A1 12345")
    said = await quote(gate, path)
    taken = (await take_cash(gate, path, said)).json()
    assert (await gate.attendant.post(f"{path}/exit", json={})).status_code == 200

    inside = await gate.attendant.post(f"{path}/exit/undo")
    assert (inside.status_code, inside.json()["status"]) == (200, "inside")
    reverse = f"{path}/collections/{taken['id']}/reverse"
    reversed_ = await gate.attendant.post(reverse, json={})
    assert reversed_.status_code == 200, reversed_.text
    assert reversed_.json()["reversed_at"]
    assert (await gate.attendant.post(reverse, json={})).json() == reversed_.json()
    assert (await quote(gate, path))["amount_vnd"] == PER_VISIT_VND

    theirs = await gate.manager.post(f"{path}/exit/undo")
    assert theirs.status_code == 200  # it is inside already


async def test_an_entry_is_undone_by_who_recorded_it_while_nothing_hangs_on_it(
    gate: Gate, owner_database: Database
) -> None:
    shift = await open_shift(gate)
    slip, paid = await enter(gate, plate="29-A1 12345"), await enter(gate, plate="29-A1 99999")
    await take_cash(gate, paid, await quote(gate, paid))

    theirs = await gate.manager.post(f"{slip}/entry/undo")
    undone = await gate.attendant.post(f"{slip}/entry/undo")
    again = await gate.attendant.post(f"{slip}/entry/undo")
    too_late = await gate.attendant.post(f"{paid}/entry/undo")

    assert (theirs.status_code, theirs.json()["code"]) == (409, "entry_not_undoable")
    assert (undone.status_code, undone.json()["status"]) == (200, "voided")
    assert again.status_code == 200
    assert (too_late.status_code, too_late.json()["code"]) == (409, "entry_not_undoable")
    assert all_are(await count_parked(owner_database, gate.lot), 1)
    assert (await gate.attendant.get(shift)).json()["entered"] == 1
    assert (await gate.enter(plate="29-A1 12345"))["verdict"] == "opened"


async def test_an_entry_stays_after_ten_seconds(gate: Gate, owner_database: Database) -> None:
    path = await enter(gate, plate="29-A1 12345")
    async with owner_database.begin() as session:
        await session.execute(
            text("UPDATE parking_sessions SET entered_at = entered_at - interval '11 seconds'")
        )

    late = await gate.attendant.post(f"{path}/entry/undo")

    assert (late.status_code, late.json()["code"]) == (409, "entry_not_undoable")


async def test_own_typing_is_corrected_freely_until_something_was_paid(gate: Gate) -> None:
    await open_shift(gate)
    path = await enter(gate, plate="29-A1 12345")
    taken = await enter(gate, plate="29-A1 99999")
    body = {"plate": "29-A1 12346", "vehicle_class": "motorbike"}

    changed = await gate.attendant.patch(path, json=body)
    assert changed.status_code == 200, changed.text
    assert changed.json()["plate"] == "29A112346"
    same = await gate.attendant.patch(path, json=body | {"plate": "29-A1 99999"})
    assert (same.status_code, same.json()["code"]) == (409, "credential_inside")
    assert (await gate.enter(plate="29-A1 12346"))["verdict"] == "already_inside"
    assert (await gate.enter(plate="29-A1 12345"))["verdict"] == "opened"

    assert (await take_cash(gate, taken, await quote(gate, taken))).status_code == 201
    late = body | {"plate": "29-A1 88888"}
    refused = await gate.attendant.patch(taken, json=late)
    assert (refused.status_code, refused.json()["code"]) == (403, "approval_needed")
    approved = await gate.manager.patch(taken, json=late | {"reason": "Nhập nhầm biển"})
    assert approved.status_code == 200, approved.text


async def test_attendants_see_their_lot_and_only_what_is_inside_or_of_their_shift(
    gate: Gate,
) -> None:
    path = await enter(gate)
    elsewhere = await a_lot(
        gate.hub.services.database, org=gate.lot.org, is_live=False, now=read_clock()
    )
    stranger = await gate.staff("nguoi.la", "attendant", lot=elsewhere)
    for answer in (
        await stranger.get(path),
        await stranger.post(f"{path}/quotes", json={}),
        await stranger.post(f"{path}/exit", json={"forced": "manual", "reason": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "parking_session_not_found")
    colleague = await gate.staff("dong.nghiep", "attendant", lot=gate.lot)
    assert (await colleague.get(path)).status_code == 200

    owing = {"forced": "arrears", "reason": "Khách bỏ chạy", "no_photo_reason": "Xe đi mất"}
    forced = await gate.attendant.post(f"{path}/exit", json=owing)
    assert (forced.status_code, forced.json()["reason"]) == (200, "arrears")
    paid = await gate.attendant.get(path)
    assert paid.status_code == 200  # they let it out themselves
    free = await enter(gate)
    await open_shift(gate)
    assert (await take_cash(gate, free, await quote(gate, free))).status_code == 201
    assert (await gate.attendant.post(f"{free}/exit", json={})).status_code == 200
    assert (await colleague.get(free)).status_code == 404
    assert (await gate.manager.get(free)).status_code == 200


async def test_what_was_paid_on_behalf_is_deposited_by_one_bill(gate: Gate) -> None:
    shift = await open_shift(gate)
    for _ in range(2):
        path = await enter(gate)
        taken = await take_cash(gate, path, await quote(gate, path), rail="float")
        assert taken.status_code == 201, taken.text

    deposit = await gate.attendant.post(f"{shift}/deposits", json={"id": str(new_id())})

    assert deposit.status_code == 201, deposit.text
    assert deposit.json()["amount_vnd"] == 2 * PER_VISIT_VND


async def test_a_machine_has_no_shift(gate: Gate) -> None:
    kiosk = await gate.hub.machine(gate.admin, "parking.gate", org=gate.lot.org.code)
    body = {"id": str(new_id()), "lot_id": str(gate.lot.id)}

    answer = await kiosk.post("/v1/shifts", json=body)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_who_acts_for_another_organisation_has_no_shift_there(gate: Gate) -> None:
    body = {"id": str(new_id()), "lot_id": str(gate.lot.id)}

    answer = await gate.admin.post("/v1/shifts", params={"org": CODE}, json=body)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "another organisation" in answer.json()["detail"]


async def test_a_bill_that_was_opened_answers_a_repeat_after_its_quote_is_over(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = await enter(gate), await enter(gate)
    said = await quote(gate, path)
    body = {"id": str(new_id()), "amount_vnd": said["amount_vnd"], "quote": said["quote"]}
    shown = await gate.attendant.post(f"{path}/bills", json=body)
    assert shown.status_code == 201, shown.text

    later = read_clock() + QUOTED_FOR + timedelta(seconds=1)
    # Other tests of this process have the same application.
    monkeypatch.setitem(gate.hub.app.dependency_overrides, deps.read_clock, lambda: later)
    again = await gate.attendant.post(f"{path}/bills", json=body)
    anew = await gate.attendant.post(f"{path}/bills", json=body | {"id": str(new_id())})
    elsewhere = await gate.attendant.post(f"{other}/bills", json=body)

    assert again.status_code == 201, again.text
    assert (again.json()["id"], again.json()["vietqr"]) == (body["id"], shown.json()["vietqr"])
    assert (anew.status_code, anew.json()["code"]) == (409, "quote_expired")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "bill_id_taken")


async def test_a_vehicle_is_found_by_its_plate_or_ticket_and_leaves_if_nothing_is_due(
    gate: Gate,
) -> None:
    await open_shift(gate)
    path = await enter(gate, plate="29-A1 55555")
    await enter(gate, plate=None, ticket="V-17")
    exits = f"/v1/lots/{gate.lot.id}/exits"
    seen = {"plate": "29A1-555.55", "vehicle_class": "motorbike"}

    owes = await gate.attendant.post(exits, json=seen)
    assert (owes.status_code, owes.json()["verdict"]) == (200, "due")
    assert owes.json()["due_vnd"] == PER_VISIT_VND
    assert path.endswith(owes.json()["session_id"])
    assert (await take_cash(gate, path, await quote(gate, path))).status_code == 201
    left = await gate.attendant.post(exits, json=seen)
    assert (left.status_code, left.json()["verdict"], left.json()["reason"]) == (
        201,
        "left",
        "paid",
    )
    gone = await gate.attendant.post(exits, json=seen)
    assert (gone.status_code, gone.json()["verdict"]) == (200, "not_inside")
    ticket = await gate.attendant.post(exits, json={"ticket": "v-17"})
    assert ticket.json()["verdict"] == "due"
    both = await gate.attendant.post(exits, json=seen | {"ticket": "V-17"})
    assert (both.status_code, both.json()["code"]) == (422, "invalid_request")
