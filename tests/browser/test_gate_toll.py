"""Out by toll account: paid, declined, and a wallet that answers too late."""

import time
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.polling.client import open_client
from payments.rails.toll.contracts import create_contract
from payments.rails.toll.service import TollService
from tests.browser.conftest import OpenPage
from tests.browser.counter_steps import pay_in_app, read_code
from tests.browser.gate_steps import at_the_gate, enter, find
from tests.world.constants import BUSY_S, MANAGER
from tests.world.running_city import RunningCity
from tests.world.running_lots import StaffedLot, open_lot
from tests.world.tolls import CLIENT_ID, TOLL_SECRET

pytestmark = pytest.mark.browser
CAR_VND = 25_000
FALLS_BACK_WITHIN_S = 4.5  # three for the operator, and the code


@pytest.fixture(scope="module", autouse=True)
def contract(city: RunningCity) -> None:
    """The organisation has a contract with the sandbox's toll operator."""
    admitted = {"client_id": CLIENT_ID, "secret": TOLL_SECRET}
    city.sandbox.post("/control/toll/clients", json=admitted).raise_for_status()

    async def sign(database: Database) -> None:
        async with open_org_transaction(database, city.org.id) as session:
            await create_contract(
                session,
                city.org,
                new_id(),
                name="Ví thu phí thử",
                url=city.sandbox_url,
                client_id=CLIENT_ID,
                secret=TOLL_SECRET,
                allowed_origins=[city.sandbox_url],
                sealer=Sealer.from_settings(city.fresh_database.settings),
                actor=MANAGER,
                now=read_clock(),
            )

    city.do(sign)


def a_car(city: RunningCity, new_page: OpenPage, plate: str) -> tuple[StaffedLot, Page]:
    """Let a car in; its stay is open on the attendant's phone."""
    place = open_lot(city)
    page = at_the_gate(city, new_page, place)
    page.locator("[data-class=car]").click()
    enter(page, plate)
    find(page, plate[-3:])
    page.locator(".gate-found").click()
    expect(page.locator("[data-screen=stay] [data-due]")).to_have_text("25.000\u00a0₫")
    return place, page


def fill_wallet(city: RunningCity, plate: str) -> None:
    wallet = {"kind": "plate", "value": plate, "balance_vnd": 1_000_000}
    city.sandbox.post("/control/toll/wallets", json=wallet).raise_for_status()


def misbehave(city: RunningCity, **faults: object) -> None:
    city.sandbox.post("/control/toll/faults", json=faults).raise_for_status()


def balance_of(city: RunningCity, plate: str) -> int:
    wallets = city.sandbox.get("/control/toll").json()["wallets"]
    (balance_vnd,) = [one["balance_vnd"] for one in wallets if one["value"] == plate]
    return int(balance_vnd)


def pay_by_toll(page: Page) -> None:
    page.locator("[data-action=more]").click()
    page.locator("#sheet [data-action=toll]").click()


def stay_of(city: RunningCity, place: StaffedLot) -> tuple[object, ...]:
    query = "SELECT status, paid_vnd, price_vnd FROM parking_sessions WHERE lot_id = %(lot)s"
    (stay,) = city.sql(query, lot=place.lot.id)
    return stay


def look_up_again(city: RunningCity, request_id: object) -> None:
    """Let the worker ask the operator what became of a charge."""
    query = """
        UPDATE toll_requests SET next_attempt_at = now(), created_at = created_at - %(age)s
        WHERE id = %(id)s"""
    city.sql(query, id=request_id, age=timedelta(minutes=5))

    async def resume(database: Database) -> None:
        sealer = Sealer.from_settings(city.fresh_database.settings)
        async with open_client() as client:
            tolls = TollService(database, sealer, client, read_clock=read_clock)
            assert await tolls.resume(city.org.id, request_id)  # type: ignore[arg-type]
            await tolls.drain()

    city.do(resume)


def test_a_toll_account_pays_and_the_car_leaves(city: RunningCity, new_page: OpenPage) -> None:
    fill_wallet(city, "30A11111")
    place, page = a_car(city, new_page, "30A11111")

    pay_by_toll(page)

    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả")
    page.get_by_role("button", name="Cho ra").click()
    expect(verdict).to_contain_text("Đã ra")
    assert stay_of(city, place) == ("left", CAR_VND, CAR_VND)
    assert balance_of(city, "30A11111") == 1_000_000 - CAR_VND


def test_an_account_that_does_not_pay_shows_the_code_and_says_why(
    city: RunningCity, new_page: OpenPage
) -> None:
    _, page = a_car(city, new_page, "30A22222")  # it has no wallet

    pay_by_toll(page)

    expect(page.locator("[data-screen=code] .qr svg")).to_be_visible()
    expect(page.locator("#problem")).to_contain_text("Tài khoản ETC không trả được")


def test_a_wallet_that_is_silent_falls_back_and_a_late_success_keeps_no_money_twice(
    city: RunningCity, new_page: OpenPage
) -> None:
    plate = "30A33333"
    fill_wallet(city, plate)
    place, page = a_car(city, new_page, plate)
    misbehave(city, fault="no_answer", calls_left=1)
    began = time.monotonic()
    pay_by_toll(page)
    expect(page.locator("[data-screen=code] .qr svg")).to_be_visible()
    assert time.monotonic() - began < FALLS_BACK_WITHIN_S + BUSY_S
    expect(page.locator("#problem")).to_contain_text("chưa trả lời")

    payload = read_code(page)
    pay_in_app(city, new_page(), payload)
    verdict = page.locator("[data-screen=verdict]")
    expect(verdict).to_contain_text("Đã trả")
    page.get_by_role("button", name="Cho ra").click()
    expect(verdict).to_contain_text("Đã ra")
    assert balance_of(city, plate) == 1_000_000 - CAR_VND  # it had been charged all the same

    query = """
        SELECT t.id FROM toll_requests t JOIN bills b ON b.org_id = t.org_id AND b.id = t.bill_id
        JOIN parking_sessions s ON s.org_id = b.org_id AND s.id = b.owner_id
        WHERE s.lot_id = %(lot)s"""
    ((request_id,),) = city.sql(query, lot=place.lot.id)
    look_up_again(city, request_id)

    assert stay_of(city, place) == ("left", CAR_VND, CAR_VND)
    query = "SELECT status, kept_vnd FROM toll_requests WHERE id = %(id)s"
    assert city.sql(query, id=request_id) == [("charged", 0)]
    query = "SELECT reason FROM breaks WHERE org_id = %(org)s AND closed_at IS NULL"
    assert city.sql(query, org=city.org.id) == [("toll_charged_too",)]  # finance gives it back
