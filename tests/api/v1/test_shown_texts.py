"""Texts that people read: what hides or turns them is refused."""

from typing import Any

import pytest

from core.errors import InvalidRequest
from core.ids import new_id
from core.text import check_lines
from tests.world.markets import Market

pytestmark = pytest.mark.anyio

BAD = [
    "\u200b\u200b",
    "\ufeff",
    "\u2800",
    "\u3164\u3164",
    "NGUYEN \u202eVAN A",
    "a\u00adb",
    "x\u2066y",
]


@pytest.mark.slow
async def test_no_address_takes_a_text_that_hides_or_turns(
    market: Market, subtests: pytest.Subtests
) -> None:
    payee, any_id = market.stall.payee_id, new_id()
    account = {"bin": "970436", "account_number": "0123456789"}
    endpoint = {"provider": "sepay", "account_ids": []}
    person = {"login": "lan.dx", "password": "phở bò Hà Nội 3", "roles": ["manager"]}
    requests: list[tuple[str, str, str, dict[str, Any]]] = [
        ("POST", "/v1/payees", "name", {"place": "A1"}),
        ("POST", "/v1/payees", "place", {"name": "Phở"}),
        ("PATCH", f"/v1/payees/{payee}", "name", {}),
        ("POST", f"/v1/payees/{payee}/accounts", "holder_name", account),
        ("POST", "/v1/bills", "purpose", market.bill_body()),
        ("POST", "/v1/bills", "external_id", market.bill_body()),
        ("POST", f"/v1/bills/{any_id}/cancel", "reason", {}),
        ("POST", "/v1/callback-endpoints", "name", endpoint),
        ("POST", f"/v1/breaks/{any_id}/close", "resolution", {}),
        ("POST", "/v1/staff", "display_name", person),
        ("POST", "/v1/keys", "name", {"scopes": ["bills.read"]}),
        ("POST", "/v1/organisations", "name", {"code": "DXA2", "kind": "market_board"}),
    ]
    for bad in BAD:
        with subtests.test(bad=bad):
            for method, path, field, body in requests:
                who = market.till if path == "/v1/bills" else market.admin
                answer = await who.request(method, path, json={**body, field: bad})
                assert answer.status_code == 422, (path, field)
                assert answer.json()["violations"][0]["field"] == field, (path, answer.text)


@pytest.mark.parametrize("bad", BAD)
def test_the_domain_refuses_it_whoever_asks(bad: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_lines(name="Phở Lan", place=None, holder_name=bad)

    assert [one.field for one in caught.value.violations] == ["holder_name"]
