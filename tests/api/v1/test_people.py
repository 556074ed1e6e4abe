"""Permissions over HTTP: roles, borders between organisations and stalls, passwords."""

from uuid import UUID

import pytest
from sqlalchemy import select, text

from core.audit import AuditRow
from core.db import Database
from tests.world.cities import add_market, add_stall, employ, payee_scopes, set_up_city
from tests.world.constants import PASSWORD
from tests.world.hubs import Hub

pytestmark = pytest.mark.anyio


async def test_a_manager_makes_cashiers_but_no_administrator_or_approver(hub: Hub) -> None:
    admin = await set_up_city(hub)
    market_id = await add_market(admin)
    stall = await add_stall(hub, market_id)
    await employ(admin, "minh", "manager", org="DXA2")
    minh = await hub.browser("minh")

    cashier = await employ(minh, "thu", "cashier", payee_id=stall)
    refused = [await employ(minh, f"x{role}x", role) for role in ("admin", "approver", "finance")]

    assert cashier.status_code == 201, cashier.text
    assert [answer.json()["code"] for answer in refused] == ["role_not_grantable"] * 3


async def test_a_manager_cannot_touch_an_administrator(hub: Hub) -> None:
    admin = await set_up_city(hub)
    boss = await employ(admin, "boss", "admin")
    await employ(admin, "minh", "manager")
    minh = await hub.browser("minh")
    address = f"/v1/staff/{boss.json()['id']}"

    disabling = await minh.patch(address, json={"is_disabled": True})
    taking_over = await minh.post(f"{address}/password", json={"password": "phở gà Nguyễn Trường"})

    assert disabling.json()["code"] == taking_over.json()["code"] == "role_not_grantable"


async def test_an_owner_manages_the_cashiers_of_their_own_stall_only(hub: Hub) -> None:
    admin = await set_up_city(hub)
    market_id = await add_market(admin)
    mine, theirs = await add_stall(hub, market_id), await add_stall(hub, market_id, "Chú Ba cá")
    await employ(admin, "co.lan", "vendor_owner", org="DXA2", payee_id=mine)
    stranger = await employ(admin, "chu.ba", "vendor_owner", org="DXA2", payee_id=theirs)
    owner = await hub.browser("co.lan")

    assert (await employ(owner, "chau", "cashier", payee_id=mine)).status_code == 201
    for payee_id in (theirs, None):
        refused = await employ(owner, "spy", "cashier", payee_id=payee_id)
        assert refused.json()["code"] == "role_not_grantable"
    assert {person["login"] for person in (await owner.get("/v1/staff")).json()["staff"]} == {
        "co.lan",
        "chau",
    }
    hidden = await owner.get(f"/v1/staff/{stranger.json()['id']}")
    assert hidden.json()["code"] == "staff_not_found"


async def test_a_cashier_needs_a_payee_of_the_same_organisation(hub: Hub) -> None:
    admin = await set_up_city(hub)
    stall_elsewhere = await add_stall(hub, await add_market(admin))

    without = await employ(admin, "thu", "cashier")
    foreign = await employ(admin, "thu", "cashier", payee_id=stall_elsewhere)

    assert without.json()["code"] == "payee_required"
    assert (foreign.status_code, foreign.json()["code"]) == (422, "scope_not_found")


async def test_an_owner_of_two_stalls_works_for_both_and_for_no_third(hub: Hub) -> None:
    admin = await set_up_city(hub)
    market_id = await add_market(admin)
    one, two, other = [
        await add_stall(hub, market_id, name) for name in ("Quầy 1", "Quầy 2", "Quầy 3")
    ]
    added = await employ(admin, "lan", "vendor_owner", org="DXA2", payee_ids=[two, one])
    owner = await hub.browser("lan")

    assert added.json()["scopes"] == payee_scopes(*sorted([one, two]))
    assert (await owner.get("/v1/me")).json()["scopes"] == payee_scopes(*sorted([one, two]))
    listed = (await owner.get("/v1/payees")).json()["payees"]
    assert {payee["id"] for payee in listed} == {str(one), str(two)}
    for payee_id, status in ((one, 200), (two, 200), (other, 403)):
        answer = await owner.get("/v1/bills", params={"payee_id": str(payee_id)})
        assert answer.status_code == status, payee_id
    for path in ("/v1/bills", "/v1/credits", "/v1/accounts", "/v1/events"):
        unsaid = await owner.get(path)
        assert (unsaid.status_code, unsaid.json()["code"]) == (422, "scope_needed"), path
    # Cashiers of one or both, but none of the neighbour's, and no colleague's login is touched.
    for n, payee_ids in enumerate(([one], [two, one])):
        assert (await employ(owner, f"thu{n}", "cashier", payee_ids=payee_ids)).status_code == 201
    refused = await employ(owner, "thu9", "cashier", payee_ids=[one, other])
    assert refused.json()["code"] == "role_not_grantable"
    both = await employ(admin, "chung", "cashier", org="DXA2", payee_ids=[two, other])
    assert both.json()["id"] in {
        one["id"] for one in (await owner.get("/v1/staff")).json()["staff"]
    }
    taking = await owner.patch(f"/v1/staff/{both.json()['id']}", json={"is_disabled": True})
    assert taking.json()["code"] == "role_not_grantable"


