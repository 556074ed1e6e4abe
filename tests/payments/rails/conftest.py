"""A stall on the payOS rail, with a real sandbox behind it."""

from collections.abc import AsyncIterator

import pytest

from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from payments.polling.client import open_client
from tests.world.builders import a_stall
from tests.world.rails import RailPlace, connect, payos_for


@pytest.fixture
async def place(
    app_database: Database, owner_database: Database, settings: Settings
) -> AsyncIterator[RailPlace]:
    """A stall that is a merchant of the sandbox's payOS; nobody else reports on its account."""
    stall = await a_stall(app_database, is_live=False, provider="payos")
    sealer = Sealer.from_settings(settings)
    async with open_client() as client:
        with payos_for(app_database, owner_database, sealer, stall, client) as made:
            await connect(made)
            yield made
