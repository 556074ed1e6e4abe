"""Phones of attendants: a P-256 key, signatures as WebCrypto makes them, and how one enrols."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.clock import read_clock
from identity.devices.signatures import CHALLENGE, ENROLMENT
from tests.api.http.contract import keep_contract
from tests.world.gates import CODE, Gate
from tests.world.hubs import Hub
from tests.world.lots import LotFacts


@dataclass(frozen=True, kw_only=True)
class Phone:
    """A phone with its key."""

    private_key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> "Phone":
        """Return a phone with a new key."""
        return cls(private_key=ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self) -> bytes:
        """The key as WebCrypto exports it ("spki")."""
        return write_public_key(self.private_key.public_key())

    def sign(self, purpose: bytes, message: bytes) -> bytes:
        """Return r and s of 32 bytes each, as `crypto.subtle.sign` does."""
        der = self.private_key.sign(purpose + message, ec.ECDSA(SHA256()))
        r, s = decode_dss_signature(der)
        return r.to_bytes(32) + s.to_bytes(32)

    def enrol_body(self, code: str) -> dict[str, str]:
        """The body that enrols this phone, with the code as it was typed."""
        plain = code.replace("-", "").replace(" ", "").upper()
        signature = self.sign(ENROLMENT, plain.encode() + b"\n" + self.public_key)
        return {
            "code": code,
            "public_key": b64encode(self.public_key).decode(),
            "signature": b64encode(signature).decode(),
        }

    def token_body(self, challenge: str, **facts: Any) -> dict[str, Any]:
        """The body that asks for a token."""
        return {
            "org_code": CODE,
            "challenge": challenge,
            "signature": b64encode(self.sign(CHALLENGE, challenge.encode())).decode(),
            "device_at": read_clock().isoformat(),
            **facts,
        }


@dataclass(kw_only=True)
class EnrolledPhone:
    """A phone that is a device of a lot, and its client, which sends its last token."""

    hub: Hub
    phone: Phone
    device_id: UUID
    client: httpx.AsyncClient

    @property
    def path(self) -> str:
        """The device's own address."""
        return f"/v1/devices/{self.device_id}"

    async def challenge(self) -> str:
        """Ask for a challenge."""
        answer = await self.hub.client.post(f"{self.path}/challenge")
        assert answer.status_code == 200, answer.text
        challenge: str = answer.json()["challenge"]
        return challenge

    async def ask_for_token(self, **facts: Any) -> httpx.Response:
        """Sign a new challenge and send it."""
        body = self.phone.token_body(await self.challenge(), **facts)
        return await self.hub.client.post(f"{self.path}/token", json=body)

    async def renew(self, *, device_at: datetime | None = None) -> dict[str, Any]:
        """Get a token and carry it from now on; return what the hub said."""
        facts = {} if device_at is None else {"device_at": device_at.isoformat()}
        answer = await self.ask_for_token(**facts)
        assert answer.status_code == 201, answer.text
        return self.carry(answer)

    async def name(self, staff_id: UUID | str, pin: str) -> httpx.Response:
        """Name a person by their PIN."""
        body = {"staff_id": str(staff_id), "pin": pin}
        return await self.client.post("/v1/devices/me/person", json=body)

    def carry(self, answer: httpx.Response) -> dict[str, Any]:
        """Send the token of an answer from now on."""
        made: dict[str, Any] = answer.json()
        self.client.headers["Authorization"] = f"Bearer {made['token']}"
        return made


async def show_code(gate: Gate, lot: LotFacts | None = None, **headers: str) -> httpx.Response:
    """Let the manager show a code for a lot."""
    body = {"name": "Cổng chính", "lot_id": str((lot or gate.lot).id)}
    return await gate.manager.post("/v1/devices/codes", json=body, headers=headers)


async def enrol_phone(
    gate: Gate, *, phone: Phone | None = None, lot: LotFacts | None = None
) -> EnrolledPhone:
    """Enrol a phone at a lot, with a token."""
    phone = phone or Phone.make()
    code = (await show_code(gate, lot)).json()["code"]
    answer = await gate.hub.client.post("/v1/devices/enrol", json=phone.enrol_body(code))
    assert answer.status_code == 201, answer.text
    client = gate.hub.new_client()
    keep_contract(gate.hub.app, client)
    device_id = UUID(answer.json()["device_id"])
    enrolled = EnrolledPhone(hub=gate.hub, phone=phone, device_id=device_id, client=client)
    await enrolled.renew()
    return enrolled


def write_public_key(key: PublicKeyTypes) -> bytes:
    """Return a public key as SubjectPublicKeyInfo in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