async def test_who_loses_one_of_two_stalls_is_signed_out_and_keeps_the_other(
    hub: Hub, owner_database: Database
) -> None:
    admin = await set_up_city(hub)
    market_id = await add_market(admin)
    one, two = [await add_stall(hub, market_id, name) for name in ("Quầy 1", "Quầy 2")]
    lan = await employ(admin, "lan", "cashier", org="DXA2", payee_ids=[one, two])
    browser = await hub.browser("lan")

    changed = await admin.patch(
        f"/v1/staff/{lan.json()['id']}", params={"org": "DXA2"}, json={"scopes": payee_scopes(two)}
    )

    assert changed.json()["scopes"] == payee_scopes(two)
    assert (await browser.get("/v1/me")).json()["code"] == "sign_in_ended"
    again = await hub.browser("lan")
    assert (await again.get("/v1/bills")).status_code == 200  # the only one need not be named
    async with owner_database.begin() as session:
        wanted = select(AuditRow).where(AuditRow.action == "staff.changed")
        (row,) = (await session.scalars(wanted)).all()
    assert row.before["scopes"] == [f"payee:{id_}" for id_ in sorted([one, two])]
    assert row.after["scopes"] == [f"payee:{two}"]


async def test_nobody_works_for_more_than_fifty(hub: Hub) -> None:
    admin = await set_up_city(hub)

    answer = await employ(admin, "lan", "cashier", payee_ids=[UUID(int=n) for n in range(51)])

    assert answer.status_code == 422


async def test_people_of_one_organisation_cannot_act_for_another(hub: Hub) -> None:
    admin = await set_up_city(hub)
    await add_market(admin)
    await add_market(admin, code="THA9")
    await employ(admin, "boss", "admin", org="DXA2")
    boss = await hub.browser("boss")

    elsewhere = await boss.get("/v1/staff", params={"org": "THA9"})
    founding = await boss.post(
        "/v1/organisations", json={"code": "NEW2", "name": "x", "kind": "office"}
    )

    assert elsewhere.json()["code"] == founding.json()["code"] == "forbidden"
    assert [o["code"] for o in (await boss.get("/v1/organisations")).json()["organisations"]] == [
        "DXA2"
    ]
    assert (await admin.get("/v1/staff", params={"org": "NQNE"})).json()["code"] == (
        "organisation_not_found"
    )


async def test_what_the_city_does_is_written_in_the_log_of_whom_it_concerns(
    hub: Hub, owner_database: Database
) -> None:
    admin = await set_up_city(hub)
    market_id = await add_market(admin)

    added = await employ(admin, "boss", "admin", org="DXA2")
    await admin.patch(
        f"/v1/staff/{added.json()['id']}",
        params={"org": "DXA2"},
        json={"roles": ["finance"], "reason": "đổi việc"},
    )

    async with owner_database.begin() as session:
        rows = (
            await session.scalars(
                select(AuditRow).where(AuditRow.org_id == market_id).order_by(AuditRow.id)
            )
        ).all()
    # The last administrator stays: the change is refused and leaves no row.
    assert [row.action for row in rows] == ["organisation.added", "staff.added"]
    assert rows[1].actor_name == "Quản trị (HANX)"
    assert rows[1].after is not None
    assert rows[1].after["roles"] == ["admin"]
    assert "password" not in str(rows[1].after)


