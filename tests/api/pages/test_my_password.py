"""One's own password, as a page."""

import pytest

from tests.world.cities import set_up_city
from tests.world.constants import PASSWORD
from tests.world.hubs import Hub

pytestmark = pytest.mark.anyio

PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
OWN = "phở gà phố Quán Thánh"


async def test_person_chooses_a_password_that_nobody_gave_them(hub: Hub) -> None:
    await set_up_city(hub)
    here, elsewhere = hub.new_client(**PAGE), hub.new_client(**PAGE)
    for browser in (here, elsewhere):
        await browser.post("/login", data={"login": "admin", "password": PASSWORD})

    answer = await here.post("/me/password", data={"present": PASSWORD, "password": OWN})

    assert (answer.status_code, answer.headers["location"]) == (303, "/me/password?done=true")
    assert "Đã đổi mật khẩu." in (await here.get("/me/password?done=true")).text
    assert (await elsewhere.get("/me/password")).headers["location"].startswith("/login")
    again = await elsewhere.post("/login", data={"login": "admin", "password": OWN})
    assert again.status_code == 303


@pytest.mark.parametrize(
    ("present", "password", "words"),
    [
        ("not my password", OWN, "Mật khẩu đang dùng chưa đúng."),
        (PASSWORD, "ngắn", "Cần ít nhất 10 ký tự."),
        (PASSWORD, "x" * 201, "nhiều nhất 200 ký tự"),
        (PASSWORD, "1234567890", "quá dễ đoán"),
        (PASSWORD, "admin2026111", "không được trùng tên đăng nhập"),
    ],
)
async def test_password_that_cannot_be_is_answered_beside_its_field(
    hub: Hub, present: str, password: str, words: str
) -> None:
    await set_up_city(hub)
    browser = hub.new_client(**PAGE)
    await browser.post("/login", data={"login": "admin", "password": PASSWORD})

    answer = await browser.post("/me/password", data={"present": present, "password": password})

    assert answer.status_code == 422
    assert words in answer.text
    assert password not in answer.text


async def test_another_sites_form_changes_no_password(hub: Hub) -> None:
    await set_up_city(hub)
    browser = hub.new_client(**PAGE)
    await browser.post("/login", data={"login": "admin", "password": PASSWORD})

    answer = await browser.post(
        "/me/password",
        data={"present": PASSWORD, "password": OWN},
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    assert answer.status_code == 403
