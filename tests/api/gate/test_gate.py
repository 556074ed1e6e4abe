"""The gate's own routes: what an attendant sees of their lot, and of no other."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.clock import read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.rules import OWNER_KIND as STAY
from parking.shifts.deposits import OWNER_KIND as DEPOSIT
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from tests.world.bills import a_bill
from tests.world.gates import Gate
from tests.world.hubs import Hub
from tests.world.lots import LotFacts, a_lot
from tests.world.notices import pay
from tests.world.parking_sessions import a_tariff, a_tariff_document, as_stall
from tests.world.references import a_block, a_device

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gate(gate: Gate) -> Gate:
    """The lot with a tariff."""
    await a_tariff(gate.hub.services.database, gate.lot, now=read_clock())
    return gate


@pytest.fixture
async def neighbour(hub: Hub, gate: Gate) -> LotFacts:
    """Another lot of the same operator, whose money is for the same payee."""
    return await a_lot(
        hub.services.database,
        org=gate.lot.org,
        paid_to=(gate.lot.payee_id, gate.lot.account_id),
        now=read_clock(),
    )


@pytest.fixture
async def attendant(gate: Gate, hub: Hub) -> httpx.AsyncClient:
    """The attendant's browser; its pages are not in the OpenAPI."""
    return await hub.browser("bao.ve")


@pytest.fixture
async def manager(gate: Gate, hub: Hub) -> httpx.AsyncClient:
    return await hub.browser("quan.ly")


def paths_of(lot: LotFacts) -> list[str]:
    base = f"/gate/lots/{lot.id}"
    id_ = new_id()
    return [
        f"{base}/inside?q=345",
        f"{base}/posted",
        f"{base}/price",
        f"{base}/stays/{id_}",
        f"{base}/stays/{id_}/debts",
        f"{base}/stays/{id_}/ticket",
        f"{base}/receipts/{id_}",
        f"{base}/bills/{id_}/code",
        f"{base}/drawn-codes?id={id_}",
        f"{base}/events",
    ]


async def test_an_attendant_sees_the_gate_of_their_own_lot_only(
    gate: Gate, neighbour: LotFacts, attendant: httpx.AsyncClient
) -> None:
    page = await attendant.get("/gate")
    assert page.status_code == 200
    assert str(gate.lot.id) in page.text
    assert str(neighbour.id) not in page.text

    for path in paths_of(neighbour):
        answer = await attendant.get(path)
        assert (answer.status_code, path) == (404, path)
    assert (await attendant.get(f"/gate/lots/{gate.lot.id}/inside?q=345")).status_code == 200
    sent_home = await attendant.get("/")
    assert sent_home.headers["location"] == "/gate"


async def test_phone_keeps_the_tariffs_of_those_who_came_and_of_those_who_will(
    gate: Gate, hub: Hub, attendant: httpx.AsyncClient
) -> None:
    """The tariff of a week ago prices who came then; what begins in a month is not needed yet."""
    now, path = read_clock(), f"/gate/lots/{gate.lot.id}/posted"
    for days, document in ((-7, a_night_tariff(9_000)), (2, a_night_tariff(11_000))):
        at = now + timedelta(days=days)
        await a_tariff(hub.services.database, gate.lot, document, since=at, now=now)
    await a_tariff(hub.services.database, gate.lot, since=now + timedelta(days=30), now=now)

    rates = (await attendant.get(path)).json()["rates"]

    assert [sorted(one["plans"]) for one in rates] == [["car", "motorbike"], ["car"], ["car"]]
    began = [datetime.fromisoformat(one["from_at"]) - now for one in rates]
    assert [round(one / timedelta(days=1)) for one in began] == [-31, -7, 2]
    prices = [one["plans"]["car"]["ladders"][0]["lines"][0][-1] for one in rates]
    assert prices == [25_000, 9_000, 11_000]
    assert [one["plans"]["car"]["tables"][0][0][:2] for one in rates[1:]] == [[360, 720]] * 2


def a_night_tariff(night_vnd: int) -> dict[str, Any]:
    """A tariff for cars alone: by night a price, by day nothing."""
    line = {"type": "flatRate", "value_vnd": night_vnd, "window": "18:00-06:00"}
    tables = [{"vehicle_classes": ["car"], "rate_line_collections": [{"rate_lines": [line]}]}]
    return a_tariff_document(rate_tables=tables)


async def test_a_stay_of_another_lot_is_not_shown_under_ones_own(
    gate: Gate,
    neighbour: LotFacts,
    attendant: httpx.AsyncClient,
    manager: httpx.AsyncClient,
) -> None:
    entered = await manager.post(f"/v1/lots/{neighbour.id}/entries", json=gate.body())
    session_id = entered.json()["session_id"]

    for client in (attendant, manager):
        shown = await client.get(f"/gate/lots/{gate.lot.id}/stays/{session_id}")
        assert shown.status_code == 404
    ticket = await manager.get(f"/gate/lots/{gate.lot.id}/stays/{session_id}/ticket")
    assert ticket.status_code == 404


async def test_a_code_of_money_that_is_not_parking_is_not_drawn(
    gate: Gate, hub: Hub, attendant: httpx.AsyncClient
) -> None:
    stall = await as_stall(hub.services.database, gate.lot)
    bill = await a_bill(hub.services.database, stall, now=read_clock())

    answer = await attendant.get(f"/gate/lots/{gate.lot.id}/bills/{bill.id}/code")

    assert answer.status_code == 404


