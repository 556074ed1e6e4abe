"""Replays of a time: what counts toward their limit, and whom they wait for."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.webhooks import replays
from payments.webhooks.errors import ReplayTooLarge
from payments.webhooks.rules import REPLAYS_MAX
from tests.world.constants import MANAGER
from tests.world.stalls import PayableStall
from tests.world.webhooks import MadeEndpoint, a_webhook_endpoint, events_happen

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
URL = "http://127.0.0.1:9/hook"


async def replay(database: Database, endpoint: MadeEndpoint, *, only_failed: bool = True) -> int:
    now = read_clock()
    async with open_org_transaction(database, endpoint.org_id) as session:
        return await replays.replay_range(
            session,
            endpoint.org_id,
            endpoint.id,
            since=now - timedelta(hours=1),
            until=now + timedelta(minutes=1),
            only_failed=only_failed,
            actor=MANAGER,
            now=now,
        )


async def test_what_was_delivered_does_not_count_toward_a_replay_of_what_failed(
    app_database: Database, owner_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    await events_happen(app_database, stall.org.id, REPLAYS_MAX)
    async with owner_database.begin() as session:
        delivered = text("""
            INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, event_kind, status,
                attempts, failures, due_at, created_at)
            SELECT org_id, :id, id, kind, 'delivered', 1, 0, now(), now() FROM events
        """)
        await session.execute(delivered, {"id": endpoint.id})
    await events_happen(app_database, stall.org.id, 2)

    assert await replay(app_database, endpoint) == 2
    with pytest.raises(ReplayTooLarge):
        await replay(app_database, endpoint, only_failed=False)


async def test_a_replay_waits_for_no_worker_that_records_attempts_of_the_endpoint(
    app_database: Database, worker_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    endpoint = await a_webhook_endpoint(app_database, stall.org.id, URL, sealer)
    await events_happen(app_database, stall.org.id, 2)
    async with worker_database.begin() as recording:
        held = text("SELECT 1 FROM webhook_endpoints FOR NO KEY UPDATE")
        await recording.execute(held)

        assert await replay(app_database, endpoint) == 2
