"""Enrolled phones of a lot, and what they report after they were offline."""

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec

from core.clock import read_clock
from core.ids import first_id_at, new_id
from core.tenancy import open_org_transaction
from identity.devices.models import Device
from identity.devices.rules import UNNAMED_PERMISSIONS
from identity.devices.signatures import MOVEMENT
from tests.world.constants import MANAGER
from tests.world.entries import a_plate
from tests.world.gates import Gate
from tests.world.hubs import Hub
from tests.world.lots import LotFacts
from tests.world.phones import Phone
from tests.world.served_lots import ServedLot


@dataclass(kw_only=True)
class EnrolledPhone:
    """A phone at a lot with a token, and its own order of movements."""

    hub: Hub
    lot: LotFacts | ServedLot
    phone: Phone
    device_id: UUID
    client: httpx.AsyncClient
    seq: int = 0
    session_ids: list[str] = field(default_factory=list)

    def movement(self, kind: str, *, at: datetime | None = None, **facts: Any) -> dict[str, Any]:
        """Return a movement's body; at which time by the hub's clock, now unless given."""
        self.seq += 1
        at = at or read_clock()
        body = {
            "id": str(new_id()),
            "seq": self.seq,
            "kind": kind,
            "device_at": at.isoformat(),
            "offset_ms": 0,
        }
        return body | facts

    def entry(self, *, at: datetime | None = None, **facts: Any) -> dict[str, Any]:
        """Return the movement of a vehicle that came in."""
        session_id = new_id() if at is None else an_id_at(at)
        entry = {"id": str(session_id), "vehicle_class": "motorbike", "plate": a_plate()} | facts
        return self.movement("entry", at=at, entry=entry)

    def exit(self, entry: dict[str, Any], *, at: datetime | None = None) -> dict[str, Any]:
        """Return the movement of a vehicle that left."""
        return self.movement(
            "exit",
            at=at,
            data={"session_id": entry["entry"]["id"], "staff_id": str(self.device_id)},
        )

    def sign(self, movement: dict[str, Any]) -> dict[str, str]:
        """Return a movement as it is sent."""
        return self.sign_body(msgspec.json.encode(movement))

    def sign_body(self, body: bytes) -> dict[str, str]:
        """Return a movement, in these very characters, as it is sent."""
        signature = self.phone.sign(MOVEMENT, body)
        return {"body": body.decode(), "signature": base64.urlsafe_b64encode(signature).decode()}

    async def send(self, *movements: dict[str, Any]) -> list[str]:
        """Report movements and return their verdicts."""
        answer = await self.post([self.sign(one) for one in movements])
        assert answer.status_code == 200, answer.text
        return [one["verdict"] for one in answer.json()["results"]]

    async def post(self, signed: list[dict[str, str]]) -> httpx.Response:
        """Send signed movements."""
        return await self.client.post(
            f"/v1/lots/{self.lot.id}/movements", json={"movements": signed}
        )


def an_id_at(at: datetime) -> UUID:
    """Return a new UUIDv7 of a moment."""
    tail = new_id().int & ((1 << 80) - 1)
    return UUID(int=first_id_at(at).int | tail)


async def a_phone(gate: Gate, *, lot: LotFacts | None = None) -> EnrolledPhone:
    """Enrol a phone at the gate's lot and give it a token."""
    lot = lot or gate.lot
    hub, now, phone, device_id = gate.hub, read_clock(), Phone.make(), new_id()
    async with open_org_transaction(hub.services.database, lot.org.id) as session:
        session.add(
            Device(
                org_id=lot.org.id,
                id=device_id,
                name="Cổng 1",
                scope_kind="lot",
                scope_id=lot.id,
                public_key=phone.public_key,
                enrolled_by=MANAGER.id,
                enrolled_at=now - timedelta(days=40),
            )
        )
    token = hub.services.device_tokens.make_token(
        org_id=lot.org.id,
        org_code=lot.org.code,
        device_id=device_id,
        lot_id=lot.id,
        permissions=UNNAMED_PERMISSIONS,
        now=now,
    )
    client = hub.new_client(Authorization=f"Bearer {token}")
    return EnrolledPhone(hub=hub, lot=lot, phone=phone, device_id=device_id, client=client)
