"""Finance in the frozen city: refunds to their different ends, and statements of banks."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from registry import REGISTRY
from tests.core.jobs.steps import ended, running
from tests.migrations.release_background import worker_database
from tests.migrations.release_people import City, Office, Place
from tests.world.constants import MB, PASSWORD
from tests.world.refunds import BANK_REFERENCE
from tests.world.statement_files import FileLine, write_csv
from tests.world.statements import as_csv

TODAY = hanoi_day(read_clock())
HEADINGS = [
    "Ngày giao dịch", "Số tham chiếu", "Mã giao dịch", "Phát sinh nợ", "Phát sinh có", "Số dư",
    "Tài khoản đối ứng", "Tên đối ứng", "Ngân hàng đối ứng", "Nội dung",
]  # fmt: skip


async def refunds(city: City, held: Place, own: Place) -> None:
    """Refunds that are returned, rejected and not done.

    Args:
        held: a stall whose account its market holds from now on.
        own: one that holds its own, and whose payers Casso names.
    """
    office = held.office
    await hold_by_organisation(city, held)
    bill = await city.open_bill(own, own.owner)
    await city.transfer(own, 20_000, bill["reference"], provider="casso")
    paid = await payment_of(city, own, bill)
    path = await request(city, own.owner, 20_000, payment_id=paid)
    await city.ask(own.owner, "POST", f"{path}/returned", {"bank_reference": BANK_REFERENCE})

    found = await city.ask(office.finance, "GET", "/v1/credits")
    over = next(one for one in found["credits"] if one["verdict"] == "over")
    await returned_by_file(city, held, over["id"])
    bill = await city.open_bill(held, held.owner)
    await city.transfer(held, 20_000, bill["reference"])
    paid = await payment_of(city, held, bill)
    path = await request(city, office.finance, 3_000, payment_id=paid)
    await city.ask(office.approver, "POST", f"{path}/reject", {"reason": "Khách đã nhận hàng"})
    path = await request(city, office.finance, 4_000, payment_id=paid)
    await enter_account(city, office.finance, path)
    await approve(city, office.approver, path, words="Đúng là trả thừa")
    await city.ask(office.finance, "POST", f"{path}/instruct")
    await city.ask(office.finance, "POST", f"{path}/not-done", {"reason": "Ngân hàng từ chối"})


async def approve(city: City, approver: httpx.AsyncClient, path: str, **said: str) -> None:
    """Approve a refund to the account that the approver sees."""
    seen = await city.ask(approver, "GET", path)
    body = {**said, "destination_hash": seen["destination_hash"]}
    await city.ask(approver, "POST", f"{path}/approve", body)


async def returned_by_file(city: City, place: Place, credit_id: str) -> None:
    """Give back what a credit brought too much, by a payment file and after a doubt."""
    office = place.office
    path = await request(city, office.finance, 5_000, credit_id=credit_id)
    await enter_account(city, office.finance, path)
    await approve(city, office.approver, path)
    file = {
        "id": str(new_id()),
        "receiving_account_id": place.account_id,
        "layout": "plain",
    }
    await city.ask(office.finance, "POST", "/v1/refund-files", file)
    body = {"reason": "Ngân hàng chưa trả lời"}
    await city.ask(office.finance, "POST", f"{path}/unknown", body)
    said = {"bank_reference": BANK_REFERENCE}
    await city.ask(office.finance, "POST", f"{path}/returned", said)


async def decided_alone(city: City) -> None:
    """A refund that the only person of an organisation decides; who comes back reviews it."""
    listed = await city.ask(city.admin, "GET", "/v1/staff")
    (second,) = [one["id"] for one in listed["staff"] if one["login"] == "boss2"]
    await change_person(city, second, is_disabled=False)
    boss = await city.hub.browser("boss2")
    hall = Office(code="HANX", id="", manager=city.admin, approver=boss, finance=city.admin)
    place = await city.stall(hall, "Quầy lưu niệm")
    await city.connect(place, "casso")
    # Nobody but these two made the owner's login, so nobody says that the account was seen.
    await city.transfer(place, 1_000, place.link["test_reference"], provider="casso")
    await hold_by_organisation(city, place)
    bill = await city.open_bill(place, city.admin)
    await city.transfer(place, 20_000, bill["reference"], provider="casso")
    owner = await city.ask(place.owner, "GET", "/v1/me")
    for one in (owner["id"], second):
        await change_person(city, one, is_disabled=True)
    paid = await payment_of(city, place, bill)
    path = await request(city, city.admin, 2_000, payment_id=paid)
    await approve(city, city.admin, path, password=PASSWORD)
    await change_person(city, second, is_disabled=False)
    await city.ask(await city.hub.browser("boss2"), "POST", f"{path}/review")


async def change_person(city: City, staff_id: str, *, is_disabled: bool) -> None:
    """Let a person of the city's own organisation work, or no longer."""
    body = {"is_disabled": is_disabled, "reason": "Chuyển công tác"}
    await city.ask(city.admin, "PATCH", f"/v1/staff/{staff_id}", body)


async def hold_by_organisation(city: City, place: Place) -> None:
    """Say that a stall's account is its market's, which gives money back from it."""
    path = f"/v1/accounts/{place.link['id']}/holder"
    await city.ask(place.office.manager, "POST", path, {"held_by": "organisation"})


