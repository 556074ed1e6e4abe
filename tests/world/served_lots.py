"""Lots that are run over HTTP alone: who comes in, pays, leaves and complains, by the routes."""

import asyncio
import io
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from PIL import Image

from core.ids import new_id
from parking.sessions.tickets import TICKET_PATH, write_ticket_code
from tests.world.hubs import Hub

_SHADES = itertools.count(100)  # of photos that no test names


@dataclass(frozen=True, kw_only=True)
class ServedLot:
    """A lot with its tariff, and the browsers of who works there."""

    hub: Hub
    org_code: str
    id: str
    manager: httpx.AsyncClient
    attendant: httpx.AsyncClient

    @property
    def path(self) -> str:
        """The lot's own address."""
        return f"/v1/lots/{self.id}"

    async def ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        """Ask for what must not be refused; return the answer."""
        answer = await client.request(method, path, json=body, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def enter(self, *, by: httpx.AsyncClient | None = None, **facts: Any) -> dict[str, Any]:
        """Let a motorbike in."""
        body = {"id": str(new_id()), "vehicle_class": "motorbike", **facts}
        entered: dict[str, Any] = await self.ask(
            by or self.attendant, "POST", f"{self.path}/entries", body
        )
        return entered

    async def quote(self, stay_id: str) -> dict[str, Any]:
        """Ask what is due, for the body of who pays it."""
        path = f"/v1/parking-sessions/{stay_id}/quotes"
        said = await self.ask(self.attendant, "POST", path, {})
        return {"id": str(new_id()), "amount_vnd": said["amount_vnd"], "quote": said["quote"]}

    async def take(
        self,
        stay_id: str,
        rail: str = "cash",
        *,
        by: httpx.AsyncClient | None = None,
        **facts: Any,
    ) -> dict[str, Any]:
        """Record what is taken without a bill."""
        body = {"id": str(new_id())} if rail in ("pass", "exempt") else await self.quote(stay_id)
        path = f"/v1/parking-sessions/{stay_id}/collections"
        taken: dict[str, Any] = await self.ask(
            by or self.attendant, "POST", path, body | {"rail": rail} | facts
        )
        return taken

    async def open_bill(self, stay_id: str) -> dict[str, Any]:
        """Show the bill of a stay."""
        path = f"/v1/parking-sessions/{stay_id}/bills"
        bill: dict[str, Any] = await self.ask(
            self.attendant, "POST", path, await self.quote(stay_id)
        )
        return bill

    async def charge_toll(self, stay_id: str, **facts: Any) -> dict[str, Any]:
        """Charge the driver's toll account."""
        path = f"/v1/parking-sessions/{stay_id}/toll-charges"
        body = await self.quote(stay_id) | facts
        charged: dict[str, Any] = await self.ask(self.attendant, "POST", path, body)
        return charged

    async def leave(
        self, stay_id: str, *, by: httpx.AsyncClient | None = None, **facts: Any
    ) -> dict[str, Any]:
        """Let a vehicle out; one that leaves unpaid or by hand is photographed."""
        if "forced" in facts:
            facts["photo"] = await self.add_photo(next(_SHADES))
        path = f"/v1/parking-sessions/{stay_id}/exit"
        left: dict[str, Any] = await self.ask(by or self.attendant, "POST", path, facts)
        return left

    async def add_photo(self, shade: int) -> str:
        """Send a photo that no other has; return its hash."""
        sent = {"content": a_photo(shade), "headers": {"Content-Type": "image/png"}}
        kept = await self.attendant.post(f"{self.path}/photos", **sent)
        assert kept.status_code == 201, kept.text
        return str(kept.json()["hash"])

    async def complain(self, entered: Mapping[str, Any], **facts: Any) -> httpx.Response:
        """Send a driver's complaint by the ticket's page."""
        return await self.complain_at(self.ticket_path(entered), **facts)

    async def complain_at(
        self, path: str, *, photo: bytes | None = None, **facts: Any
    ) -> httpx.Response:
        """Send a complaint by the page of a ticket or of a bill (its address may be whole)."""
        form = {"complaint_id": str(new_id()), "category": "overcharged", **facts}
        files = {} if photo is None else {"photo": ("anh.png", photo, "image/png")}
        path = urlsplit(path).path
        browser = self.hub.new_browser()
        return await browser.post(f"{path}/complaint", data=form, files=files or None)

    def ticket_path(self, entered: Mapping[str, Any]) -> str:
        """Return the driver's page of a stay, as its ticket has it."""
        key, stay_id = UUID(entered["ticket_key"]), UUID(entered["session_id"])
        return TICKET_PATH + write_ticket_code(self.org_code, stay_id, key)

    async def open_lane(
        self, lane_id: str, controller: httpx.AsyncClient, result: str, **facts: Any
    ) -> dict[str, Any]:
        """Command a lane to open; its controller fetches that and answers."""
        lane, body = f"{self.path}/accesses/{lane_id}", {"id": str(new_id()), **facts}
        opening = asyncio.create_task(self.ask(self.attendant, "POST", f"{lane}/open", body))
        fetched = await self.ask(controller, "GET", f"{lane}/commands")
        path = f"{lane}/commands/{fetched['command']['id']}/result"
        await self.ask(controller, "POST", path, {"result": result})
        opened: dict[str, Any] = await opening
        return opened


def a_photo(shade: int) -> bytes:
    """Return a small picture of one grey."""
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, shade, shade)).save(out, "PNG")
    return out.getvalue()
