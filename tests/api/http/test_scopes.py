"""People who are held to a stall: every route narrows to it, or is none of theirs."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from sqlalchemy import text

from api.http.openapi import declaration_of
from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import NARROWED, PAYEE_ROLES, ROLE_PERMISSIONS, Permission, Role
from payments.payees.service import change_payee
from tests.world.bills import a_bill
from tests.world.cities import add_market, add_stall, employ, payee_scopes, set_up_city
from tests.world.constants import MANAGER
from tests.world.hubs import Hub
from tests.world.markets import CODE, Market, set_up_market
from tests.world.notices import pay, process_waiting, store_notices
from tests.world.notices import sepay_body as a_notice
from tests.world.payees import a_payee, an_account
from tests.world.refunds import a_refund, find_payments

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

THEIRS = "Sạp của người khác"
# What these routes ask for besides ids; a new one says here how it is tried.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/v1/staff/{staff_id}"): {"display_name": "Kẻ gian"},
    ("POST", "/v1/staff/{staff_id}/password"): {"password": "bánh cuốn Thanh Trì"},
    ("POST", "/v1/bills/{bill_id}/cash-payments"): {"id": str(new_id()), "amount_vnd": 5_000},
    ("POST", "/v1/bills/{bill_id}/cancel"): {},
    ("POST", "/v1/bills/{bill_id}/check"): {},
    ("POST", "/v1/accounts/{link_id}/seen"): {},
    ("POST", "/v1/credits/{credit_id}/not-takings"): {"reason": "x"},
    ("POST", "/v1/credits/{credit_id}/takings"): {},
    ("POST", "/v1/refunds/{refund_id}/destination"): {
        "bin": "970422",
        "account_number": "0123456789",
        "name": "KE GIAN",
        "name_again": "KE GIAN",
    },
    ("POST", "/v1/refunds/{refund_id}/cancel"): {"reason": "x"},
    ("POST", "/v1/refunds/{refund_id}/returned"): {"bank_reference": "FT1"},
    ("POST", "/v1/refunds/{refund_id}/not-done"): {"reason": "x"},
    ("POST", "/v1/refunds/{refund_id}/unknown"): {"reason": "x"},
}
FORMS: dict[str, dict[str, str]] = {
    "/counter/bills": {"amount": "20", "bill_id": str(new_id())},
    "/counter/bills/{bill_id}/renew": {"renewed_id": str(new_id())},
    "/counter/bills/{bill_id}/cash": {"cash_id": str(new_id()), "amount_vnd": "5000"},
    "/counter/bills/{bill_id}/refunds": {
        "refund_id": str(new_id()),
        "payment_id": str(new_id()),
        "amount": "1000",
        "reason": "x",
    },
    "/counter/bills/{bill_id}/refunds/{refund_id}/returned": {"bank_reference": "FT1"},
    "/counter/bills/{bill_id}/cash-back": {"payment_id": str(new_id())},
}


def routes_of(app: FastAPI) -> Iterator[tuple[str, RouteContext, Permission]]:
    """Every route that asks for a permission, by method."""
    for route in iter_route_contexts(app.routes):
        if not hasattr(route, "dependant"):
            continue
        asks = declaration_of(route)
        if asks in set(Permission):
            for method in sorted(set(route.methods or ()) - {"HEAD"}):
                yield method, route, Permission(asks)


async def test_no_role_beyond_a_stalls_own_is_given_together_with_a_stall(hub: Hub) -> None:
    admin = await set_up_city(hub)
    stall = await add_stall(hub, await add_market(admin))
    beyond = [role for role in Role if not ROLE_PERMISSIONS[role] <= NARROWED]
    thu = (await employ(admin, "thu", "cashier", org="DXA2", payee_id=stall)).json()
    minh = (await employ(admin, "minh", "manager", org="DXA2")).json()
    org = {"org": "DXA2"}

    answers = [
        await employ(admin, f"a.{role}", role, org="DXA2", payee_id=stall) for role in beyond
    ]
    answers.append(await employ(admin, "both", "cashier", "finance", org="DXA2", payee_id=stall))
    for person, change in (
        (thu, {"roles": ["cashier", "finance"]}),
        (minh, {"scopes": payee_scopes(stall)}),
    ):
        answers.append(await admin.patch(f"/v1/staff/{person['id']}", params=org, json=change))

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(422, "roles_not_scoped")}
    assert set(beyond) == set(Role) - PAYEE_ROLES - {Role.ATTENDANT}


async def test_every_role_in_one_stall_gives_nothing_of_the_whole_organisation(
    hub: Hub, owner_database: Database
) -> None:
    """Such a login cannot be made; an older one does no more than its stall."""
    market = await set_up_market(hub)
    boss = await market.staff("boss", "vendor_owner", payee_id=market.stall.payee_id)
    boss.event_hooks["response"].clear()
    async with owner_database.begin() as session:
        await session.execute(
            text("UPDATE staff SET roles = CAST(:roles AS text[]) WHERE login = 'boss'"),
            {"roles": [role.value for role in Role]},
        )

    tried = 0
    for method, route, permission in routes_of(hub.app):
        if permission in NARROWED and not route.path.startswith("/manage"):
            continue
        answer = await boss.request(method, re.sub(r"\{\w+(?::\w+)?\}", str(uuid4()), route.path))
        assert answer.status_code == 403, f"{method} {route.path}: {answer.text}"
        if permission not in NARROWED:
            assert answer.json()["code"] == "whole_organisation_needed", route.path
        tried += 1
    assert tried > 50


async def test_every_route_for_a_stalls_people_shows_and_changes_nothing_of_another(
    hub: Hub,
) -> None:
    market = await set_up_market(hub)
    theirs = await _furnish(market)
    mine = await _open_own(market)
    owner = await market.staff("own", "vendor_owner", payee_id=mine)
    owner.event_hooks["response"].clear()
    held = ROLE_PERMISSIONS[Role.VENDOR_OWNER]

    tried = 0
    for method, route, permission in routes_of(hub.app):
        if permission in held and not route.path.startswith("/manage"):
            await _try(owner, method, route.path, theirs)
            tried += 1
    assert tried > 40


def test_owners_and_cashiers_do_only_what_narrows() -> None:
    for role in PAYEE_ROLES:
        assert ROLE_PERMISSIONS[role] <= NARROWED


async def _furnish(market: Market) -> dict[str, str]:
    """Give the market's stall one of each thing that a route can name; return their ids."""
    database, stall, now = market.hub.services.database, market.stall, read_clock()
    async with open_org_transaction(database, stall.org.id) as tx:
        await change_payee(
            tx,
            stall.org.id,
            stall.payee_id,
            name=THEIRS,
            place=None,
            actor=MANAGER,
            reason=None,
            now=now,
        )
    bill = await a_bill(database, stall, now=now)
    await pay(database, stall, bill, amount_vnd=5_000, now=now)
    notice = a_notice(stall, amount_vnd=7_000, memo="mua rau", occurred_at=now)
    await store_notices(database, stall, notice, now=now)
    await process_waiting(database, stall, now=now)
    money = (await market.till.get("/v1/credits")).json()["credits"]
    links = (await market.till.get("/v1/accounts")).json()["accounts"]
    paid = await a_bill(database, stall, now=now)
    await pay(database, stall, paid, now=now)
    (payment_id,) = await find_payments(database, stall, paid)
    refund = await a_refund(database, stall, payment_id=payment_id, amount_vnd=1_000, now=now)
    lan = await employ(market.admin, "lan", "cashier", org=CODE, payee_id=stall.payee_id)
    return {
        "payee_id": str(stall.payee_id),
        "bill_id": str(bill.id),
        "credit_id": next(one["id"] for one in money if one["payee_id"]),
        "link_id": links[0]["id"],
        "staff_id": lan.json()["id"],
        "refund_id": str(refund.id),
        "file_id": str(new_id()),
        "settlement_id": str(new_id()),  # tests/api/v1/test_settlements.py has a neighbour's
        "account_id": str(stall.account_id),
        "payment_id": str(payment_id),
        # Of lots, where a vendor's people have no permission at all.
        **{name: str(new_id()) for name in ("lot_id", "session_id", "collection_id", "shift_id")},
    }


