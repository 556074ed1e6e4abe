"""Payees, the codes at their stalls, and the guarded way of an account into them."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from core.audit import AuditRow
from core.db import Database
from payments.vietqr import PointOfInitiation, parse
from tests.world import callbacks as notices
from tests.world.cities import employ
from tests.world.constants import PASSWORD
from tests.world.hubs import Hub
from tests.world.markets import ENDPOINT_SECRET, Market, set_up_market
from tests.world.serials import next_number
from tests.world.stalls import a_payable_stall

pytestmark = pytest.mark.anyio

ACCOUNT = {"bin": "970436", "account_number": "0011223344", "holder_name": "HO KINH DOANH B12"}
GIVEN = "chè bưởi Hàng Giấy"


async def add_payee(market: Market, name: str = "Cô Ba bún cá") -> str:
    """Add a payee without an account."""
    answer = await market.till.post("/v1/payees", json={"name": name, "place": "Dãy C"})
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def propose(market: Market, payee_id: str, **facts: Any) -> dict[str, Any]:
    """Let the manager propose an account."""
    manager = await market.staff(f"manager{next_number()}", "manager")
    answer = await manager.post(f"/v1/payees/{payee_id}/accounts", json=ACCOUNT | facts)
    assert answer.status_code == 201, answer.text
    proposed: dict[str, Any] = answer.json()
    return proposed


async def report_test(market: Market, endpoint: dict[str, Any], memo: str) -> None:
    """Report a test transfer, as the provider does, and whoever knows its secret can."""
    notice = {
        **notices.SEPAY_NOTICE,
        "id": next_number(),
        "accountNumber": ACCOUNT["account_number"],
        "content": memo,
        "transferAmount": 1_000,
        "referenceCode": f"FT{next_number()}",
    }
    told = notices.sepay_apikey_callback(notice, key=ENDPOINT_SECRET)
    assert (await market.call_back(endpoint, told)).status_code == 200


async def until(
    client: httpx.AsyncClient, path: str, name: str, value: object = None
) -> dict[str, Any]:
    """Wait until a fact of an account has this value, or any."""
    for _ in range(100):
        shown: dict[str, Any] = (await client.get(path)).json()
        if shown[name] == value if value is not None else shown[name] is not None:
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is {shown[name]}")


async def test_an_account_takes_money_after_two_people_and_a_test_transfer(market: Market) -> None:
    payee_id = await add_payee(market)
    owner = await market.staff("co.ba", "vendor_owner", payee_id=UUID(payee_id))
    link = await propose(market, payee_id)
    assert (link["status"], link["account_number"]) == ("proposed", "0011223344")
    approver = await market.staff("duyet", "approver")
    path = f"/v1/accounts/{link['id']}"

    assert (await owner.post(f"{path}/approve")).status_code == 403
    approved = await approver.post(f"{path}/approve")
    assert approved.json()["status"] == "approved"
    assert (await approver.post(f"{path}/approve")).json()["code"] == "account_link_not_proposed"
    code = (await approver.get(f"{path}/test-code")).json()
    read = parse(code["vietqr"])
    assert (read.amount_vnd, read.account) == (1_000, "0011223344")
    assert read.point_of_initiation is PointOfInitiation.DYNAMIC
    assert (await approver.get(code["qr_svg"])).content.startswith(b"<svg")

    endpoint = await market.add_endpoint("sepay_apikey", account_ids=[link["receiving_account_id"]])
    await report_test(market, endpoint, code["test_reference"])
    shown = await until(owner, path, "status", "active")
    assert shown["holder_confirmed_at"] is None
    assert (await owner.post(f"{path}/seen")).json()["holder_confirmed_at"] is not None
    assert (await owner.get(f"{path}/test-code")).json()["code"] == "account_not_awaiting_test"
    await market.open_bill(payee_id=payee_id)


async def test_who_proposed_an_account_cannot_forge_its_test_transfer(hub: Hub) -> None:
    market = await set_up_market(hub, is_live=True)
    manager, approver = (
        await market.staff("quanly", "manager"),
        await market.staff("duyet", "approver"),
    )
    payee_id = await add_payee(market)
    link = (await manager.post(f"/v1/payees/{payee_id}/accounts", json=ACCOUNT)).json()
    path = f"/v1/accounts/{link['id']}"
    await approver.post(f"{path}/approve")
    body = {
        "provider": "sepay_apikey",
        "name": "SePay",
        "secret": ENDPOINT_SECRET,
        "account_ids": [link["receiving_account_id"]],
    }
    own = (await manager.post("/v1/callback-endpoints", json=body)).json()
    assert (own["key_vouched_by"], own["accounts"][0]["vouched_by"]) == (None, None)

    await report_test(market, own, link["test_reference"])
    refused = await until(manager, path, "test_refused_at")
    assert (refused["status"], refused["account_status"]) == ("approved", "approved")
    assert refused["test_reference"] == link["test_reference"]  # still awaited, by the same code

    other = (await approver.post("/v1/callback-endpoints", json=body)).json()
    assert other["key_vouched_by"] == other["accounts"][0]["vouched_by"] is not None
    assert other["key_vouched_from"] == other["created_at"]
    await manager.delete(f"/v1/callback-endpoints/{own['id']}")
    await manager.put(f"/v1/callback-endpoints/{own['id']}/accounts", json={"account_ids": []})
    await report_test(market, other, link["test_reference"])
    assert (await until(manager, path, "status", "active"))["test_refused_at"] is None

    rotated = await manager.post(
        f"/v1/callback-endpoints/{other['id']}/rotate", json={"secret": ENDPOINT_SECRET}
    )
    assert rotated.status_code == 201
    shown = (await manager.get(f"/v1/callback-endpoints/{other['id']}")).json()
    assert (shown["key_vouched_by"], shown["key_vouched_from"]) == (None, None)


@pytest.mark.parametrize("change", [{"roles": ["finance"]}, {"is_disabled": True}])
async def test_the_word_of_who_may_no_longer_approve_no_longer_counts(
    hub: Hub, owner_database: Database, change: dict[str, Any]
) -> None:
    """An approver who left may have told the key to somebody, or still read it at the provider."""
    market = await set_up_market(hub, is_live=True)
    manager, approver = (
        await market.staff("quanly", "manager"),
        await market.staff("duyet", "approver"),
    )
    endpoint, link = await report_an_account(market, manager, approver)
    person = (await approver.get("/v1/me")).json()["id"]

    changed = await market.admin.patch(
        f"/v1/staff/{person}", params=market.org, json={**change, "reason": "nghỉ việc"}
    )

    assert changed.status_code == 200
    await see_nobody_answers(market, manager, endpoint, link)
    async with owner_database.begin() as session:
        logged = select(AuditRow).where(AuditRow.action == "callback_endpoint.vouch_revoked")
        (row,) = await session.scalars(logged)
    assert (row.object_id, row.reason) == (UUID(endpoint["id"]), "nghỉ việc")
    assert row.after == {"is_vouched": False, "staff_id": person}


async def test_the_word_of_a_city_administrator_ends_in_every_organisation(hub: Hub) -> None:
    market = await set_up_market(hub, is_live=True)
    manager, approver = (
        await market.staff("quanly", "manager"),
        await market.staff("duyet", "approver"),
    )
    boss = (await employ(market.admin, "boss", "admin")).json()["id"]
    browser = await hub.browser("boss")
    endpoint, link = await report_an_account(market, manager, approver, by=browser, org=market.org)

    # An approver of the city's own organisation has no say in the market.
    changed = await market.admin.patch(f"/v1/staff/{boss}", json={"roles": ["approver"]})

    assert changed.status_code == 200
    await see_nobody_answers(market, manager, endpoint, link)
    assert (await market.admin.get(f"/v1/staff/{boss}")).json()["roles"] == ["approver"]


async def test_a_word_stays_with_who_keeps_the_right(hub: Hub) -> None:
    market = await set_up_market(hub, is_live=True)
    manager, approver = (
        await market.staff("quanly", "manager"),
        await market.staff("duyet", "approver"),
    )
    endpoint, link = await report_an_account(market, manager, approver)
    person = (await approver.get("/v1/me")).json()["id"]

    await market.admin.patch(
        f"/v1/staff/{person}", params=market.org, json={"roles": ["approver", "finance"]}
    )

    await report_test(market, endpoint, link["test_reference"])
    await until(manager, f"/v1/accounts/{link['id']}", "status", "active")


async def report_an_account(
    market: Market,
    manager: httpx.AsyncClient,
    approver: httpx.AsyncClient,
    *,
    by: httpx.AsyncClient | None = None,
    org: dict[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Propose and approve an account, and connect it; returns (endpoint, account link)."""
    payee_id = await add_payee(market)
    link = (await manager.post(f"/v1/payees/{payee_id}/accounts", json=ACCOUNT)).json()
    await approver.post(f"/v1/accounts/{link['id']}/approve")
    body = {
        "provider": "sepay_apikey",
        "name": "SePay",
        "secret": ENDPOINT_SECRET,
        "account_ids": [link["receiving_account_id"]],
    }
    made = await (by or approver).post("/v1/callback-endpoints", params=org, json=body)
    assert made.json()["key_vouched_by"] is not None
    return made.json(), link


