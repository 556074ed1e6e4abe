"""Refunds over HTTP: two people, the holder of the account, and one person alone."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from core.ids import new_id
from tests.world.constants import PASSWORD
from tests.world.markets import Market
from tests.world.refunds import BANK_REFERENCE, find_payments, hold_by

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ACCOUNT = {
    "bin": "970422",
    "account_number": "0123456789",
    "name": "NGUYEN THI LAN",
    "name_again": "nguyen thi lan",
}


async def a_paid_bill(market: Market) -> tuple[str, UUID]:
    """Return (bill, its payment) of 20.000 ₫."""
    bill = await market.add_bill()
    await market.pay(bill)
    (payment_id,) = await find_payments(market.database, market.stall, bill)
    return str(bill.id), payment_id


async def request(who: httpx.AsyncClient, paid_by: UUID, **facts: Any) -> httpx.Response:
    body = {
        "id": str(new_id()),
        "payment_id": str(paid_by),
        "amount_vnd": 5_000,
        "reason": "Khách trả thừa",
        **facts,
    }
    return await who.post("/v1/refunds", json=body)


async def approve(who: httpx.AsyncClient, path: str, **said: Any) -> httpx.Response:
    """Approve a refund as it is read now."""
    seen = (await who.get(path)).json()
    body = {"destination_hash": seen["destination_hash"], **said}
    return await who.post(f"{path}/approve", json=body)


async def test_a_refund_takes_two_people_and_comes_to_its_end(market: Market) -> None:
    await hold_by(market.database, market.stall, "organisation")
    bill_id, payment_id = await a_paid_bill(market)
    finance = await market.staff("phuong", "finance")
    approver = await market.staff("duyet", "approver")
    facts = {"id": str(new_id())}
    for _ in range(2):  # the same id is one refund
        made = await request(finance, payment_id, **facts)
        assert (made.status_code, made.json()["status"]) == (201, "requested")
    path = f"/v1/refunds/{facts['id']}"
    left = (await finance.get(f"/v1/bills/{bill_id}/payments")).json()["payments"]
    assert [(one["amount_vnd"], one["refundable_vnd"]) for one in left] == [(20_000, 15_000)]

    nowhere = await approver.post(f"{path}/approve", json={})
    assert nowhere.json()["code"] == "refund_has_no_destination"
    shown = (await finance.post(f"{path}/destination", json=ACCOUNT)).json()
    assert (shown["destination_kind"], shown["destination_account"]) == ("entered", "0123456789")
    assert (await finance.post(f"{path}/approve", json={})).status_code == 403
    unseen = await approver.post(f"{path}/approve", json={})
    assert (unseen.status_code, unseen.json()["code"]) == (409, "refund_destination_changed")
    assert (await finance.post(f"{path}/instruct")).json()["code"] == "refund_step_not_possible"
    assert (await approve(approver, path)).json()["status"] == "approved"
    assert (await finance.post(f"{path}/instruct")).json()["status"] == "instructed"
    bare = await finance.post(f"{path}/returned", json={})
    assert (bare.status_code, bare.json()["code"]) == (422, "refund_reference_needed")
    doubted = await finance.post(f"{path}/unknown", json={"reason": "ngân hàng chưa trả lời"})
    assert doubted.json()["status"] == "unknown"
    said = {"bank_reference": BANK_REFERENCE}
    assert (await finance.post(f"{path}/returned", json=said)).json()["status"] == "returned"

    bill = (await finance.get(f"/v1/bills/{bill_id}")).json()
    assert bill["status"] == "part_refunded"
    listed = await finance.get("/v1/refunds", params={"status": "returned", "bill_id": bill_id})
    assert [one["id"] for one in listed.json()["refunds"]] == [facts["id"]]
    assert (await finance.get("/v1/refunds", params={"status": "requested"})).json()[
        "refunds"
    ] == []


async def test_the_owner_of_a_payees_account_gives_back_and_finance_sees_it(
    market: Market,
) -> None:
    _, payment_id = await a_paid_bill(market)
    finance = await market.staff("phuong", "finance")
    stall = {"payee_id": market.stall.payee_id}
    owner = await market.staff("chu", "vendor_owner", **stall)
    cashier = await market.staff("thu", "cashier", **stall)
    refund = (await request(cashier, payment_id)).json()
    path, said = f"/v1/refunds/{refund['id']}", {"bank_reference": BANK_REFERENCE}

    seen = (await finance.get("/v1/refunds", params={"held_by": "payee"})).json()["refunds"]
    assert [one["id"] for one in seen] == [refund["id"]]
    for who, code in ((finance, "refund_not_yours"), (cashier, "forbidden")):
        refused = await who.post(f"{path}/returned", json=said)
        assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert (await owner.post(f"{path}/returned", json=said)).json()["status"] == "returned"


async def test_what_the_organisation_holds_is_not_given_back_by_a_stall(market: Market) -> None:
    await hold_by(market.database, market.stall, "organisation")
    _, payment_id = await a_paid_bill(market)
    owner = await market.staff("chu", "vendor_owner", payee_id=market.stall.payee_id)
    refund = (await request(owner, payment_id)).json()

    refused = await owner.post(f"/v1/refunds/{refund['id']}/not-done", json={"reason": "thử"})

    assert (refused.status_code, refused.json()["code"]) == (403, "refund_not_yours")
    taken_back = await owner.post(f"/v1/refunds/{refund['id']}/cancel", json={"reason": "nhầm"})
    assert taken_back.json()["status"] == "cancelled"


async def test_a_cashier_sees_the_tail_of_the_payers_account(market: Market) -> None:
    _, payment_id = await a_paid_bill(market)
    cashier = await market.staff("thu", "cashier", payee_id=market.stall.payee_id)
    refund = (await request(cashier, payment_id)).json()

    shown = (await cashier.post(f"/v1/refunds/{refund['id']}/destination", json=ACCOUNT)).json()

    assert shown["destination_account"].endswith("6789")
    assert "0123456789" not in str(shown)


@pytest.mark.parametrize(
    ("facts", "status", "code"),
    [
        ({"amount_vnd": 20_001}, 409, "refund_too_high"),
        ({"id": "not-an-id"}, 422, "invalid_request"),
        ({"amount_vnd": 0}, 422, "invalid_request"),
        ({"payment_id": None, "credit_id": str(new_id())}, 404, "credit_not_found"),
        ({"credit_id": str(new_id())}, 422, "invalid_request"),
        ({"break_id": str(new_id())}, 409, "refund_proposal_not_fitting"),
        ({"reason": "x" * 501}, 422, "invalid_request"),
    ],
    ids=["too_high", "id", "nothing", "unknown", "two", "proposal", "long"],
)
async def test_a_refund_that_cannot_be_is_refused(
    market: Market, facts: dict[str, Any], status: int, code: str
) -> None:
    _, payment_id = await a_paid_bill(market)
    finance = await market.staff("phuong", "finance")

    answer = await request(finance, payment_id, **facts)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_the_only_person_of_an_organisation_gives_the_password_again(
    market: Market,
) -> None:
    await hold_by(market.database, market.stall, "organisation")
    _, payment_id = await a_paid_bill(market)
    alone = await market.staff("chu", "admin")
    refund = (await request(alone, payment_id)).json()
    path = f"/v1/refunds/{refund['id']}"
    await alone.post(f"{path}/destination", json=ACCOUNT)

    needed = await approve(alone, path)
    assert needed.json()["code"] == "refund_needs_another"
    wrong = await approve(alone, path, password="không phải thế")
    assert wrong.json()["code"] == "wrong_password"
    done = await approve(alone, path, password=PASSWORD)
    assert (done.json()["status"], done.json()["is_decided_alone"]) == ("approved", True)

    listed = (await alone.get("/v1/refunds", params={"to_review": True})).json()["refunds"]
    assert [one["id"] for one in listed] == [refund["id"]]
    assert (await alone.post(f"{path}/review")).json()["code"] == "refund_needs_another"
    second = await market.staff("duyet", "approver")
    assert (await second.post(f"{path}/review")).json()["reviewed_at"] is not None
    assert (await alone.get("/v1/refunds", params={"to_review": True})).json()["refunds"] == []


async def test_a_password_does_not_stand_in_for_a_second_person_who_is_there(
    market: Market,
) -> None:
    await hold_by(market.database, market.stall, "organisation")
    _, payment_id = await a_paid_bill(market)
    boss = await market.staff("chu", "admin")
    second = await market.staff("duyet", "approver")
    refund = (await request(boss, payment_id)).json()
    path = f"/v1/refunds/{refund['id']}"
    await boss.post(f"{path}/destination", json=ACCOUNT)

    # Right or wrong, the answer says nothing about the password.
    for password in (PASSWORD, "không phải thế"):
        refused = await approve(boss, path, password=password)
        assert refused.json()["code"] == "refund_needs_another"
    # Who sends the others away is not alone for what was requested before.
    me = (await second.get("/v1/me")).json()
    gone = await boss.patch(
        f"/v1/staff/{me['id']}", json={"is_disabled": True, "reason": "nghỉ việc"}
    )
    assert gone.status_code == 200, gone.text
    assert (await approve(boss, path, password=PASSWORD)).json()["code"] == "refund_needs_another"


async def test_the_citys_administrator_is_nobodys_only_person_and_passwords_are_limited(
    market: Market,
) -> None:
    await hold_by(market.database, market.stall, "organisation")
    _, payment_id = await a_paid_bill(market)
    body = {"payment_id": str(payment_id), "amount_vnd": 5_000, "reason": "trả thừa"}
    refund_id = str(new_id())
    made = await market.admin.post("/v1/refunds", json={"id": refund_id, **body}, params=market.org)
    assert made.status_code == 201, made.text
    path = f"/v1/refunds/{refund_id}"
    entered = await market.admin.post(f"{path}/destination", json=ACCOUNT, params=market.org)
    said = {"destination_hash": entered.json()["destination_hash"], "password": "đoán"}

    codes = []
    for _ in range(30):
        answer = await market.admin.post(f"{path}/approve", json=said, params=market.org)
        codes.append(answer.json()["code"])
        if answer.status_code == 429:
            break

    assert codes[0] == "refund_needs_another"
    assert codes[-1] == "too_many_requests"


async def test_a_manager_says_who_holds_an_account(market: Market) -> None:
    manager = await market.staff("quanly", "manager")
    (link,) = (await manager.get("/v1/accounts")).json()["accounts"]
    assert link["held_by"] == "payee"

    path = f"/v1/accounts/{link['id']}/holder"
    said = await manager.post(path, json={"held_by": "organisation"})

    assert said.json()["held_by"] == "organisation", said.text
    _, payment_id = await a_paid_bill(market)
    assert (await request(manager, payment_id)).json()["held_by"] == "organisation"
