"""A city, its organisations and people, made over HTTP by the hub's own routes."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import httpx

from core.audit import SYSTEM
from core.clock import read_clock
from core.tenancy import open_org_transaction
from identity.people import service
from payments.payees.service import add_payee
from tests.world.constants import PASSWORD
from tests.world.hubs import Hub


async def set_up_city(hub: Hub, *, code: str = "HANX", is_live: bool = False) -> httpx.AsyncClient:
    """Set the hub up and return the city administrator's browser (login "admin")."""
    async with hub.services.database.begin() as session:
        token = await service.issue_setup_token(session, now=read_clock())
    assert token is not None
    answer = await hub.client.post("/v1/setup", json=setup_body(token, code=code, is_live=is_live))
    assert answer.status_code == 201, answer.text
    return await hub.browser("admin")


def setup_body(token: str, *, code: str = "HANX", is_live: bool = False) -> dict[str, Any]:
    """The body of a first start."""
    return {
        "token": token,
        "organisation_code": code,
        "organisation_name": "Thành phố Hà Nội",
        "is_live": is_live,
        "login": "admin",
        "display_name": "Quản trị",
        "password": PASSWORD,
    }


async def add_market(
    admin: httpx.AsyncClient, *, code: str = "DXA2", is_live: bool = False
) -> UUID:
    """Let the city make a market board; return its id."""
    body = {"code": code, "name": "Chợ Đồng Xa", "kind": "market_board", "is_live": is_live}
    answer = await admin.post("/v1/organisations", json=body)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def employ(
    boss: httpx.AsyncClient,
    login: str,
    *roles: str,
    org: str | None = None,
    payee_id: UUID | None = None,
    payee_ids: Collection[UUID] = (),
    lot_ids: Collection[UUID] = (),
) -> httpx.Response:
    """Ask to add a person with the usual password."""
    payee_ids = payee_ids if payee_id is None else [payee_id]
    body = {
        "login": login,
        "display_name": login.title(),
        "password": PASSWORD,
        "roles": list(roles),
        "scopes": [*payee_scopes(*payee_ids), *lot_scopes(*lot_ids)],
    }
    return await boss.post("/v1/staff", json=body, params={"org": org} if org else {})


def lot_scopes(*lot_ids: UUID) -> list[dict[str, str]]:
    """What a person of these lots is held to, as the API has it."""
    return [{"kind": "lot", "id": str(lot_id)} for lot_id in lot_ids]


def payee_scopes(*payee_ids: UUID) -> list[dict[str, str]]:
    """What a person of these stalls is held to, as the API has it."""
    return [{"kind": "payee", "id": str(payee_id)} for payee_id in payee_ids]


async def add_stall(hub: Hub, org_id: UUID, name: str = "Cô Lan rau sạch") -> UUID:
    """Add a payee; return its id."""
    async with open_org_transaction(hub.services.database, org_id) as session:
        payee = await add_payee(
            session, org_id, name=name, place="Dãy B", actor=SYSTEM, now=read_clock()
        )
    return payee.id
