"""Wake-ups of the processor: it looks from the stored notice on, and at all of them soon after."""

import asyncio
from itertools import permutations

import psycopg
import pytest
from structlog.testing import capture_logs

from core.db import Database
from payments.credits.processor import NoticeProcessor
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import sepay_body, store_notices
from tests.world.reads import list_outcomes
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.waits import DEADLINE_S, wait_until_handled

pytestmark = pytest.mark.anyio

NEVER_S = 3_600.0


def a_processor(database: Database, *, full_look_after_s: float) -> NoticeProcessor:
    """A processor at noon, in a process without a worker beside it."""
    return NoticeProcessor(database, read_clock=lambda: NOON, full_look_after_s=full_look_after_s)


def a_sale(stall: PayableStall) -> bytes:
    return sepay_body(stall, amount_vnd=1_000, memo="x")


@pytest.mark.slow
async def test_wake_ups_in_any_order_process_all_that_they_name(
    app_database: Database, fresh_database: FreshDatabase
) -> None:
    """While a look is under way, the next begins at the lowest of what came meanwhile."""
    processor = a_processor(app_database, full_look_after_s=NEVER_S)
    for order in permutations(range(3)):
        stall = await a_payable_stall(app_database, code=next_code())
        ids = await store_notices(app_database, stall, *(a_sale(stall) for _ in range(3)))
        for n in order:
            processor.wake(stall.org, ids[n])
        await wait_until_handled(fresh_database.owner_url, *ids)
    await processor.close()


async def test_what_a_dead_process_left_is_processed_seconds_after_anothers_notice(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    """No worker runs, and nothing wakes the processor a second time."""
    (left,) = await store_notices(app_database, stall, a_sale(stall))
    (fresh,) = await store_notices(app_database, stall, a_sale(stall))
    processor = a_processor(app_database, full_look_after_s=0.5)

    processor.wake(stall.org, fresh)
    await wait_until_handled(fresh_database.owner_url, fresh)
    assert await list_outcomes(app_database, stall) == ["counter_sale", "waits"]
    await wait_until_handled(fresh_database.owner_url, left)
    await processor.close()


async def test_what_was_put_back_is_tried_again_seconds_after_another_notice(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    (tried,) = await store_notices(app_database, stall, a_sale(stall))
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE notices SET attempts = 1")
    (fresh,) = await store_notices(app_database, stall, a_sale(stall))
    processor = a_processor(app_database, full_look_after_s=0.2)

    processor.wake(stall.org, fresh)
    await wait_until_handled(fresh_database.owner_url, fresh, tried)
    await processor.close()


async def test_a_look_that_failed_is_made_up_for_until_one_succeeds(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    (notice_id,) = await store_notices(app_database, stall, a_sale(stall))
    processor = a_processor(app_database, full_look_after_s=0.2)
    with (
        psycopg.connect(fresh_database.owner_url, autocommit=True) as owner,
        capture_logs() as lines,
    ):
        owner.execute("REVOKE SELECT ON notices FROM phopay_app")
        processor.wake(stall.org, notice_id)
        async with asyncio.timeout(DEADLINE_S):
            while [line["event"] for line in lines].count("processing.failed") < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        owner.execute("GRANT SELECT ON notices TO phopay_app")
    await wait_until_handled(fresh_database.owner_url, notice_id)
    await processor.close()
