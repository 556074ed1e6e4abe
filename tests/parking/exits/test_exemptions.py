"""Exemptions at the gate: they waive what is due, and nobody has paid it."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from core.db import Database
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.rules import CollectionRail
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave
from parking.exits.paying import Taken, collect
from parking.exits.quoting import quote_stay
from parking.exits.rules import ExitReason, StayFacts
from parking.exits.standing import get_stay
from parking.exits.tickets import read_whole_stay
from parking.exits.undoing import reverse_collection
from parking.tariffs.pricing import LineCode
from parking.tariffs.quotes import QuoteSigner
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR
from tests.world.parking_sessions import GRACE, HOURLY_VND, Gate, a_stay, cash

pytestmark = pytest.mark.anyio

LATER = NOON + GRACE + timedelta(minutes=30)


async def take(
    database: Database, gate: Gate, stay_id: UUID, taken: Taken, *, now: datetime = NOON
) -> UUID:
    async with open_org_transaction(database, gate.org_id) as session:
        stored = await collect(
            session, gate.org_id, stay_id, taken, priced_at=now, actor=gate.attendant, now=now
        )
    return stored.id


def exemption() -> Taken:
    return Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe công an")


async def let_out(
    database: Database, gate: Gate, stay_id: UUID, *, forced: ExitReason | None = None
) -> LeaveFacts:
    request = LeaveRequest(
        session_id=stay_id, actor=gate.attendant, forced=forced, words=forced and "Bỏ chạy"
    )
    async with open_org_transaction(database, gate.org_id) as session:
        (left,) = await leave(session, gate.org_id, [request], now=NOON)
    assert not isinstance(left, HubError)
    return left


async def read(database: Database, gate: Gate, stay_id: UUID) -> StayFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await get_stay(session, gate.org_id, stay_id)


async def test_what_was_waived_is_not_paid_and_the_vehicle_may_leave(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    await take(app_database, gate, stay_id, exemption())

    left = await let_out(app_database, gate, stay_id)

    assert (left.reason, left.paid_vnd, left.arrears_vnd) == ("exempt", 0, 0)
    stay = await read(app_database, gate, stay_id)
    assert (stay.price_vnd, stay.paid_vnd, stay.waived_vnd) == (5_000, 0, 5_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_after_an_exemption_only_what_came_since_is_due_and_the_lines_add_up(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate, vehicle_class=CAR)
    await take(app_database, gate, stay_id, exemption())

    async with open_org_transaction(app_database, gate.org_id) as session:
        quote = await quote_stay(session, gate.org_id, stay_id, QuoteSigner("k" * 32), now=LATER)
        whole = await read_whole_stay(session, gate.org_id, quote.standing.stay, at=LATER)

    assert quote.standing.due_vnd == HOURLY_VND
    for lines in (quote.lines, whole.lines):
        assert sum(line.amount_vnd for line in lines) == HOURLY_VND
        assert [(one.code, one.amount_vnd) for one in lines[1:]] == [(LineCode.WAIVED, -HOURLY_VND)]
    await take(app_database, gate, stay_id, cash(HOURLY_VND), now=LATER)
    stay = await read(app_database, gate, stay_id)
    assert (stay.paid_vnd, stay.waived_vnd) == (HOURLY_VND, HOURLY_VND)
    assert find_violations(fresh_database.owner_url) == []


async def test_an_exemption_that_is_taken_back_is_owed_again(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    waived_id = await take(app_database, gate, stay_id, exemption())
    await let_out(app_database, gate, stay_id)

    async with open_org_transaction(app_database, gate.org_id) as session:
        await reverse_collection(
            session,
            gate.org_id,
            waived_id,
            may_override=True,
            reason="Không phải xe công an",
            actor=gate.attendant,
            now=NOON,
        )

    stay = await read(app_database, gate, stay_id)
    assert (stay.paid_vnd, stay.waived_vnd, stay.arrears_vnd) == (0, 0, 5_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_arrears_that_are_waived_later_are_not_paid_either(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    await let_out(app_database, gate, stay_id, forced=ExitReason.ARREARS)

    await take(app_database, gate, stay_id, exemption())

    stay = await read(app_database, gate, stay_id)
    assert (stay.paid_vnd, stay.waived_vnd, stay.arrears_vnd) == (0, 5_000, 0)
    assert find_violations(fresh_database.owner_url) == []
