"""One more code for an organisation whose references are used up: ./phopay add-code."""

from core.audit import SYSTEM
from core.clock import read_clock
from core.db import open_database, open_engine
from core.errors import HubError
from core.settings import Settings
from core.tenancy import enter_org
from identity.organisations.errors import OrganisationNotFound
from identity.organisations.queries import find_organisation
from identity.organisations.service import add_code
from ops.errors import CannotStart


async def add_organisation_code(settings: Settings, org_code: str, new_code: str) -> str:
    """Add a code; return the organisation's name.

    Raises:
        CannotStart: no such organisation, or a code that cannot be used.
    """
    engine = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=1)
    try:
        async with open_database(engine).begin() as session:
            org = await find_organisation(session, org_code)
            if org is None:
                raise OrganisationNotFound(org_code)
            await enter_org(session, org.id)
            await add_code(session, org, code=new_code, actor=SYSTEM, now=read_clock())
            return org.name
    except HubError as problem:
        raise CannotStart(str(problem)) from problem
    finally:
        await engine.dispose()
