"""The stage of a simulation: hub, worker and sandbox in one process, on one clock that is set.

The hub and the sandbox are served on loopback, as callbacks and polls need it. Of the worker there
are its jobs, which the simulation runs when it wants to, and its runner of queued ones.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx
import psycopg
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.datastructures import State

from api.app import create_app
from api.services import Services
from core.db import Database, open_database, open_engine
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.jobs.runner import JobRunner
from core.sealing import Sealer
from core.settings import Settings
from loadtests.parking_integrity import WAITING
from loadtests.simulation.clock import SetClock, a_set_clock
from parking.photos.service import Photos
from payments.credits.processor import NoticeProcessor
from payments.polling.client import open_client
from payments.polling.scheduled import ScheduledPoller
from payments.rails.service import RailService
from payments.rails.toll.service import TollService
from registry import REGISTRY
from sandbox.main import create_app as create_sandbox
from sandbox.settings import Settings as SandboxSettings
from sandbox.world import World
from worker.jobs import list_jobs

HOST: Final = "127.0.0.1"
QUIET_WITHIN_S: Final = 60.0
JOB_WITHIN_S: Final = 120.0
LOOK_EVERY_S: Final = 0.003
JOB_LOOK_EVERY_S: Final = 0.03
SANDBOX_PACE: Final = 0.000_1  # 33 minutes of a provider's attempts are a fifth of a second
CHECKED_APART: Final = "check_invariants"  # as often as the simulation wants, and all of it
# A password's hash is slow on purpose; people sign in every simulated morning.
PASSWORD_MEMORY_KIB: Final = 64
# Made once a process: FastAPI looks at every route anew in each, which takes seconds. Nothing of a
# run stays in one, since its lifespan makes what it holds; runs differ in what only that reads.
_idle_hubs: Final[list[FastAPI]] = []


class NotQuiet(Exception):
    """The hub does not come to rest: something that was stored is not handled."""


@dataclass(kw_only=True)
class Stage:
    """What a simulation acts on."""

    clock: SetClock
    settings: Settings
    hub_url: str
    services: Services
    sandbox: World
    sandbox_url: str
    databases: JobDatabases
    jobs: Sequence[PeriodicJob]
    runner: JobRunner
    owner: psycopg.AsyncConnection[tuple[Any, ...]]  # past row-level security: for looking

    async def settle(self) -> None:
        """Wait until no callback is under way and all that was stored is handled.

        Raises:
            NotQuiet
        """
        end = asyncio.get_running_loop().time() + QUIET_WITHIN_S
        while self.sandbox.dispatcher.pending() or await self.count_waiting():
            if asyncio.get_running_loop().time() > end:
                raise NotQuiet(f"{await self.count_waiting()} rows wait, and are not handled")
            await asyncio.sleep(LOOK_EVERY_S)

    async def count_waiting(self) -> int:
        """Count what is stored and waits to be handled."""
        (row,) = await self.select(WAITING)
        return int(row[0])

    async def select(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read rows as the owner."""
        cursor = await self.owner.execute(query.encode(), values)
        return await cursor.fetchall()

    async def run_jobs(self) -> None:
        """Run each of the worker's jobs by the clock once.

        Raises:
            Exception: whatever a job raises; a worker would log it and go on.
        """
        for job in self.jobs:
            if job.name != CHECKED_APART:
                await job.run(now=self.clock.now)

    async def wait_for_jobs(self) -> None:
        """Wait until no queued job waits or runs.

        Raises:
            NotQuiet
        """
        end = asyncio.get_running_loop().time() + JOB_WITHIN_S
        query = "SELECT count(*) FROM jobs WHERE finished_at IS NULL"
        while (await self.select(query))[0][0]:
            if asyncio.get_running_loop().time() > end:
                raise NotQuiet("a queued job does not end")
            self.runner.wake()  # a job may queue another
            await asyncio.sleep(JOB_LOOK_EVERY_S)


