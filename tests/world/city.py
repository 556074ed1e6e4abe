"""A hub on a loopback port, and a small city in it, for tests that speak HTTP."""

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import State

from api.app import create_app
from api.services import Services
from core.audit import SYSTEM
from core.clock import read_clock
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.people import service
from payments.payees.service import add_payee

PASSWORD = "bún chả Hàng Mành"
# Made once: reading the machine's authorities takes 25 ms a client, and loopback needs none.
TLS = httpx.create_ssl_context()
LOOKS_EVERY_S = 0.005

Build = Callable[[Settings], FastAPI]
# What differs between the settings of two tests and shapes no application.
OF_ONE_TEST = {"database_url", "app_database_url", "worker_database_url", "data_dir"}
_idle_apps: defaultdict[tuple[Build, str], list[FastAPI]] = defaultdict(list)


@dataclass(kw_only=True)
class Hub:
    """A hub that runs, and clients of it."""

    app: FastAPI
    url: str
    client: httpx.AsyncClient  # a stranger's
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def services(self) -> Services:
        """What the routes of this hub work with."""
        services: Services = self.app.state.services
        return services

    def new_client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client with its own cookies, as another browser or machine."""
        client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, verify=TLS)
        self.clients.append(client)
        return client

    async def browser(self, login: str, password: str = PASSWORD) -> httpx.AsyncClient:
        """Return a browser that signed in, whose pages are the hub's own."""
        client = self.new_client(**{"Sec-Fetch-Site": "same-origin"})
        answer = await client.post("/v1/sign-ins", json={"login": login, "password": password})
        assert answer.status_code == 201, answer.text
        return client

    async def machine(
        self, admin: httpx.AsyncClient, *scopes: str, **query: str
    ) -> httpx.AsyncClient:
        """Return a machine with a new API key of these scopes."""
        answer = await admin.post(
            "/v1/keys", json={"name": "till", "scopes": list(scopes)}, params=query
        )
        assert answer.status_code == 201, answer.text
        return self.new_client(Authorization=f"Bearer {answer.json()['key']}")


class _Server(uvicorn.Server):
    """Uvicorn that notices within milliseconds that it shall stop; its own loop takes 0.1 s."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 (uvicorn's own way to be told)
            await asyncio.sleep(LOOKS_EVERY_S)


@asynccontextmanager
async def running_hub(
    settings: Settings, app: FastAPI | None = None, *, build: Build = create_app
) -> AsyncIterator[Hub]:
    """Serve the hub by uvicorn on a free loopback port, in this process.

    Args:
        app: an application of the test's own; None takes one that `build` made, perhaps for an
            earlier test. FastAPI looks at every route anew in each application, which took most
            of a test's time. Nothing of a run stays in it: what it holds is made by its lifespan.
    """
    kind = (build, settings.model_dump_json(exclude=OF_ONE_TEST))
    serves = app or (_idle_apps[kind].pop() if _idle_apps[kind] else build(settings))
    if app is None:
        serves.state = State({"settings": settings})
    async with _serving(serves) as hub:
        yield hub
    if app is None:
        _idle_apps[kind].append(serves)


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[Hub]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(
        uvicorn.Config(
            app,
            proxy_headers=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
            lifespan="on",
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            assert not serving.done(), serving
            await asyncio.sleep(LOOKS_EVERY_S)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=20, verify=TLS) as client:
            hub = Hub(app=app, url=url, client=client)
            yield hub
            for other in hub.clients:
                await other.aclose()
    finally:
        if hasattr(app.state, "services"):
            app.state.services.broadcaster.close()
        server.should_exit = True
        await serving
        listener.close()


async def found_city(hub: Hub, *, code: str = "HANX", is_live: bool = False) -> httpx.AsyncClient:
    """Set the hub up and return the city administrator's browser (login "admin")."""
    async with hub.services.database.begin() as session:
        token = await service.issue_setup_token(session, now=read_clock())
    assert token is not None
    answer = await hub.client.post("/v1/setup", json=setup_body(token, code=code, is_live=is_live))
    assert answer.status_code == 201, answer.text
    return await hub.browser("admin")


def setup_body(token: str, *, code: str = "HANX", is_live: bool = False) -> dict[str, Any]:
    """The body of a first start."""
    return {
        "token": token,
        "organisation_code": code,
        "organisation_name": "Thành phố Hà Nội",
        "is_live": is_live,
        "login": "admin",
        "display_name": "Quản trị",
        "password": PASSWORD,
    }


async def found_market(
    admin: httpx.AsyncClient, *, code: str = "DXA2", is_live: bool = False
) -> UUID:
    """Let the city make a market board; return its id."""
    body = {"code": code, "name": "Chợ Đồng Xa", "kind": "market_board", "is_live": is_live}
    answer = await admin.post("/v1/organisations", json=body)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def employ(
    boss: httpx.AsyncClient,
    login: str,
    *roles: str,
    org: str | None = None,
    payee_id: UUID | None = None,
    payee_ids: Collection[UUID] = (),
) -> httpx.Response:
    """Ask to add a person with the usual password."""
    payee_ids = payee_ids if payee_id is None else [payee_id]
    body = {
        "login": login,
        "display_name": login.title(),
        "password": PASSWORD,
        "roles": list(roles),
        "scopes": payee_scopes(*payee_ids),
    }
    return await boss.post("/v1/staff", json=body, params={"org": org} if org else {})


def payee_scopes(*payee_ids: UUID) -> list[dict[str, str]]:
    """What a person of these stalls is held to, as the API has it."""
    return [{"kind": "payee", "id": str(payee_id)} for payee_id in payee_ids]


async def open_stall(hub: Hub, org_id: UUID, name: str = "Cô Lan rau sạch") -> UUID:
    """Add a payee; return its id."""
    async with open_org_transaction(hub.services.database, org_id) as session:
        payee = await add_payee(
            session, org_id, name=name, place="Dãy B", actor=SYSTEM, now=read_clock()
        )
    return payee.id
