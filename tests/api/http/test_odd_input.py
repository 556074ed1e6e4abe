"""Odd input of strangers: addresses, hosts and bodies that no client of ours would send."""

import re

import pytest
from fastapi.routing import iter_route_contexts

from core.ids import new_id
from tests.world.cities import set_up_city
from tests.world.constants import PASSWORD
from tests.world.hubs import Hub

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ODD_NAMES = (
    "http://[",
    "http://[::1",
    "http://]/",
    "https://a]b",
    "//[",
    "[",
    "http://[v1.x",
    "%ff",
)


@pytest.mark.parametrize("name", ["Origin", "Referer"])
async def test_a_page_at_an_address_that_is_none_is_another_site(
    hub: Hub, name: str, subtests: pytest.Subtests
) -> None:
    admin = await set_up_city(hub)
    cookie = f"phopay_sign_in={admin.cookies['phopay_sign_in']}"

    for value in ODD_NAMES:
        with subtests.test(value=value):
            sender = hub.new_client(Cookie=cookie)
            sender.headers[name] = value

            added = await sender.post("/v1/payees", json={"name": "Cô Lan", "place": "B12"})
            hub_itself = await sender.get("/v1/me")

            assert (added.status_code, added.json()["code"]) == (403, "cross_site_request")
            assert hub_itself.status_code == 200
            if name == "Origin":
                login = {"login": "admin", "password": PASSWORD}
                for path, body in (("/v1/sign-ins", {"json": login}), ("/login", {"data": login})):
                    answer = await hub.new_client(Origin=value).post(path, **body)
                    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "]", "%ff", "a@b", "a:b:c", "%"])
async def test_a_host_that_is_none_is_no_mistake_of_the_hub(hub: Hub, host: str) -> None:
    client = hub.new_client(Host=host, Origin="http://[")

    for answer in (
        await client.get("/", headers={"Accept": "text/html"}),
        await client.get("/nothing", headers={"Accept": "text/html"}),
        await client.get("/v1/me"),
        await client.post("/v1/sign-ins", json={"login": "x", "password": "y"}),
    ):
        assert answer.status_code < 500, answer.text


HALF_PAIRS = (
    r'{"\ud800": 1}',
    r'{"\ud800": 1, "\ud800": 2}',
    r'{"a": {"\udfff": 1, "\udfff": 2}}',
    r'{"name": "\ud800", "place": "\udc00", "login": "\ud800", "token": "\ud800"}',
    r'{"bills": [{"\ud800": 1}, {"purpose": "\ud800"}], "scopes": ["\ud800"], "code": "\ud800"}',
    r'{"\ud83d\ude00\ud83d": 1}',
)
# At each route what its own model sees: a name twice, values, and values further in. Who has not
# signed in is mostly refused before the body is read.
EVERYWHERE = (HALF_PAIRS[1], HALF_PAIRS[3], HALF_PAIRS[4])
STRANGERS_HALF_PAIRS = (HALF_PAIRS[3],)


async def test_half_a_pair_in_a_body_is_no_mistake_of_the_hub(hub: Hub) -> None:
    """JSON may name half of a UTF-16 pair, which no answer in UTF-8 can repeat as it is."""
    admin = await set_up_city(hub)
    tried = 0
    for route in iter_route_contexts(hub.app.routes):
        for method in sorted(set(route.methods or ()) & {"POST", "PUT", "PATCH"}):
            path = re.sub(r"\{\w+\}", str(new_id()), route.path)
            if not path.startswith("/v1/") or "/callbacks/" in path:
                continue
            bodies = HALF_PAIRS if path == "/v1/payees" else EVERYWHERE
            asked = [(admin, body) for body in bodies]
            asked += [(hub.client, body) for body in STRANGERS_HALF_PAIRS]
            for sender, body in asked:
                sent = {"content": body, "headers": {"Content-Type": "application/json"}}
                answer = await sender.request(method, path, **sent)
                assert answer.status_code < 500, f"{method} {path} {body}: {answer.text}"
            tried += 1
    twice = await admin.post(
        "/v1/payees", content=HALF_PAIRS[1], headers={"Content-Type": "application/json"}
    )
    assert twice.json()["violations"][0]["field"] == r"\ud800"
    assert tried > 20
