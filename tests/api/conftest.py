"""A running hub for each test of the API."""

from collections.abc import AsyncIterator

import pytest
import structlog

from core.settings import Settings
from tests.world.hubs import Hub, running_hub
from tests.world.markets import Market, set_up_market


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


@pytest.fixture
async def market(hub: Hub) -> Market:
    """A market board with a stall that can be paid."""
    return await set_up_market(hub)
