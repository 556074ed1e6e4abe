"""A phone at a gate: it proves its key, names its person, and asks the hub as a real one does.

The signatures are written here a second time, so that sender and receiver check each other.
"""

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox.traffic.plan import Gate

CHALLENGE: Final = b"phopay device challenge v1\n"
RENEWED_AFTER_S: Final = 600  # a token holds for 15 minutes
REQUESTS_PER_S: Final = 10  # of all phones together: the demo's hub is not to be loaded
TRIES_MAX: Final = 4
WAIT_MAX_S: Final = 5.0
CHANGE_VND: Final = 200_000
COME_AGAIN: Final = (429, 502, 503, 504)


class HubAway(Exception):
    """The hub did not answer, or not as it should."""


class Pace:
    """Requests one after the other, so many a second at most, whoever makes them."""

    def __init__(self, per_s: float = REQUESTS_PER_S) -> None:
        self._every_s = 1 / per_s
        self._next_s = 0.0

    async def wait(self) -> None:
        """Wait for one's turn."""
        now_s = time.monotonic()
        turn_s = max(self._next_s, now_s)
        self._next_s = turn_s + self._every_s
        await asyncio.sleep(turn_s - now_s)


class Phone:
    """One device, and the shift of the person who is named on it."""

    def __init__(
        self, gate: Gate, client: httpx.AsyncClient, pace: Pace, read_clock: Callable[[], datetime]
    ) -> None:
        self.gate = gate
        self._client = client
        self._pace = pace
        self._read_clock = read_clock
        key = load_pem_private_key(gate.private_key.encode(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._token = ""
        self._renewed_at_s = 0.0

    async def begin(self) -> None:
        """Get a token, name the person, and open their shift unless it runs.

        Raises:
            HubAway
        """
        await self._renew()
        status, _ = await self.ask("GET", "/v1/shifts/open")
        if status == 200:
            return
        shift = {
            "id": str(new_id(self._read_clock())),
            "lot_id": str(self.gate.lot_id),
            "change_vnd": CHANGE_VND,
        }
        status, answer = await self.ask("POST", "/v1/shifts", shift)
        if status != 201:
            raise HubAway(f"no shift: {status} {answer}")
        await self._renew()  # the token says which shift runs

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        """Ask the hub; what is safe to repeat is repeated, since every id is made here.

        Raises:
            HubAway: it does not answer.
        """
        return await self._ask(method, path, query, json=body)

    async def send_photo(self, path: str, jpeg: bytes) -> tuple[int, dict[str, Any]]:
        """Send a photo; the same one again answers the same.

        Raises:
            HubAway: it does not answer.
        """
        return await self._ask("POST", path, {}, content=jpeg)

    async def _ask(
        self, method: str, path: str, query: dict[str, str], **content: Any
    ) -> tuple[int, dict[str, Any]]:
        if time.monotonic() - self._renewed_at_s > RENEWED_AFTER_S:
            await self._renew()
        answer = await self._send(method, path, query, **content)
        if answer.status_code in (401, 403):  # the person or the token ended meanwhile
            await self._renew()
            answer = await self._send(method, path, query, **content)
        return answer.status_code, _read(answer)

    async def _renew(self) -> None:
        path = f"/v1/devices/{self.gate.device_id}"
        self._token = ""
        challenge = _read(await self._send("POST", f"{path}/challenge", {}, json={}))["challenge"]
        body = {
            "org_code": self.gate.org_code,
            "challenge": challenge,
            "signature": self._sign(challenge),
            "device_at": self._read_clock().isoformat(),
        }
        made = _read(await self._send("POST", f"{path}/token", {}, json=body))
        self._carry(made)
        if made["staff_id"] == str(self.gate.staff_id):
            return
        person = {"staff_id": str(self.gate.staff_id), "pin": self.gate.pin}
        self._carry(_read(await self._send("POST", "/v1/devices/me/person", {}, json=person)))

    def _carry(self, made: dict[str, Any]) -> None:
        if "token" not in made:
            raise HubAway(f"no token: {made}")
        self._token, self._renewed_at_s = made["token"], time.monotonic()

    def _sign(self, challenge: str) -> str:
        der = self._key.sign(CHALLENGE + challenge.encode(), ec.ECDSA(SHA256()))
        r, s = decode_dss_signature(der)
        return b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()

    async def _send(
        self, method: str, path: str, query: dict[str, str], **content: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        for _ in range(TRIES_MAX):
            await self._pace.wait()
            try:
                answer = await self._client.request(
                    method, path, headers=headers, params=query, **content
                )
            except httpx.TransportError as error:
                problem: object = repr(error)
                await asyncio.sleep(1)
                continue
            if answer.status_code not in COME_AGAIN:
                return answer
            problem = answer.status_code
            after = answer.headers.get("retry-after", "1")
            await asyncio.sleep(min(WAIT_MAX_S, int(after) if after.isdigit() else 1))
        raise HubAway(f"{method} {path}: {problem}")


def new_id(now: datetime) -> UUID:
    """Make a UUIDv7, as a phone makes the ids of what it records (RFC 9562)."""
    milliseconds = int(now.timestamp() * 1_000)
    random_bits = int.from_bytes(os.urandom(10)) & ((1 << 76) - 1)
    number = milliseconds << 80 | random_bits
    number = number & ~(0xF << 76) | 0x7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def _read(answer: httpx.Response) -> dict[str, Any]:
    try:
        read = answer.json()
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
