"""A stall on the payOS rail, with a real sandbox behind it."""

from collections.abc import AsyncIterator

import pytest

from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from payments.polling.client import open_client
from tests.world.rails import RailStall, connect_to_payos, payos_sandbox_for
from tests.world.stalls import a_payable_stall


@pytest.fixture
async def place(
    app_database: Database, owner_database: Database, settings: Settings
) -> AsyncIterator[RailStall]:
    """A stall that is a merchant of the sandbox's payOS; nobody else reports on its account."""
    stall = await a_payable_stall(app_database, is_live=False, provider="payos")
    sealer = Sealer.from_settings(settings)
    async with open_client() as client:
        with payos_sandbox_for(app_database, owner_database, sealer, stall, client) as made:
            await connect_to_payos(made)
            yield made
