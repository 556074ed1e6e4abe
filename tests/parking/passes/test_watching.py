"""Watched plates: proposed by one person, approved by another, alerting at the way in."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from core.audit import Actor
from core.clock import day_bounds, hanoi_day
from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.passes import queries_watched
from parking.passes.errors import WatchNeedsSecondPerson, WatchNotApprovable
from parking.passes.rules import WatchState
from parking.passes.types import WatchView, WatchWanted
from parking.passes.watching import approve_watch, propose_watch, remove_watch
from parking.sessions.rules import Verdict
from parking.sessions.writer import EntryWriter
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.entries import an_entry
from tests.world.lots import CAR, LotFacts, a_lot

pytestmark = pytest.mark.anyio

TODAY = hanoi_day(NOON)
PLATE = "30F12345"


@pytest.fixture
async def lot(app_database: Database) -> LotFacts:
    return await a_lot(app_database)


@pytest.fixture
async def writer(gate_database: Database) -> AsyncIterator[EntryWriter]:
    writer = EntryWriter(gate_database, read_clock=lambda: NOON)
    yield writer
    await writer.drain()


async def propose(
    database: Database, lot: LotFacts, *, days: int = 30, actor: Actor = MANAGER, starts_in: int = 0
) -> UUID:
    watched_id, from_on = new_id(), TODAY + timedelta(days=starts_in)
    wanted = WatchWanted(
        vehicle_class=CAR,
        plate="30F-123.45",
        reason="Xe bị báo mất cắp",
        source="Công văn 45/CAQ",
        from_on=from_on,
        expires_on=from_on + timedelta(days=days),
    )
    async with open_org_transaction(database, lot.org.id) as session:
        await propose_watch(session, lot.org.id, wanted, id_=watched_id, actor=actor, now=NOON)
    return watched_id


async def approve(
    database: Database, lot: LotFacts, watched_id: UUID, *, actor: Actor = APPROVER
) -> None:
    async with open_org_transaction(database, lot.org.id) as session:
        await approve_watch(session, lot.org.id, watched_id, actor=actor, now=NOON)


async def remove(database: Database, lot: LotFacts, watched_id: UUID) -> None:
    async with open_org_transaction(database, lot.org.id) as session:
        await remove_watch(
            session, lot.org.id, watched_id, actor=MANAGER, reason="Đã tìm thấy", now=NOON
        )


async def look(database: Database, lot: LotFacts, watched_id: UUID) -> WatchView:
    async with open_org_transaction(database, lot.org.id) as session:
        return await queries_watched.view_watched(session, lot.org.id, watched_id, today=TODAY)


async def test_a_watched_plate_is_let_in_with_an_alert_that_masks_it(
    app_database: Database, owner_database: Database, lot: LotFacts, writer: EntryWriter
) -> None:
    watched_id = await propose(app_database, lot)
    await approve(app_database, lot, watched_id)

    answer = await writer.enter(an_entry(lot, vehicle_class=CAR, plate=PLATE))

    assert (answer.verdict, answer.is_watched) == (Verdict.OPENED, True)
    async with owner_database.begin() as session:
        told = text("SELECT data FROM events WHERE kind = 'parking.watched'")
        (alert,) = (await session.execute(told)).scalars()
        audit = str((await session.execute(text("SELECT after FROM audit_log"))).all())
    assert (alert["plate"], alert["session_id"]) == ("30F***45", str(answer.session_id))
    assert PLATE not in audit
    assert "30F***45" in audit


async def test_nothing_is_watched_before_a_second_person_agrees(
    app_database: Database, lot: LotFacts, writer: EntryWriter
) -> None:
    watched_id = await propose(app_database, lot)

    with pytest.raises(WatchNeedsSecondPerson):
        await approve(app_database, lot, watched_id, actor=MANAGER)

    assert (await look(app_database, lot, watched_id)).state(TODAY) is WatchState.PROPOSED
    answer = await writer.enter(an_entry(lot, vehicle_class=CAR, plate=PLATE))
    assert not answer.is_watched


async def test_no_row_can_say_that_one_person_did_both(
    app_database: Database, lot: LotFacts, fresh_database: FreshDatabase
) -> None:
    watched_id = await propose(app_database, lot)

    with psycopg.connect(fresh_database.owner_url) as owner, pytest.raises(psycopg.Error) as caught:
        owner.execute(
            "UPDATE watched_plates SET approved_by = proposed_by, approved_at = now()"
            " WHERE id = %s",
            (watched_id,),
        )
    assert "two_people" in str(caught.value)


async def test_an_approval_holds_and_a_removal_ends_it(
    app_database: Database, lot: LotFacts, writer: EntryWriter
) -> None:
    watched_id = await propose(app_database, lot)
    other = Actor(kind="staff", id=UUID(int=9), name="another")
    await approve(app_database, lot, watched_id)
    await approve(app_database, lot, watched_id, actor=other)
    assert (await look(app_database, lot, watched_id)).approved_by == APPROVER.id

    for _ in range(2):
        await remove(app_database, lot, watched_id)

    assert (await look(app_database, lot, watched_id)).state(TODAY) is WatchState.REMOVED
    answer = await writer.enter(an_entry(lot, vehicle_class=CAR, plate=PLATE))
    assert not answer.is_watched
    with pytest.raises(WatchNotApprovable):
        await approve(app_database, lot, watched_id)


@pytest.mark.parametrize(("days", "starts_in"), [(91, 0), (-1, 0), (10, -1), (10, 31)])
async def test_a_plate_is_watched_for_at_most_90_days_from_today_or_soon(
    app_database: Database, lot: LotFacts, days: int, starts_in: int
) -> None:
    with pytest.raises(InvalidRequest):
        await propose(app_database, lot, days=days, starts_in=starts_in)


async def test_a_watch_ends_at_midnight_in_hanoi(
    app_database: Database, lot: LotFacts, writer: EntryWriter
) -> None:
    watched_id = await propose(app_database, lot, days=90)
    await approve(app_database, lot, watched_id)
    midnight = day_bounds(TODAY + timedelta(days=90))[1]
    last, after = midnight - timedelta(milliseconds=1), midnight

    first = await writer.enter(an_entry(lot, vehicle_class=CAR, plate=PLATE, entered_at=last))
    elsewhere = await a_lot(app_database, org=lot.org)
    second = await writer.enter(
        an_entry(elsewhere, vehicle_class=CAR, plate=PLATE, entered_at=after)
    )

    assert (first.is_watched, second.is_watched) == (True, False)


async def test_each_state_is_listed_as_the_rules_judge_it(
    app_database: Database, lot: LotFacts
) -> None:
    ids = {
        WatchState.PROPOSED: await propose(app_database, lot),
        WatchState.COMING: await propose(app_database, lot, starts_in=3),
        WatchState.WATCHED: await propose(app_database, lot),
        WatchState.REMOVED: await propose(app_database, lot),
    }
    await approve(app_database, lot, ids[WatchState.COMING])
    await approve(app_database, lot, ids[WatchState.WATCHED])
    await remove(app_database, lot, ids[WatchState.REMOVED])

    async with open_org_transaction(app_database, lot.org.id) as session:
        for state, watched_id in ids.items():
            listed = await queries_watched.list_watched(
                session, lot.org.id, today=TODAY, state=state, limit=10
            )
            assert [one.id for one in listed] == [watched_id], state
            assert listed[0].state(TODAY) is state
        over = await queries_watched.list_watched(
            session, lot.org.id, today=TODAY + timedelta(days=31), state=WatchState.OVER, limit=10
        )
    assert {one.id for one in over} == {ids[WatchState.PROPOSED], ids[WatchState.WATCHED]}
