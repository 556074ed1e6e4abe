"""The payer's form for the account of a refund: who sees it, what it takes, and its bounds."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.audit import list_changes
from core.clock import read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.refunds.models import Refund
from payments.refunds.queries import get_refund
from tests.world.clocks import stop_refills
from tests.world.constants import MB
from tests.world.hubs import Hub
from tests.world.markets import Market
from tests.world.pages import as_reader, text_of
from tests.world.refunds import a_refund, enter_account, find_payments, take

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FORM = {
    "bin": MB,
    "account_number": "0123 456 789",
    "name": "NGUYEN THI LAN",
    "name_again": "nguyen thi  lan",
}
ACTION = re.compile(r'name="refund_id" value="([0-9a-f-]{36})"')


@pytest.fixture
def stranger(hub: Hub) -> httpx.AsyncClient:
    """A browser that never signed in."""
    return as_reader(hub.new_client())


async def a_bill_given_back(market: Market, amount_vnd: int = 5_000) -> tuple[BillFacts, Refund]:
    """Pay a bill of which a part is to be given back, to an account that nobody knows."""
    bill = await market.add_bill()
    await market.pay(bill)
    (payment_id,) = await find_payments(market.database, market.stall, bill)
    refund = await a_refund(
        market.database,
        market.stall,
        payment_id=payment_id,
        amount_vnd=amount_vnd,
        now=read_clock(),
    )
    return bill, refund


async def read(database: Database, refund: Refund) -> Refund:
    async with open_org_transaction(database, refund.org_id) as session:
        return await get_refund(session, refund.org_id, refund.id)


async def send(
    market: Market, stranger: httpx.AsyncClient, bill: BillFacts, refund: Refund, **facts: Any
) -> httpx.Response:
    data = {**FORM, "refund_id": str(refund.id), **facts}
    return await stranger.post(f"{market.pay_path(bill)}/refund", data=data)


async def test_a_payer_enters_an_account_once_and_it_waits_as_not_proven(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill, refund = await a_bill_given_back(market)
    for page in (market.pay_path(bill), f"{market.pay_path(bill)}/receipt"):
        assert "Nhập tài khoản để nhận lại 5.000 ₫" in text_of(await stranger.get(page))
    form = await stranger.get(f"{market.pay_path(bill)}/refund")
    assert ACTION.findall(form.text) == [str(refund.id)]

    for _ in range(2):  # the same again answers the same
        answer = await send(market, stranger, bill, refund)
        assert answer.status_code == 303, answer.text

    stored = await read(market.database, refund)
    assert (stored.destination_kind, stored.destination_account) == ("entered", "0123456789")
    assert stored.destination_by is None
    shown = await stranger.get(f"{market.pay_path(bill)}/refund")
    assert "Đã nhận tài khoản cho khoản hoàn 5.000 ₫" in text_of(shown)
    assert "0123456789" not in shown.text
    assert "NGUYEN" not in shown.text
    assert ACTION.search(shown.text) is None
    other = await send(market, stranger, bill, refund, account_number="9999999999")
    assert other.status_code == 422
    assert "đã có tài khoản" in text_of(other)
    assert (await read(market.database, refund)).destination_account == "0123456789"
    approver = await market.staff("duyet", "approver")
    listed = text_of(await as_reader(approver).get("/manage/refunds"))
    assert "Chưa được xác minh" in listed
    assert "ai có đường dẫn cũng nhập được" in listed
    async with open_org_transaction(market.database, refund.org_id) as session:
        (change,) = [
            one
            for one in await list_changes(session, refund.org_id, limit=50)
            if one.action == "refund.destination_entered"
        ]
    assert (change.actor_kind, change.after) == ("public", {"bank": MB, "account": "…6789"})


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"bin": "000000"}, "Chọn một ngân hàng trong danh sách."),
        ({"account_number": "12"}, "Số tài khoản có 4 đến 19 chữ và số."),
        ({"name_again": "NGUYEN THI LANH"}, "Hai lần gõ tên không giống nhau."),
        ({"name": "", "name_again": ""}, "Ghi tên như ngân hàng in"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_stored(
    market: Market, stranger: httpx.AsyncClient, facts: dict[str, str], said: str
) -> None:
    bill, refund = await a_bill_given_back(market)

    answer = await send(market, stranger, bill, refund, **facts)

    assert answer.status_code == 422
    assert said in text_of(answer)
    assert (await read(market.database, refund)).destination_kind is None


async def test_a_link_enters_no_account_for_another_bill_s_refund_nor_for_one_that_was_decided(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill, refund = await a_bill_given_back(market)
    other_bill, other = await a_bill_given_back(market)
    known_bill, known = await a_bill_given_back(market)
    await enter_account(market.database, market.stall, known)

    assert (await send(market, stranger, bill, other)).status_code == 422
    await take(market.database, market.stall, other, "cancel")
    assert (await send(market, stranger, other_bill, other)).status_code == 422
    assert (await send(market, stranger, known_bill, known)).status_code == 422

    for one in (refund, other):
        assert (await read(market.database, one)).destination_kind is None
    for one_bill in (other_bill, known_bill):
        answer = await stranger.get(f"{market.pay_path(one_bill)}/refund")
        assert answer.headers["location"] == market.pay_path(one_bill)
        assert "để nhận lại" not in text_of(await stranger.get(market.pay_path(one_bill)))


async def test_an_organisation_takes_no_more_than_its_limit_in_a_day(
    market: Market, stranger: httpx.AsyncClient, owner_database: Database
) -> None:
    object.__setattr__(market.hub.services.settings, "refund_link_vnd_per_day", 12_000)
    refunds = [await a_bill_given_back(market) for _ in range(3)]

    statuses = [(await send(market, stranger, *one)).status_code for one in refunds]

    assert statuses == [303, 303, 422]
    async with owner_database.begin() as session:  # yesterday's count no more
        await session.execute(
            text("UPDATE refunds SET destination_at = destination_at - interval '1 day'")
        )
    assert (await send(market, stranger, *refunds[2])).status_code == 303


async def test_more_than_links_take_in_a_day_is_not_asked_for(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    object.__setattr__(market.hub.services.settings, "refund_link_vnd_per_day", 4_999)
    bill, _ = await a_bill_given_back(market)

    assert "để nhận lại" not in text_of(await stranger.get(market.pay_path(bill)))
    assert (await stranger.get(f"{market.pay_path(bill)}/refund")).status_code == 303


async def test_other_sites_and_who_tries_too_often_are_refused(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill, refund = await a_bill_given_back(market)
    path, data = f"{market.pay_path(bill)}/refund", {**FORM, "refund_id": str(refund.id)}
    foreign = await stranger.post(path, data=data, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    stop_refills(market.hub.services.limits.refund_accounts_of_link)

    wrong = [
        (await send(market, stranger, bill, refund, name_again="x")).status_code for _ in range(11)
    ]

    assert wrong == [422] * 10 + [429]


async def test_of_payers_who_send_different_accounts_at_once_one_is_taken(
    market: Market, stranger: httpx.AsyncClient
) -> None:
    bill, refund = await a_bill_given_back(market)
    numbers = [f"000000000{n}" for n in range(5)]

    answers = await asyncio.gather(
        *(send(market, stranger, bill, refund, account_number=number) for number in numbers)
    )

    assert sorted(one.status_code for one in answers) == [303] + [422] * 4
    (taken,) = [
        number for number, one in zip(numbers, answers, strict=True) if one.status_code == 303
    ]
    assert (await read(market.database, refund)).destination_account == taken