async def test_a_code_is_drawn_at_the_lot_of_its_stay_and_at_no_other_of_the_payee(
    gate: Gate, neighbour: LotFacts, hub: Hub, manager: httpx.AsyncClient
) -> None:
    stall = await as_stall(hub.services.database, gate.lot)
    here = await manager.post(gate.entries_path, json=gate.body())
    there = await manager.post(f"/v1/lots/{neighbour.id}/entries", json=gate.body())
    answers = []

    for entered in (here, there):
        owner = (STAY, UUID(entered.json()["session_id"]))
        bill = await a_bill(hub.services.database, stall, owner=owner, now=read_clock())
        for lot in (gate.lot, neighbour):
            answer = await manager.get(f"/gate/lots/{lot.id}/bills/{bill.id}/code")
            answers.append(answer.status_code)
    stray = await a_bill(hub.services.database, stall, owner=(STAY, new_id()), now=read_clock())
    lost = await manager.get(f"/gate/lots/{gate.lot.id}/bills/{stray.id}/code")

    assert answers == [200, 404, 404, 200]
    assert (lost.status_code, "bill_not_found" in lost.text) == (404, True)


async def test_the_code_of_a_deposit_is_drawn_at_the_lot_of_its_shift_only(
    gate: Gate, neighbour: LotFacts, hub: Hub, manager: httpx.AsyncClient
) -> None:
    shift_id = str(new_id())
    opened = await manager.post("/v1/shifts", json={"id": shift_id, "lot_id": str(gate.lot.id)})
    assert opened.status_code == 201, opened.text
    stall = await as_stall(hub.services.database, gate.lot)
    owner = (DEPOSIT, UUID(shift_id))
    bill = await a_bill(hub.services.database, stall, owner=owner, now=read_clock())

    here = await manager.get(f"/gate/lots/{gate.lot.id}/bills/{bill.id}/code")
    there = await manager.get(f"/gate/lots/{neighbour.id}/bills/{bill.id}/code")

    assert (here.status_code, there.status_code) == (200, 404)


async def test_lots_of_one_payee_hear_their_own_parking_and_nothing_else(
    gate: Gate, neighbour: LotFacts, hub: Hub, attendant: httpx.AsyncClient
) -> None:
    async def record(kind: EventKind, lot_id: UUID | None, **data: Any) -> None:
        facts = {**data, **({"lot_id": str(lot_id)} if lot_id else {})}
        event = NewEvent(kind=kind, payee_id=gate.lot.payee_id, data=facts)
        async with open_org_transaction(hub.services.database, gate.lot.org.id) as session:
            await outbox.record(session, gate.lot.org.id, [event], now=read_clock())

    caught_up = asyncio.Event()
    names: list[str] = []

    async def listen(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", f"/gate/lots/{gate.lot.id}/events") as stream:
            async for line in stream.aiter_lines():
                if line.startswith(("event: parking", "event: counter")):
                    names.append(line)
                if "caught-up" in line:
                    caught_up.set()
                if "parking.left" in line:
                    return

    listening = asyncio.create_task(listen(attendant))
    async with asyncio.timeout(10):
        await caught_up.wait()
    await record(EventKind.COUNTER_SALE, None, amount_vnd=9_000)
    await record(EventKind.PARKING_SESSION_PAID, neighbour.id)
    await record(EventKind.PARKING_SESSION_PAID, gate.lot.id)
    await record(EventKind.PARKING_LEFT, gate.lot.id)
    async with asyncio.timeout(15):
        await listening

    assert names == ["event: parking.session_paid", "event: parking.left"]


async def test_worker_may_serve_the_whole_gate(attendant: httpx.AsyncClient) -> None:
    worker = await attendant.get("/gate/worker.js")

    assert worker.headers["service-worker-allowed"] == "/gate"
    assert worker.headers["cache-control"] == "no-cache"
    assert '"/static/js/gate.js"' in worker.text


async def test_codes_drawn_without_network_are_told_paid_or_waiting_at_their_own_lot(
    gate: Gate, neighbour: LotFacts, hub: Hub, manager: httpx.AsyncClient
) -> None:
    database, now = hub.services.database, read_clock()
    stall = await as_stall(database, gate.lot, is_sandbox=True)
    entered = await manager.post(gate.entries_path, json=gate.body())
    owner = (STAY, UUID(entered.json()["session_id"]))
    paid, unpaid = [await a_bill(database, stall, owner=owner, now=now) for _ in "ab"]
    await pay(database, stall, paid, now=now)
    device_id = await a_device(database, stall, lot_id=gate.lot.id)
    reference = (await a_block(database, stall, device_id, now=now)).block.list_references()[0]
    waiting = replace(unpaid, reference=reference)
    assert await pay(database, stall, waiting, amount_vnd=7_000, now=now) == "awaiting_sync"

    query = f"drawn-codes?id={paid.id}&id={unpaid.id}&id={new_id()}"
    here = (await manager.get(f"/gate/lots/{gate.lot.id}/{query}")).json()
    there = (await manager.get(f"/gate/lots/{neighbour.id}/{query}")).json()

    assert here == {"paid": [str(paid.id)], "awaiting": {"count": 1, "amount_vnd": 7_000}}
    assert there == {"paid": [], "awaiting": {"count": 0, "amount_vnd": 0}}
    too_many = "&".join(f"id={new_id()}" for _ in range(51))
    refused = await manager.get(f"/gate/lots/{gate.lot.id}/drawn-codes?{too_many}")
    assert refused.status_code == 422
