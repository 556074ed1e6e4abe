"""Lost tickets: a photo of the owner's papers first, then the price that the tariff has for it."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import day_bounds
from core.db import Database
from core.tenancy import open_org_transaction
from parking.collections.errors import ApprovalNeeded
from parking.exits.errors import LostTicketNotReported, NotInside
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.lost_tickets import LostTicket, check_reported, report_lost_ticket
from parking.exits.queries_lost_tickets import LostTicketFacts
from parking.exits.rules import ExitReason
from parking.exits.standing import get_stay, read_standing
from parking.photos.errors import PhotoNotFound, PhotoUsed
from tests.parking.exits.test_movements import Phone
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.parking_sessions import (
    PER_VISIT_VND,
    Gate,
    a_gate,
    a_stay,
    a_tariff_document,
)
from tests.world.passes import a_pass_in_force
from tests.world.photos import a_photo, an_entry_photo
from tests.world.reads import list_breaks

pytestmark = pytest.mark.anyio

LOST_VND = 20_000


@pytest.fixture
async def gate(app_database: Database) -> Gate:
    return await a_gate(app_database, document=a_tariff_document(lost_ticket_vnd=LOST_VND))


async def report(
    database: Database,
    gate: Gate,
    stay_id: UUID,
    photo: bytes | None = None,
    *,
    reason: str | None = None,
    may_override: bool = False,
) -> LostTicketFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await report_lost_ticket(
            session,
            gate.org_id,
            stay_id,
            LostTicket(photo=photo, reason=reason),
            may_override=may_override,
            actor=gate.attendant,
            now=NOON,
        )


async def test_its_price_is_asked_for_once_it_is_reported_with_a_photo(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    photo = await a_photo(app_database, gate.org_id)
    async with open_org_transaction(app_database, gate.org_id) as session:
        with pytest.raises(LostTicketNotReported):
            await check_reported(session, gate.org_id, stay_id)

    found = await report(app_database, gate, stay_id, photo)

    assert (found.photo, found.reported_by) == (photo, gate.attendant.id)
    assert await report(app_database, gate, stay_id, photo) == found
    async with open_org_transaction(app_database, gate.org_id) as session:
        await check_reported(session, gate.org_id, stay_id)


@pytest.mark.parametrize("reason", [None, "Máy ảnh hỏng"])
async def test_without_a_photo_it_takes_somebody_who_may_override(
    app_database: Database, gate: Gate, reason: str | None
) -> None:
    stay_id = await a_stay(app_database, gate)

    with pytest.raises(ApprovalNeeded):
        await report(app_database, gate, stay_id, reason=reason)
    with pytest.raises(ApprovalNeeded):
        await report(app_database, gate, stay_id, may_override=True)

    found = await report(app_database, gate, stay_id, reason="Máy ảnh hỏng", may_override=True)
    assert (found.photo, found.reason) == (None, "Máy ảnh hỏng")


async def test_one_photo_is_the_evidence_of_one_lost_ticket(
    app_database: Database, gate: Gate
) -> None:
    photo = await a_photo(app_database, gate.org_id)
    first_id, second_id = [await a_stay(app_database, gate) for _ in range(2)]
    await report(app_database, gate, first_id, photo)

    with pytest.raises(PhotoUsed):
        await report(app_database, gate, second_id, photo)
    with pytest.raises(PhotoUsed):
        await report(app_database, gate, first_id, await a_photo(app_database, gate.org_id))
    with pytest.raises(PhotoNotFound):
        await report(app_database, gate, second_id, bytes(32))
    owing = LeaveRequest(
        session_id=first_id,
        actor=gate.attendant,
        forced=ExitReason.ARREARS,
        words="Khách không trả",
        photo=photo,
    )
    async with open_org_transaction(app_database, gate.org_id) as session:
        (refused,) = await leave(session, gate.org_id, [owing], now=NOON)
    assert isinstance(refused, PhotoUsed)


async def test_a_photo_of_a_way_in_is_no_evidence_of_a_lost_ticket(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    came_in = await an_entry_photo(app_database, gate.org_id, stay_id)

    with pytest.raises(PhotoUsed):
        await report(app_database, gate, stay_id, came_in)

    await report(app_database, gate, stay_id, await a_photo(app_database, gate.org_id))


async def test_of_two_stays_that_show_one_photo_at_once_one_is_refused(
    app_database: Database, gate: Gate
) -> None:
    photo = await a_photo(app_database, gate.org_id)
    stays = [await a_stay(app_database, gate) for _ in range(2)]

    answers = await asyncio.gather(
        *(report(app_database, gate, one, photo) for one in stays), return_exceptions=True
    )

    assert sorted(type(one).__name__ for one in answers) == ["LostTicketFacts", "PhotoUsed"]


async def test_a_stay_costs_it_from_its_report_on_also_where_it_leaves_owing(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    due_vnd = PER_VISIT_VND + LOST_VND
    stay_id = await a_stay(app_database, gate)
    await report(app_database, gate, stay_id, await a_photo(app_database, gate.org_id))

    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
        assert (await read_standing(session, gate.org_id, stay, at=NOON)).due_vnd == due_vnd
    owing = LeaveRequest(
        session_id=stay_id,
        actor=gate.attendant,
        forced=ExitReason.ARREARS,
        words="Khách không trả",
        photo=await a_photo(app_database, gate.org_id),
    )
    async with open_org_transaction(app_database, gate.org_id) as session:
        await leave(session, gate.org_id, [owing], now=NOON)
        left = await get_stay(session, gate.org_id, stay_id)
    assert (left.price_vnd, left.arrears_vnd) == (due_vnd, due_vnd)
    assert find_violations(fresh_database.owner_url) == []


async def test_what_has_left_cannot_be_reported_any_more(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    request = LeaveRequest(
        session_id=stay_id, actor=gate.attendant, forced=ExitReason.MANUAL, words="Mở tay"
    )
    async with open_org_transaction(app_database, gate.org_id) as session:
        await leave(session, gate.org_id, [request], now=NOON)

    with pytest.raises(NotInside):
        await report(app_database, gate, stay_id, await a_photo(app_database, gate.org_id))


@pytest.mark.slow
async def test_a_phone_without_network_takes_its_price_and_the_photo_follows(
    gate: Gate,
    app_database: Database,
    worker_database: Database,
    fresh_database: FreshDatabase,
) -> None:
    phone = Phone(gate, app_database, worker_database)
    stay_id = await a_stay(app_database, gate)
    due_vnd = PER_VISIT_VND + LOST_VND
    await phone.take_cash(stay_id, amount_vnd=due_vnd, is_ticket_lost=True)
    await phone.let_out(stay_id, at=NOON + timedelta(minutes=1))

    assert await phone.apply() == ["applied", "applied"]

    stay = await phone.look(stay_id)
    assert (stay.price_vnd, stay.paid_vnd) == (due_vnd, due_vnd)
    assert await list_breaks(app_database, gate.stall) == []
    photo = await a_photo(app_database, gate.org_id)
    found = await report(app_database, gate, stay_id, photo)
    assert (found.photo, found.reason) == (photo, "offline")
    assert await report(app_database, gate, stay_id, photo) == found
    async with open_org_transaction(app_database, gate.org_id) as session:
        seen = await session.scalar(
            text("SELECT count(*) FROM observations WHERE photo = :photo"), {"photo": photo}
        )
    assert seen == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_a_vehicle_without_its_ticket_leaves_a_phone_without_network_and_the_photo_follows(
    gate: Gate, app_database: Database, worker_database: Database
) -> None:
    phone = Phone(gate, app_database, worker_database)
    stay_id = await a_stay(app_database, gate)
    await phone.let_out(
        stay_id, is_ticket_lost=True, forced="unconfirmed", reason="Khách đã chuyển"
    )

    assert await phone.apply() == ["applied"]

    stay = await phone.look(stay_id)
    assert (stay.exit_reason, stay.price_vnd) == ("unconfirmed", PER_VISIT_VND + LOST_VND)
    photo = await a_photo(app_database, gate.org_id)
    found = await report(app_database, gate, stay_id, photo)
    assert (found.photo, found.reason) == (photo, "offline")


async def test_a_ticket_is_not_lost_any_more_once_its_vehicle_was_seen_leaving(
    gate: Gate, app_database: Database, worker_database: Database
) -> None:
    phone = Phone(gate, app_database, worker_database)
    stay_id = await a_stay(app_database, gate)
    await phone.let_out(stay_id)
    await phone.let_out(stay_id, is_ticket_lost=True)

    assert await phone.apply() == ["applied", "repeat"]

    assert (await phone.look(stay_id)).price_vnd == PER_VISIT_VND
    with pytest.raises(NotInside):
        await report(app_database, gate, stay_id, await a_photo(app_database, gate.org_id))


async def test_a_phone_that_takes_too_much_for_a_ticket_that_is_not_lost_is_noticed(
    gate: Gate, app_database: Database, worker_database: Database
) -> None:
    phone = Phone(gate, app_database, worker_database)
    await phone.take_cash(await a_stay(app_database, gate), amount_vnd=PER_VISIT_VND + LOST_VND)

    assert await phone.apply() == ["paid_twice"]


async def test_on_a_pass_the_lost_ticket_alone_is_charged_while_the_pass_covers_the_stay(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass_in_force(app_database, gate.org_id, plates=["29AA12345"])
    stay_id = await a_stay(app_database, gate, plate="29AA12345", pass_id=pass_id)

    async def read_due(at: datetime, *, is_ticket_lost: bool = False) -> int:
        async with open_org_transaction(app_database, gate.org_id) as session:
            stay = await get_stay(session, gate.org_id, stay_id)
            standing = await read_standing(
                session, gate.org_id, stay, at=at, is_ticket_lost=is_ticket_lost
            )
            return standing.due_vnd

    async with open_org_transaction(app_database, gate.org_id) as session:
        pass_until = (await get_stay(session, gate.org_id, stay_id)).pass_until
    assert pass_until is not None
    over_at = day_bounds(pass_until)[1]

    assert await read_due(NOON) == 0
    assert await read_due(NOON, is_ticket_lost=True) == LOST_VND
    assert await read_due(over_at - timedelta(minutes=1), is_ticket_lost=True) == LOST_VND
    assert await read_due(over_at, is_ticket_lost=True) == LOST_VND + PER_VISIT_VND


async def test_where_a_lost_ticket_has_no_price_a_pass_covers_it(app_database: Database) -> None:
    gate = await a_gate(app_database)
    pass_id = await a_pass_in_force(app_database, gate.org_id, plates=["29AA12345"])
    stay_id = await a_stay(app_database, gate, plate="29AA12345", pass_id=pass_id)

    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
        standing = await read_standing(session, gate.org_id, stay, at=NOON, is_ticket_lost=True)

    assert standing.due_vnd == 0
