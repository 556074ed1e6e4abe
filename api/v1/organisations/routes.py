"""The tenants of the hub: listed for their own people, made by the city."""

from typing import Annotated

from fastapi import APIRouter, status

from api.http.deps import Now, UnboundTx, requires
from api.http.errors import may_answer
from api.v1.organisations.schemas import OrganisationCreate, OrganisationRead
from identity.organisations.errors import BadOrganisationCode, OrganisationCodeTaken
from identity.organisations.models import Organisation
from identity.organisations.rules import OrgKind
from identity.organisations.service import create_organisation
from identity.people import queries
from identity.people.callers import Caller
from identity.people.rules import Permission

router = APIRouter(prefix="/v1/organisations", tags=["organisations"])


@router.get("", response_model=list[OrganisationRead])
async def list_organisations(
    caller: Annotated[Caller, requires(Permission.ORGANISATIONS_READ)], tx: UnboundTx
) -> list[Organisation]:
    """List the organisations: all for the city's people, one's own for others."""
    only = None if caller.home.kind == OrgKind.CITY else caller.home.id
    return list(await queries.list_organisations(tx, only=only))


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