async def payment_of(city: City, place: Place, bill: dict[str, Any]) -> str:
    """Return what paid a bill."""
    found = await city.ask(place.office.finance, "GET", f"/v1/bills/{bill['id']}/payments")
    (payment,) = found["payments"]
    return str(payment["id"])


async def request(city: City, client: httpx.AsyncClient, amount_vnd: int, **against: str) -> str:
    """Request a refund; return its path."""
    body = {"id": str(new_id()), "amount_vnd": amount_vnd, "reason": "Khách trả thừa", **against}
    made = await city.ask(client, "POST", "/v1/refunds", body)
    return f"/v1/refunds/{made['id']}"


async def enter_account(city: City, client: httpx.AsyncClient, path: str) -> None:
    """Type the account that the payer named."""
    name = "NGUYEN THI LAN"
    body = {"bin": MB, "account_number": "0123456789", "name": name, "name_again": name}
    await city.ask(client, "POST", f"{path}/destination", body)


async def statements(city: City, place: Place) -> None:
    """Files of a bank: one whose lines count, one to be looked at, one refused, one put aside."""
    app, org_id, finance = city.hub.services.database, place.office.id, place.office.finance

    async def done(statement: dict[str, Any]) -> Any:
        job = await ended(app, UUID(statement["job_id"]), org_id=UUID(org_id))
        assert job.status == "done", job
        return await city.ask(finance, "GET", f"/v1/statements/{statement['id']}")

    async def read(content: bytes) -> tuple[str, str]:
        made = await city.ask(
            finance,
            "POST",
            "/v1/statements",
            params={"id": str(new_id()), "file_name": "sao-ke.csv"},
            content=content,
        )
        statement = await done(made)
        return f"/v1/statements/{statement['id']}", statement["status"]

    handlers = {kind: make(app) for kind, make in REGISTRY.job_handlers.items()}
    async with worker_database(city) as database, running(database, handlers):
        path, _ = await read(write_statement(place.number, days_ago=3, opening_vnd=1_000_000))
        accepted = await city.ask(finance, "POST", f"{path}/accept", {})
        assert (await done(accepted))["status"] == "visible"
        staged = write_statement(place.number, days_ago=2, opening_vnd=1_015_000)
        assert (await read(staged))[1] == "staged"
        yesterday = [FileLine(day=TODAY - timedelta(days=1), amount_vnd=30_000)]
        refused = write_csv(place.number, yesterday, opening_vnd=1_015_000, closing_vnd=1)
        assert (await read(refused))[1] == "refused"
        path, _ = await read(write_csv(place.number, yesterday, opening_vnd=1_030_000))
        await city.ask(finance, "POST", f"{path}/discard", {"reason": "Chọn nhầm tệp"})
        await map_by_hand(city, place, await read(write_strange(place.number)), done, read)
        await city.wait_for("SELECT 1 FROM jobs WHERE status <> 'done'")


async def map_by_hand(
    city: City,
    place: Place,
    unread: tuple[str, str],
    done: Callable[[dict[str, Any]], Awaitable[Any]],
    read: Callable[[bytes], Awaitable[tuple[str, str]]],
) -> None:
    """A file whose columns somebody gives, which are saved, and one that is read by them."""
    finance = place.office.finance
    path, status = unread
    assert status == "refused"
    found = await city.ask(finance, "GET", path)
    mapping = {
        "columns": {"A": "transacted_at", "B": "amount", "C": "memo"},
        "first_row": 6,
        "thousands_separator": ".",
    }
    body = {
        "id": str(new_id()),
        "receiving_account_id": found["receiving_account_id"],
        "mapping": mapping,
        "is_saved": True,
    }
    mapped = await done(await city.ask(finance, "POST", f"{path}/read-again", body))
    assert mapped["status"] == "staged", mapped
    _, status = await read(write_strange(place.number, amount="-7.000"))
    assert status == "staged"


def write_strange(number: str, *, amount: str = "-12.000") -> bytes:
    """Write a file whose headings no bank is known to write."""
    day = f"{TODAY - timedelta(days=1):%d/%m/%Y}"
    return as_csv(
        [
            ["Số tài khoản", number],
            ["Loại tiền", "VND"],
            ["Chi nhánh", "Chợ Đầm"],
            ["Số dư đầu kỳ", "1.030.000"],
            ["Ngày giờ", "Thay đổi", "Lời nhắn"],
            [f"{day} 09:00:00", amount, "mua rau"],
        ]
    )


def write_statement(number: str, *, days_ago: int, opening_vnd: int) -> bytes:
    """Write a file with money in and money out of one day, and everything a bank says of it."""
    day = f"{TODAY - timedelta(days=days_ago):%d/%m/%Y}"
    other = ["0123456789", "NGUYEN THI LAN", "MB"]
    return as_csv(
        [
            ["Số tài khoản", number],
            ["Loại tiền", "VND"],
            ["Số dư đầu kỳ", str(opening_vnd)],
            ["Số dư cuối kỳ", str(opening_vnd + 15_000)],
            HEADINGS,
            [f"{day} 08:15:00", f"FT1{days_ago}", f"VCB1{days_ago}", "", "20000",
             str(opening_vnd + 20_000), *other, "mua rau"],
            [f"{day} 17:40:00", f"FT2{days_ago}", f"VCB2{days_ago}", "5000", "",
             str(opening_vnd + 15_000), *other, "hoan tien"],
        ]
    )  # fmt: skip
