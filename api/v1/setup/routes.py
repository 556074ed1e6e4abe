"""The first start: the one-time token becomes the city's organisation and its administrator."""

from fastapi import APIRouter, Request, status

from api.http.deps import Now, TheHooks, ThePasswords, UnboundTx, check_not_cross_site, public
from api.http.errors import may_answer
from api.v1.organisations.schemas import OrganisationRead
from api.v1.setup.schemas import SetupCreate
from identity.organisations.errors import BadOrganisationCode, OrganisationCodeTaken
from identity.organisations.rules import OrgKind
from identity.people.errors import PasswordRefused, SetupClosed
from identity.people.first_start import set_up_city

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
    org = await set_up_city(
        tx,
        token=body.token.get_secret_value(),
        code=body.organisation_code,
        name=body.organisation_name,
        is_live=body.is_live,
        login=body.login,
        display_name=body.display_name,
        password=body.password.get_secret_value(),
        passwords=passwords,
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
