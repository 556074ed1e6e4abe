"""The frozen city: a year of a market in a minute, so that every table and column has its rows."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from core.clock import read_clock
from core.ids import new_id
from tests.migrations import release_background as background
from tests.migrations.release_connections import outages, webhooks
from tests.migrations.release_finance import decided_alone, refunds, statements
from tests.migrations.release_parking import parking
from tests.migrations.release_people import (
    NEXT_SECRET,
    PAYOS_CLIENT,
    PAYOS_TOKEN,
    VCB,
    City,
    Office,
    Place,
    sign,
    write_notice,
)
from tests.world.databases import FreshDatabase
from tests.world.hubs import Hub
from tests.world.sandboxes import tell


async def build_city(hub: Hub, database: FreshDatabase, sandbox: httpx.Client) -> None:
    """Build everything that a release's frozen database holds."""
    city = City(hub, database)
    await city.found()
    market = await city.office("HKXM", "Chợ Hàng Da", is_live=True)
    trial = await city.office("DXA2", "Chợ Đồng Xa", is_live=False)
    till = await city.machine(market)

    pho = await city.stall(market, "Phở gia truyền")
    await city.connect(pho, "sepay")
    await city.activate(pho)
    casso = await city.stall(market, "Bún chả")
    await city.connect(casso, "casso")
    await city.activate(casso, provider="casso")
    await city.connect(casso, "vietqrvn")
    await city.connect(casso, "sepay_apikey", secret="made-up-ascii-secret")

    await bills_of_every_end(city, pho, till)
    await transfers_in_doubt(city, pho, till)
    await other_providers(city, casso, till)
    await shared_account(city, market, till)
    await accounts_of_every_state(city, pho)
    await people_and_keys(city, pho)
    await callbacks_that_fail(city, pho)
    tea = await city.stall(trial, "Chè bốn mùa")
    await payos(city, tea, sandbox)
    await outages(city, tea, sandbox)
    car_park = await city.stall(trial, "Bãi xe Trần Quang Khải")
    await city.connect(car_park, "sepay")
    await city.activate(car_park)
    await parking(city, car_park, sandbox)
    await background.past_bills(city, pho)
    await background.checks_given_up(city)
    await background.owned_bills(city, pho)
    await refunds(city, pho, casso)
    await decided_alone(city)
    await statements(city, pho)
    await webhooks(city, pho)
    await background.jobs(city, pho)
    await background.closed_days(city, pho)


async def bills_of_every_end(city: City, place: Place, till: httpx.AsyncClient) -> None:
    """Bills that are paid, short, too much, twice, in cash, cancelled, by a batch, and open."""
    exact = await city.open_bill(place, till, key="order-1", external_id="HD-2026-000123")
    await city.transfer(place, 20_000, exact["reference"])
    await city.transfer(place, 20_000, exact["reference"])  # a second time: a refund is due
    for part_vnd in (8_000, None):
        bill = await city.open_bill(place, till)
        await city.transfer(place, 12_000, bill["reference"])
        if part_vnd is not None:
            cash = {"id": str(new_id()), "amount_vnd": part_vnd}
            path = f"/v1/bills/{bill['id']}/cash-payments"
            await city.ask(place.owner, "POST", path, cash)
    over = await city.open_bill(place, till)
    await city.transfer(place, 25_000, over["reference"])
    cancelled = await city.open_bill(place, till)
    await city.transfer(place, 5_000, cancelled["reference"])
    reason = {"reason": "Khách đổi món"}
    await city.ask(place.office.manager, "POST", f"/v1/bills/{cancelled['id']}/cancel", reason)
    any_amount = await city.open_bill(place, till, amount_vnd=None)
    await city.transfer(place, 33_000, any_amount["reference"])
    wrong = await city.open_bill(place, till, amount_vnd=22_000)
    right = await city.open_bill(place, till, amount_vnd=22_000)
    await city.transfer(place, 22_000, wrong["reference"])  # the payer took the neighbour's code
    credit = next(c for c in await credits_of(city, place, "settle") if c["amount_vnd"] == 22_000)
    shares = {
        "bills": [{"bill_id": right["id"], "amount_vnd": 22_000}],
        "match_id": credit["match_id"],
    }
    await city.ask(place.office.manager, "POST", f"/v1/credits/{credit['id']}/assign", shares)
    batch = [{"payee_id": place.payee_id, "amount_vnd": 1_000 * n} for n in (1, 2, 3)]
    await city.ask(till, "POST", "/v1/bills/batch", {"bills": batch})


