"""Leakage of a lot's day: stays against photos, payments and tickets."""

from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import hanoi_day
from core.db import Database
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.rules import CollectionRail
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.parting import part_stay
from parking.exits.paying import Taken, collect
from parking.exits.rules import ExitReason
from parking.exits.undoing import correct_vehicle, reverse_collection
from parking.overview.leakage import Leakage, read_leakage
from parking.sessions.rules import Method
from parking.sessions.service import add_plate
from tests.parking.ticket_books.test_ticket_books import come_in, hand_back, issue
from tests.world.constants import NOON
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_stay, cash

pytestmark = pytest.mark.anyio


async def take(database: Database, gate: Gate, stay_id: UUID, taken: Taken) -> UUID:
    async with open_org_transaction(database, gate.org_id) as session:
        stored = await collect(
            session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
        )
    return stored.id


async def let_out(
    database: Database, gate: Gate, stay_id: UUID, forced: ExitReason | None = None
) -> None:
    request = LeaveRequest(
        session_id=stay_id, actor=gate.attendant, forced=forced, words=forced and "Khách nói vậy"
    )
    async with open_org_transaction(database, gate.org_id) as session:
        (left,) = await leave(session, gate.org_id, [request], now=NOON)
    assert not isinstance(left, HubError)


async def read(database: Database, gate: Gate) -> Leakage:
    async with open_org_transaction(database, gate.org_id) as session:
        return await read_leakage(session, gate.org_id, gate.lot.id, hanoi_day(NOON), now=NOON)


async def test_a_day_says_who_left_without_paying_and_why(
    app_database: Database, gate: Gate
) -> None:
    paid, exempt, unconfirmed, owing, later = [await a_stay(app_database, gate) for _ in range(5)]
    await take(app_database, gate, paid, cash(PER_VISIT_VND))
    free = Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe công an")
    await take(app_database, gate, exempt, free)
    await let_out(app_database, gate, paid)
    await let_out(app_database, gate, exempt)
    await let_out(app_database, gate, unconfirmed, ExitReason.UNCONFIRMED)
    await let_out(app_database, gate, owing, ExitReason.ARREARS)
    await let_out(app_database, gate, later, ExitReason.ARREARS)
    await take(app_database, gate, later, cash(PER_VISIT_VND))

    found = await read(app_database, gate)

    assert (found.entered, found.entered_without_photo) == (5, 5)
    told = {one.reason: one for one in found.left}
    assert {reason: (one.count, one.unpaid, one.unpaid_vnd) for reason, one in told.items()} == {
        "paid": (1, 0, 0),
        "exempt": (1, 0, 0),
        "unconfirmed": (1, 1, PER_VISIT_VND),
        "arrears": (2, 1, PER_VISIT_VND),
    }
    assert (told["exempt"].paid_vnd, told["exempt"].waived_vnd) == (0, PER_VISIT_VND)
    assert found.never_matched == told["unconfirmed"]
    assert found.unpaid_vnd == 2 * PER_VISIT_VND


async def test_a_day_counts_tickets_corrections_and_what_was_undone(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    await come_in(app_database, gate, "A0001", "A0004", "A0099")
    await hand_back(app_database, gate, book.id, 4)
    stay_id = await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await correct_vehicle(
            session,
            gate.org_id,
            stay_id,
            plate="29AA99999",
            vehicle_class="motorbike",
            may_override=False,
            reason=None,
            actor=gate.attendant,
            now=NOON,
        )
    taken_id = await take(app_database, gate, stay_id, cash(PER_VISIT_VND))
    async with open_org_transaction(app_database, gate.org_id) as session:
        await reverse_collection(
            session,
            gate.org_id,
            taken_id,
            may_override=False,
            reason=None,
            actor=gate.attendant,
            now=NOON,
        )

    found = await read(app_database, gate)

    assert (found.missing_tickets, found.stray_tickets) == (2, 1)
    assert (found.corrected, found.undone, found.undone_vnd) == (1, 1, PER_VISIT_VND)
    assert (found.opened_by_hand, found.left) == (0, ())


async def test_a_plate_that_is_read_later_and_a_stay_that_is_parted_are_no_corrections(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, ticket="A0001")
    async with open_org_transaction(app_database, gate.org_id) as session:
        assert gate.attendant.id is not None
        await add_plate(
            session, gate.org_id, gate.lot.id, stay_id, plate="29AA12345", method=Method.VISUAL,
            lot_name="Bãi", seen_by=gate.attendant.id, now=NOON,
        )  # fmt: skip
        await part_stay(
            session, gate.org_id, stay_id, new_id(), plate=None, ticket="A0001",
            ticket_kind="ticket", reason="Hai xe", actor=gate.attendant, now=NOON,
        )  # fmt: skip

    assert (await read(app_database, gate)).corrected == 0


async def test_a_photo_that_lets_several_vehicles_in_is_counted(
    app_database: Database, gate: Gate
) -> None:
    for n in range(5):
        stay_id = await a_stay(app_database, gate)
        photo = bytes([n % 2]) * 32 if n else None
        async with open_org_transaction(app_database, gate.org_id) as session:
            await session.execute(
                text("UPDATE parking_sessions SET entry_photo = :photo WHERE id = :id"),
                {"photo": photo, "id": stay_id},
            )

    found = await read(app_database, gate)

    assert (found.entered, found.entered_without_photo) == (5, 1)
    assert found.entered_on_same_photo == 2
