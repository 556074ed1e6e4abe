"""Bills over HTTP: opened once, repeated safely, seen by whom they concern."""

import asyncio
import base64
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from api.v1.bills.schemas import BillRead
from core.ids import new_id
from payments.vietqr import parse
from tests.world.clocks import stop_refills
from tests.world.markets import Market
from tests.world.payees import a_payee, an_account
from tests.world.stalls import a_payable_stall

pytestmark = pytest.mark.anyio


async def another_stall(market: Market) -> UUID:
    """Add a second payee with an account of its own to the market."""
    stall = market.stall
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{stall.org.id}'"))
        payee_id = await a_payee(session, stall.org)
        await an_account(session, stall.org, payee_id)
    return payee_id


async def test_an_answer_has_all_that_a_till_needs(market: Market) -> None:
    bill = await market.open_bill(external_id="HD-1", valid_for_s=600)

    assert bill.keys() == BillRead.model_fields.keys()
    for name in ("payee", "receiving_account", "links"):
        model = BillRead.model_fields[name].annotation
        assert model is not None
        assert bill[name].keys() == model.model_fields.keys()
    assert bill["status"] == "open"
    assert bill["missing_vnd"] == 20_000
    code = parse(bill["vietqr"])
    assert (code.amount_vnd, code.account) == (20_000, market.stall.account_number)
    assert code.additional is not None
    assert code.additional.purpose == bill["reference"]
    assert bill["pay_url"].startswith("http://127.0.0.1:8000/p/HKXM-")
    expires_at = datetime.fromisoformat(bill["expires_at"])
    assert expires_at - datetime.fromisoformat(bill["created_at"]) < timedelta(seconds=601)
    assert (await market.till.get(f"/v1/bills/{bill['id']}")).json() == bill


async def test_an_open_amount_is_said_and_not_forgotten(market: Market) -> None:
    bill = await market.open_bill(amount_vnd=None)
    assert bill["amount_vnd"] is None
    assert parse(bill["vietqr"]).amount_vnd is None

    body = market.bill_body()
    del body["amount_vnd"]
    answer = await market.till.post("/v1/bills", json=body)
    assert answer.status_code == 422
    assert answer.json()["violations"][0]["field"] == "amount_vnd"


REFUSED: list[tuple[str, Any]] = [
    ("amount_vnd", 5000.0),
    ("amount_vnd", "5000"),
    ("amount_vnd", True),
    ("amount_vnd", 0),
    ("amount_vnd", -1),
    ("amount_vnd", 500_000_000),
    ("purpose", "x" * 141),
    ("purpose", "a\x00b"),
    ("purpose", "a\nb"),
    ("valid_for_s", 29),
    ("valid_for_s", 86_401),
    ("valid_for_s", 60.0),
    ("external_id", ""),
    ("payee_id", "not-an-id"),
    ("paid_vnd", 20_000),
    ("id", str(uuid4())),
]


async def test_what_cannot_be_a_bill_is_refused_at_its_field(market: Market) -> None:
    for field, value in REFUSED:
        answer = await market.till.post("/v1/bills", json=market.bill_body(**{field: value}))

        assert answer.status_code == 422, (field, value)
        assert [v["field"] for v in answer.json()["violations"]] == [field]


async def test_limits_themselves_are_allowed(market: Market) -> None:
    for facts in (
        {"amount_vnd": 1},
        {"amount_vnd": 499_999_999},
        {"purpose": "ở" * 140},
        {"purpose": ""},
        {"valid_for_s": 30},
        {"valid_for_s": 86_400},
    ):
        await market.open_bill(**facts)


async def test_a_body_that_is_not_json_is_refused_in_the_one_shape(market: Market) -> None:
    for content, kind in ((b"{", "application/json"), (b"{}", "text/plain"), (b"[]", None)):
        headers = {} if kind is None else {"Content-Type": kind}
        answer = await market.till.post("/v1/bills", content=content, headers=headers)
        assert answer.status_code == 422, (content, kind)
    big = await market.till.post("/v1/bills", json=market.bill_body(purpose="x" * 70_000))
    assert big.status_code == 413