async def see_nobody_answers(
    market: Market, manager: httpx.AsyncClient, endpoint: dict[str, Any], link: dict[str, Any]
) -> None:
    """See that a test transfer does not count now."""
    shown = (await manager.get(f"/v1/callback-endpoints/{endpoint['id']}")).json()
    assert (shown["key_vouched_by"], shown["key_vouched_from"]) == (None, None)
    assert shown["accounts"][0]["vouched_by"] is None
    await report_test(market, endpoint, link["test_reference"])
    refused = await until(manager, f"/v1/accounts/{link['id']}", "test_refused_at")
    assert refused["status"] == "approved"


async def test_who_proposed_an_account_cannot_approve_it(market: Market) -> None:
    payee_id = await add_payee(market)
    answer = await market.admin.post(
        f"/v1/payees/{payee_id}/accounts", json=ACCOUNT, params=market.org
    )

    alone = await market.admin.post(
        f"/v1/accounts/{answer.json()['id']}/approve", params=market.org
    )

    assert (alone.status_code, alone.json()["code"]) == (403, "second_person_needed")


async def test_a_refused_proposal_is_listed_only_when_asked_for(market: Market) -> None:
    link = await propose(market, await add_payee(market))
    approver = await market.staff("duyet", "approver")
    body = {"reason": "sai tên chủ tài khoản"}
    refused = await approver.post(f"/v1/accounts/{link['id']}/refuse", json=body)
    assert refused.json()["status"] == "ended"

    in_use = (await market.till.get("/v1/accounts")).json()["accounts"]
    ended = (await market.till.get("/v1/accounts", params={"status": "ended"})).json()["accounts"]

    assert link["id"] not in [one["id"] for one in in_use]
    assert [one["id"] for one in ended] == [link["id"]]


