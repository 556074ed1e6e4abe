"""Devices as callers: the rows behind a token's ids, remembered for a minute."""

from datetime import datetime
from typing import Final
from uuid import UUID

from core.db import Database
from core.tenancy import open_org_transaction
from identity.devices import queries
from identity.devices.errors import DeviceTokenNotValid
from identity.devices.rules import measure_offset_ms
from identity.devices.tokens import DeviceTokens
from identity.people.callers import Caller, Directory, Remembered
from identity.people.rules import Scope, ScopeKind

NAME_CACHE_S: Final = 60.0
CONTACTS_MAX: Final = 10_000  # between two writings


class DeviceDirectory:
    """Turns a device's token into a caller, for routes that ask for a permission."""

    def __init__(self, database: Database, directory: Directory, tokens: DeviceTokens) -> None:
        self._database = database
        self._directory = directory
        self._tokens = tokens
        self._contacts: dict[tuple[UUID, UUID], tuple[datetime, int]] = {}
        self._names: Remembered[tuple[object, ...], str] = Remembered(NAME_CACHE_S)

    def note_contact(self, caller: Caller, said_at: str | None, *, now: datetime) -> None:
        """Note that a device was in contact, and what its clock showed; written later.

        Args:
            said_at: of the header X-Device-At, RFC 3339; what cannot be read says nothing.
        """
        if caller.device_id is None or len(self._contacts) >= CONTACTS_MAX:
            return
        try:
            at = datetime.fromisoformat(said_at or "")
        except ValueError:
            return
        if at.tzinfo is not None:
            name = (caller.home.id, caller.device_id)
            self._contacts[name] = (now, measure_offset_ms(at, now))

    async def write_contacts(self) -> int:
        """Write the last contact of each device that had one; returns of how many."""
        contacts, self._contacts = self._contacts, {}
        for (org_id, device_id), (seen_at, offset_ms) in contacts.items():
            async with open_org_transaction(self._database, org_id) as session:
                await queries.write_contact(
                    session, org_id, device_id, seen_at=seen_at, offset_ms=offset_ms
                )
        return len(contacts)

    async def identify_device(self, presented: str, *, now: datetime) -> Caller:
        """Return the caller that a device's token names.

        A person who was named on the device is the one who acts; what they may do is what the
        device may, at its lot.

        Raises:
            DeviceTokenNotValid, DeviceRevoked
        """
        token = self._tokens.verify_device_token(presented, now)
        org = await self._directory.find_org(token.org_code)
        if org is None or org.id != token.org_id:
            raise DeviceTokenNotValid
        names = (token.org_id, token.device_id, token.staff_id)
        name = self._names.get(names)
        if name is None:
            async with open_org_transaction(self._database, org.id) as session:
                name = await queries.find_name(session, *names)
            if name is None:
                raise DeviceTokenNotValid
            self._names.put(names, name)
        return Caller(
            org=org,
            home=org,
            kind="device",
            id=token.staff_id or token.device_id,
            name=name,
            roles=frozenset(),
            permissions=token.permissions,
            scopes=frozenset({Scope(ScopeKind.LOT, token.lot_id)}),
            sign_in_id=None,
            device_id=token.device_id,
        )