async def test_the_same_key_opens_one_bill_and_says_so(market: Market) -> None:
    key = {"Idempotency-Key": "order-1"}
    first = await market.till.post("/v1/bills", json=market.bill_body(), headers=key)
    reordered = dict(reversed(market.bill_body().items()))
    again = await market.till.post("/v1/bills", json=reordered, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_repeat_answers_the_bill_as_it_stands_now(market: Market) -> None:
    key = {"Idempotency-Key": "order-1"}
    first = (await market.till.post("/v1/bills", json=market.bill_body(), headers=key)).json()
    await market.till.post(f"/v1/bills/{first['id']}/cancel", json={"reason": "khách đổi ý"})

    again = await market.till.post("/v1/bills", json=market.bill_body(), headers=key)

    assert again.status_code == 201
    assert again.json()["status"] == "cancelled"


async def test_a_key_with_another_body_is_refused(market: Market) -> None:
    key = {"Idempotency-Key": "order-1"}
    await market.till.post("/v1/bills", json=market.bill_body(), headers=key)

    other = await market.till.post("/v1/bills", json=market.bill_body(amount_vnd=1), headers=key)

    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_a_key_belongs_to_the_organisation_whichever_machine_or_person_sends_it(
    market: Market,
) -> None:
    """A rotated key, a second till, a person at a browser: one order, one bill."""
    other = await market.hub.machine(market.admin, "bills.open", **market.org)
    key = {"Idempotency-Key": "order-1"}
    body = market.bill_body()
    mine = await market.till.post("/v1/bills", json=body, headers=key)

    theirs = await other.post("/v1/bills", json=body, headers=key)
    by_hand = await market.admin.post("/v1/bills", json=body, headers=key, params=market.org)
    refused = await other.post("/v1/bills", json=market.bill_body(amount_vnd=7), headers=key)

    assert [answer.status_code for answer in (theirs, by_hand)] == [201, 201]
    assert {answer.json()["id"] for answer in (theirs, by_hand)} == {mine.json()["id"]}
    assert theirs.headers["idempotent-replayed"] == "true"
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_reused")


async def test_one_key_in_two_organisations_is_two_bills(market: Market) -> None:
    elsewhere = await a_payable_stall(market.hub.services.database, code="THA9", is_live=False)
    theirs = await market.hub.machine(market.admin, "bills.open", org="THA9")
    key = {"Idempotency-Key": "order-1"}

    answers = [
        await market.till.post("/v1/bills", json=market.bill_body(), headers=key),
        await theirs.post(
            "/v1/bills", json=market.bill_body(payee_id=str(elsewhere.payee_id)), headers=key
        ),
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert all("idempotent-replayed" not in answer.headers for answer in answers)


@pytest.mark.parametrize("off_by", [timedelta(minutes=-5), timedelta(minutes=5)])
async def test_a_repeat_is_told_from_a_first_request_whatever_the_clocks_say(
    market: Market, off_by: timedelta
) -> None:
    """Two hubs serve one till; the clock of the one that writes is off by minutes."""
    writer = market.hub.services.bill_writer
    writer._read_clock = lambda: datetime.now(UTC) + off_by
    own = str(new_id())

    first, again = [
        await market.till.post("/v1/bills", json=market.bill_body(id=own)) for _ in range(2)
    ]

    assert [answer.status_code for answer in (first, again)] == [201, 201]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_key_that_no_header_should_carry_is_refused(market: Market) -> None:
    for key in ("", "a b", "ế", "x" * 256):
        headers = [(b"Idempotency-Key", key.encode())]
        answer = await market.till.post("/v1/bills", json=market.bill_body(), headers=headers)
        assert answer.status_code == 422, key


async def test_ten_at_once_with_one_key_open_one_bill(market: Market) -> None:
    key = {"Idempotency-Key": "order-1"}
    answers = await asyncio.gather(
        *(market.till.post("/v1/bills", json=market.bill_body(), headers=key) for _ in range(10))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await market.till.get("/v1/bills")).json()["bills"]) == 1


async def test_an_id_of_the_client_names_one_bill(market: Market) -> None:
    own = str(new_id())
    first = await market.open_bill(id=own)
    again = await market.till.post("/v1/bills", json=market.bill_body(id=own))
    other = await market.till.post("/v1/bills", json=market.bill_body(id=own, amount_vnd=1))

    assert first["id"] == own
    assert (again.status_code, again.json()["reference"]) == (201, first["reference"])
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "bill_id_taken")


