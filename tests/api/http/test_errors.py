"""Every error leaves in one shape, with nothing of the request's secrets in it."""

import asyncio
from typing import Annotated, Any

import anyio
import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import text

from api.app import create_app
from api.http.deps import TheDatabase, Tx, public, requires
from core.errors import Busy
from core.settings import Settings
from identity.people.rules import Permission
from tests.world.cities import set_up_city
from tests.world.hubs import Hub, running_hub

pytestmark = pytest.mark.anyio


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the one shape and return the body."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == {
        "type", "title", "status", "code", "detail", "request_id", "violations",
    }  # fmt: skip
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"/problems/{code}"
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def with_odd_routes(settings: Settings) -> FastAPI:
    """The hub with routes that fail in every way a route can."""
    app = create_app(settings)

    @app.get("/v1/odd/bug", dependencies=[public])
    async def fail() -> None:
        raise RuntimeError("the secret is 42")

    @app.get("/v1/odd/sql/{statement}", dependencies=[public])
    async def run_sql(statement: str, database: TheDatabase) -> None:
        async with database.begin() as session:
            await session.execute(text(statement))

    @app.get("/v1/odd/busy", dependencies=[public])
    async def be_busy() -> None:
        raise Busy("Come back.", retry_after_s=7)

    @app.post("/v1/odd/large", dependencies=[public], max_body_size=200_000)
    async def take_much(request: Request) -> int:
        return len(await request.body())

    @app.post("/v1/odd/rename")
    async def rename(tx: Tx, caller: Annotated[Any, requires(Permission.KEYS_MANAGE)]) -> None:
        await tx.execute(text("UPDATE organisations SET name = 'x'"))
        raise Busy("After all, no.")

    return app


async def test_what_is_not_there_and_what_is_not_allowed(hub: Hub) -> None:
    assert_problem(await hub.client.get("/v1/nothing"), 404, "not_found")
    wrong_method = await hub.client.put("/v1/sign-ins")
    assert_problem(wrong_method, 405, "method_not_allowed")
    assert "POST" in wrong_method.headers["allow"]
    assert_problem(await hub.client.get("/v1/me"), 401, "unauthenticated")


async def test_a_bad_body_says_where_but_never_repeats_what_was_sent(hub: Hub) -> None:
    secret = "mật khẩu của tôi"
    body = {"login": ["x"], "password": secret, "extra": secret}

    answer = await hub.client.post("/v1/sign-ins", json=body)

    problem = assert_problem(answer, 422, "invalid_request")
    assert {v["field"] for v in problem["violations"]} == {"login", "extra"}
    assert secret not in repr(problem)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b'{"login": "\\ud800", "password": "x"}',
        b"null",
        b"[" * 9_999,
        b'{"login": "a\\u0000b", "password": "x"}',
        b'{"login": 1e999, "password": NaN}',
    ],
)
async def test_no_bytes_make_the_hub_stumble(hub: Hub, body: bytes) -> None:
    answer = await hub.client.post(
        "/v1/sign-ins", content=body, headers={"Content-Type": "application/json"}
    )

    assert_problem(answer, 422, "invalid_request")


async def test_nul_has_no_place_in_an_address(hub: Hub) -> None:
    assert_problem(await hub.client.get("/v1/nothing/%00"), 422, "invalid_request")
    assert_problem(await hub.client.get("/v1/staff?org=%00"), 422, "invalid_request")


async def test_a_body_over_the_limit_is_refused_also_when_it_hides_its_length(hub: Hub) -> None:
    async def in_pieces() -> Any:
        for _ in range(70):
            yield b" " * 1_024

    headers = {"Content-Type": "application/json"}
    plain = await hub.client.post("/v1/sign-ins", content=b" " * 65_537, headers=headers)
    chunked = await hub.client.post("/v1/sign-ins", content=in_pieces(), headers=headers)

    assert_problem(plain, 413, "body_too_large")
    assert_problem(chunked, 413, "body_too_large")


async def test_a_route_may_take_larger_bodies(settings: Settings) -> None:
    async with running_hub(settings, build=with_odd_routes) as hub:
        taken = await hub.client.post("/v1/odd/large", content=b"x" * 150_000)
        refused = await hub.client.post("/v1/odd/large", content=b"x" * 200_001)

        assert taken.json() == 150_000
        assert_problem(refused, 413, "body_too_large")


