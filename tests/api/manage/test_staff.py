"""Managers' pages about people: forms of two managers at once, and long lists."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.world.cities import add_stall, employ, payee_scopes
from tests.world.markets import Market
from tests.world.pages import as_reader, let_in, submit, text_of

pytestmark = pytest.mark.anyio


class _Form(HTMLParser):
    """What a browser would send of the form at one address, nothing touched."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action, self.is_inside = action, False
        self.sent: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take hidden and typed fields, and boxes that are ticked."""
        found = dict(attrs)
        if tag == "form":
            is_post = found.get("method") == "post"
            self.is_inside = is_post and (found.get("action") or "").startswith(self.action)
        if tag != "input" or not self.is_inside or not found.get("name"):
            return
        if found.get("type") != "checkbox" or "checked" in found:
            self.sent.setdefault(str(found["name"]), []).append(found.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave the form."""
        if tag == "form":
            self.is_inside = False


async def read_form(client: httpx.AsyncClient, path: str, **query: str) -> dict[str, list[str]]:
    """Open a page and return what its form would send."""
    page = await client.get(path, params=query)
    assert page.status_code == 200, page.text
    reader = _Form(path)
    reader.feed(page.text)
    assert reader.sent, "no form at this address"
    return reader.sent


async def read_person(market: Market, staff_id: str) -> dict[str, Any]:
    """Return a person as the API shows them."""
    answer = await market.admin.get(
        f"/v1/staff/{staff_id}", params=market.org, headers={"Accept": "application/json"}
    )
    found: dict[str, Any] = answer.json()
    return found


async def test_saving_an_old_form_gives_back_no_right_that_somebody_took(market: Market) -> None:
    lan = (await employ(market.admin, "lan", "attendant", "finance", org="HKXM")).json()
    first = as_reader(market.admin)
    path = f"/manage/staff/{lan['id']}"
    form = await read_form(first, path, **market.org)

    taken = await first.patch(
        f"/v1/staff/{lan['id']}", params=market.org, json={"roles": ["attendant"]}
    )
    assert taken.status_code == 200, taken.text
    await submit(first, f"{path}?org=HKXM", form | {"name": ["Chị Lan"]})

    lan = await read_person(market, lan["id"])
    assert (lan["display_name"], lan["roles"]) == ("Chị Lan", ["attendant"])


async def test_two_managers_at_once_keep_each_others_changes_of_a_person(market: Market) -> None:
    hub, own = market.hub, market.stall.payee_id
    one, two = [await add_stall(hub, market.stall.org.id, name) for name in ("Quầy 1", "Quầy 2")]
    answer = await employ(market.admin, "lan", "cashier", org="HKXM", payee_ids=[own, one])
    lan_id = answer.json()["id"]
    admin, path = as_reader(market.admin), f"/manage/staff/{lan_id}"
    mine, theirs = [await read_form(admin, path, **market.org) for _ in range(2)]

    await submit(admin, f"{path}?org=HKXM", theirs | {"payee": [str(one)], "name": ["Lan B"]})
    await submit(
        admin,
        f"{path}?org=HKXM",
        mine | {"payee": [str(own), str(one), str(two)], "roles": ["cashier", "vendor_owner"]},
    )

    lan = await read_person(market, lan_id)
    assert lan["scopes"] == payee_scopes(*sorted([one, two]))  # `own` was taken by the other
    assert (lan["display_name"], lan["roles"]) == ("Lan B", ["cashier", "vendor_owner"])


async def test_a_form_that_is_refused_remembers_what_was_seen_first(market: Market) -> None:
    lan = (await employ(market.admin, "lan", "attendant", "finance", org="HKXM")).json()
    admin, path = as_reader(market.admin), f"/manage/staff/{lan['id']}"
    form = await read_form(admin, path, **market.org)

    again = await admin.post(f"{path}?org=HKXM", data=form | {"name": [""], "roles": ["attendant"]})

    assert again.status_code == 422
    reader = _Form(path)
    reader.feed(again.text)
    assert reader.sent["before_roles"] == ["attendant", "finance"]
    assert reader.sent["roles"] == ["attendant"]
    assert re.search('name="before_name" value="Lan"', again.text)


async def test_a_form_that_does_not_say_what_it_saw_changes_nothing(market: Market) -> None:
    lan = (await employ(market.admin, "lan", "attendant", org="HKXM")).json()
    admin = as_reader(market.admin)
    old = {"name": "Chị Lan", "roles": ["attendant", "finance"]}

    answer = await admin.post(f"/manage/staff/{lan['id']}?org=HKXM", data=old)

    assert answer.status_code == 422
    assert "Trang này đã cũ" in answer.text
    lan = await read_person(market, lan["id"])
    assert (lan["display_name"], lan["roles"]) == ("Lan", ["attendant"])


async def test_the_keys_that_somebody_made_are_on_their_page_when_they_leave(
    market: Market,
) -> None:
    """A key works on without its maker: who lets them go decides what becomes of it."""
    manager = await market.staff("minh", "manager")
    minh = (await manager.get("/v1/me")).json()["id"]
    till = await market.hub.machine(manager, "bills.read")
    for name in ("Máy bán hàng", "Đã thu hồi"):
        made = await manager.post("/v1/keys", json={"name": name, "scopes": ["bills.read"]})
        assert made.status_code == 201
    ended = await manager.delete(f"/v1/keys/{made.json()['id']}")
    assert ended.status_code == 204
    admin, path = as_reader(market.admin), f"/manage/staff/{minh}"

    _, page = await submit(admin, f"{path}/disable?org=HKXM")

    assert (await till.get("/v1/me")).status_code == 200
    assert "Khóa API do người này tạo" in page.text
    assert "Máy bán hàng" in page.text
    assert "Đã thu hồi" not in page.text  # it works no more
    link = re.search(r'href="(/manage/keys\?maker=[^"]+)"', page.text)
    assert link
    listed = (await admin.get(link[1].replace("&amp;", "&"))).text
    assert "Máy bán hàng" in listed
    assert listed.count(">pp_test_HKXM_") == 3  # all of this maker, none of the market's others
    by_api = await admin.get("/v1/keys", params=market.org | {"created_by": minh})
    assert len(by_api.json()["keys"]) == 3


@pytest.mark.parametrize(("path", "name"), [("staff", "who"), ("accounts", "find")])
async def test_a_search_that_finds_nothing_says_so_and_is_not_called_optional(
    market: Market, path: str, name: str
) -> None:
    manager = await let_in(market, "manager")

    page = text_of(await manager.get(f"/manage/{path}", params={name: "zzz"}))

    assert "Không tìm thấy" in page
    assert not re.search("Chưa có (ai|tài khoản nào)", page)
    assert not re.search(r"Tìm [^()]{3,40} \(không bắt buộc\)", page)
