"""The first start: the one-time token becomes the city's organisation and its administrator."""

from fastapi import APIRouter, Request, status

from api.http.deps import Now, TheHooks, ThePasswords, UnboundTx, check_not_cross_site, public
from api.http.errors import may_answer
from api.v1.organisations.schemas import OrganisationRead
from api.v1.setup.schemas import SetupCreate
from core.audit import SYSTEM
from identity.organisations.errors import BadOrganisationCode, OrganisationCodeTaken
from identity.organisations.rules import OrgKind
from identity.organisations.service import create_organisation
from identity.people import service
from identity.people.errors import PasswordRefused, SetupClosed
from identity.people.rules import Role

router = APIRouter(prefix="/v1/setup", tags=["identity"], dependencies=[public])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=may_answer(SetupClosed, PasswordRefused, BadOrganisationCode, OrganisationCodeTaken),
)
async def set_up(
    request: Request,
    body: SetupCreate,
    tx: UnboundTx,
    passwords: ThePasswords,
    hooks: TheHooks,
    now: Now,
) -> OrganisationRead:
    """Make the city's organisation and its first administrator, once."""
    check_not_cross_site(request)
    await service.use_setup_token(tx, body.token.get_secret_value(), now=now)
    org = await create_organisation(
        tx,
        code=body.organisation_code,
        name=body.organisation_name,
        kind=OrgKind.CITY,
        is_live=body.is_live,
        actor=SYSTEM,
        now=now,
    )
    await service.add_staff(
        tx,
        org.id,
        granter=service.HUB,
        passwords=passwords,
        login=body.login,
        display_name=body.display_name,
        password=body.password.get_secret_value(),
        roles=[Role.ADMIN],
        hooks=hooks,
        now=now,
    )
    return OrganisationRead(
        id=org.id,
        code=org.code,
        name=org.name,
        kind=OrgKind.CITY,
        is_live=org.is_live,
        created_at=now,
    )