@asynccontextmanager
async def a_stage(settings: Settings, *, seed: int, now: datetime) -> AsyncIterator[Stage]:
    """Set a stage up at an instant, on a migrated database.

    Args:
        seed: of the sandbox, whose every choice follows from it.
    """
    async with AsyncExitStack() as stack:
        clock = stack.enter_context(a_set_clock(now))
        sandbox_app = create_sandbox(SandboxSettings(seed=seed, time_scale=SANDBOX_PACE))
        sandbox: World = sandbox_app.state.world
        sandbox.clock = clock.read
        sandbox_url = await stack.enter_async_context(_served(sandbox_app))
        ours = {"sandbox_origins": (sandbox_url,), "password_memory_kib": PASSWORD_MEMORY_KIB}
        settings = settings.model_copy(update=ours)
        hub = _idle_hubs.pop() if _idle_hubs else create_app(settings)
        hub.state = State({"settings": settings})
        stack.callback(_idle_hubs.append, hub)
        hub_url = await stack.enter_async_context(_served(hub))
        services: Services = hub.state.services
        services.limits.checks.clock = lambda: clock.now.timestamp()
        stack.callback(services.lanes.close)
        stack.callback(services.broadcaster.close)
        databases, jobs = await stack.enter_async_context(_a_worker(settings, clock))
        runner = await stack.enter_async_context(_a_runner(databases))
        owner = await psycopg.AsyncConnection.connect(
            settings.database_url.get_secret_value(), autocommit=True
        )
        stack.push_async_callback(owner.close)
        yield Stage(
            clock=clock,
            settings=settings,
            hub_url=hub_url,
            services=services,
            sandbox=sandbox,
            sandbox_url=sandbox_url,
            databases=databases,
            jobs=jobs,
            runner=runner,
            owner=owner,
        )


def new_client(stage: Stage) -> httpx.AsyncClient:
    """Return a browser of somebody's, whose pages are the hub's own."""
    return httpx.AsyncClient(
        base_url=stage.hub_url,
        headers={"Sec-Fetch-Site": "same-origin"},
        timeout=60,
        trust_env=False,
    )


class _Server(uvicorn.Server):
    """A server that leaves Ctrl-C to whoever runs the simulation."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def _served(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a free port, in this process."""
    listener = socket.create_server((HOST, 0))
    config = uvicorn.Config(
        app,
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=600,  # simulated hours are short, but a whole check may take a while
        lifespan="on",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(LOOK_EVERY_S)
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


@asynccontextmanager
async def _a_worker(
    settings: Settings, clock: SetClock
) -> AsyncIterator[tuple[JobDatabases, Sequence[PeriodicJob]]]:
    """Make what worker/app.py makes, without its loop."""
    async with AsyncExitStack() as stack:
        app = await _open(stack, settings.app_database_url.get_secret_value(), settings)
        worker = await _open(stack, settings.worker_database_url.get_secret_value(), settings)
        databases = JobDatabases(app=app, worker=worker)
        processor = NoticeProcessor(app, read_clock=clock.read)
        stack.push_async_callback(processor.close)
        client = open_client()
        stack.push_async_callback(client.aclose)
        sealer = Sealer.from_settings(settings)
        jobs = list_jobs(
            databases,
            REGISTRY,
            processor=processor,
            rails=RailService(
                app, sealer, client, public_url=settings.public_url, read_clock=clock.read
            ),
            tolls=TollService(app, sealer, client, read_clock=clock.read),
            poller=ScheduledPoller(
                database=app,
                processor=processor,
                sealer=sealer,
                client=client,
                read_clock=clock.read,
                every_s=0,  # windows go by the database's clock, which nobody sets
            ),
            photos=Photos.from_settings(settings, app),
        )
        yield databases, jobs


async def _open(stack: AsyncExitStack, url: str, settings: Settings) -> Database:
    engine = open_engine(url, settings, pool_size=4)
    stack.push_async_callback(engine.dispose)
    return open_database(engine)


@asynccontextmanager
async def _a_runner(databases: JobDatabases) -> AsyncIterator[JobRunner]:
    """Run queued jobs beside everything else."""
    handlers = {kind: make(databases.app) for kind, make in REGISTRY.job_handlers.items()}
    runner = JobRunner(databases.worker, handlers, name="simulation")
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            await task
