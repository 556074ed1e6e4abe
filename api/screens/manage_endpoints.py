"""The list of callback endpoints: the addresses that banks call, and how they do."""

from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.auth.rules import Permission
from api.deps import requires
from api.live.events import first_id_at
from api.screens.manage_endpoint import judge_endpoint
from api.screens.manage_frame import Desk, TheDesk
from core.db import open_org_transaction
from core.logging import mask_tail
from payments.callbacks import service, views

router = APIRouter(prefix="/manage/endpoints", include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class EndpointRow:
    """One endpoint in the list."""

    path: str
    name: str
    provider: str
    is_sandbox: bool
    is_revoked: bool
    accounts: str  # "Vietcombank …6789, …"
    tone: str
    icon: str
    word: str


@dataclass(frozen=True, kw_only=True)
class EndpointsPage:
    """Everything templates/manage_endpoints.html may use, already worded."""

    rows: tuple[EndpointRow, ...]
    can_manage: bool
    new_path: str


@router.get("", dependencies=[requires(Permission.ENDPOINTS_READ)])
async def show_endpoints(desk: TheDesk) -> Response:
    """List the addresses that banks call, and how they do."""
    async with open_org_transaction(desk.sessions, desk.org_id) as tx:
        rows = await _read_rows(tx, desk)
    page = EndpointsPage(
        rows=rows,
        can_manage=desk.may(Permission.ENDPOINTS_MANAGE),
        new_path=desk.path("/endpoints/new"),
    )
    return desk.render("manage_endpoints.html", page, here="endpoints")


async def _read_rows(tx: AsyncSession, desk: Desk) -> tuple[EndpointRow, ...]:
    found = await service.list_endpoints(tx, desk.org_id)
    listed = await service.list_endpoint_accounts(tx, desk.org_id, [one.id for one in found])
    since = first_id_at(desk.now - views.COUNTED_FOR)
    rows = []
    for one in found:
        counts = await views.count_deliveries(tx, desk.org_id, one.id, first_id=since)
        tone, icon, word = judge_endpoint(one, counts)
        numbers = [mask_tail(a.account_number) for a in listed if a.endpoint_id == one.id]
        rows.append(
            EndpointRow(
                path=desk.path(f"/endpoints/{one.id}"),
                name=one.name,
                provider=desk.word("provider", one.provider),
                is_sandbox=one.is_sandbox,
                is_revoked=one.revoked_at is not None,
                accounts=", ".join(numbers),
                tone=tone,
                icon=icon,
                word=desk.say(f"health.{word}"),
            )
        )
    return tuple(rows)
