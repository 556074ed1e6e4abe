"""Organisations are made in one place: the code checked, the first line of the log written."""

import pytest
from sqlalchemy import select

from core.audit import Actor, AuditRow
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.organisations.errors import BadOrganisationCode, OrganisationCodeTaken
from identity.organisations.rules import ORG_CODE, OrgFacts
from payments.bills import references
from tests.world.organisations import an_organisation

pytestmark = pytest.mark.anyio

LAN = Actor(kind="staff", id=new_id(), name="Lan", request_id="r1")


async def create(database: Database, code: str = "DXA2") -> OrgFacts:
    async with database.begin() as session:
        return await an_organisation(session, code=code, name="Chợ Đồng Xa", actor=LAN)


async def test_the_log_of_an_organisation_begins_with_who_made_it(app_database: Database) -> None:
    org = await create(app_database)

    async with open_org_transaction(app_database, org.id) as session:
        (row,) = (await session.scalars(select(AuditRow))).all()
    assert (row.action, row.object_id, row.actor_id) == ("organisation.added", org.id, LAN.id)
    assert row.after == {
        "code": "DXA2",
        "name": "Chợ Đồng Xa",
        "kind": "market_board",
        "is_live": True,
    }


@pytest.mark.parametrize(
    "code", ["", "DXA", "DXA22", "dxa2", "DXA0", "DXAO", "DXAU", "ĐXA2", "D A2"]
)
async def test_a_code_outside_the_alphabet_is_refused_whoever_asks(
    app_database: Database, code: str
) -> None:
    with pytest.raises(BadOrganisationCode):
        await create(app_database, code)


async def test_a_code_is_given_once(app_database: Database) -> None:
    await create(app_database)

    with pytest.raises(OrganisationCodeTaken):
        await create(app_database)


def test_codes_are_written_with_the_letters_of_references() -> None:
    everything = [chr(number) * 4 for number in range(0x250)]

    usable = "".join(code[0] for code in everything if ORG_CODE.fullmatch(code))

    assert usable == references.ALPHABET