async def test_an_account_is_ended_by_who_may_approve_and_takes_no_bill_then(
    market: Market,
) -> None:
    link = (await market.till.get("/v1/accounts")).json()["accounts"][0]
    path = f"/v1/accounts/{link['id']}/end"
    manager = await market.staff("quanly", "manager")
    approver = await market.staff("duyet", "approver")
    body = {"reason": "nghỉ bán"}

    assert (await manager.post(path, json=body)).status_code == 403
    proposed = await propose(market, await add_payee(market))
    refused = await approver.post(f"/v1/accounts/{proposed['id']}/end", json=body)
    ended = [await approver.post(path, json=body) for _ in range(2)]

    assert (refused.status_code, refused.json()["code"]) == (409, "account_link_not_in_force")
    for answer in ended:
        assert (answer.json()["status"], answer.json()["account_status"]) == ("ended", "retired")
    bill = {"payee_id": str(market.stall.payee_id), "amount_vnd": 20_000}
    opened = await market.till.post("/v1/bills", json=bill)
    assert (opened.status_code, opened.json()["code"]) == (409, "payee_has_no_account")


async def propose_now(owner_database: Database, link_id: str, by: str | None = None) -> None:
    """Make an account's proposal the latest thing that happened."""
    query = text("""UPDATE payee_accounts SET proposed_at = clock_timestamp(),
                    proposed_by = coalesce(CAST(:by AS uuid), proposed_by) WHERE id = :id""")
    async with owner_database.begin() as session:
        await session.execute(query, {"id": link_id, "by": by})


