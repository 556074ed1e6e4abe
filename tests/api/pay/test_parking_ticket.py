"""The driver's page: what is due in words, the code that pays it, and nothing for a guesser."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Role
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import Taken, collect, open_bill
from parking.exits.rules import ExitReason
from parking.exits.standing import get_stay
from parking.sessions.tickets import write_ticket_code
from payments.bills.queries import find_bills
from payments.bills.rules import BillFacts
from tests.world.breaks import give_up_rest
from tests.world.clocks import stop_refills
from tests.world.hubs import Hub
from tests.world.lots import CAR
from tests.world.notices import pay
from tests.world.pages import as_reader, text_of
from tests.world.parking_sessions import (
    HOURLY_VND,
    PER_VISIT_VND,
    Gate,
    a_bill_wanted,
    a_gate,
    a_stay,
    cash,
    ticket_path_of,
)
from tests.world.running_lots import employ_at

pytestmark = pytest.mark.anyio

PLATE = "30F12345"


@pytest.fixture
async def gate(hub: Hub) -> Gate:
    return await a_gate(hub.services.database, code="DXE2", now=read_clock())


@pytest.fixture
def driver(hub: Hub) -> httpx.AsyncClient:
    """The phone of a driver, who never signed in."""
    return as_reader(hub.new_browser())


@pytest.fixture
async def stay_id(hub: Hub, gate: Gate) -> UUID:
    """A car that came in half an hour ago."""
    entered_at = read_clock() - timedelta(minutes=30)
    return await a_stay(
        hub.services.database, gate, vehicle_class=CAR, plate=PLATE, entered_at=entered_at
    )


@pytest.fixture
async def path(hub: Hub, gate: Gate, stay_id: UUID) -> str:
    return await ticket_path_of(hub.services.database, gate, stay_id)


async def move(owner_database: Database, stay_id: UUID, **columns: Any) -> None:
    """Let a stay have come in earlier, or have paid earlier, than it did."""
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    async with owner_database.begin() as session:
        await session.execute(
            text(f"UPDATE parking_sessions SET {assignments} WHERE id = :id"),
            {"id": stay_id, **columns},
        )


async def bills_of(hub: Hub, gate: Gate, stay_id: UUID) -> list[BillFacts]:
    async with open_org_transaction(hub.services.database, gate.org_id) as session:
        rows = await session.scalars(
            text("SELECT id FROM bills WHERE owner_id = :id ORDER BY id"), {"id": stay_id}
        )
        found = await find_bills(session, gate.org_id, rows.all())
    return [found[id_] for id_ in sorted(found)]


async def press(driver: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    """Ask for a code, and follow to the page."""
    answer = await driver.post(f"{path}/bills", data=form)
    assert answer.status_code == 303, answer.text
    return await driver.get(answer.headers["location"])


async def wait_for_state(driver: httpx.AsyncClient, path: str, state: str) -> None:
    """Wait until the page is in a state: its stay is notified in a transaction of its own."""
    for _ in range(100):
        if f'data-pay-state="{state}"' in (await driver.get(f"{path}/state")).text:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"the page does not become {state}")


async def let_out(database: Database, gate: Gate, stay_id: UUID, **facts: Any) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        request = LeaveRequest(session_id=stay_id, actor=gate.attendant, **facts)
        (left,) = await leave(session, gate.org_id, [request], now=read_clock())
    assert not isinstance(left, Exception), left


async def test_page_says_what_is_due_of_what_and_who_may_take_it(
    driver: httpx.AsyncClient, path: str
) -> None:
    answer = await driver.get(path)

    assert answer.status_code == 200
    words = text_of(answer)
    for said in (
        "Bãi xe Trần Quang Khải",
        "30F***45",
        "Ô tô",
        "25.000 ₫",
        "Mỗi giờ",
        "Bắt đầu giờ (hoặc lượt) nào thì tính trọn",
        "QĐ 44/2017/QĐ-UBND",
        "123/GP-SXD",
        "Công ty TNHH MTV Khai thác điểm đỗ xe",
        "0100108688",
        "Trả bằng mã VietQR",
        "Trả xong có ít nhất 15 phút để ra khỏi bãi.",
    ):
        assert said in words, said
    assert PLATE not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "30F" not in answer.text.partition("</head>")[0]


async def test_every_wrong_link_gets_the_same_answer(
    driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    code = gate.lot.org.code
    links = [
        write_ticket_code(code, stay_id, uuid4()),
        write_ticket_code(code, new_id(), uuid4()),
        write_ticket_code("ZZZZ", stay_id, uuid4()),
        path.rpartition("/")[2][:-2],
        PLATE,
        str(stay_id),
    ]

    answers = [await driver.get(f"/t/{link}{end}") for link in links for end in ("", "/state")]
    answers += [await driver.post(f"/t/{link}/bills") for link in links]

    assert {answer.status_code for answer in answers} == {404}
    assert len({text_of(answer).partition("Mã yêu cầu")[0] for answer in answers}) == 1


@pytest.mark.slow
async def test_a_guesser_is_stopped_and_a_driver_behind_the_same_address_is_not(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, path: str
) -> None:
    guessed = []
    stop_refills(hub.services.limits.pay_misses)
    for _ in range(61):
        link = write_ticket_code(gate.lot.org.code, new_id(), uuid4())
        guessed.append((await driver.get(f"/t/{link}")).status_code)

    assert guessed == [404] * 60 + [429]
    assert (await driver.get(path)).status_code == 200


async def test_the_hub_fixes_the_amount_and_two_presses_are_one_code(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    page = await press(driver, path, amount_vnd="1")
    again = await press(driver, path)

    [bill] = await bills_of(hub, gate, stay_id)
    assert bill.amount_vnd == HOURLY_VND
    for shown in (page, again):
        assert 'class="qr"' in shown.text
        assert bill.reference in text_of(shown)
        assert "Trả bằng mã VietQR" not in text_of(shown)


async def test_a_code_gives_way_once_the_stay_costs_more(
    hub: Hub,
    owner_database: Database,
    driver: httpx.AsyncClient,
    gate: Gate,
    stay_id: UUID,
    path: str,
) -> None:
    await press(driver, path)
    await move(owner_database, stay_id, entered_at=read_clock() - timedelta(minutes=90))

    waiting = await driver.get(path)
    assert 'class="qr"' not in waiting.text
    assert "Lấy mã VietQR mới" in text_of(waiting)
    assert "50.000 ₫" in text_of(waiting)

    await press(driver, path)
    first, second = await bills_of(hub, gate, stay_id)
    assert (first.status, second.status) == ("cancelled", "open")
    assert second.amount_vnd == 2 * HOURLY_VND


async def open_ahead(hub: Hub, gate: Gate, stay_id: UUID, hours: int) -> BillFacts:
    """Open the code of an attendant who was asked for so many hours after the entry."""
    async with open_org_transaction(hub.services.database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
        return await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, hours * HOURLY_VND),
            priced_at=stay.entered_at + timedelta(hours=hours),
            actor=gate.attendant,
            now=read_clock(),
        )


async def set_timing(owner_database: Database, timing: str) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE lots SET payment_timing = :timing"), {"timing": timing})


async def test_a_code_for_hours_ahead_is_shown_and_no_press_replaces_it(
    hub: Hub,
    owner_database: Database,
    driver: httpx.AsyncClient,
    gate: Gate,
    stay_id: UUID,
    path: str,
) -> None:
    await set_timing(owner_database, "prepay")
    ahead = await open_ahead(hub, gate, stay_id, 3)

    page = await driver.get(path)
    pressed = await press(driver, path)

    for shown in (page, pressed):
        assert 'class="qr"' in shown.text
        assert ahead.reference in text_of(shown)
        assert "mã VietQR mới" not in text_of(shown)
    [bill] = await bills_of(hub, gate, stay_id)
    assert (bill.id, bill.status) == (ahead.id, "open")


async def test_a_code_for_hours_ahead_that_cover_the_stay_no_longer_gives_way(
    hub: Hub,
    owner_database: Database,
    driver: httpx.AsyncClient,
    gate: Gate,
    stay_id: UUID,
    path: str,
) -> None:
    await set_timing(owner_database, "prepay")
    await open_ahead(hub, gate, stay_id, 2)
    await move(owner_database, stay_id, entered_at=read_clock() - timedelta(minutes=150))

    assert 'class="qr"' not in (await driver.get(path)).text
    await press(driver, path)

    first, second = await bills_of(hub, gate, stay_id)
    assert (first.status, second.status) == ("cancelled", "open")
    assert second.amount_vnd == 3 * HOURLY_VND


async def test_where_nothing_is_paid_ahead_a_code_asks_for_what_is_due(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    await open_ahead(hub, gate, stay_id, 3)

    assert 'class="qr"' not in (await driver.get(path)).text
    await press(driver, path)

    assert [one.amount_vnd for one in await bills_of(hub, gate, stay_id)] == [
        3 * HOURLY_VND,
        HOURLY_VND,
    ]


async def test_paid_by_code_the_page_says_until_when_it_is_covered_and_keeps_the_receipt(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    await press(driver, path)
    [bill] = await bills_of(hub, gate, stay_id)

    await pay(hub.services.database, gate.stall, bill, now=read_clock())

    await wait_for_state(driver, path, "paid")
    state = await driver.get(f"{path}/state")
    assert "Không phải trả thêm nếu ra trước" in text_of(state)  # the hour that was paid
    assert 'role="timer"' not in state.text
    await let_out(hub.services.database, gate, stay_id)
    left = await driver.get(path)
    assert "Xe đã ra" in text_of(left)
    receipt = f"/p/{gate.lot.org.code}-{bill.public_token}/receipt"
    assert receipt in left.text
    assert (await driver.get(receipt)).status_code == 200


@pytest.mark.slow
async def test_a_rest_that_was_given_up_is_shown_as_nobodys_payment(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    database, now = hub.services.database, read_clock()
    await press(driver, path)
    [bill] = await bills_of(hub, gate, stay_id)
    await pay(database, gate.stall, bill, amount_vnd=HOURLY_VND - 1_000, now=now)
    await give_up_rest(database, gate.stall, bill, amount_vnd=1_000, now=now)
    await let_out(database, gate, stay_id)

    ticket = text_of(await driver.get(path))
    await employ_at(database, gate.lot, "manager.dxe2", Role.MANAGER)
    manager = as_reader(await hub.browser("manager.dxe2"))
    day = text_of(await manager.get(f"/manage/lots/{gate.lot.id}"))

    assert "24.000 ₫ Xem biên nhận" in ticket  # of 25.000
    assert "Phần thiếu đã xóa sổ 1 lượt 1.000 ₫" in day
    assert "Đã thu 24.000 ₫" in day


async def test_after_the_grace_the_rest_is_due(
    hub: Hub,
    owner_database: Database,
    driver: httpx.AsyncClient,
    gate: Gate,
    stay_id: UUID,
    path: str,
) -> None:
    now = read_clock()
    await move(owner_database, stay_id, entered_at=now - timedelta(minutes=55))
    await collect_cash(hub.services.database, gate, stay_id, HOURLY_VND)
    page = await driver.get(path)
    assert 'data-pay-state="paid"' in page.text
    assert "Mời bạn ra trước" in text_of(page)
    assert 'role="timer"' in page.text

    await move(
        owner_database,
        stay_id,
        entered_at=now - timedelta(minutes=90),
        paid_until=now - timedelta(seconds=1),
    )

    words = text_of(await driver.get(path))
    assert "Chưa trả" in words
    assert "Đã trả 25.000 ₫" in words
    page = await press(driver, path)
    assert 'class="qr"' in page.text
    assert (await bills_of(hub, gate, stay_id))[0].amount_vnd == HOURLY_VND


async def collect_cash(database: Database, gate: Gate, stay_id: UUID, amount_vnd: int) -> Any:
    async with open_org_transaction(database, gate.org_id) as session:
        now = read_clock()
        taken: Taken = cash(amount_vnd)
        return await collect(
            session, gate.org_id, stay_id, taken, priced_at=now, actor=gate.attendant, now=now
        )


async def test_cash_ends_the_code_and_the_page_names_its_receipt(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    await press(driver, path)

    collected = await collect_cash(hub.services.database, gate, stay_id, HOURLY_VND)

    page = await driver.get(path)
    assert 'class="qr"' not in page.text
    words = text_of(page)
    assert "Tiền mặt" in words
    assert collected.receipt_number in words
    assert [bill.status for bill in await bills_of(hub, gate, stay_id)] == ["cancelled"]
    assert (await driver.post(f"{path}/bills")).status_code == 303
    assert len(await bills_of(hub, gate, stay_id)) == 1


async def test_who_left_without_paying_can_pay_afterwards(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, stay_id: UUID, path: str
) -> None:
    await let_out(
        hub.services.database, gate, stay_id, forced=ExitReason.ARREARS, words="chạy thẳng"
    )

    page = await press(driver, path)

    assert "Xe đã ra, còn nợ tiền" in text_of(page)
    [bill] = await bills_of(hub, gate, stay_id)
    assert bill.amount_vnd == HOURLY_VND
    await pay(hub.services.database, gate.stall, bill, now=read_clock())

    await wait_for_state(driver, path, "left")


async def test_a_visitor_reads_english_and_is_sent_to_the_attendant(
    driver: httpx.AsyncClient, path: str
) -> None:
    words = text_of(await driver.get(path, params={"lang": "en"}))

    for said in (
        "Amount due",
        "Pay the attendant in cash: exactly the amount on this screen, in đồng.",
        "After paying you have at least 15 minutes to leave.",
        "Each hour",
        "An hour or block that has started counts as a whole one.",
        "Parking licence",
    ):
        assert said in words, said


async def test_a_motorbike_by_ticket_pays_by_the_visit(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate
) -> None:
    now = read_clock()
    stay_id = await a_stay(hub.services.database, gate, ticket="A0417", entered_at=now)

    words = text_of(await driver.get(await ticket_path_of(hub.services.database, gate, stay_id)))

    assert "A0417" in words
    assert "Xe máy" in words
    assert f"{PER_VISIT_VND // 1000}.000 ₫" in words


async def test_a_lot_without_a_tariff_sends_the_driver_to_the_attendant(
    hub: Hub, driver: httpx.AsyncClient, gate: Gate, path: str
) -> None:
    async with open_org_transaction(hub.services.database, gate.org_id) as session:
        await session.execute(
            text("UPDATE lot_tariffs SET withdrawn_at = :now"), {"now": read_clock()}
        )

    page = await driver.get(path)

    assert page.status_code == 200
    assert "Hỏi nhân viên trông xe số tiền phải trả." in text_of(page)


async def test_another_sites_page_cannot_open_a_code(hub: Hub, gate: Gate, path: str) -> None:
    other = hub.new_client(**{"Sec-Fetch-Site": "cross-site"})

    assert (await other.post(f"{path}/bills")).status_code == 403
