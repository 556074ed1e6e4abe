"""The query plan of finding earlier reports where an endpoint's callbacks are many."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.ids import first_id_at
from core.tenancy import open_org_transaction
from payments.callbacks.queries import FIND_PULLED, find_pulled
from tests.world.plans import scans_of
from tests.world.stalls import a_payable_stall

pytestmark = pytest.mark.anyio

FILL = text("""
    INSERT INTO notices (org_id, id, endpoint_id, provider, source, body, headers, received_at,
        handled_at, next_attempt_at)
    SELECT :org_id, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || lpad(i::text, 20, '0'))::uuid, :endpoint_id, 'sepay',
        CASE WHEN i % 1000 = 0 THEN 'pulled' ELSE 'callback' END,
        convert_to('row ' || i, 'UTF8'), '{}', at, at, at
    FROM generate_series(1, 30000) i,
        LATERAL (SELECT now() - interval '4 s' * (30000 - i)) t (at)
""")


async def test_a_day_of_callbacks_is_not_read_to_find_what_was_reported_when_polled(
    app_database: Database, owner_database: Database
) -> None:
    stall = await a_payable_stall(app_database, is_live=False)
    async with owner_database.begin() as session:
        values = {"org_id": stall.org.id, "endpoint_id": stall.endpoint_id}
        await session.execute(FILL, values)
        await session.execute(text("ANALYZE notices"))
    since, bodies = read_clock() - timedelta(hours=48), [b"row 5000", b"row 5001"]
    async with open_org_transaction(app_database, stall.org.id) as session:
        plan = await scans_of(
            session, FIND_PULLED, {**values, "first_id": first_id_at(since), "bodies": bodies}
        )
        found = await find_pulled(session, stall.org.id, stall.endpoint_id, bodies, since=since)

    assert plan == {}
    assert [notice.body for notice in found] == [b"row 5000"]