async def test_the_last_administrator_stays(hub: Hub) -> None:
    admin = await set_up_city(hub)
    me = (await admin.get("/v1/me")).json()["id"]
    second = (await employ(admin, "boss", "admin")).json()["id"]
    boss = await hub.browser("boss")

    leaving = await boss.patch(f"/v1/staff/{me}", json={"is_disabled": True, "reason": "nghỉ"})
    last = await boss.patch(f"/v1/staff/{second}", json={"is_disabled": True})

    assert leaving.status_code == 200
    assert (last.status_code, last.json()["code"]) == (409, "last_administrator")
    assert (await admin.get("/v1/me")).json()["code"] == "sign_in_ended"


async def test_who_loses_a_role_is_signed_out_and_the_log_says_why(
    hub: Hub, owner_database: Database
) -> None:
    admin = await set_up_city(hub)
    lan_id = (await employ(admin, "lan", "finance", "approver")).json()["id"]
    lan = await hub.browser("lan")

    await admin.patch(f"/v1/staff/{lan_id}", json={"display_name": "Chị Lan"})
    assert (await lan.get("/v1/me")).json()["name"] == "Chị Lan"
    await admin.patch(f"/v1/staff/{lan_id}", json={"roles": ["finance"], "reason": "đổi việc"})

    assert (await lan.get("/v1/me")).json()["code"] == "sign_in_ended"
    async with owner_database.begin() as session:
        rows = await session.scalars(
            select(AuditRow).where(AuditRow.action == "staff.changed").order_by(AuditRow.id)
        )
        renamed, demoted = rows.all()
    assert renamed.after["display_name"] == "Chị Lan"
    assert demoted.before["roles"] == ["approver", "finance"]
    assert (demoted.after["roles"], demoted.reason) == (["finance"], "đổi việc")


async def test_who_is_moved_to_another_stall_is_signed_out(hub: Hub) -> None:
    admin = await set_up_city(hub)
    market_id = await add_market(admin)
    here, there = [str(await add_stall(hub, market_id, name)) for name in ("Cô Lan", "Chú Ba")]
    lan = (await employ(admin, "lan", "cashier", org="DXA2", payee_id=UUID(here))).json()
    path, org = f"/v1/staff/{lan['id']}", {"org": "DXA2"}
    browser = await hub.browser("lan")

    await admin.patch(path, params=org, json={"scopes": payee_scopes(UUID(here))})
    assert (await browser.get("/v1/me")).status_code == 200
    moved = await admin.patch(path, params=org, json={"scopes": payee_scopes(UUID(there))})

    assert moved.json()["scopes"] == payee_scopes(UUID(there))
    assert (await browser.get("/v1/me")).json()["code"] == "sign_in_ended"


async def test_cashier_who_becomes_a_manager_has_no_stall_any_more(hub: Hub) -> None:
    admin = await set_up_city(hub)
    market_id = await add_market(admin)
    stall = await add_stall(hub, market_id)
    lan = (await employ(admin, "lan", "cashier", org="DXA2", payee_id=stall)).json()
    path, org = f"/v1/staff/{lan['id']}", {"org": "DXA2"}

    early = await admin.patch(path, params=org, json={"scopes": []})
    kept = await admin.patch(path, params=org, json={"display_name": "Chị Lan"})
    promoted = await admin.patch(path, params=org, json={"roles": ["manager"], "scopes": []})

    assert early.json()["code"] == "payee_required"
    assert kept.json()["scopes"] == payee_scopes(stall)
    assert (promoted.status_code, promoted.json()["scopes"]) == (200, [])


@pytest.mark.parametrize("other", ["manager", "vendor_owner"])
async def test_who_approves_cannot_also_be_who_proposes_or_who_makes_them(
    hub: Hub, other: str
) -> None:
    """Such a person would make a manager of straw, and be both of the two people."""
    admin = await set_up_city(hub)
    stall = await add_stall(hub, await add_market(admin))
    org = {"org": "DXA2"}

    added = await employ(admin, "lan", "approver", other, org="DXA2", payee_id=stall)
    lan = (await employ(admin, "minh", "approver", "finance", org="DXA2")).json()["id"]
    changed = await admin.patch(
        f"/v1/staff/{lan}",
        params=org,
        json={"roles": [other, "approver"], "scopes": payee_scopes(stall)},
    )

    for answer in (added, changed):
        assert (answer.status_code, answer.json()["code"]) == (422, "duties_not_separated")
    assert (await admin.get(f"/v1/staff/{lan}", params=org)).json()["roles"] == [
        "approver",
        "finance",
    ]
    assert (await employ(admin, "boss", "admin", "approver", org="DXA2")).status_code == 201


