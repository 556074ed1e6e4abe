"""Signing in: the first administrator, passwords, locks, sessions, cookies and other sites."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update

from core.audit import AuditRow
from core.clock import read_clock
from core.db import Database
from identity.people import service
from identity.people.models import SignIn
from tests.world.cities import add_market, employ, set_up_city, setup_body
from tests.world.clocks import stop_refills
from tests.world.constants import PASSWORD
from tests.world.hubs import Hub

pytestmark = pytest.mark.anyio


async def test_the_printed_token_makes_the_first_administrator_once(hub: Hub) -> None:
    async with hub.services.database.begin() as session:
        token = await service.issue_setup_token(session, now=read_clock())
    assert token

    first = await hub.client.post("/v1/setup", json=setup_body(token))
    again = await hub.client.post("/v1/setup", json=setup_body(token, code="HANY"))
    me = await (await hub.browser("admin")).get("/v1/me")

    assert first.status_code == 201
    assert (again.status_code, again.json()["code"]) == (403, "setup_closed")
    assert me.json()["roles"] == ["admin"]
    assert me.json()["organisation"] == "HANX"
    async with hub.services.database.begin() as session:
        assert await service.issue_setup_token(session, now=read_clock()) is None


async def test_of_two_setups_at_once_one_becomes_the_administrator(hub: Hub) -> None:
    async with hub.services.database.begin() as session:
        token = await service.issue_setup_token(session, now=read_clock())
    assert token
    bodies = [setup_body(token, code=code) for code in ("HANX", "HANY", "HANZ")]

    answers = await asyncio.gather(*(hub.client.post("/v1/setup", json=b) for b in bodies))

    assert sorted(answer.status_code for answer in answers) == [201, 403, 403]


async def test_an_old_or_wrong_token_opens_nothing(hub: Hub) -> None:
    a_day_ago = read_clock() - timedelta(days=1, seconds=1)
    async with hub.services.database.begin() as session:
        token = await service.issue_setup_token(session, now=a_day_ago)
    assert token

    for tried in (token, "guess"):
        answer = await hub.client.post("/v1/setup", json=setup_body(tried))
        assert answer.json()["code"] == "setup_closed"


async def test_unknown_login_wrong_password_and_disabled_are_answered_alike(hub: Hub) -> None:
    admin = await set_up_city(hub)
    added = await employ(admin, "lan", "finance")
    await admin.patch(f"/v1/staff/{added.json()['id']}", json={"is_disabled": True})
    tries = [("admin", "wrong wrong wrong"), ("nobody", PASSWORD), ("lan", PASSWORD)]

    answers = [
        await hub.client.post("/v1/sign-ins", json={"login": login, "password": password})
        for login, password in tries
    ]

    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert bodies[0]["code"] == "login_failed"
    assert bodies == [bodies[0]] * 3


async def test_five_wrong_passwords_lock_the_login_for_a_while(
    hub: Hub, owner_database: Database
) -> None:
    await set_up_city(hub)
    for _ in range(5):
        await hub.client.post("/v1/sign-ins", json={"login": "admin", "password": "not it at all"})

    right = {"login": "admin", "password": PASSWORD}
    locked = await hub.client.post("/v1/sign-ins", json=right)
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE staff SET locked_until = now() - interval '1 second'"))
    later = await hub.client.post("/v1/sign-ins", json=right)

    assert locked.json()["code"] == "login_failed"
    assert later.status_code == 201
    async with owner_database.begin() as session:
        actions = await session.scalars(select(AuditRow.action).order_by(AuditRow.id))
        assert list(actions) == [
            "organisation.added",
            "staff.added",
            "staff.signed_in",
            "staff.locked",
            "staff.signed_in",
        ]


async def test_guessing_fast_is_slowed_down(hub: Hub) -> None:
    body = {"login": "nobody", "password": "a guess a second"}
    stop_refills(hub.services.sign_ins.by_login)

    answers = [await hub.client.post("/v1/sign-ins", json=body) for _ in range(11)]

    assert [a.status_code for a in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_guessing_from_all_addresses_of_one_subscriber_is_guessing_from_one(hub: Hub) -> None:
    async def guess(host: str, path: str, **body: Any) -> int:
        line = httpx.ASGITransport(app=hub.app, client=(host, 4_711))
        async with httpx.AsyncClient(transport=line, base_url=hub.url) as stranger:
            return (await stranger.post(path, **body)).status_code

    wrong = {"login": "nobody", "password": "a guess a second"}
    hosts = [f"2001:db8:1:2::{n}" for n in range(1, 11)]
    stop_refills(hub.services.sign_ins.by_login)

    api = [await guess(host, "/v1/sign-ins", json=wrong) for host in hosts]
    page = await guess("2001:db8:1:2:ffff::1", "/login", data=wrong)
    neighbour = await guess("2001:db8:1:3::1", "/login", data=wrong)

    assert (api, page, neighbour) == ([401] * 10, 429, 401)


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(hub: Hub) -> None:
    await set_up_city(hub)

    answer = await hub.client.post("/v1/sign-ins", json={"login": "ADMIN ", "password": PASSWORD})

    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("phopay_sign_in=hanx.")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "secure" not in cookie  # only on a production hub, which has TLS in front


async def test_signing_in_again_renews_the_token_and_ends_the_old_sign_in(hub: Hub) -> None:
    browser = await set_up_city(hub)
    old = browser.cookies["phopay_sign_in"]

    await browser.post("/v1/sign-ins", json={"login": "admin", "password": PASSWORD})

    assert browser.cookies["phopay_sign_in"] != old
    with_old = await hub.new_client(Cookie=f"phopay_sign_in={old}").get("/v1/me")
    assert (with_old.status_code, with_old.json()["code"]) == (401, "sign_in_ended")
    assert (await browser.get("/v1/me")).status_code == 200


async def test_signing_out_ends_the_sign_in_on_the_server(hub: Hub) -> None:
    browser = await set_up_city(hub)
    cookie = browser.cookies["phopay_sign_in"]

    out = await browser.delete("/v1/sign-ins")

    assert out.status_code == 204
    assert "phopay_sign_in" not in browser.cookies
    kept = await hub.new_client(Cookie=f"phopay_sign_in={cookie}").get("/v1/me")
    assert kept.json()["code"] == "sign_in_ended"


@pytest.mark.parametrize("column", ["last_seen_at", "expires_at"])
async def test_a_sign_in_ends_when_idle_or_old(
    hub: Hub, owner_database: Database, column: str
) -> None:
    browser = await set_up_city(hub)
    limit = hub.services.settings.sign_in_idle_s if column == "last_seen_at" else 0
    async with owner_database.begin() as session:
        past = read_clock() - timedelta(seconds=limit + 1)
        await session.execute(update(SignIn).values({column: past}))

    assert (await browser.get("/v1/me")).json()["code"] == "sign_in_ended"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
async def test_another_sites_page_cannot_use_the_cookie(
    hub: Hub, headers: dict[str, str], owner_database: Database
) -> None:
    cookie = (await set_up_city(hub)).cookies["phopay_sign_in"]
    forged = hub.new_client(Cookie=f"phopay_sign_in={cookie}", **headers)
    body = {"code": "DXA2", "name": "Chợ", "kind": "market_board"}

    answer = await forged.post("/v1/organisations", json=body)

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
    async with owner_database.begin() as session:
        assert await session.scalar(text("SELECT count(*) FROM organisations")) == 1


async def test_an_older_browser_is_known_by_its_origin(hub: Hub) -> None:
    cookie = (await set_up_city(hub)).cookies["phopay_sign_in"]
    old_browser = hub.new_client(Cookie=f"phopay_sign_in={cookie}", Origin=hub.url)

    assert (await old_browser.delete("/v1/sign-ins")).status_code == 204


async def test_a_login_form_of_another_site_is_refused(hub: Hub) -> None:
    await set_up_city(hub)
    body = {"login": "admin", "password": PASSWORD}

    answer = await hub.client.post(
        "/v1/sign-ins", json=body, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.json()["code"] == "cross_site_request"


async def test_changing_the_password_ends_all_other_sign_ins(hub: Hub) -> None:
    here, there = await set_up_city(hub), await hub.browser("admin")
    wrong = {"present_password": "not this one", "password": "chả cá Lã Vọng"}
    right = {**wrong, "present_password": PASSWORD}

    assert (await here.post("/v1/me/password", json=wrong)).json()["code"] == "wrong_password"
    assert (await here.post("/v1/me/password", json=right)).status_code == 204

    assert (await here.get("/v1/me")).status_code == 200
    assert (await there.get("/v1/me")).json()["code"] == "sign_in_ended"
    await hub.browser("admin", "chả cá Lã Vọng")


async def test_nothing_of_a_sign_in_or_password_is_stored_readable(
    hub: Hub, owner_database: Database
) -> None:
    browser = await set_up_city(hub)
    token = browser.cookies["phopay_sign_in"].partition(".")[2]

    async with owner_database.begin() as session:
        stored = await session.scalar(text("SELECT string_agg(s::text, ' ') FROM staff s"))
        opened = await session.scalar(text("SELECT string_agg(s::text, ' ') FROM sign_ins s"))
        audit = await session.scalar(select(func.string_agg(AuditRow.after["login"].astext, " ")))

    assert "$argon2id$" in stored
    assert PASSWORD not in stored
    assert token not in opened
    assert audit == "admin"


async def test_a_market_has_its_own_logins_but_names_are_taken_hub_wide(hub: Hub) -> None:
    admin = await set_up_city(hub)
    await add_market(admin)

    first = await employ(admin, "Lan", "manager", org="DXA2")
    second = await employ(admin, "lan", "manager")

    assert first.status_code == 201
    assert (second.status_code, second.json()["code"]) == (409, "login_taken")
    lan = await (await hub.browser("lan")).get("/v1/me")
    assert lan.json()["organisation"] == "DXA2"