@pytest.mark.parametrize("is_reset_first", [True, False])
async def test_password_that_the_proposer_gave_does_not_speak_for_the_holder(
    market: Market, owner_database: Database, is_reset_first: bool
) -> None:
    """Else a manager could move a stall's money, sign in as its owner, and hide the warning."""
    link = (await market.till.get("/v1/accounts")).json()["accounts"][0]
    await market.staff("co.lan", "vendor_owner", payee_id=market.stall.payee_id)
    if not is_reset_first:
        await propose_now(owner_database, link["id"])
    people = (await market.admin.get("/v1/staff", params=market.org)).json()["staff"]
    [owner_id] = [one["id"] for one in people if one["login"] == "co.lan"]
    reset = await market.admin.post(
        f"/v1/staff/{owner_id}/password", json={"password": GIVEN}, params=market.org
    )
    assert reset.status_code == 204
    if is_reset_first:
        admin = (await market.admin.get("/v1/me")).json()
        await propose_now(owner_database, link["id"], by=admin["id"])
    faker = await market.hub.browser("co.lan", GIVEN)

    answer = await faker.post(f"/v1/accounts/{link['id']}/seen")

    assert (answer.status_code, answer.json()["code"]) == (403, "holder_needed")
    assert "a login that was made, reset or moved" in answer.json()["detail"]


async def test_login_that_the_proposer_made_speaks_for_the_holder_once_its_password_is_their_own(
    market: Market, owner_database: Database
) -> None:
    """Made before the proposal, too: else a manager makes the owner first and the account next."""
    link = (await market.till.get("/v1/accounts")).json()["accounts"][0]
    owner = await market.staff("co.lan", "vendor_owner", payee_id=market.stall.payee_id)
    admin = (await market.admin.get("/v1/me")).json()
    await propose_now(owner_database, link["id"], by=admin["id"])
    path = f"/v1/accounts/{link['id']}/seen"
    assert (await owner.post(path)).json()["code"] == "holder_needed"

    chosen = {"present_password": PASSWORD, "password": "phở gà phố Quán Thánh"}
    assert (await owner.post("/v1/me/password", json=chosen)).status_code == 204

    assert (await owner.post(path)).json()["holder_confirmed_at"] is not None


async def test_nobody_but_the_payee_itself_acknowledges_a_change(
    market: Market, owner_database: Database
) -> None:
    link = (await market.till.get("/v1/accounts")).json()["accounts"][0]
    path = f"/v1/accounts/{link['id']}/seen"
    manager = await market.staff("quanly", "manager")
    owner = await market.staff("co.lan", "vendor_owner", payee_id=market.stall.payee_id)
    assert (await owner.post(path)).json()["code"] == "holder_needed"  # hired after the change
    await propose_now(owner_database, link["id"])

    refused = await manager.post(path)

    assert (refused.status_code, refused.json()["code"]) == (403, "holder_needed")
    assert (await owner.post(path)).json()["holder_confirmed_at"] is not None


async def test_a_sandbox_is_pulled_only_where_the_operator_allows(market: Market) -> None:
    body = {
        "provider": "sepay",
        "name": "SePay",
        "is_sandbox": True,
        "account_ids": [],
        "pull_url": "http://127.0.0.1:5432",
        "pull_token": "token",
    }

    answer = await market.admin.post("/v1/callback-endpoints", json=body, params=market.org)

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_pull_url")


async def test_account_numbers_are_whole_only_for_who_handles_them(market: Market) -> None:
    number = market.stall.account_number
    approver = await market.staff("duyet", "approver")
    finance = await market.staff("ketoan", "finance")
    whole = (await approver.get("/v1/accounts")).json()["accounts"][0]
    for other in (finance, market.till):
        masked = (await other.get("/v1/accounts")).json()["accounts"][0]
        assert masked["account_number"] == f"…{number[-4:]}"
    assert whole["account_number"] == number


