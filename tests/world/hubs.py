"""Hubs that are served over HTTP in the test's own process."""

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import State

from api.app import create_app
from api.services import Services
from core.settings import Settings
from tests.world.constants import PASSWORD
from tests.world.servers import LOOKS_EVERY_S, QuickServer

# Made once: reading the machine's authorities takes 25 ms a client, and loopback needs none.
TLS = httpx.create_ssl_context()
Build = Callable[[Settings], FastAPI]
# What differs between the settings of two tests and shapes no application: its lifespan reads it.
OF_ONE_TEST = {
    "database_url",
    "app_database_url",
    "gate_database_url",
    "worker_database_url",
    "data_dir",
    "database_pool_size",
    "database_pool_timeout_s",
    "lock_timeout_ms",
    "sandbox_origins",
    "statement_timeout_ms",
}
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

    def new_browser(self) -> httpx.AsyncClient:
        """Return a client that says it comes from the hub's own pages."""
        return self.new_client(**{"Sec-Fetch-Site": "same-origin"})

    async def browser(self, login: str, password: str = PASSWORD) -> httpx.AsyncClient:
        """Return a browser that signed in, whose pages are the hub's own."""
        client = self.new_browser()
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
        serves.dependency_overrides.clear()
        _idle_apps[kind].append(serves)


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[Hub]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = QuickServer(
        uvicorn.Config(
            app,
            proxy_headers=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
            # Clients drop what is idle for 5 s. A hub that did the same would now and then close a
            # connection on which a request is under way.
            timeout_keep_alive=60,
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
            app.state.services.lanes.close()
        server.should_exit = True
        await serving
        listener.close()