async def transfers_in_doubt(city: City, place: Place, till: httpx.AsyncClient) -> None:
    """Counter sales and their corrections, unknown, doubtful and contradicted money."""
    finance = place.office.finance
    for memo in ("an sang", "tra tien pho", "hoan tien"):
        await city.transfer(place, 41_000, memo)
    for _, credit in zip(range(2), await credits_of(city, place, "counter_sale"), strict=False):
        path = f"/v1/credits/{credit['id']}"
        body = {"reason": "Tiền hoàn của nhà cung cấp"}
        await city.ask(place.owner, "POST", f"{path}/not-takings", body)
    await city.ask(place.owner, "POST", f"{path}/takings")

    waiting = await city.open_bill(place, till, amount_vnd=77_000)
    await city.transfer(place, 77_000, "quen ghi ma")
    sale = next(
        c for c in await credits_of(city, place, "counter_sale") if c["amount_vnd"] == 77_000
    )
    path = f"/v1/credits/{sale['id']}/confirm"
    await city.ask(place.owner, "POST", path, {"bill_id": waiting["id"]})

    two = [await city.open_bill(place, till, amount_vnd=vnd) for vnd in (30_000, 20_000)]
    unknown = await unused_references(city, place, 3)
    for reference, amount_vnd in zip(unknown, (50_000, 15_000, 16_000), strict=True):
        await city.transfer(place, amount_vnd, reference)
    shares = [{"bill_id": bill["id"], "amount_vnd": bill["amount_vnd"]} for bill in two]
    no_bill = {c["amount_vnd"]: c["id"] for c in await credits_of(city, place, "no_bill")}
    path = f"/v1/credits/{no_bill[50_000]}/assign"
    await city.ask(place.office.manager, "POST", path, {"bills": shares})
    path = f"/v1/credits/{no_bill[15_000]}/assign"
    await city.ask(place.office.manager, "POST", path, {"payee_id": place.payee_id})

    for amount_vnd in (61_000, 62_000, 63_000):
        for _ in range(2):  # one bank reference and one amount: one transfer, or two?
            await city.transfer(place, amount_vnd, "an trua", reference=f"FT99{amount_vnd}")
    await city.transfer(place, 64_000, "an toi", id_=640_001)
    await city.transfer(place, 65_000, "an toi", id_=640_001)  # other facts under one id
    await city.transfer(place, 10_000, "rut tien", direction="out")
    doubts = await breaks_of(city, place, "possible_duplicate")
    for one, decision in zip(doubts, ("admit", "same-money"), strict=False):
        await city.ask(finance, "POST", f"/v1/breaks/{one['id']}/{decision}")
    contradiction, *_ = await breaks_of(city, place, "contradiction")
    await city.ask(finance, "POST", f"/v1/breaks/{contradiction['id']}/admit")
    refunds = await breaks_of(city, place, "refund_due")
    words = {"resolution": "Đã trả lại tiền mặt cho khách"}
    await city.ask(finance, "POST", f"/v1/breaks/{refunds[0]['id']}/close", words)


async def other_providers(city: City, place: Place, till: httpx.AsyncClient) -> None:
    """Casso, VietQR.vn and SePay's API key: one transfer reported twice, an order, a spelling."""
    bill = await city.open_bill(place, till)
    await city.transfer(place, 20_000, bill["reference"], provider="casso", reference="FT5500001")
    await city.transfer(
        place, 20_000, bill["reference"], provider="sepay_apikey", reference="FT5500001"
    )
    ordered = await city.open_bill(place, till)
    await city.transfer(
        place, 20_000, "chuyen khoan", provider="vietqrvn", order_id=ordered["reference"]
    )
    spelt = await city.open_bill(place, till)
    memo = f"mbvcb {spelt['reference'].lower()[:6]} {spelt['reference'].lower()[6:]} ct tu"
    await city.transfer(place, 20_000, memo, provider="casso")