async def _open_own(market: Market) -> UUID:
    async with open_org_transaction(market.hub.services.database, market.stall.org.id) as tx:
        payee_id = await a_payee(tx, market.stall.org)
        await an_account(tx, market.stall.org, payee_id)
    return payee_id


async def _try(owner: httpx.AsyncClient, method: str, path: str, theirs: dict[str, str]) -> None:
    where = f"{method} {path}"
    names = re.findall(r"\{(\w+)(?::\w+)?\}", path)
    assert set(names) <= set(theirs), f"{where}: say in _furnish what another stall's is"
    address = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: theirs[found[1]], path)
    asked: dict[str, Any] = {}
    if path.startswith("/counter"):
        if not names:
            asked["params"] = {"payee": theirs["payee_id"]}
        if method == "POST":
            asked["data"] = FORMS.get(path, {"bill_id": theirs["bill_id"]})
    elif method == "GET" and path in (
        "/v1/bills",
        "/v1/credits",
        "/v1/accounts",
        "/v1/events",
        "/v1/refunds",
    ):
        asked["params"] = {"payee_id": theirs["payee_id"]}
    elif path == "/v1/totals":
        asked["params"] = {"payee_id": theirs["payee_id"], "on": "2026-11-28"}
    elif method != "GET":
        asked["json"] = BODIES.get((method, path)) or _body_of(path, theirs)
    answer = await owner.request(method, address, **asked)
    if path == "/v1/bills/batch":
        assert answer.json()["results"][0]["problem"]["code"] == "forbidden", answer.text
    elif method != "GET" or names or asked or path == "/v1/shifts/open":  # of lots' people
        assert answer.status_code in (403, 404), f"{where}: {answer.status_code} {answer.text}"
    else:
        assert answer.status_code == 200, f"{where}: {answer.text}"
    if answer.status_code == 200:
        shown = [name for name in [THEIRS, *theirs.values()] if name in answer.text]
        assert not shown or path == "/v1/bills/batch", where


def _body_of(path: str, theirs: dict[str, str]) -> dict[str, Any]:
    bill = {"payee_id": theirs["payee_id"], "amount_vnd": 1_000}
    return {
        "/v1/bills": bill,
        "/v1/refund-files": {"id": str(new_id()), "receiving_account_id": theirs["account_id"]},
        "/v1/refunds": {
            "id": str(new_id()),
            "payment_id": theirs["payment_id"],
            "amount_vnd": 1_000,
            "reason": "x",
        },
        "/v1/bills/batch": {"bills": [bill]},
        "/v1/staff": {
            "login": "spy",
            "display_name": "Spy",
            "password": "bánh cuốn Thanh Trì",
            "roles": ["cashier"],
            "scopes": payee_scopes(UUID(theirs["payee_id"])),
        },
        "/v1/credits/{credit_id}/assign": {"payee_id": theirs["payee_id"]},
        "/v1/credits/{credit_id}/confirm": {"bill_id": theirs["bill_id"]},
    }.get(path, {})
