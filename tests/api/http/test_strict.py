"""Requests taken at their word: what is not known, or stands twice, is refused."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from core.ids import new_id
from tests.world.hubs import Hub
from tests.world.markets import Market
from tests.world.stalls import a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def violation(answer: httpx.Response) -> tuple[int, str, str]:
    """Return status, field and code of the first thing that is wrong."""
    first = (answer.json().get("violations") or [{"field": "", "code": ""}])[0]
    return answer.status_code, first["field"], first["code"]


# Parameters


UNKNOWN_PARAMETERS = [
    ("/v1/bills?from=2026-01-01", "from"),
    ("/v1/bills?Since=2026-01-01T00:00:00Z", "Since"),
    ("/v1/bills?limit=2&page=3", "page"),
    ("/v1/credits?since=2026-01-01T00:00:00Z", "since"),
    ("/v1/payees?name=x", "name"),
    ("/v1/accounts?payee=x", "payee"),
    ("/v1/breaks?open=true", "open"),
    ("/v1/callback-endpoints?provider=sepay", "provider"),
    ("/v1/staff?role=owner", "role"),
    ("/v1/keys?page=3", "page"),
    ("/v1/me?verbose=1", "verbose"),
    ("/v1/bills?=1", ""),
]


async def test_a_parameter_that_an_address_does_not_have_is_refused_by_its_name(
    market: Market, subtests: pytest.Subtests
) -> None:
    for path, name in UNKNOWN_PARAMETERS:
        with subtests.test(path=path):
            answer = await market.admin.get(path)

            assert violation(answer) == (422, f"query.{name}", "unknown_parameter")
            assert repr(name) in answer.json()["detail"]


async def test_the_refusal_lists_the_parameters_that_there_are(market: Market) -> None:
    answer = await market.till.get("/v1/credits?from=2026-01-01")

    assert answer.json()["detail"] == (
        "This address has no parameter 'from'; it has: cursor, limit, on, org, payee_id, verdict."
    )


async def test_a_parameter_that_may_stand_once_is_refused_twice(market: Market) -> None:
    twice = await market.till.get("/v1/bills?limit=1&limit=2")
    often = await market.till.get("/v1/bills?status=open&status=paid")

    assert violation(twice) == (422, "query.limit", "repeated_parameter")
    assert often.status_code == 200


async def test_opening_a_bill_refuses_unknown_parameters_like_any_other_address(
    market: Market,
) -> None:
    answer = await market.till.post("/v1/bills?dry_run=true", json=market.bill_body())
    batch = await market.till.post(
        "/v1/bills/batch?dry_run=true", json={"bills": [market.bill_body()]}
    )

    assert violation(answer) == violation(batch) == (422, "query.dry_run", "unknown_parameter")
    assert (await market.till.get("/v1/bills")).json()["bills"] == []


async def test_no_address_of_the_api_ignores_what_it_does_not_know(hub: Hub) -> None:
    passed = []
    for route in iter_route_contexts(hub.app.routes):
        path = route.path or ""
        if not path.startswith("/v1/") or path.startswith("/v1/callbacks/"):
            continue
        filled = path.format_map(dict.fromkeys(route.original_route.param_convertors, new_id()))
        for method in route.methods or ():
            answer = await hub.client.request(method, f"{filled}?no_such=1")
            if answer.status_code != 422 or "no_such" not in answer.text:
                passed.append(f"{method} {path}: {answer.status_code}")
    assert not passed


async def test_a_callbacks_address_may_carry_what_its_provider_adds(hub: Hub) -> None:
    answer = await hub.client.post("/v1/callbacks/sepay/none?utm=1", content=b"{}")

    assert answer.status_code == 401


# Keys


def twice(body: dict[str, Any], name: str, value: Any) -> str:
    """Write a body in which a key stands a second time."""
    return f"{json.dumps(body)[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}"


SOMEBODY = UUID("01a22222-0000-7000-8000-000000000000")  # the same in every process of a run
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount_vnd", 2_000_000),
        ("amount_vnd", 20_000),
        ("purpose", ""),
        ("payee_id", str(SOMEBODY)),
    ],
)
async def test_a_bill_with_a_key_twice_is_not_opened(market: Market, name: str, value: Any) -> None:
    body = market.bill_body()
    answer = await market.till.post("/v1/bills", content=twice(body, name, value), headers=JSON)

    assert violation(answer) == (422, name, "repeated_key")
    assert (await market.till.get("/v1/bills")).json()["bills"] == []


async def test_a_key_that_is_written_in_another_way_is_the_same_key(market: Market) -> None:
    body = json.dumps(market.bill_body())[:-1] + ', "amount\\u005fvnd": 2000000}'

    answer = await market.till.post("/v1/bills", content=body, headers=JSON)

    assert violation(answer) == (422, "amount_vnd", "repeated_key")


async def test_a_key_twice_deep_inside_a_batch_is_refused(market: Market) -> None:
    item = twice(market.bill_body(), "amount_vnd", 2_000_000)
    body = f'{{"bills": [{json.dumps(market.bill_body())}, {item}]}}'

    answer = await market.till.post("/v1/bills/batch", content=body, headers=JSON)

    assert violation(answer) == (422, "amount_vnd", "repeated_key")
    assert (await market.till.get("/v1/bills")).json()["bills"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/payees", {"name": "Phở Lan", "place": "A1"}),
        ("POST", "/v1/sign-ins", {"login": "admin", "password": "x"}),
        ("POST", "/v1/keys", {"name": "till", "scopes": ["bills.read"]}),
        ("POST", "/v1/organisations", {"code": "DXA2", "name": "x", "kind": "office"}),
        ("PATCH", "/v1/payees/{id}", {"name": "x"}),
        ("POST", "/v1/bills/{id}/cancel", {"reason": "x"}),
        ("POST", "/v1/credits/{id}/assign", {"payee_id": "x"}),
        ("POST", "/v1/breaks/{id}/close", {"resolution": "x"}),
    ],
)
async def test_no_body_of_the_api_has_a_key_twice(
    market: Market, method: str, path: str, body: dict[str, Any]
) -> None:
    name = next(iter(body))
    answer = await market.admin.request(
        method,
        path.format(id=new_id()),
        content=twice(body, name, body[name]),
        headers={**JSON, "Content-Type": "application/merge-patch+json; charset=utf-8"}
        if method == "PATCH"
        else JSON,
    )

    assert violation(answer) == (422, name, "repeated_key")


async def test_equal_keys_of_different_objects_are_no_repetition(market: Market) -> None:
    answer = await market.till.post(
        "/v1/bills/batch", json={"bills": [market.bill_body(), market.bill_body()]}
    )

    assert [one["status"] for one in answer.json()["results"]] == [201, 201]


# A payee that does not exist


async def test_a_bill_for_an_unknown_payee_is_not_found(market: Market) -> None:
    unknown = market.bill_body(payee_id=str(new_id()))
    answer = await market.till.post("/v1/bills", json=unknown)
    batch = await market.till.post("/v1/bills/batch", json={"bills": [unknown, market.bill_body()]})

    assert (answer.status_code, answer.json()["code"]) == (404, "payee_not_found")
    first, second = batch.json()["results"]
    assert (first["status"], first["problem"]["code"]) == (404, "payee_not_found")
    assert second["status"] == 201


async def test_a_bill_for_another_organisations_payee_is_not_found(market: Market) -> None:
    other = await a_payable_stall(market.hub.services.database, code="QBSH", is_live=False)
    answer = await market.till.post(
        "/v1/bills", json=market.bill_body(payee_id=str(other.payee_id))
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "payee_not_found")


async def test_a_bill_for_a_payee_without_an_account_is_still_a_conflict(market: Market) -> None:
    made = await market.till.post("/v1/payees", json={"name": "Phở Lan", "place": "A1"})
    payee_id = UUID(made.json()["id"])
    answer = await market.till.post("/v1/bills", json=market.bill_body(payee_id=str(payee_id)))

    assert (answer.status_code, answer.json()["code"]) == (409, "payee_has_no_account")
