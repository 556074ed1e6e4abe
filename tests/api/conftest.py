"""A running hub for each test of the API."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from core.settings import Settings
from ops.postgres.supervisor import Cluster
from tests.world.databases import FreshDatabase, Template, create_database, forget_hubs
from tests.world.gates import Gate, KnownGate, a_gate_template, find_gate
from tests.world.hubs import Hub, running_hub
from tests.world.markets import KnownMarket, Market, find_market, set_up_market


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    """Logs without colours, pictures of the stack, and the values of local variables."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    )


@pytest.fixture
async def hub(settings: Settings) -> AsyncIterator[Hub]:
    """The hub on a loopback port, with an empty database."""
    async with running_hub(settings) as running:
        yield running


@pytest.fixture(scope="session")
def market_template(cluster: Cluster) -> Iterator[Template[KnownMarket]]:
    """A database with the market of `market`, made once: making it takes longer than a clone."""

    async def make(fresh: FreshDatabase) -> KnownMarket:
        async with running_hub(fresh.settings) as hub:
            return (await set_up_market(hub)).known()

    with create_database(cluster) as fresh:
        holds = asyncio.run(make(fresh))
        forget_hubs(fresh)
        yield Template(name=fresh.name, holds=holds)


@pytest.fixture
def market(hub: Hub, market_template: Template[KnownMarket]) -> Market:
    """A market board with a stall that can be paid."""
    return find_market(hub, market_template.holds)


@pytest.fixture(scope="session")
def gate_template(cluster: Cluster) -> Iterator[Template[KnownGate]]:
    """A database with the gate of `gate`; a file that needs another lot has one of its own."""
    with a_gate_template(cluster) as template:
        yield template


@pytest.fixture
def gate(hub: Hub, gate_template: Template[KnownGate]) -> Gate:
    """A lot of a parking operator, with an attendant and a manager."""
    return find_gate(hub, gate_template.holds)