async def test_an_account_that_no_bank_has_is_refused(market: Market) -> None:
    manager = await market.staff("quanly", "manager")
    payee_id = await add_payee(market)
    path = f"/v1/payees/{payee_id}/accounts"

    unknown = await manager.post(path, json=ACCOUNT | {"bin": "000000"})
    malformed = await manager.post(path, json=ACCOUNT | {"account_number": "1 2"})
    nobody = await manager.post(path.replace(payee_id, str(market.stall.org.id)), json=ACCOUNT)

    assert unknown.json()["code"] == "bad_account"
    assert malformed.json()["violations"][0]["field"] == "account_number"
    assert nobody.json()["code"] == "payee_not_found"


async def test_a_static_code_has_no_memo_and_at_will_a_price(market: Market) -> None:
    path = f"/v1/payees/{market.stall.payee_id}/static-code"
    plain = (await market.till.get(path)).json()
    priced = (await market.till.get(path, params={"amount_vnd": 15_000})).json()

    read = parse(plain["vietqr"])
    assert read.point_of_initiation is PointOfInitiation.STATIC
    assert (read.amount_vnd, read.additional) == (None, None)
    assert parse(priced["vietqr"]).amount_vnd == 15_000
    for link in (*plain["links"].values(), *priced["links"].values()):
        picture = await market.till.get(link)
        assert picture.status_code == 200
        assert picture.headers["cache-control"] == "private, max-age=300"
    assert (await market.till.get(path, params={"amount_vnd": 0})).status_code == 422
    without = await market.till.get(f"/v1/payees/{await add_payee(market)}/static-code")
    assert without.json()["code"] == "payee_has_no_account"


async def test_a_payee_is_changed_and_closed_for_good(market: Market) -> None:
    payee_id = await add_payee(market)
    path = f"/v1/payees/{payee_id}"
    renamed = await market.till.patch(path, json={"name": "Cô Ba bún ốc"})
    closed = await market.till.patch(path, json={"is_closed": True, "reason": "nghỉ bán"})
    again = await market.till.patch(path, json={"is_closed": True})
    reopened = await market.till.patch(path, json={"is_closed": False})

    assert (renamed.json()["name"], renamed.json()["place"]) == ("Cô Ba bún ốc", "Dãy C")
    assert closed.json()["closed_at"] == again.json()["closed_at"] is not None
    assert (reopened.status_code, reopened.json()["code"]) == (409, "payee_closed")
    listed = (await market.till.get("/v1/payees")).json()["payees"]
    everyone = (await market.till.get("/v1/payees", params={"with_closed": True})).json()["payees"]
    assert payee_id not in [one["id"] for one in listed]
    assert payee_id in [one["id"] for one in everyone]


async def test_payees_come_in_pages(market: Market) -> None:
    added = [await add_payee(market, f"Hàng {i}") for i in range(3)]
    first = (await market.till.get("/v1/payees", params={"limit": 2})).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await market.till.get("/v1/payees", params=query)).json()

    ids = [one["id"] for one in first["payees"] + second["payees"]]
    assert ids == [*added[::-1], str(market.stall.payee_id)]
    assert second["next_cursor"] is None


async def test_other_organisations_and_neighbours_are_not_there(market: Market) -> None:
    await a_payable_stall(market.hub.services.database, code="QBSH", is_live=False)
    stranger = await market.hub.machine(market.admin, "payees.read", "accounts.read", org="QBSH")
    cashier = await market.staff("co.lan", "cashier", payee_id=market.stall.payee_id)
    neighbour = await add_payee(market)

    for client, payee_id in ((stranger, market.stall.payee_id), (cashier, neighbour)):
        for path in ("", "/static-code", "/static-code/qr.png"):
            answer = await client.get(f"/v1/payees/{payee_id}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "payee_not_found")
    assert [p["id"] for p in (await cashier.get("/v1/payees")).json()["payees"]] == [
        str(market.stall.payee_id)
    ]
    link = (await market.till.get("/v1/accounts")).json()["accounts"][0]
    assert (await stranger.get(f"/v1/accounts/{link['id']}")).status_code == 404
