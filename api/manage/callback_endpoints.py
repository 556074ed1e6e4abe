"""The list of callback endpoints: the addresses that banks call, and their health."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.manage.endpoint_health import present_health
from api.manage.page_context import PAGE_ROWS, Before, ManagerContext, TheManager
from core.masking import mask_tail
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.callbacks import views
from payments.connections import queries
from payments.connections.models import CallbackEndpoint

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
    older: str  # the address of the next page, "" on the last
    can_manage: bool
    new_path: str
    outages_path: str


@router.get("", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_READ)])
async def show_endpoints(manager: TheManager, before: Before = None) -> Response:
    """List the addresses that banks call, and their health; newest first."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_endpoints(
            tx, manager.org_id, before_id=read_cursor(before), limit=PAGE_ROWS + 1
        )
        rows = await _read_rows(tx, manager, found[:PAGE_ROWS])
    cursor = next_cursor(found, PAGE_ROWS)
    page = EndpointsPage(
        rows=rows,
        older=manager.path("/endpoints", before=cursor) if cursor else "",
        can_manage=manager.may(Permission.CALLBACK_ENDPOINTS_MANAGE),
        new_path=manager.path("/endpoints/new"),
        outages_path=manager.path("/outages"),
    )
    return manager.render("manage_endpoints.html", page, here="endpoints")


async def _read_rows(
    tx: AsyncSession, manager: ManagerContext, found: Sequence[CallbackEndpoint]
) -> tuple[EndpointRow, ...]:
    listed = await queries.list_callback_endpoint_accounts(
        tx, manager.org_id, [one.id for one in found]
    )
    counts = await views.count_notices(
        tx, manager.org_id, [one.id for one in found], now=manager.now
    )
    rows = []
    for one in found:
        tone, icon, word = present_health(manager, one, counts[one.id])
        numbers = [mask_tail(a.account_number) for a in listed if a.endpoint_id == one.id]
        rows.append(
            EndpointRow(
                path=manager.path(f"/endpoints/{one.id}"),
                name=one.name,
                provider=manager.word("provider", one.provider),
                is_sandbox=one.is_sandbox,
                is_revoked=one.revoked_at is not None,
                accounts=", ".join(numbers),
                tone=tone,
                icon=icon,
                word=word,
            )
        )
    return tuple(rows)
