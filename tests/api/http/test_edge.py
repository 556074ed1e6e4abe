"""The surroundings of every request: headers, proxies, logs, files, health."""

import json
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from sqlalchemy import text

from api.app import create_app
from api.http.deps import public, safe_next
from api.v1.health.routes import find_newest_migration
from core.db import Database
from core.settings import Settings
from tests.world.cities import set_up_city
from tests.world.hubs import Hub, running_hub

pytestmark = pytest.mark.anyio


def with_mirror(settings: Settings) -> FastAPI:
    """The hub with a route that says from where it thinks it was called."""
    app = create_app(settings)

    @app.get("/v1/mirror", dependencies=[public])
    async def mirror(request: Request) -> Annotated[dict[str, Any], "as seen"]:
        assert request.client
        return {"host": request.client.host, "scheme": request.url.scheme}

    return app


FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


async def test_a_strangers_forwarded_address_is_not_accepted(settings: Settings) -> None:
    async with running_hub(settings, build=with_mirror) as hub:
        seen = await hub.client.get("/v1/mirror", headers=FORWARDED)

        assert seen.json() == {"host": "127.0.0.1", "scheme": "http"}


async def test_the_configured_proxy_is_accepted(settings: Settings) -> None:
    behind = settings.model_copy(update={"trusted_proxies": ("127.0.0.1", "10.1.0.0/16")})
    async with running_hub(behind, build=with_mirror) as hub:
        seen = await hub.client.get("/v1/mirror", headers=FORWARDED)
        forged = {**FORWARDED, "X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.1.2.3"}
        nearest = await hub.client.get("/v1/mirror", headers=forged)

        assert seen.json() == {"host": "203.0.113.9", "scheme": "https"}
        assert nearest.json()["host"] == "203.0.113.9"


async def test_every_answer_has_the_security_headers(hub: Hub) -> None:
    for path in (
        "/health/live",
        "/v1/nothing",
        "/docs",
        "/static/js/api_docs.js",
        "/static/nothing",
    ):
        headers = (await hub.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "strict-transport-security" not in headers


async def test_production_asks_for_tls_everywhere(settings: Settings) -> None:
    production = settings.model_copy(update={"is_production": True})
    async with running_hub(production) as hub:
        admin_page = await hub.client.get("/health/live")
        await set_up_city(hub)
        login = await hub.client.post(
            "/v1/sign-ins", json={"login": "admin", "password": "bún chả Hàng Mành"}
        )

        assert admin_page.headers["strict-transport-security"].startswith("max-age=31536000")
        cookie = login.headers["set-cookie"]
        assert cookie.startswith("__Host-phopay_sign_in=HANX.")
        assert "; secure" in cookie.lower()
        assert "domain" not in cookie.lower()
        sent = cookie.partition(";")[0]
        for value, status in ((sent, 200), (sent.removeprefix("__Host-"), 401)):
            assert (await hub.new_client(Cookie=value).get("/v1/me")).status_code == status


async def test_files_are_kept_by_browsers_and_checked_by_etag(hub: Hub) -> None:
    first = await hub.client.get("/static/js/api_docs.js")
    again = await hub.client.get(
        "/static/js/api_docs.js", headers={"If-None-Match": first.headers["etag"]}
    )

    assert first.headers["cache-control"] == "public, max-age=3600"
    assert (again.status_code, again.content) == (304, b"")
    for escape in (
        "/static/../main.py",
        "/static/%2e%2e/main.py",
        "/static/js/%2e%2e/%2e%2e/main.py",
    ):
        assert (await hub.client.get(escape)).status_code == 404


async def test_ready_waits_for_the_newest_migration(hub: Hub, owner_database: Database) -> None:
    assert (await hub.client.get("/health/ready")).json()["status"] == "ok"

    async with owner_database.begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    waiting = await hub.client.get("/health/ready")

    assert waiting.status_code == 503
    assert "migrate" in waiting.json()["detail"]


async def test_one_line_is_logged_for_a_request_and_none_for_health(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = await hub.machine(await set_up_city(hub), "bills.read")
    capsys.readouterr()

    await machine.get("/health/live")
    await machine.get(
        "/v1/bills?reference=NGUYEN+THI+LAN+0123456789", headers={"X-Request-Id": "req-12345"}
    )
    await hub.client.get("/p/HANX-wgUqL3_J1qdVwbQ1s0fD5A")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["request.answered"] * 2
    assert lines[0]["path"] == "/v1/bills"
    assert lines[0]["request_id"] == "req-12345"
    assert lines[0]["org"] == "HANX"
    assert lines[1]["path"] == "/p/HANX-…"
    printed = str(lines)
    assert "NGUYEN" not in printed
    assert machine.headers["Authorization"][-20:] not in printed


def test_the_newest_migration_is_alembics_head() -> None:
    from alembic.script import ScriptDirectory

    from ops.migrate import build_config

    scripts = ScriptDirectory.from_config(build_config("postgresql://x@y/z"))
    assert scripts.get_current_head() == find_newest_migration()


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/counter?tab=1", "/counter?tab=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\nSet-Cookie: x", "/"),
        (None, "/"),
    ],
)
def test_after_signing_in_people_stay_on_the_hub(path: str | None, safe: str) -> None:
    assert safe_next(path) == safe
