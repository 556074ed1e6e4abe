"""Revoked devices as every process knows them: read as the role that sees ids and times only."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.devices.errors import DeviceRevoked, DeviceTokenNotValid
from identity.devices.models import Device, StaffPin
from identity.devices.rules import UNNAMED_PERMISSIONS
from identity.devices.tokens import DeviceTokens
from identity.people.passwords import Passwords
from identity.people.rules import Role
from identity.people.service import HUB, add_staff
from registry import REGISTRY
from tests.world.constants import PASSWORD
from tests.world.databases import FreshDatabase, open_database_at
from tests.world.organisations import an_organisation

pytestmark = pytest.mark.anyio

NOW = read_clock()


async def a_device(database: Database, code: str, **facts: object) -> Device:
    """Insert an organisation with one device."""
    async with database.begin() as session:
        org = await an_organisation(session, code=code)
        given = {"name": "Cổng 1", "scope_kind": "lot", "scope_id": new_id(), "public_key": b"key"}
        of_org = {"org_id": org.id, "id": new_id(), "enrolled_by": UUID(int=1), "enrolled_at": NOW}
        device = Device(**{**of_org, **given, **facts})
        session.add(device)
    return device


def a_token(tokens: DeviceTokens, device: Device, staff_id: UUID | None = None) -> str:
    return tokens.make_token(
        org_id=device.org_id,
        org_code="XXXX",
        device_id=device.id,
        lot_id=device.scope_id,
        staff_id=staff_id,
        permissions=UNNAMED_PERMISSIONS,
        now=NOW,
    )


async def test_a_process_learns_of_devices_that_others_revoked_in_any_organisation(
    app_database: Database, gate_database: Database
) -> None:
    revoked = [
        await a_device(app_database, code, revoked_at=NOW, revoked_by=UUID(int=1))
        for code in ("HKXM", "DXA2")
    ]
    kept = await a_device(app_database, "TXHN")
    tokens = DeviceTokens("k" * 43)
    held = [a_token(tokens, device) for device in revoked]
    for token in held:
        tokens.verify_device_token(token, NOW)

    await tokens.refresh(gate_database)

    for token in held:
        with pytest.raises(DeviceRevoked):
            tokens.verify_device_token(token, NOW)
    tokens.verify_device_token(a_token(tokens, kept), NOW)


async def test_a_process_learns_of_people_who_may_no_longer_use_a_device(
    app_database: Database, gate_database: Database
) -> None:
    device = await a_device(app_database, "HKXM")
    async with open_org_transaction(app_database, device.org_id) as session:
        staff = await add_staff(
            session,
            device.org_id,
            granter=HUB,
            passwords=Passwords(memory_kib=64),
            login="tuan",
            display_name="Tuấn",
            password=PASSWORD,
            roles=[Role.ATTENDANT],
            hooks=REGISTRY.hooks,
            now=NOW,
        )
        session.add(
            StaffPin(
                org_id=device.org_id,
                staff_id=staff.id,
                pin_hash="x",
                set_by=staff.id,
                set_at=NOW,
                ended_at=NOW + timedelta(seconds=1),
            )
        )
    tokens = DeviceTokens("k" * 43)
    named, unnamed = a_token(tokens, device, staff.id), a_token(tokens, device)
    tokens.verify_device_token(named, NOW)

    await tokens.refresh(gate_database)

    with pytest.raises(DeviceTokenNotValid):
        tokens.verify_device_token(named, NOW)
    tokens.verify_device_token(unnamed, NOW)


async def test_what_was_revoked_hours_ago_is_not_remembered(
    app_database: Database, gate_database: Database
) -> None:
    """No token lives that long, so the list stays short however many were revoked in a year."""
    long_ago = NOW - timedelta(hours=2)
    device = await a_device(app_database, "HKXM", revoked_at=long_ago, revoked_by=UUID(int=1))
    tokens = DeviceTokens("k" * 43)

    await tokens.refresh(gate_database)

    assert not tokens.revocations.has_device(device.org_id, device.id)


async def test_while_the_database_is_away_the_last_list_holds(
    app_database: Database, gate_database: Database, fresh_database: FreshDatabase
) -> None:
    device = await a_device(app_database, "HKXM", revoked_at=NOW, revoked_by=UUID(int=1))
    tokens = DeviceTokens("k" * 43)
    await tokens.refresh(gate_database)
    nowhere = fresh_database.gate_url.rpartition("/")[0] + "/gone"

    async with open_database_at(nowhere, fresh_database.settings) as away:
        with pytest.raises(OperationalError):
            await tokens.refresh(away)

    with pytest.raises(DeviceRevoked):
        tokens.verify_device_token(a_token(tokens, device), NOW)


@pytest.mark.parametrize("column", ["name", "public_key", "scope_id", "person_id"])
async def test_the_role_of_entries_sees_no_more_of_a_device_than_that_it_was_revoked(
    gate_database: Database, column: str
) -> None:
    async with gate_database() as session:
        with pytest.raises(ProgrammingError, match="permission denied"):
            await session.execute(text(f"SELECT {column} FROM devices"))