async def test_who_holds_both_from_before_can_be_renamed_but_given_nothing_else(
    hub: Hub, owner_database: Database
) -> None:
    admin = await set_up_city(hub)
    lan = (await employ(admin, "lan", "approver", "finance")).json()["id"]
    async with owner_database.begin() as session:
        query = text("UPDATE staff SET roles = '{approver,manager}' WHERE id = :id")
        await session.execute(query, {"id": UUID(lan)})

    async def change(name: str, *roles: str) -> tuple[int, str | None]:
        sent = {"display_name": name, "roles": roles}
        answer = await admin.patch(f"/v1/staff/{lan}", json=sent)
        return answer.status_code, answer.json().get("code")

    assert await change("Chị Lan", "manager", "approver") == (200, None)
    more = await change("Lan Ba", "manager", "approver", "finance")
    assert more == (422, "duties_not_separated")
    assert await change("Chị Lan", "approver") == (200, None)
    assert await change("Chị Lan", "approver", "manager") == (422, "duties_not_separated")
    kept = (await admin.get(f"/v1/staff/{lan}")).json()
    assert (kept["display_name"], kept["roles"]) == ("Chị Lan", ["approver"])


async def test_nobody_promotes_themselves(hub: Hub) -> None:
    admin = await set_up_city(hub)
    minh_id = (await employ(admin, "minh", "manager")).json()["id"]
    minh = await hub.browser("minh")

    answer = await minh.patch(f"/v1/staff/{minh_id}", json={"roles": ["manager", "cashier"]})

    assert answer.json()["code"] == "role_not_grantable"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("phở 24", "password_too_short"),
        ("Matkhau123", "password_too_common"),
        ("aaaaaaaaaaaa", "password_too_common"),
        ("Mậtkhẩu12345", "password_too_common"),
        ("nguyenthilan2026", "password_like_login"),
        ("20261121202611", "password_like_login"),
    ],
)
async def test_a_password_that_anyone_would_try_is_refused(
    hub: Hub, password: str, code: str
) -> None:
    admin = await set_up_city(hub)
    body = {"login": "nguyenthilan", "display_name": "Lan", "roles": ["finance"]}

    answer = await admin.post("/v1/staff", json={**body, "password": password})

    assert answer.status_code == 422
    assert [v["code"] for v in answer.json()["violations"]] == [code]
    assert password not in answer.text


async def test_a_reset_password_ends_the_sign_ins_and_opens_the_lock(
    hub: Hub, owner_database: Database
) -> None:
    admin = await set_up_city(hub)
    lan_id = (await employ(admin, "lan", "finance")).json()["id"]
    lan = await hub.browser("lan")
    async with owner_database.begin() as session:
        await session.execute(
            text("UPDATE staff SET locked_until = now() + interval '1 hour' WHERE login = 'lan'")
        )

    reset = await admin.post(f"/v1/staff/{lan_id}/password", json={"password": PASSWORD + " mới"})

    assert reset.status_code == 204
    assert (await lan.get("/v1/me")).json()["code"] == "sign_in_ended"
    await hub.browser("lan", PASSWORD + " mới")


@pytest.mark.parametrize("role", ["admin", "manager"])
async def test_ones_own_password_is_not_reset_without_the_present_one(hub: Hub, role: str) -> None:
    """Whoever finds a screen open would take the login, and its owner would be shut out."""
    await employ(await set_up_city(hub), "minh", role)
    minh = await hub.browser("minh")
    me = (await minh.get("/v1/me")).json()["id"]

    reset = await minh.post(f"/v1/staff/{me}/password", json={"password": PASSWORD + " mới"})
    on_the_page = await minh.post(f"/manage/staff/{me}/password")

    assert (reset.status_code, reset.json()["code"]) == (403, "own_password")
    assert "/me/password" in reset.json()["detail"]
    assert on_the_page.status_code == 422
    assert "trang Đổi mật khẩu" in on_the_page.text
    await hub.browser("minh")  # with the old one
    changed = await minh.post(
        "/v1/me/password", json={"present_password": PASSWORD, "password": PASSWORD + " mới"}
    )
    assert changed.status_code == 204
