"""Gates of a running hub: a lot, and who asks there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from core.clock import read_clock
from core.ids import new_id
from parking.vehicles import VehicleClass
from tests.api.http.contract import keep_contract
from tests.world.cities import employ, set_up_city
from tests.world.entries import a_plate
from tests.world.hubs import Hub
from tests.world.lots import LotFacts, a_lot

CODE = "DXE2"  # of the operator


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A lot of a parking operator, with an attendant of this lot and a manager."""

    hub: Hub
    lot: LotFacts
    admin: httpx.AsyncClient  # the city's: acts for the operator with ?org=CODE
    attendant: httpx.AsyncClient
    manager: httpx.AsyncClient

    @property
    def entries_path(self) -> str:
        """Where vehicles come in."""
        return f"/v1/lots/{self.lot.id}/entries"

    def body(self, **facts: Any) -> dict[str, Any]:
        """The body of an entry of a motorbike that nobody else has; None leaves a field out."""
        body = {"id": str(new_id()), "vehicle_class": "motorbike", "plate": a_plate(), **facts}
        return {name: value for name, value in body.items() if value is not None}

    async def enter(self, **facts: Any) -> dict[str, Any]:
        """Let the attendant enter a vehicle, and return the answer."""
        answer = await self.attendant.post(self.entries_path, json=self.body(**facts))
        assert answer.status_code in (200, 201), answer.text
        entered: dict[str, Any] = answer.json()
        return entered

    async def staff(
        self, login: str, *roles: str, lot: LotFacts | None = None
    ) -> httpx.AsyncClient:
        """Let somebody of the operator sign in; of a lot, or of all of them."""
        lot_ids = [lot.id] if lot else []
        answer = await employ(self.admin, login, *roles, org=CODE, lot_ids=lot_ids)
        assert answer.status_code == 201, answer.text
        browser = await self.hub.browser(login)
        keep_contract(self.hub.app, browser)
        return browser


async def set_up_gate(
    hub: Hub, *, capacity: Mapping[VehicleClass, int] | None = None, **facts: Any
) -> Gate:
    """Set the hub up with a city, an operator and a lot, an attendant and a manager."""
    admin = await set_up_city(hub)
    lot = await a_lot(
        hub.services.database,
        code=CODE,
        capacity=capacity,
        is_live=False,
        now=read_clock(),
        **facts,
    )
    clients = {}
    for login, role, lot_ids in (("bao.ve", "attendant", [lot.id]), ("quan.ly", "manager", [])):
        answer = await employ(admin, login, role, org=CODE, lot_ids=lot_ids)
        assert answer.status_code == 201, answer.text
        clients[login] = await hub.browser(login)
        keep_contract(hub.app, clients[login])
    return Gate(
        hub=hub,
        lot=lot,
        admin=admin,
        attendant=clients["bao.ve"],
        manager=clients["quan.ly"],
    )