@pytest.mark.parametrize(
    "own", [f"{'f' * 12}-7fff-bfff-ffffffffffff", f"{0:08x}-0000-7000-8000-{0:012x}"]
)
async def test_the_time_in_a_clients_id_may_be_no_time_at_all(market: Market, own: str) -> None:
    own = f"{own.replace('-', ''):0<32}"
    answer = await market.till.post("/v1/bills", json=market.bill_body(id=str(UUID(own))))

    assert answer.status_code == 422


async def test_the_time_in_a_clients_id_is_about_now(market: Market) -> None:
    for days, is_taken in ((-36, False), (-34, True), (0.02, False)):
        made_at = datetime.now(UTC) + timedelta(days=days)
        milliseconds = int(made_at.timestamp() * 1_000)
        tail = struct.unpack(">Q", new_id().bytes[8:])[0]
        own = UUID(int=(milliseconds << 80) | (0x7 << 76) | tail)

        answer = await market.till.post("/v1/bills", json=market.bill_body(id=str(own)))

        assert answer.status_code == (201 if is_taken else 422), days


async def test_a_payee_without_an_account_cannot_be_paid(market: Market) -> None:
    added = await market.till.post("/v1/payees", json={"name": "Cô Ba", "place": "Dãy C"})
    answer = await market.till.post("/v1/bills", json=market.bill_body(payee_id=added.json()["id"]))
    assert (answer.status_code, answer.json()["code"]) == (409, "payee_has_no_account")


async def test_a_batch_answers_each_item_for_itself(market: Market) -> None:
    items = [
        market.bill_body(),
        market.bill_body(amount_vnd=0),
        market.bill_body(payee_id=str(new_id())),
        {},
        market.bill_body(amount_vnd=30_000),
    ]
    key = {"Idempotency-Key": "batch-1"}
    answer = await market.till.post("/v1/bills/batch", json={"bills": items}, headers=key)

    results = answer.json()["results"]
    assert [item["status"] for item in results] == [201, 422, 404, 422, 201]
    assert results[1]["problem"]["violations"][0]["field"] == "bills[1].amount_vnd"
    assert results[2]["problem"]["code"] == "payee_not_found"
    assert results[0]["problem"] is results[1]["bill"] is None
    again = await market.till.post("/v1/bills/batch", json={"bills": items}, headers=key)
    assert [item["is_replayed"] for item in again.json()["results"]] == [True, *[False] * 3, True]
    assert again.json()["results"][4]["bill"]["id"] == results[4]["bill"]["id"]


async def test_a_batch_has_from_one_to_five_hundred_items(market: Market) -> None:
    full = await market.till.post("/v1/bills/batch", json={"bills": [market.bill_body()] * 500})
    assert {item["status"] for item in full.json()["results"]} == {201}
    assert len({item["bill"]["reference"] for item in full.json()["results"]}) == 500
    for count in (0, 501):
        answer = await market.till.post("/v1/bills/batch", json={"bills": [{}] * count})
        assert answer.status_code == 422


