"""Overview of an organisation for its managers, and for the city: which organisation."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Form
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.manage.endpoint_health import present_health
from api.manage.page_context import (
    PAGE_ROWS,
    Before,
    Errors,
    Find,
    ManagerContext,
    TheManager,
    read_line,
)
from core.clock import day_bounds, hanoi_day
from core.errors import Forbidden
from core.tenancy import open_org_transaction
from identity.organisations.errors import BadOrganisationCode, OrganisationCodeTaken
from identity.organisations.rules import OrgKind
from identity.organisations.service import create_organisation
from identity.people import queries
from identity.people.rules import Permission
from payments.breaks.views import list_breaks
from payments.callbacks.views import NoticeCounts, count_notices
from payments.connections import queries as endpoints
from payments.connections.models import CallbackEndpoint
from payments.credits.sales import count_all_sales
from payments.ledger.service import read_takings_by_payee
from payments.payees.queries import IN_USE
from payments.payees.rules import LinkStatus
from payments.payees.views import count_links, has_open_payees, name_payees

router = APIRouter(prefix="/manage", include_in_schema=False)

BREAKS_COUNTED_MAX: Final = 100
STALLS_SHOWN_MAX: Final = 20


@dataclass(frozen=True, kw_only=True)
class PayeeToday:
    """What one payee took today."""

    name: str
    place: str
    takings_vnd: int


@dataclass(frozen=True, kw_only=True)
class EndpointRow:
    """One callback endpoint and its last 24 hours."""

    name: str
    provider: str
    path: str
    tone: str
    icon: str
    word: str  # "Khỏe", "Có tin bị từ chối", …
    accepted: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do before an organisation can be paid."""

    name: str  # key of [step] in api/manage/words/*/manage.toml
    path: str
    is_done: bool


@dataclass(frozen=True, kw_only=True)
class OverviewPage:
    """Everything templates/manage.html may use, already worded for a person."""

    today_vnd: int
    today_count: int
    stalls: tuple[PayeeToday, ...]
    breaks_open: int
    breaks_are_more: bool  # than were counted
    oldest_break: str  # "3 giờ trước"
    accounts_proposed: int
    accounts_untested: int
    endpoints: tuple[EndpointRow, ...]
    steps: tuple[Step, ...]  # empty once all are done


@dataclass(frozen=True, kw_only=True)
class OrganisationRow:
    """One organisation that the city may work for."""

    code: str
    name: str
    kind: str
    is_live: bool
    path: str
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class OrganisationsPage:
    """Everything templates/manage_organisations.html may use."""

    organisations: tuple[OrganisationRow, ...]
    find: str
    can_find: bool  # there are more than one page
    older: str  # the address of the next page, "" on the last
    kinds: tuple[tuple[str, str], ...]
    form: dict[str, str]
    errors: Errors


