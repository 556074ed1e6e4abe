"""A stall on the payOS rail, with a real sandbox behind it."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from ops.postgres.supervisor import Cluster
from payments.polling.client import open_client
from tests.world.databases import Template, a_template
from tests.world.rails import RailStall, connect_to_payos, payos_sandbox_for
from tests.world.stalls import PayableStall, a_payable_stall


@pytest.fixture(scope="session")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    """A database with the stall of `stall`."""
    with a_template(cluster, partial(a_payable_stall, is_live=False, provider="payos")) as template:
        yield template


@pytest.fixture
async def place(
    stall: PayableStall, app_database: Database, owner_database: Database, settings: Settings
) -> AsyncIterator[RailStall]:
    """A stall that is a merchant of the sandbox's payOS; nobody else reports on its account."""
    sealer = Sealer.from_settings(settings)
    async with open_client() as client:
        with payos_sandbox_for(app_database, owner_database, sealer, stall, client) as made:
            await connect_to_payos(made)
            yield made