async def test_pages_neither_repeat_nor_lose_a_bill_while_others_are_opened(market: Market) -> None:
    opened = [(await market.open_bill())["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await market.till.get("/v1/bills", params={"limit": 2, **cursor})).json()
        seen += [bill["id"] for bill in page["bills"]]
        await market.open_bill()  # newer than the cursor: not on the pages that follow
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == opened[::-1]


async def test_a_cursor_of_another_making_is_refused(market: Market) -> None:
    for cursor in ("x", "!!", base64.urlsafe_b64encode(b"1" * 15).decode()):
        answer = await market.till.get("/v1/bills", params={"cursor": cursor})

        assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")


async def test_filters_hold_together(market: Market) -> None:
    paid, open_ = await market.open_bill(external_id="A"), await market.open_bill(external_id="B")
    await market.till.post(f"/v1/bills/{paid['id']}/cancel", json={})

    async def ids(**query: Any) -> list[str]:
        answer = await market.till.get("/v1/bills", params=query)
        return [bill["id"] for bill in answer.json()["bills"]]

    assert await ids(status="open") == [open_["id"]]
    assert await ids(status=["open", "cancelled"]) == [open_["id"], paid["id"]]
    assert await ids(external_id="A", status="open") == []
    assert await ids(reference=open_["reference"]) == [open_["id"]]
    assert await ids(reference=open_["reference"][:-1]) == []
    assert await ids(payee_id=str(new_id())) == []
    assert await ids(since=open_["created_at"]) == [open_["id"]]
    assert await ids(until=open_["created_at"]) == [paid["id"]]
    assert (await market.till.get("/v1/bills", params={"since": "2026-01-01"})).status_code == 422


async def test_a_bill_is_found_by_its_reference_as_people_and_banks_write_it(
    market: Market,
) -> None:
    bill, _ = await market.open_bill(), await market.open_bill()
    reference = bill["reference"]

    for written in (
        reference.lower(),
        f"{reference[:6]} {reference[6:]}",
        f"{reference[:6]}-{reference[6:]}",
        f"\u00a0{reference}\u200b",
        f"MBVCB.3278907687.{reference}.CT tu 0011",
        f"tra tien {reference.lower()} nhe",
        " ".join(reference),
    ):
        answer = await market.till.get("/v1/bills", params={"reference": written})
        assert [one["id"] for one in answer.json()["bills"]] == [bill["id"]], written

    for other in ("", "khong co", reference[:-1], f"{reference[:-1]}{reference[-2]}"):
        answer = await market.till.get("/v1/bills", params={"reference": other})
        assert answer.json()["bills"] == [], other
    long = await market.till.get("/v1/bills", params={"reference": "x" * 1_001})
    assert long.status_code == 422


async def test_a_bill_of_another_organisation_is_not_found(market: Market) -> None:
    await a_payable_stall(market.hub.services.database, code="QBSH", is_live=False)
    stranger = await market.hub.machine(market.admin, "bills.read", "bills.cancel", org="QBSH")
    bill = await market.open_bill()

    for path in ("", "/qr.svg", "/credits"):
        answer = await stranger.get(f"/v1/bills/{bill['id']}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "bill_not_found")
    assert (await stranger.post(f"/v1/bills/{bill['id']}/cancel", json={})).status_code == 404
    assert (await stranger.get("/v1/bills")).json()["bills"] == []


async def test_people_of_a_stall_see_and_touch_their_own_bills_only(market: Market) -> None:
    neighbour = await another_stall(market)
    cashier = await market.staff("co.lan", "cashier", payee_id=market.stall.payee_id)
    theirs = await market.open_bill(payee_id=str(neighbour))
    own = await market.open_bill()

    listed = await cashier.get("/v1/bills")
    assert [bill["id"] for bill in listed.json()["bills"]] == [own["id"]]
    assert (await cashier.get(f"/v1/bills/{theirs['id']}")).status_code == 404
    assert (await cashier.post(f"/v1/bills/{theirs['id']}/cancel", json={})).status_code == 404
    refused = await cashier.post("/v1/bills", json=market.bill_body(payee_id=str(neighbour)))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    wanted = await cashier.get("/v1/bills", params={"payee_id": str(neighbour)})
    assert wanted.status_code == 403
    assert (await cashier.post("/v1/bills", json=market.bill_body())).status_code == 201


async def test_who_may_only_read_opens_and_cancels_nothing(market: Market) -> None:
    reader = await market.hub.machine(market.admin, "bills.read", **market.org)
    bill = await market.open_bill()

    assert (await reader.post("/v1/bills", json=market.bill_body())).status_code == 403
    assert (await reader.post("/v1/bills/batch", json={"bills": [{}]})).status_code == 403
    assert (await reader.post(f"/v1/bills/{bill['id']}/cancel", json={})).status_code == 403
    assert (await market.hub.client.post("/v1/bills", json={})).status_code == 401


async def test_cancelling_twice_is_like_once_and_a_paid_bill_stays(market: Market) -> None:
    bill, paid = await market.open_bill(), await market.open_bill()
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{market.stall.org.id}'"))
        await session.execute(
            text("UPDATE bills SET status = 'paid' WHERE id = :i"), {"i": paid["id"]}
        )

    first = await market.till.post(f"/v1/bills/{bill['id']}/cancel", json={"reason": "nhầm"})
    again = await market.till.post(f"/v1/bills/{bill['id']}/cancel", json={})
    refused = await market.till.post(f"/v1/bills/{paid['id']}/cancel", json={})

    assert first.json() == again.json()
    assert first.json()["status"] == "cancelled"
    assert (refused.status_code, refused.json()["code"]) == (409, "bill_not_cancellable")


async def test_a_picture_is_drawn_once_and_then_known(market: Market) -> None:
    bill = await market.open_bill()
    for name, kind, start in (
        ("qr_svg", "image/svg+xml", b"<svg"),
        ("qr_png", "image/png", b"\x89PNG"),
        ("card_png", "image/png", b"\x89PNG"),
    ):
        picture = await market.till.get(bill["links"][name])
        assert picture.headers["content-type"] == kind
        assert picture.content.startswith(start)
        assert picture.headers["cache-control"] == "private, no-cache"
        known = {"If-None-Match": picture.headers["etag"]}
        assert (await market.till.get(bill["links"][name], headers=known)).status_code == 304


async def test_a_part_paid_bill_asks_for_the_rest_in_another_picture(market: Market) -> None:
    bill = await market.open_bill()
    before = (await market.till.get(bill["links"]["qr_svg"])).headers["etag"]
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{market.stall.org.id}'"))
        query = "UPDATE bills SET status = 'part_paid', paid_vnd = 5000, received_vnd = 5000"
        await session.execute(text(f"{query} WHERE id = :i"), {"i": bill["id"]})

    now = (await market.till.get(f"/v1/bills/{bill['id']}")).json()

    assert (now["missing_vnd"], now["status"]) == (15_000, "part_paid")
    assert parse(now["vietqr"]).amount_vnd == 15_000
    assert (await market.till.get(bill["links"]["qr_svg"])).headers["etag"] != before


@pytest.mark.parametrize("status", ["paid", "over_paid", "cancelled", "refunded"])
async def test_a_bill_that_asks_for_nothing_has_no_code(market: Market, status: str) -> None:
    bill = await market.open_bill()
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{market.stall.org.id}'"))
        values = {"i": bill["id"], "status": status}
        change = "UPDATE bills SET status = :status, refunded_at = now() WHERE id = :i"
        await session.execute(text(change), values)

    assert (await market.till.get(f"/v1/bills/{bill['id']}")).json()["vietqr"] is None
    for name in ("qr_svg", "qr_png", "card_png"):
        refused = await market.till.get(bill["links"][name])
        assert (refused.status_code, refused.json()["code"]) == (409, "bill_not_payable")


async def test_cancelling_what_was_paid_in_part_puts_the_refund_on_the_list(market: Market) -> None:
    bill = await market.open_bill()
    async with market.hub.services.database.begin() as session:
        await session.execute(text(f"SET LOCAL app.org_id = '{market.stall.org.id}'"))
        query = "UPDATE bills SET status = 'part_paid', paid_vnd = 5000, received_vnd = 5000"
        await session.execute(text(f"{query} WHERE id = :i"), {"i": bill["id"]})

    await market.till.post(f"/v1/bills/{bill['id']}/cancel", json={})

    listed = await market.admin.get("/v1/breaks", params=market.org)
    (due,) = listed.json()["breaks"]
    assert (due["kind"], due["bill_id"], due["amount_vnd"]) == ("refund_due", bill["id"], 5_000)


async def test_polling_a_provider_that_cannot_be_polled_says_so_and_is_counted(
    market: Market,
) -> None:
    bill = await market.open_bill()
    stop_refills(market.hub.services.limits.checks)

    *few, last = [await market.till.post(f"/v1/bills/{bill['id']}/check") for _ in range(4)]

    for answer in few:
        assert (answer.status_code, answer.json()["code"]) == (409, "provider_cannot_be_polled")
    assert last.status_code == 429
    assert 1 <= int(last.headers["retry-after"]) <= 3
