"""Whom it counts for when somebody says that they saw the change of an account."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from core.audit import Actor, record_change
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.callers import Caller, Org
from identity.people.rules import Role, Scope, ScopeKind, permissions_of
from payments.onboarding.holders import SpeaksFor, find_speaks_for
from payments.payees import queries
from payments.payees.rules import LinkStatus
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


def someone(stall: PayableStall, *roles: Role, id_: UUID | None = None) -> Caller:
    """Make a caller who works for the stall."""
    org = Org(id=stall.org.id, code=stall.org.code, name="Chợ", kind="market", is_live=False)
    return Caller(
        org=org,
        home=org,
        kind="staff",
        id=id_ or new_id(),
        name="Cô Lan",
        roles=frozenset(roles),
        permissions=permissions_of(roles),
        scopes=frozenset([Scope(ScopeKind.PAYEE, stall.payee_id)]),
        sign_in_id=new_id(),
    )


async def speaks_for(database: Database, stall: PayableStall, caller: Caller) -> SpeaksFor:
    async with open_org_transaction(database, stall.org.id) as session:
        links = await queries.lock_links_of_payee(session, stall.org.id, stall.payee_id)
        in_force = [link for link in links if link.status == LinkStatus.ACTIVE]
        assert in_force
        return await find_speaks_for(session, caller, in_force)


async def test_the_owner_speaks_for_the_payee_and_a_cashier_for_themselves(
    app_database: Database, stall: PayableStall
) -> None:
    owner, cashier = someone(stall, Role.VENDOR_OWNER), someone(stall, Role.CASHIER)

    assert await speaks_for(app_database, stall, owner) is SpeaksFor.PAYEE
    assert await speaks_for(app_database, stall, cashier) is SpeaksFor.CASHIER


@pytest.mark.parametrize("actor", [MANAGER, APPROVER], ids=["proposed it", "approved it"])
async def test_who_had_a_part_in_the_change_speaks_for_themselves_only(
    app_database: Database, stall: PayableStall, actor: Actor
) -> None:
    owner = someone(stall, Role.VENDOR_OWNER, id_=actor.id)

    assert await speaks_for(app_database, stall, owner) is SpeaksFor.INVOLVED


async def test_a_login_that_somebody_made_after_the_proposal_speaks_for_itself_only(
    app_database: Database, stall: PayableStall
) -> None:
    owner = someone(stall, Role.VENDOR_OWNER)
    async with open_org_transaction(app_database, stall.org.id) as session:
        record_change(
            session,
            org_id=stall.org.id,
            actor=replace(MANAGER, id=new_id()),
            action="staff.password_reset",
            object_kind="staff",
            object_id=owner.id,
            now=NOON + timedelta(days=1),
        )

    assert await speaks_for(app_database, stall, owner) is SpeaksFor.NEW_LOGIN
