"""A vehicle that nobody saw leave is asked about; until then its place and its plate are taken."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.errors import InvalidRequest
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from parking.exits.errors import CredentialInside, NotUnderReview, StayWasPaid
from parking.exits.jobs import review_stale
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import collect
from parking.exits.queries_reviewing import list_under_review
from parking.exits.reviewing import decide_review
from parking.exits.rules import ExitReason, ReviewDecision, StayFacts
from parking.exits.standing import get_stay
from parking.exits.undoing import correct_vehicle
from parking.sessions.queries import lock_lot, send_to_review
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR
from tests.world.parking_sessions import HOURLY_VND, PER_VISIT_VND, Gate, a_stay, cash

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HOUR = timedelta(hours=1)
STALE_AT = NOON - 72 * HOUR  # whoever came in before then


@pytest.fixture
def databases(app_database: Database, worker_database: Database) -> JobDatabases:
    return JobDatabases(app=app_database, worker=worker_database)


async def read_stay(database: Database, gate: Gate, stay_id: UUID) -> StayFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await get_stay(session, gate.org_id, stay_id)


async def count_inside(database: Database, gate: Gate) -> tuple[int, int]:
    """Return how many the occupancy counts, and how many have a credential inside."""
    async with open_org_transaction(database, gate.org_id) as session:
        counted = await session.scalar(text("SELECT sum(inside_count)::int FROM occupancy"))
        listed = await session.scalar(text("SELECT count(DISTINCT session_id) FROM inside"))
    return int(counted or 0), int(listed or 0)


async def decide(
    database: Database,
    gate: Gate,
    stay_id: UUID,
    *,
    decision: ReviewDecision,
    now: datetime = NOON,
    left_at: datetime | None = None,
) -> StayFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await decide_review(
            session,
            gate.org_id,
            stay_id,
            decision=decision,
            left_at=left_at,
            reason="Đã đi kiểm tra bãi",
            actor=MANAGER,
            now=now,
        )


async def override(database: Database, gate: Gate, stay_id: UUID) -> None:
    """Take a stay out of the way, as an override at the way in does."""
    async with open_org_transaction(database, gate.org_id) as session:
        await lock_lot(session, gate.org_id, gate.lot.id)
        await send_to_review(session, gate.org_id, gate.lot.id, stay_id)


async def test_who_is_inside_for_longer_than_the_lot_allows_is_under_review_and_stays_inside(
    app_database: Database, databases: JobDatabases, gate: Gate
) -> None:
    stale = await a_stay(app_database, gate, entered_at=STALE_AT - timedelta(seconds=1))
    fresh = await a_stay(app_database, gate, entered_at=STALE_AT)

    assert [await review_stale(databases, now=NOON) for _ in range(2)] == [1, 0]

    assert (await read_stay(app_database, gate, stale)).status == "review"
    assert (await read_stay(app_database, gate, fresh)).status == "inside"
    assert await count_inside(app_database, gate) == (2, 2)
    async with open_org_transaction(app_database, gate.org_id) as session:
        found = await list_under_review(session, gate.org_id, gate.lot.id, after_id=None, limit=10)
    assert [one.id for one in found] == [stale]


async def test_each_lot_has_its_own_limit(
    app_database: Database, databases: JobDatabases, gate: Gate
) -> None:
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(text("UPDATE lots SET stale_after_h = 100"))
    await a_stay(app_database, gate, entered_at=STALE_AT - HOUR)

    assert await review_stale(databases, now=NOON) == 0
    assert await review_stale(databases, now=NOON + 28 * HOUR) == 1


async def test_one_that_left_unseen_owes_nothing_more_and_frees_its_place(
    app_database: Database, databases: JobDatabases, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate, entered_at=STALE_AT - HOUR)
    await review_stale(databases, now=NOON)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await collect(
            session, gate.org_id, stay_id, cash(PER_VISIT_VND), priced_at=NOON,
            actor=gate.attendant, now=NOON,
        )  # fmt: skip

    stays = [
        await decide(app_database, gate, stay_id, decision=ReviewDecision.LEFT) for _ in range(2)
    ]

    assert {(one.status, one.exit_reason, one.arrears_vnd) for one in stays} == {
        ("left", ExitReason.UNSEEN, 0)
    }
    assert stays[0].price_vnd == stays[0].paid_vnd == PER_VISIT_VND
    assert await count_inside(app_database, gate) == (0, 0)
    with pytest.raises(NotUnderReview):
        await decide(app_database, gate, stay_id, decision=ReviewDecision.INSIDE)
    assert find_violations(fresh_database.owner_url) == []


async def test_one_that_is_still_there_is_asked_about_again_after_the_same_time(
    app_database: Database, databases: JobDatabases, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, entered_at=STALE_AT - HOUR)
    await review_stale(databases, now=NOON)

    stays = [
        await decide(app_database, gate, stay_id, decision=ReviewDecision.INSIDE) for _ in range(2)
    ]

    assert {one.status for one in stays} == {"inside"}
    assert await count_inside(app_database, gate) == (1, 1)
    with pytest.raises(NotUnderReview):
        await decide(app_database, gate, stay_id, decision=ReviewDecision.LEFT)
    assert await review_stale(databases, now=NOON + 72 * HOUR) == 0
    assert await review_stale(databases, now=NOON + 73 * HOUR) == 1


async def test_one_that_left_unpaid_at_a_known_time_owes_the_price_until_then(
    app_database: Database, databases: JobDatabases, gate: Gate, fresh_database: FreshDatabase
) -> None:
    entered_at = STALE_AT - HOUR
    stay_id = await a_stay(app_database, gate, vehicle_class=CAR, entered_at=entered_at)
    await review_stale(databases, now=NOON)
    left_at = entered_at + 3 * HOUR
    for wrong in (None, entered_at - HOUR, NOON + HOUR):
        with pytest.raises(InvalidRequest):
            await decide(app_database, gate, stay_id, decision=ReviewDecision.OWING, left_at=wrong)

    stays = [
        await decide(app_database, gate, stay_id, decision=ReviewDecision.OWING, left_at=left_at)
        for _ in range(2)
    ]

    assert {(one.status, one.exit_reason, one.arrears_vnd, one.left_at) for one in stays} == {
        ("left", ExitReason.ARREARS, 3 * HOURLY_VND, left_at)
    }
    assert await count_inside(app_database, gate) == (0, 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_one_that_was_never_here_is_voided_unless_it_was_paid(
    app_database: Database, databases: JobDatabases, gate: Gate
) -> None:
    never, paid = [await a_stay(app_database, gate, entered_at=STALE_AT - HOUR) for _ in "12"]
    await review_stale(databases, now=NOON)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await collect(
            session, gate.org_id, paid, cash(PER_VISIT_VND), priced_at=NOON,
            actor=gate.attendant, now=NOON,
        )  # fmt: skip

    stays = [
        await decide(app_database, gate, never, decision=ReviewDecision.NEVER) for _ in range(2)
    ]

    assert {one.status for one in stays} == {"voided"}
    with pytest.raises(StayWasPaid):
        await decide(app_database, gate, paid, decision=ReviewDecision.NEVER)
    assert await count_inside(app_database, gate) == (1, 1)


async def test_one_under_review_leaves_as_any_other(
    app_database: Database, databases: JobDatabases, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, entered_at=STALE_AT - HOUR)
    await review_stale(databases, now=NOON)

    await let_out(app_database, gate, stay_id)

    assert (await read_stay(app_database, gate, stay_id)).status == "left"
    assert await count_inside(app_database, gate) == (0, 0)


@pytest.mark.parametrize("by", ["its way out", "a person"])
async def test_one_that_an_override_took_out_of_the_way_gives_its_place_up_once(
    app_database: Database, gate: Gate, by: str
) -> None:
    stay_id = await a_stay(app_database, gate)
    await a_stay(app_database, gate)
    await override(app_database, gate, stay_id)
    assert await count_inside(app_database, gate) == (1, 1)

    if by == "a person":
        await decide(app_database, gate, stay_id, decision=ReviewDecision.LEFT)
    else:
        await let_out(app_database, gate, stay_id)

    assert (await read_stay(app_database, gate, stay_id)).status == "left"
    assert await count_inside(app_database, gate) == (1, 1)


async def test_one_that_an_override_took_out_of_the_way_is_there_unless_its_plate_is(
    app_database: Database, gate: Gate
) -> None:
    plates = ("29AA00001", "29AA00002")
    stays = [await a_stay(app_database, gate, plate=plate) for plate in plates]
    for stay_id in stays:
        await override(app_database, gate, stay_id)
    await a_stay(app_database, gate, plate=plates[1])

    back = await decide(app_database, gate, stays[0], decision=ReviewDecision.INSIDE)
    with pytest.raises(CredentialInside):
        await decide(app_database, gate, stays[1], decision=ReviewDecision.INSIDE)

    assert back.status == "inside"
    assert await count_inside(app_database, gate) == (2, 2)


async def test_one_that_is_found_inside_a_lot_that_is_full_by_licence_is_an_alarm(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    await override(app_database, gate, stay_id)
    await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(text("UPDATE occupancy SET licensed_capacity = 1"))

    for _ in range(2):
        await decide(app_database, gate, stay_id, decision=ReviewDecision.INSIDE)

    async with open_org_transaction(app_database, gate.org_id) as session:
        query = text("SELECT data FROM events WHERE kind = 'parking.over_licence'")
        told = (await session.scalars(query)).all()
    assert [(one["licensed_capacity"], one["inside_count"]) for one in told] == [(1, 2)]


async def test_correcting_one_that_an_override_took_out_of_the_way_takes_no_place(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    await override(app_database, gate, stay_id)

    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await correct_vehicle(
            session, gate.org_id, stay_id, plate="30A12345", vehicle_class=CAR.value,
            may_override=True, reason="nhập nhầm", actor=MANAGER, now=NOON,
        )  # fmt: skip

    assert (stay.plate, stay.vehicle_class, stay.status) == ("30A12345", "car", "review")
    assert await count_inside(app_database, gate) == (0, 0)


async def let_out(database: Database, gate: Gate, stay_id: UUID) -> None:
    request = LeaveRequest(
        session_id=stay_id, actor=gate.attendant, forced=ExitReason.MANUAL, words="quen"
    )
    async with open_org_transaction(database, gate.org_id) as session:
        (left,) = await leave(session, gate.org_id, [request], now=NOON)
    assert not isinstance(left, Exception), left
