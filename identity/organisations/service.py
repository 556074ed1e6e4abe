"""Founding of organisations."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from core.tenancy import enter_org
from core.text import check_lines
from identity.organisations.errors import BadOrganisationCode, OrganisationCodeTaken
from identity.organisations.models import Organisation, OrganisationCode
from identity.organisations.rules import ORG_CODE, OrgFacts, OrgKind


async def create_organisation(
    session: AsyncSession,
    *,
    code: str,
    name: str,
    kind: OrgKind,
    is_live: bool,
    actor: Actor,
    now: datetime,
) -> OrgFacts:
    """Make a tenant and enter it; its audit log begins with that.

    Raises:
        BadOrganisationCode: not four letters and digits of a reference.
        OrganisationCodeTaken: the code was ever used.
    """
    check_lines(name=name)
    if not ORG_CODE.fullmatch(code):
        raise BadOrganisationCode(code)
    org_id = new_id()
    await enter_org(session, org_id)
    session.add(
        Organisation(
            id=org_id, code=code, name=name, kind=kind.value, is_live=is_live, created_at=now
        )
    )
    try:
        await session.flush()
        session.add(OrganisationCode(code=code, org_id=org_id))
        await session.flush()
    except IntegrityError as error:
        raise OrganisationCodeTaken(code) from error
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="organisation.added",
        object_kind="organisation",
        object_id=org_id,
        after={"code": code, "name": name, "kind": kind.value, "is_live": is_live},
        now=now,
    )
    return OrgFacts(id=org_id, code=code, name=name, is_live=is_live)


async def add_code(
    session: AsyncSession, org: OrgFacts, *, code: str, actor: Actor, now: datetime
) -> None:
    """Give an organisation one more code, for references once the others are used up.

    Its name in new links and keys stays the first one. The transaction has entered it.

    Raises:
        BadOrganisationCode: not four letters and digits of a reference.
        OrganisationCodeTaken: the code was ever used.
    """
    if not ORG_CODE.fullmatch(code):
        raise BadOrganisationCode(code)
    session.add(OrganisationCode(code=code, org_id=org.id))
    try:
        await session.flush()
    except IntegrityError as error:
        raise OrganisationCodeTaken(code) from error
    record_change(
        session,
        org_id=org.id,
        actor=actor,
        action="organisation.code_added",
        object_kind="organisation",
        object_id=org.id,
        after={"code": code},
        now=now,
    )