async def test_our_own_mistake_is_a_500_that_tells_nothing(settings: Settings) -> None:
    async with running_hub(settings, build=with_odd_routes) as hub:
        answer = await hub.client.get("/v1/odd/bug", headers={"X-Request-Id": "till-7.2026-11"})

        problem = assert_problem(answer, 500, "internal_error")
        assert problem["request_id"] == "till-7.2026-11"
        assert "42" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_busy_says_when_to_come_back(settings: Settings) -> None:
    async with running_hub(settings, build=with_odd_routes) as hub:
        answer = await hub.client.get("/v1/odd/busy")

        assert_problem(answer, 503, "busy")
        assert answer.headers["retry-after"] == "7"


async def test_a_lock_or_an_answer_that_takes_too_long_is_busy(settings: Settings) -> None:
    impatient = settings.model_copy(update={"statement_timeout_ms": 400, "lock_timeout_ms": 200})
    async with running_hub(impatient, build=with_odd_routes) as hub:
        slow = await hub.client.get("/v1/odd/sql/SELECT pg_sleep(5)")
        async with await psycopg.AsyncConnection.connect(
            settings.app_database_url.get_secret_value()
        ) as other:
            await other.execute("SELECT pg_advisory_xact_lock(7)")
            locked = await hub.client.get("/v1/odd/sql/SELECT pg_advisory_xact_lock(7)")

        for answer in (slow, locked):
            assert_problem(answer, 503, "busy")
            assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.slow
async def test_a_crowd_over_the_pool_is_answered_busy_not_left_waiting(settings: Settings) -> None:
    tight = settings.model_copy(update={"database_pool_size": 2, "database_pool_timeout_s": 1})
    async with running_hub(tight, build=with_odd_routes) as hub:
        requests = [hub.client.get("/v1/odd/sql/SELECT pg_sleep(2)") for _ in range(6)]
        answers = await asyncio.gather(*requests)

        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 200, 503, 503, 503, 503]


async def test_a_database_that_is_away_is_busy_and_not_ready(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={"app_database_url": type(settings.app_database_url)("postgresql://a@127.0.0.1:1/x")}
    )
    async with running_hub(nowhere) as hub:
        with anyio.fail_after(15):
            ready = await hub.client.get("/health/ready")
            live = await hub.client.get("/health/live")

        assert_problem(ready, 503, "busy")
        assert live.json() == {"status": "ok"}


async def test_a_value_that_the_database_cannot_store_is_the_callers_mistake(
    settings: Settings,
) -> None:
    async with running_hub(settings, build=with_odd_routes) as hub:
        answer = await hub.client.get("/v1/odd/sql/SELECT 99999999999::int")

        assert_problem(answer, 422, "invalid_request")


async def test_nothing_of_a_failed_request_stays(settings: Settings) -> None:
    async with running_hub(settings, build=with_odd_routes) as hub:
        admin = await set_up_city(hub)

        assert_problem(await admin.post("/v1/odd/rename"), 503, "busy")

        assert (await admin.get("/v1/me")).json()["organisation_name"] == "Thành phố Hà Nội"


async def test_an_odd_request_id_is_replaced(hub: Hub) -> None:
    for odd in ("x", "a" * 65, "two words", "tab\tbed", '{"a":1}'):
        answer = await hub.client.get("/v1/nothing", headers={"X-Request-Id": odd})
        assert answer.headers["x-request-id"] != odd


async def test_a_person_gets_a_page_with_the_next_step(hub: Hub) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml"}

    page = await hub.client.get("/nowhere/<script>", headers=browser)
    method = await hub.client.request("DELETE", "/docs", headers=browser)

    assert page.status_code == 404
    assert "Không tìm thấy" in page.text
    assert "Nothing here" in page.text
    assert page.headers["x-request-id"] in page.text
    assert "&lt;script" not in page.text  # the address is not repeated at all
    assert "/nowhere" not in page.text.replace("?lang", "")
    assert method.status_code == 405
