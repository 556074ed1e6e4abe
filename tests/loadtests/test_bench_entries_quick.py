"""The bench of entries runs through and counts right; a busy machine's figures are not judged."""

import psycopg
import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from loadtests import entries
from loadtests.exits import count_lost_exits
from loadtests.lots import Arrival, count_lost
from parking.exits.leaving import LeaveRequest
from parking.exits.paying import collect
from parking.exits.writer import ExitWriter
from parking.sessions.writer import EntryWriter
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.entries import an_entry
from tests.world.lots import a_lot
from tests.world.parking_sessions import PER_VISIT_VND, a_gate, a_stay, cash

TINY = entries.Plan(
    floods=1,
    entries_a_flood=400,
    peer_entries=60,
    floor_transactions=64,
    paced_entries=60,
    batches=2,
    warm_up=50,
)
NAMES = {
    "entries_per_s",
    "plain_orm_entries_per_s",
    "floor_entries_per_s",
    "no_database_entries_per_s",
    "hot_lot_entries_per_s",
    "batch_movements_per_s",
    "exits_per_s",
    "city_burst_margin",
    "entry_p50_ms_at_300",
    "entry_p99_ms_at_300",
    "floor_p99_ms_at_300",
    "entries_with_history_per_s",
    "hub_rss_mib",
    "lost",
    "doubled",
    "sender_ceiling_per_s",
}


@pytest.mark.parametrize(
    ("entries_per_s", "exits_per_s", "margin", "holds"),
    [
        (285, 285, 1.0, True),
        (3_000, 1_500, 7.02, True),
        (400, 220, 1.0, False),
        (285, 1, 0.01, False),
    ],
)
def test_the_margin_over_a_citys_burst_is_of_as_many_entries_as_exits(
    entries_per_s: float, exits_per_s: float, margin: float, holds: bool
) -> None:
    figure = entries.judge_city_burst(entries_per_s, exits_per_s)

    assert (figure.name, figure.value, figure.holds) == ("city_burst_margin", margin, holds)


@pytest.mark.drill
@pytest.mark.timeout(240)
def test_a_tiny_bench_of_entries_measures_every_figure_and_loses_nothing() -> None:
    figures = {one.name: one for one in entries.measure(True, plan=TINY, history=3_000)}

    assert figures.keys() >= NAMES
    assert figures["lost"].value == 0
    assert figures["doubled"].value == 0
    assert figures["batch_movements_per_s"].value > 0
    assert figures["exits_per_s"].value > 0


@pytest.mark.anyio
async def test_a_stay_that_is_gone_is_lost_and_a_wrong_count_is_doubled(
    fresh_database: FreshDatabase, app_database: Database, gate_database: Database
) -> None:
    lot = await a_lot(app_database)
    writer = EntryWriter(gate_database, read_clock=lambda: NOON)
    requests = [an_entry(lot) for _ in range(3)]
    for request in requests:
        await writer.enter(request)
    arrivals = [Arrival(org_id=lot.org.id, lot_id=lot.id, session_id=r.id) for r in requests]
    assert count_lost(fresh_database.owner_url, arrivals) == (0, 0)

    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("DELETE FROM parking_sessions WHERE id = %s", [requests[0].id])
        owner.execute("UPDATE occupancy SET inside_count = inside_count + 2")

    lost, disagree = count_lost(fresh_database.owner_url, arrivals)
    assert (lost, disagree > 0) == (1, True)


@pytest.mark.anyio
async def test_an_exit_that_is_gone_is_lost_and_one_that_was_seen_twice_is_doubled(
    fresh_database: FreshDatabase, app_database: Database
) -> None:
    gate = await a_gate(app_database)
    writer = ExitWriter(app_database, read_clock=lambda: NOON)
    stays = [await a_stay(app_database, gate) for _ in range(3)]
    for stay_id in stays:
        async with open_org_transaction(app_database, gate.org_id) as session:
            await collect(
                session,
                gate.org_id,
                stay_id,
                cash(PER_VISIT_VND),
                priced_at=NOON,
                actor=gate.attendant,
                now=NOON,
            )
        await writer.leave(gate.org_id, LeaveRequest(session_id=stay_id, actor=gate.attendant))
    left = [Arrival(org_id=gate.org_id, lot_id=gate.lot.id, session_id=one) for one in stays]
    assert count_lost_exits(fresh_database.owner_url, left) == (0, 0)

    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("DELETE FROM observations WHERE session_id = %s", [stays[0]])
        owner.execute(
            "INSERT INTO events (org_id, id, kind, data, recorded_at)"
            " SELECT org_id, gen_random_uuid(), kind, data, recorded_at FROM events"
            " WHERE kind = 'parking.left' AND data->>'session_id' = %s",
            [str(stays[1])],
        )

    assert count_lost_exits(fresh_database.owner_url, left) == (1, 1)
