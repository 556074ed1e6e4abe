"""Gates of a running hub: a lot, and who asks there."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import Cookie
from typing import Any

import httpx

from core.clock import read_clock
from core.ids import new_id
from ops.postgres.supervisor import Cluster
from parking.vehicles import VehicleClass
from tests.api.http.contract import keep_contract
from tests.world.cities import employ, set_up_city
from tests.world.databases import FreshDatabase, Template, create_database, forget_hubs
from tests.world.entries import a_plate
from tests.world.hubs import Hub, running_hub
from tests.world.lots import LotFacts, a_lot

CODE = "DXE2"  # of the operator


@dataclass(frozen=True, kw_only=True)
class KnownGate:
    """What must be known of a gate to work with it at another hub on a clone of its database."""

    lot: LotFacts
    cookies: Mapping[str, tuple[Cookie, ...]]  # by who signed in, as `Gate` names them


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

    def known(self) -> KnownGate:
        """Return how to find this gate again."""
        browsers = {"admin": self.admin, "attendant": self.attendant, "manager": self.manager}
        cookies = {name: tuple(browser.cookies.jar) for name, browser in browsers.items()}
        return KnownGate(lot=self.lot, cookies=cookies)


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
    for login, role, lot_ids in (("bao.ve", "attendant", [lot.id]), ("quan.ly", "manager", [])):
        answer = await employ(admin, login, role, org=CODE, lot_ids=lot_ids)
        assert answer.status_code == 201, answer.text
    return _open_gate(hub, lot, admin, await hub.browser("bao.ve"), await hub.browser("quan.ly"))


def find_gate(hub: Hub, known: KnownGate) -> Gate:
    """Return the gate that stands in the hub's database since it was cloned."""
    browsers = {name: hub.new_browser() for name in known.cookies}
    for name, browser in browsers.items():
        for cookie in known.cookies[name]:
            browser.cookies.jar.set_cookie(cookie)
    return _open_gate(hub, known.lot, **browsers)


@contextmanager
def a_gate_template(cluster: Cluster, **facts: Any) -> Iterator[Template[KnownGate]]:
    """Make a database with a gate of these facts, once for many tests: it takes twenty clones."""

    async def make(fresh: FreshDatabase) -> KnownGate:
        async with running_hub(fresh.settings) as hub:
            return (await set_up_gate(hub, **facts)).known()

    with create_database(cluster) as fresh:
        holds = asyncio.run(make(fresh))
        forget_hubs(fresh)
        yield Template(name=fresh.name, holds=holds)


def _open_gate(
    hub: Hub,
    lot: LotFacts,
    admin: httpx.AsyncClient,
    attendant: httpx.AsyncClient,
    manager: httpx.AsyncClient,
) -> Gate:
    keep_contract(hub.app, attendant)
    keep_contract(hub.app, manager)
    return Gate(hub=hub, lot=lot, admin=admin, attendant=attendant, manager=manager)