async def shared_account(city: City, office: Office, till: httpx.AsyncClient) -> None:
    """Two stalls on one account, one with a virtual account; a sale that somebody must assign."""
    first = await city.stall(office, "Cô Lan rau sạch")
    await city.connect(first, "sepay")
    await city.activate(first)
    second = await city.stall(office, "Chú Ba trái cây", of=first, virtual_account="VQR0012")
    second.endpoints = first.endpoints
    await city.activate(second, sub_account="VQR0012")
    await city.transfer(first, 18_000, "tien rau", sub_account="VQR0012")
    await city.open_bill(second, till)
    third = await city.stall(office, "Bà Tư hàng xén", of=first)
    third.endpoints = first.endpoints
    await city.transfer(first, 1_000, third.link["test_reference"])
    for memo in ("cho cua ai", "chua ro cua ai"):
        await city.transfer(first, 19_000, memo)
    mine, *_ = await credits_of(city, first, "unassigned", by=office.finance)
    await city.ask(
        third.owner, "POST", f"/v1/credits/{mine['id']}/assign", {"payee_id": third.payee_id}
    )


async def accounts_of_every_state(city: City, place: Place) -> None:
    """Accounts that are proposed, refused, waiting, another's test, replaced and ended."""
    office = place.office
    await city.propose(office, place.payee_id, "1036990001")
    other = await city.stall(office, "Xôi Yến")
    refused = await city.propose(office, other.payee_id, "1036990002")
    body = {"reason": "Sai tên chủ tài khoản"}
    await city.ask(office.approver, "POST", f"/v1/accounts/{refused['id']}/refuse", body)
    await city.connect(other, "sepay")
    # A test transfer that its endpoint's bank does not agree with, and the right one.
    gateway = write_notice(
        "sepay", other.number, 1_000, other.link["test_reference"], next(city.numbers)
    ) | {"gateway": "MBBank"}
    secret = other.endpoints["sepay"]["secret"]
    await city.call(other, "sepay", sign("sepay", gateway, secret))
    await city.settle()
    ended = await city.stall(office, "Bánh mì Phố Huế")
    await city.connect(ended, "sepay")
    await city.activate(ended)
    body = {"reason": "Nghỉ bán"}
    await city.ask(office.approver, "POST", f"/v1/accounts/{ended.link['id']}/end", body)
    changes = {"is_closed": True, "reason": "Nghỉ bán"}
    await city.ask(office.manager, "PATCH", f"/v1/payees/{ended.payee_id}", changes)


async def people_and_keys(city: City, place: Place) -> None:
    """People who work, left, forgot their password, or signed out; keys that were changed."""
    office = place.office
    cashier = await city.person("cashier.hkxm", "cashier", org="HKXM", payee_ids=[place.payee_id])
    await city.ask(cashier, "DELETE", "/v1/sign-ins")
    await city.hub.client.post(
        "/v1/sign-ins", json={"login": "cashier.hkxm", "password": "sai mật khẩu rồi"}
    )
    for _ in range(12):
        await city.hub.client.post(
            "/v1/sign-ins", json={"login": "finance.dxa2", "password": "sai mật khẩu rồi"}
        )
    await city.person("boss2", "admin", org="HANX")
    listed = await city.ask(city.admin, "GET", "/v1/staff")
    second = next(one["id"] for one in listed["staff"] if one["login"] == "boss2")
    body = {"is_disabled": True, "reason": "Chuyển công tác"}
    await city.ask(city.admin, "PATCH", f"/v1/staff/{second}", body)
    keys = await city.ask(office.manager, "GET", "/v1/keys")
    rotated = await city.ask(
        office.manager, "POST", f"/v1/keys/{keys['keys'][0]['id']}/rotate", {"overlap_s": 3_600}
    )
    client = city.hub.new_client(Authorization=f"Bearer {rotated['key']}")
    await city.ask(client, "GET", "/v1/bills")
    spare = await city.ask(
        office.manager, "POST", "/v1/keys", {"name": "spare", "scopes": ["bills.read"]}
    )
    await city.ask(office.manager, "DELETE", f"/v1/keys/{spare['id']}")


