"""Signing in and the first start, as pages."""

import httpx
import pytest

from core.clock import read_clock
from identity.people import service
from tests.world.cities import set_up_city
from tests.world.constants import PASSWORD
from tests.world.hubs import Hub

pytestmark = pytest.mark.anyio

PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await client.post(path, data=fields)


async def test_stranger_is_sent_to_the_set_up_first_and_to_the_login_later(hub: Hub) -> None:
    stranger = hub.new_client(**PAGE)
    assert (await stranger.get("/")).headers["location"] == "/setup"

    await set_up_city(hub)

    assert (await stranger.get("/")).headers["location"] == "/login"
    assert "đã có quản trị viên" in (await stranger.get("/setup")).text


async def test_first_administrator_is_made_on_the_page(hub: Hub) -> None:
    async with hub.services.database.begin() as session:
        token = await service.issue_setup_token(session, now=read_clock())
    assert token is not None
    fields = {
        "token": token,
        "organisation_code": "hanx",
        "organisation_name": "Thành phố Hà Nội",
        "login": "admin",
        "display_name": "Quản trị",
    }
    browser = hub.new_client(**PAGE)

    weak = await post(browser, "/setup", **fields, password="1234567890")
    assert weak.status_code == 422
    assert 'value="Thành phố Hà Nội"' in weak.text  # nothing is to be typed again
    assert 'id="password-error"' in weak.text
    made = await post(browser, "/setup", **fields, password=PASSWORD)

    assert (made.status_code, made.headers["location"]) == (303, "/login?new=1")
    await post(browser, "/login", login="admin", password=PASSWORD)
    assert (await browser.get("/")).headers["location"] == "/manage"


async def test_wrong_set_up_token_makes_nobody(hub: Hub) -> None:
    browser = hub.new_client(**PAGE)

    answer = await post(
        browser,
        "/setup",
        token="x" * 22,
        organisation_code="HANX",
        organisation_name="Hà Nội",
        login="admin",
        display_name="Quản trị",
        password=PASSWORD,
    )

    assert answer.status_code == 403
    assert (await browser.get("/")).headers["location"] == "/setup"


@pytest.mark.parametrize("login", ["admin", "nobody"])
async def test_wrong_login_is_answered_alike_whoever_it_names(hub: Hub, login: str) -> None:
    await set_up_city(hub)

    answer = await post(hub.new_client(**PAGE), "/login", login=login, password="wrong password")

    assert answer.status_code == 401
    assert "Sai tên đăng nhập hoặc mật khẩu." in answer.text
    assert "set-cookie" not in answer.headers


async def test_page_of_another_site_cannot_sign_anybody_in(hub: Hub) -> None:
    await set_up_city(hub)
    elsewhere = hub.new_client(**{**PAGE, "Sec-Fetch-Site": "cross-site"})

    answer = await post(elsewhere, "/login", login="admin", password=PASSWORD)

    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
async def test_login_leads_to_our_own_pages_only(hub: Hub, path: str) -> None:
    await set_up_city(hub)
    browser = hub.new_client(**PAGE)

    answer = await post(browser, "/login", login="admin", password=PASSWORD, next=path)

    assert answer.headers["location"] == "/"


async def test_signing_out_ends_the_sign_in_on_the_server(hub: Hub) -> None:
    await set_up_city(hub)
    browser = hub.new_client(**PAGE)
    await post(browser, "/login", login="admin", password=PASSWORD)
    stolen = dict(browser.cookies)

    await browser.post("/logout")

    thief = hub.new_client(**PAGE)
    thief.cookies.update(stolen)
    answer = await thief.get("/counter")
    assert answer.headers["location"].startswith("/login?next=")