@router.get("", dependencies=[requires(Permission.LEDGER_READ)])
async def show_overview(manager: TheManager) -> Response:
    """Show today's takings, what waits for somebody, and whether banks report."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        page = await _read_overview(tx, manager)
    return manager.render("manage.html", page, here="overview")


@router.get("/organisations", dependencies=[requires(Permission.ORGANISATIONS_MANAGE)])
async def show_organisations(
    manager: TheManager, find: Find = "", before: Before = None
) -> Response:
    """List the organisations of the hub, newest first, to work for one or to make another."""
    return await _draw_organisations(manager, find=find, before=before)


@router.post("/organisations", dependencies=[requires(Permission.ORGANISATIONS_MANAGE)])
async def add_organisation(
    manager: TheManager,
    code: Annotated[str, Form(max_length=20)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
    kind: Annotated[OrgKind, Form()] = OrgKind.MARKET_BOARD,
    mode: Annotated[str, Form(max_length=4)] = "test",
) -> Response:
    """Make an organisation. Its code can never be given to another."""
    form = {
        "code": code.strip().upper(),
        "name": read_line(name),
        "kind": kind.value,
        "mode": "live" if mode == "live" else "test",
    }
    errors = {}
    if not form["name"]:
        errors["name"] = manager.say("error.needed")
    if errors:
        return await _draw_organisations(manager, form, errors)
    try:
        async with manager.database.begin() as tx:
            await create_organisation(
                tx,
                code=form["code"],
                name=form["name"],
                kind=kind,
                is_live=form["mode"] == "live",
                actor=manager.caller.actor,
                now=manager.now,
            )
    except (BadOrganisationCode, OrganisationCodeTaken) as error:
        return await _draw_organisations(manager, form, {"code": manager.present_error(error)})
    return manager.go("/organisations", done="organisation_added")


async def _draw_organisations(
    manager: ManagerContext,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
    *,
    find: str = "",
    before: str | None = None,
) -> Response:
    if not manager.is_city:
        raise Forbidden("Only the city looks after organisations.")
    async with manager.database.begin() as tx:
        found = await queries.list_organisations(
            tx, find=find, before_id=read_cursor(before), limit=PAGE_ROWS + 1
        )
    cursor = next_cursor(found, PAGE_ROWS)
    page = OrganisationsPage(
        organisations=tuple(
            OrganisationRow(
                code=org.code,
                name=org.name,
                kind=manager.word("kind", org.kind),
                is_live=org.is_live,
                path="/manage" if org.id == manager.caller.home.id else f"/manage?org={org.code}",
                is_here=org.id == manager.org_id,
            )
            for org in found[:PAGE_ROWS]
        ),
        find=find,
        can_find=bool(find or before or cursor),
        older=manager.path("/organisations", find=find, before=cursor) if cursor else "",
        kinds=tuple((kind.value, manager.word("kind", kind.value)) for kind in OrgKind),
        form=form or {"code": "", "name": "", "kind": OrgKind.MARKET_BOARD.value, "mode": "test"},
        errors=errors or {},
    )
    status = 422 if errors else 200
    return manager.render("manage_organisations.html", page, here="organisations", status=status)


async def _read_overview(tx: AsyncSession, manager: ManagerContext) -> OverviewPage:
    org_id = manager.org_id
    since, until = day_bounds(hanoi_day(manager.now))
    takings = await read_takings_by_payee(tx, org_id, since=since, until=until)
    sold = [one for one in takings if takings[one]]
    most = sorted(sold, key=lambda one: -takings[one])[:STALLS_SHOWN_MAX]
    names = await name_payees(tx, org_id, most)
    links = await count_links(tx, org_id)
    breaks = await list_breaks(tx, org_id, is_open=True, limit=BREAKS_COUNTED_MAX + 1)
    health = await _read_health(tx, manager)
    is_paid_into = bool(links.get(LinkStatus.ACTIVE))
    has_account = any(links.get(status) for status in IN_USE)
    steps = (
        Step(name="payee", path=manager.path("/payees"), is_done=await has_open_payees(tx, org_id)),
        # First: a login made after the proposal cannot say for the stall that its account is seen.
        Step(
            name="owner",
            path=manager.path("/staff"),
            is_done=is_paid_into or await queries.has_owner(tx, org_id),
        ),
        Step(name="account", path=manager.path("/accounts"), is_done=has_account),
        Step(name="endpoint", path=manager.path("/endpoints"), is_done=bool(health)),
        Step(name="test", path=manager.path("/accounts"), is_done=is_paid_into),
    )
    return OverviewPage(
        today_vnd=sum(takings.values()),
        today_count=await count_all_sales(tx, org_id, since=since, until=until),
        stalls=tuple(
            PayeeToday(name=names[one].name, place=names[one].place, takings_vnd=takings[one])
            for one in most
        ),
        breaks_open=min(len(breaks), BREAKS_COUNTED_MAX),
        breaks_are_more=len(breaks) > BREAKS_COUNTED_MAX,
        oldest_break=manager.present_age(breaks[-1].opened_at) if breaks else "",
        accounts_proposed=links.get(LinkStatus.PROPOSED, 0),
        accounts_untested=links.get(LinkStatus.APPROVED, 0),
        endpoints=health,
        steps=() if all(step.is_done for step in steps) else steps,
    )


async def _read_health(tx: AsyncSession, manager: ManagerContext) -> tuple[EndpointRow, ...]:
    in_use = await endpoints.list_endpoints(tx, manager.org_id, with_revoked=False, limit=PAGE_ROWS)
    counts = await count_notices(tx, manager.org_id, [one.id for one in in_use], now=manager.now)
    return tuple(_present_endpoint(manager, one, counts[one.id]) for one in in_use)


def _present_endpoint(
    manager: ManagerContext, endpoint: CallbackEndpoint, counts: NoticeCounts
) -> EndpointRow:
    tone, icon, word = present_health(manager, endpoint, counts)
    return EndpointRow(
        name=endpoint.name,
        provider=manager.word("provider", endpoint.provider),
        path=manager.path(f"/endpoints/{endpoint.id}"),
        tone=tone,
        icon=icon,
        word=word,
        accepted=counts.accepted,
        rejected=counts.rejected,
    )
