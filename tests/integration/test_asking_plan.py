"""What looking for words told before costs where an endpoint's callbacks are many."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Sessions, open_org_transaction
from core.ids import first_id_at
from payments.callbacks.queries_notices import FIND_ASKED, find_asked
from tests.builders import a_stall
from tests.integration.test_worker_duties import scans_of

pytestmark = pytest.mark.anyio

FILL = text("""
    INSERT INTO notices (org_id, id, endpoint_id, provider, source, body, headers, received_at,
        handled_at, next_attempt_at)
    SELECT :org_id, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || lpad(i::text, 20, '0'))::uuid, :endpoint_id, 'sepay',
        CASE WHEN i % 1000 = 0 THEN 'asked' ELSE 'callback' END,
        convert_to('row ' || i, 'UTF8'), '{}', at, at, at
    FROM generate_series(1, 30000) i,
        LATERAL (SELECT now() - interval '4 s' * (30000 - i)) t (at)
""")


async def test_a_day_of_callbacks_is_not_read_to_find_what_was_told_when_asked(
    app_sessions: Sessions, owner_sessions: Sessions
) -> None:
    stall = await a_stall(app_sessions, is_live=False)
    async with owner_sessions.begin() as session:
        values = {"org_id": stall.org.id, "endpoint_id": stall.endpoint_id}
        await session.execute(FILL, values)
        await session.execute(text("ANALYZE notices"))
    since, bodies = read_clock() - timedelta(hours=48), [b"row 5000", b"row 5001"]
    async with open_org_transaction(app_sessions, stall.org.id) as session:
        plan = await scans_of(
            session, FIND_ASKED, {**values, "first_id": first_id_at(since), "bodies": bodies}
        )
        found = await find_asked(session, stall.org.id, stall.endpoint_id, bodies, since=since)

    assert plan == {}
    assert [notice.body for notice in found] == [b"row 5000"]
