"""A stay that nobody saw leave goes to review: no longer counted, and let out by a person."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from parking.exits.leaving import LeaveFacts
from parking.exits.rules import ExitReason, SessionStatus
from parking.exits.undoing import correct_vehicle, undo_exit
from parking.sessions.rules import Verdict
from parking.sessions.service import override_entry
from tests.parking.exits.test_paying_and_leaving import count_inside, let_out, look
from tests.world.constants import MANAGER, NOON
from tests.world.entries import an_entry
from tests.world.parking_sessions import Gate, a_stay

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PLATE = "29AA12345"


async def let_in_anyway(
    database: Database, gate: Gate, *, plate: str = PLATE, ticket: str | None = None
) -> UUID:
    entry = an_entry(gate.lot, plate=plate, ticket=ticket, may_exceed=True)
    async with open_org_transaction(database, gate.org_id) as session:
        answer = await override_entry(session, entry, reason="Xe cũ đã ra", actor=MANAGER, now=NOON)
    assert answer.verdict is Verdict.OPENED
    return entry.id


async def read_statuses(database: Database, gate: Gate, *stay_ids: UUID) -> list[str]:
    return [(await look(database, gate, one)).stay.status for one in stay_ids]


async def test_who_leaves_from_review_is_not_counted_out_a_second_time(
    app_database: Database, gate: Gate
) -> None:
    old = await a_stay(app_database, gate, plate=PLATE)
    new = await let_in_anyway(app_database, gate)
    assert await count_inside(app_database, gate) == (1, 1)

    await let_out(app_database, gate, old, forced=ExitReason.MANUAL, words="Đã ra từ trước")
    assert await count_inside(app_database, gate) == (1, 1)
    (left,) = await let_out(app_database, gate, new, forced=ExitReason.MANUAL, words="Mở tay")

    assert isinstance(left, LeaveFacts)
    assert await count_inside(app_database, gate) == (0, 0)


async def test_one_in_review_and_one_inside_leave_in_one_transaction_and_one_is_counted(
    app_database: Database, gate: Gate
) -> None:
    old = await a_stay(app_database, gate, plate=PLATE)
    new = await let_in_anyway(app_database, gate)

    await let_out(app_database, gate, old, new, forced=ExitReason.MANUAL, words="Mở tay")

    assert await count_inside(app_database, gate) == (0, 0)


@pytest.mark.parametrize("vehicle_class", ["motorbike", "car"])
async def test_a_stay_in_review_that_is_corrected_stays_out_of_what_is_inside(
    app_database: Database, gate: Gate, vehicle_class: str
) -> None:
    old = await a_stay(app_database, gate, plate=PLATE)
    new = await let_in_anyway(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await correct_vehicle(
            session,
            gate.org_id,
            old,
            plate="29AA99999",
            vehicle_class=vehicle_class,
            may_override=True,
            reason="Đọc nhầm",
            actor=MANAGER,
            now=NOON,
        )

    assert (stay.plate, stay.vehicle_class) == ("29AA99999", vehicle_class)
    assert await read_statuses(app_database, gate, old, new) == ["review", "inside"]
    assert await count_inside(app_database, gate) == (1, 1)


async def test_an_exit_from_review_is_undone_to_review(app_database: Database, gate: Gate) -> None:
    old = await a_stay(app_database, gate, plate=PLATE, ticket="T1")
    new = await let_in_anyway(app_database, gate)
    now = NOON + timedelta(seconds=5)
    await let_out(app_database, gate, old, forced=ExitReason.MANUAL, words="Nhầm xe", now=now)

    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await undo_exit(session, gate.org_id, old, actor=gate.attendant, now=now)

    assert stay.status == SessionStatus.REVIEW
    assert await read_statuses(app_database, gate, new) == ["inside"]
    assert await count_inside(app_database, gate) == (1, 1)


async def test_a_plate_and_a_ticket_that_two_stays_have_send_both_to_review(
    app_database: Database, gate: Gate
) -> None:
    by_plate = await a_stay(app_database, gate, plate=PLATE)
    by_ticket = await a_stay(app_database, gate, plate="29AA54321", ticket="T1")

    new = await let_in_anyway(app_database, gate, ticket="T1")

    statuses = await read_statuses(app_database, gate, by_plate, by_ticket, new)
    assert statuses == ["review", "review", "inside"]
    assert await count_inside(app_database, gate) == (2, 1)
    async with open_org_transaction(app_database, gate.org_id) as session:
        after = await session.scalar(
            text("SELECT after FROM audit_log WHERE action = 'parking_session.let_in'")
        )
    assert after["sent_to_review"] == [str(by_plate), str(by_ticket)]
