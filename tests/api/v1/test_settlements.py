"""Settlement statements over HTTP: ordered, reviewed, approved by another, sent, handed out."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from core.clock import hanoi_day, read_clock
from core.db import Database
from core.ids import new_id
from payments.ledger.closing import close_day
from tests.core.jobs.steps import ended
from tests.world.cities import add_market
from tests.world.constants import MANAGER
from tests.world.markets import Market
from tests.world.papers import cells_of, text_of
from tests.world.settlements import drafting

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATH = "/v1/settlements"
TERMS = {
    "seen_version": 0,
    "from_day": "2026-01-01",
    "commission_bps": 250,
    "fixed_charge_vnd": 1_000,
    "charge_bps": {"vietqr": 11},
    "shares": [{"name": '=1+1 #read("/etc/passwd")', "bps": 1_500}],
}


@pytest.fixture
async def worker(market: Market, worker_database: Database) -> AsyncIterator[None]:
    """A worker that drafts statements."""
    async with drafting(market.database, worker_database):
        yield


async def close_today(market: Market) -> None:
    now = read_clock()
    org_id = market.stall.org.id
    await close_day(market.database, org_id, hanoi_day(now), actor=MANAGER, now=now)


def a_period(**facts: Any) -> dict[str, Any]:
    today = hanoi_day(read_clock())
    body = {
        "id": str(new_id()),
        "first_day": (today - timedelta(days=30)).isoformat(),
        "last_day": today.isoformat(),
    }
    return {**body, **facts}


async def order(market: Market, finance: httpx.AsyncClient, **facts: Any) -> dict[str, Any]:
    """Order a run and wait for its end."""
    answer = await finance.post(f"{PATH}/runs", json=a_period(**facts))
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()
    job = await ended(market.database, UUID(run["job_id"]), org_id=market.stall.org.id)
    assert job.status == "done", job
    return run


async def a_drafted_statement(market: Market, finance: httpx.AsyncClient) -> str:
    bill = await market.add_bill(amount_vnd=200_000)
    await market.pay(bill)
    await close_today(market)
    await order(market, finance)
    (found,) = (await finance.get(PATH)).json()["settlements"]
    return str(found["id"])


async def test_a_statement_goes_its_way_with_two_people(market: Market, worker: None) -> None:
    finance = await market.staff("ke-toan", "finance")
    approver = await market.staff("nguoi-duyet", "approver")
    manager = await market.staff("quan-ly", "manager")
    owner = await market.staff("chu-quay", "vendor_owner", payee_id=market.stall.payee_id)
    terms_path = f"/v1/payees/{market.stall.payee_id}/settlement-terms"
    set_ = await manager.put(terms_path, json=TERMS)
    assert set_.json()["version"] == 1, set_.text
    assert (await manager.put(terms_path, json=TERMS)).json() == set_.json()  # again: the same
    other = await manager.put(terms_path, json={**TERMS, "commission_bps": 1})
    assert (other.status_code, other.json()["code"]) == (409, "settlement_terms_changed")
    assert (await finance.put(terms_path, json=TERMS)).status_code == 403
    assert len((await owner.get(terms_path)).json()["versions"]) == 1

    one = f"{PATH}/{await a_drafted_statement(market, finance)}"
    drafted = (await finance.get(one)).json()
    assert (drafted["gross_vnd"], drafted["charges_vnd"]) == (200_000, 220)
    assert (drafted["commission_vnd"], drafted["net_vnd"]) == (5_000, 193_780)
    assert (drafted["shares"][0]["amount_vnd"], drafted["payee_vnd"]) == (29_067, 164_713)
    assert [item["amount_vnd"] for item in (await finance.get(f"{one}/items")).json()["items"]] == [
        200_000
    ]
    assert (await owner.get(one)).status_code == 404  # not before it is approved
    assert "BẢN NHÁP" in text_of((await finance.get(f"{one}/pdf")).content)
    assert (await approver.post(f"{one}/approve", json={})).status_code == 409
    assert (await finance.post(f"{one}/review")).json()["status"] == "reviewed"
    assert (await finance.post(f"{one}/approve", json={})).status_code == 403
    administrator = await market.staff("quan-tri", "admin")
    approved = (await approver.post(f"{one}/approve", json={})).json()
    assert (approved["status"], approved["number"]) == ("approved", "QT26-01-000001")
    sent = (await administrator.post(f"{one}/send")).json()
    assert sent["status"] == "sent"

    assert [found["number"] for found in (await owner.get(PATH)).json()["settlements"]] == [
        "QT26-01-000001"
    ]
    pdfs = [await reader.get(f"{one}/pdf") for reader in (owner, finance)]
    assert pdfs[0].content == pdfs[1].content
    words = text_of(pdfs[0].content)
    assert "Số: QT26-01-000001" in words
    assert '#read("/etc/passwd")' in words.replace("\n", " ")
    assert "root:" not in words
    assert "ke-toan" in words.lower() or "Người lập" in words
    totals, postings = cells_of((await owner.get(f"{one}/xlsx")).content)
    assert 164_713.0 in totals.values()
    assert postings["E2"] == 200_000


async def test_the_only_person_of_an_organisation_gives_the_password_again(
    market: Market, worker: None
) -> None:
    administrator = await market.staff("quan-tri", "admin")
    one = f"{PATH}/{await a_drafted_statement(market, administrator)}"
    assert (await administrator.post(f"{one}/review")).status_code == 200

    refused = await administrator.post(f"{one}/approve", json={})
    wrong = await administrator.post(f"{one}/approve", json={"password": "phở bò"})
    right = await administrator.post(f"{one}/approve", json={"password": "bún chả Hàng Mành"})

    assert (refused.status_code, refused.json()["code"]) == (403, "settlement_needs_another")
    assert wrong.json()["code"] == "wrong_password", wrong.text
    assert right.json()["is_approved_alone"] is True, right.text


async def test_several_are_approved_at_once_and_each_answers_for_itself(
    market: Market, worker: None
) -> None:
    finance = await market.staff("ke-toan", "finance")
    approver = await market.staff("nguoi-duyet", "approver")
    id_ = await a_drafted_statement(market, finance)
    unknown = str(uuid4())

    early = await approver.post(f"{PATH}/approve", json={"ids": [id_]})
    await finance.post(f"{PATH}/{id_}/review")
    answer = await approver.post(f"{PATH}/approve", json={"ids": [unknown, id_, id_]})

    assert early.json()["verdicts"][0]["code"] == "settlement_step_not_possible"
    assert [(one["number"], one["code"]) for one in answer.json()["verdicts"]] == [
        (None, "settlement_not_found"),
        ("QT26-01-000001", None),
    ]
    many = await approver.post(f"{PATH}/approve", json={"ids": [str(uuid4())] * 201})
    assert many.status_code == 422


async def test_a_run_is_made_once_and_waits_for_closed_books(market: Market, worker: None) -> None:
    finance = await market.staff("ke-toan", "finance")
    body = a_period()
    early = await finance.post(f"{PATH}/runs", json=body)
    await close_today(market)
    first, again = [await finance.post(f"{PATH}/runs", json=body) for _ in range(2)]
    other = await finance.post(f"{PATH}/runs", json={**body, "first_day": body["last_day"]})
    turned = a_period(first_day=body["last_day"], last_day=body["first_day"])
    backwards = await finance.post(f"{PATH}/runs", json=turned)
    old = await finance.post(f"{PATH}/runs", json=a_period(id=str(uuid4())))
    stranger = await finance.post(f"{PATH}/runs", json=a_period(payee_id=str(uuid4())))

    assert (early.status_code, early.json()["code"]) == (409, "settlement_day_open")
    assert first.json() == again.json() | {"drafted": 0} or first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "settlement_run_id_taken")
    assert (backwards.status_code, old.status_code, stranger.status_code) == (422, 422, 404)
    assert (await finance.get(f"{PATH}/runs/{body['id']}")).json()["id"] == body["id"]
    assert len((await finance.get(f"{PATH}/runs")).json()["runs"]) == 1


async def test_people_see_their_own_payee_and_strangers_nothing(
    market: Market, worker: None
) -> None:
    finance = await market.staff("ke-toan", "finance")
    approver = await market.staff("nguoi-duyet", "approver")
    id_ = await a_drafted_statement(market, finance)
    await finance.post(f"{PATH}/{id_}/review")
    await approver.post(f"{PATH}/{id_}/approve", json={})
    added = await market.admin.post(
        "/v1/payees", json={"name": "Bún ốc", "place": "Dãy C"}, params=market.org
    )
    neighbour = await market.staff("hang-xom", "vendor_owner", payee_id=added.json()["id"])
    cashier = await market.staff("thu-ngan", "cashier", payee_id=market.stall.payee_id)
    await add_market(market.admin)
    elsewhere = {"org": "DXA2"}

    assert (await neighbour.get(f"{PATH}/{id_}")).status_code == 404
    assert (await neighbour.get(PATH)).json()["settlements"] == []
    terms = f"/v1/payees/{market.stall.payee_id}/settlement-terms"
    assert (await neighbour.get(terms)).status_code == 404
    for path in ("", "/items", "/pdf", "/xlsx"):
        assert (await neighbour.get(f"{PATH}/{id_}{path}")).status_code == 404, path
        found = await market.admin.get(f"{PATH}/{id_}{path}", params=elsewhere)
        assert found.status_code == 404, path
    assert (await cashier.get(PATH)).status_code == 403
    asked = {"payee_id": str(market.stall.payee_id)}
    assert (await neighbour.get(PATH, params=asked)).json()["settlements"] == []
    assert (await market.till.get(PATH)).status_code == 403


async def test_postings_are_listed_page_by_page(market: Market, worker: None) -> None:
    finance = await market.staff("ke-toan", "finance")
    for amount_vnd in (1_000, 2_000, 3_000):
        await market.pay(await market.add_bill(amount_vnd=amount_vnd))
    one = f"{PATH}/{await a_drafted_statement(market, finance)}/items"
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await finance.get(one, params=query)).json()
        seen += [item["amount_vnd"] for item in page["items"]]
        if page["next_id"] is None:
            break
        query = {"limit": 2, "after_at": page["next_at"], "after_id": page["next_id"]}

    assert seen == [1_000, 2_000, 3_000, 200_000]
