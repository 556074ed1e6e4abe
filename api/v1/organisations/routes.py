"""The tenants of the hub: listed for their own people, made by the city."""

from typing import Annotated

from fastapi import APIRouter, Query, status

from api.http.deps import Now, UnboundTx, requires
from api.http.errors import may_answer
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.organisations.schemas import OrganisationCreate, OrganisationPage, OrganisationRead
from core.paging import BadCursor
from identity.organisations.errors import BadOrganisationCode, OrganisationCodeTaken
from identity.organisations.rules import OrgKind
from identity.organisations.service import create_organisation
from identity.people import queries
from identity.people.callers import Caller
from identity.people.rules import Permission

router = APIRouter(prefix="/v1/organisations", tags=["organisations"])


@router.get("", responses=may_answer(BadCursor))
async def list_organisations(
    caller: Annotated[Caller, requires(Permission.ORGANISATIONS_READ)],
    tx: UnboundTx,
    find: Annotated[str, Query(max_length=100, description="Words of name and code.")] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> OrganisationPage:
    """List the organisations, newest first: all for the city's people, one's own for others."""
    only = None if caller.home.kind == OrgKind.CITY else caller.home.id
    found = await queries.list_organisations(
        tx, only=only, find=find, before_id=read_cursor(cursor), limit=limit + 1
    )
    return OrganisationPage(
        organisations=[OrganisationRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=may_answer(BadOrganisationCode, OrganisationCodeTaken),
)
async def add_organisation(
    body: OrganisationCreate,
    caller: Annotated[Caller, requires(Permission.ORGANISATIONS_MANAGE)],
    tx: UnboundTx,
    now: Now,
) -> OrganisationRead:
    """Make an organisation. Its code can never be given to another."""
    org = await create_organisation(
        tx,
        code=body.code,
        name=body.name,
        kind=body.kind,
        is_live=body.is_live,
        actor=caller.actor,
        now=now,
    )
    return OrganisationRead(
        id=org.id,
        code=org.code,
        name=org.name,
        kind=body.kind,
        is_live=org.is_live,
        created_at=now,
    )