async def callbacks_that_fail(city: City, place: Place) -> None:
    """A repeat, a wrong signature, an unreadable body, an unknown account, a rotated secret."""
    body = write_notice("sepay", place.number, 9_000, "an vat", next(city.numbers))
    secret = place.endpoints["sepay"]["secret"]
    for key in (secret, secret, "not-the-secret-at-all"):
        await city.call(place, "sepay", sign("sepay", body, key))
    an_hour_ago = read_clock() - timedelta(hours=1)
    await city.call(place, "sepay", sign("sepay", body, secret, at=an_hour_ago))
    await city.call(place, "sepay", sign("sepay", {"khong": "doc duoc"}, secret))
    strange = write_notice("sepay", "1036777777", 9_000, "nham tai khoan", next(city.numbers))
    await city.call(place, "sepay", sign("sepay", strange, secret))
    await city.settle()
    path = f"/v1/callback-endpoints/{place.endpoints['sepay']['id']}/rotate"
    await city.ask(
        place.office.approver, "POST", path, {"secret": NEXT_SECRET, "overlap_s": 86_400}
    )
    gone = await city.connect(place, "casso")
    await city.ask(place.office.approver, "DELETE", f"/v1/callback-endpoints/{gone['id']}")


async def payos(city: City, place: Place, sandbox: httpx.Client) -> None:
    """Bills on the payOS rail: paid, cancelled, without a result; a payment found by polling."""
    office = place.office
    secret = "made-up-checksum-key"
    await city.connect(place, "sepay")
    await city.activate(place)
    made = await city.connect(
        place,
        "payos",
        is_sandbox=True,
        secret=secret,
        pull_token=PAYOS_TOKEN,
        pull_client_id=PAYOS_CLIENT,
        pull_url=str(sandbox.base_url).rstrip("/"),
    )
    account = {"bin": VCB, "number": place.number}
    tell(sandbox, "accounts", {**account, "holder": "HO KINH DOANH B12"})
    subscription = {
        "provider": "payos",
        "url": f"{city.hub.url}{httpx.URL(made['url']).path}",
        "secret": secret,
        "api_key": PAYOS_TOKEN,
        "client_id": PAYOS_CLIENT,
        "accounts": [account],
    }
    known = tell(sandbox, "subscriptions", subscription)
    till = await city.machine(office)
    bills = [await city.open_bill(place, till, rail="payos") for _ in range(3)]
    for bill in bills[:2]:
        to = {"bin": VCB, "number": bill["receiving_account"]["account_number"]}
        tell(sandbox, "transfer", {**to, "amount_vnd": 20_000, "memo": bill["reference"]})
    await city.ask(till, "POST", f"/v1/bills/{bills[0]['id']}/check")
    await city.ask(till, "POST", f"/v1/bills/{bills[2]['id']}/cancel", {})
    profile = {"api_fault": "error_before", "api_calls_left": 1}
    tell(sandbox, "faults", {"subscription": known["id"], "profile": profile})
    await city.open_bill(place, till, rail="payos")
    await city.settle()
    path = f"/v1/callback-endpoints/{made['id']}/pull-credentials"
    wrong = {"pull_token": "not-the-key", "pull_client_id": PAYOS_CLIENT}
    await city.ask(office.approver, "PUT", path, wrong)
    await city.open_bill(place, till, rail="payos")  # refused there: it falls back to VietQR


async def credits_of(
    city: City, place: Place, verdict: str, *, by: httpx.AsyncClient | None = None
) -> list[dict[str, Any]]:
    """List an organisation's credits of one verdict, newest first."""
    found = await city.ask(by or place.office.finance, "GET", "/v1/credits")
    return [one for one in found["credits"] if one["verdict"] == verdict]


async def breaks_of(city: City, place: Place, kind: str) -> list[dict[str, Any]]:
    """List an organisation's open breaks of one kind, newest first."""
    found = await city.ask(place.office.finance, "GET", "/v1/breaks")
    return [one for one in found["breaks"] if one["kind"] == kind and not one["closed_at"]]


async def unused_references(city: City, place: Place, count: int) -> list[str]:
    """Return references of the organisation that no bill has."""
    return await background.take_references(city, UUID(place.office.id), "HKXM", count)
