"""Movements of a phone without network: applied in its order, and a break where they do not fit."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from parking.exits.jobs import apply_movements, owe_unconfirmed
from parking.exits.joining import join_stays
from parking.exits.paying import collect
from parking.exits.rules import StayFacts
from parking.exits.standing import get_stay
from parking.shifts.service import close_shift
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.offline import an_id_at
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_stay, cash
from tests.world.photos import a_photo
from tests.world.reads import list_breaks

pytestmark = pytest.mark.anyio

BACK_ONLINE = NOON + timedelta(hours=2)
SHIFT_CLOSED = NOON + timedelta(hours=1)


class Phone:
    """A phone that kept what it did, and sends it when it is back."""

    def __init__(self, gate: Gate, app: Database, worker: Database) -> None:
        self.gate, self.app, self.worker = gate, app, worker
        self.id, self.seq = new_id(), 0

    async def keep(self, kind: str, *, at: datetime = NOON, **data: Any) -> UUID:
        """Store a movement as the hub does with one whose signature holds."""
        self.seq += 1
        movement_id = an_id_at(at)
        staff = {"staff_id": str(self.gate.attendant.id)}
        async with open_org_transaction(self.app, self.gate.org_id) as session:
            await session.execute(
                text(
                    "INSERT INTO movements (org_id, device_id, id, lot_id, seq, kind, body,"
                    " signature, device_at, offset_ms, received_at, received_from) VALUES"
                    " (:org, :device, :id, :lot, :seq, :kind, CAST(:body AS json), '', :at, 0,"
                    " :now, :by)"
                ),
                {
                    "org": self.gate.org_id,
                    "device": self.id,
                    "id": movement_id,
                    "lot": self.gate.lot.id,
                    "seq": self.seq,
                    "kind": kind,
                    "body": json.dumps({"data": staff | data}),
                    "at": at,
                    "now": BACK_ONLINE,
                    "by": self.gate.attendant.id,
                },
            )
        return movement_id

    async def take_cash(self, stay_id: UUID, **facts: Any) -> UUID:
        data: dict[str, Any] = {
            "id": str(new_id()),
            "session_id": str(stay_id),
            "shift_id": str(self.gate.shift_id),
            "rail": "cash",
            "amount_vnd": PER_VISIT_VND,
            **facts,
        }
        return await self.keep("collection", **data)

    async def let_out(self, stay_id: UUID, **facts: Any) -> UUID:
        return await self.keep("exit", session_id=str(stay_id), **facts)

    async def apply(self, *, now: datetime = BACK_ONLINE) -> list[str]:
        """Let the worker come by; return the verdicts in the phone's order."""
        databases = JobDatabases(app=self.app, worker=self.worker)
        await apply_movements(databases, now=now)
        async with open_org_transaction(self.app, self.gate.org_id) as session:
            rows = await session.scalars(text("SELECT verdict FROM movements ORDER BY seq"))
            return [str(row) for row in rows]

    async def look(self, stay_id: UUID) -> StayFacts:
        async with open_org_transaction(self.app, self.gate.org_id) as session:
            return await get_stay(session, self.gate.org_id, stay_id)

    async def exit_photos(self, *stay_ids: UUID) -> list[bytes | None]:
        query = text("SELECT id, exit_photo FROM parking_sessions")
        async with open_org_transaction(self.app, self.gate.org_id) as session:
            found = {row[0]: row[1] for row in await session.execute(query)}
        return [found[one] and bytes(found[one]) for one in stay_ids]


async def write_closed(owner_database: Database) -> None:
    """Let all stays be as a batch writes them that has both the entry and the exit."""
    async with owner_database.begin() as session:
        for statement in (
            f"UPDATE parking_sessions SET status = 'left', left_at = '{NOON.isoformat()}'",
            "DELETE FROM inside",
            "UPDATE occupancy SET inside_count = 0",
        ):
            await session.execute(text(statement))


@pytest.fixture
async def phone(gate: Gate, app_database: Database, worker_database: Database) -> Phone:
    return Phone(gate, app_database, worker_database)


async def test_cash_and_the_exit_after_it_are_applied_at_the_time_of_the_phone(
    phone: Phone, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.take_cash(stay_id)
    await phone.let_out(stay_id, at=NOON + timedelta(minutes=1))

    assert await phone.apply() == ["applied", "applied"]
    assert await phone.apply() == ["applied", "applied"]

    stay = await phone.look(stay_id)
    assert (stay.status, stay.exit_reason, stay.paid_vnd) == ("left", "paid", PER_VISIT_VND)
    assert stay.left_at == NOON + timedelta(minutes=1)
    assert await list_breaks(phone.app, phone.gate.stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_who_left_unpaid_without_network_is_unconfirmed(phone: Phone) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.let_out(stay_id)

    assert await phone.apply() == ["applied"]

    stay = await phone.look(stay_id)
    assert (stay.exit_reason, stay.price_vnd, stay.arrears_vnd) == ("unconfirmed", 5_000, 0)


async def test_a_photo_that_was_uploaded_before_the_network_went_is_that_of_the_exit(
    phone: Phone,
) -> None:
    org_id = phone.gate.org_id
    photo, unknown = await a_photo(phone.app, org_id), bytes(32)
    stays = [await a_stay(phone.app, phone.gate) for _ in "abc"]
    for stay_id, shown in zip(stays, (photo, photo, unknown), strict=True):
        facts = {"forced": "manual", "reason": "Hỏng thanh chắn", "photo": shown.hex()}
        await phone.let_out(stay_id, **facts)

    assert await phone.apply() == ["applied"] * 3  # what left has left, whatever its photo

    assert await phone.exit_photos(*stays) == [photo, None, None]
    assert [(await phone.look(one)).exit_reason for one in stays] == ["manual"] * 3


async def test_a_stay_that_was_written_closed_has_the_photo_of_its_exit_if_it_is_no_others(
    phone: Phone, owner_database: Database
) -> None:
    photo = await a_photo(phone.app, phone.gate.org_id)
    stays = [await a_stay(phone.app, phone.gate) for _ in "ab"]
    await write_closed(owner_database)
    for stay_id in stays:
        await phone.let_out(stay_id, photo=photo.hex())

    assert await phone.apply() == ["applied"] * 2

    assert await phone.exit_photos(*stays) == [photo, None]


async def test_what_nobody_confirms_in_24_hours_is_owed_unless_it_was_paid(
    phone: Phone, fresh_database: FreshDatabase
) -> None:
    owes, paid = [await a_stay(phone.app, phone.gate) for _ in "ab"]
    for stay_id in (owes, paid):
        await phone.let_out(stay_id)
    await phone.take_cash(paid)
    await phone.apply()
    databases = JobDatabases(app=phone.app, worker=phone.worker)
    day = timedelta(hours=24)

    assert await owe_unconfirmed(databases, now=NOON + day) == 0
    assert await owe_unconfirmed(databases, now=NOON + day + timedelta(seconds=1)) == 1
    assert await owe_unconfirmed(databases, now=NOON + 2 * day) == 0

    assert (await phone.look(owes)).arrears_vnd == PER_VISIT_VND
    assert (await phone.look(paid)).arrears_vnd == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_a_stay_that_was_written_closed_gets_its_price(
    phone: Phone, owner_database: Database, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await write_closed(owner_database)
    await phone.let_out(stay_id, forced="arrears", reason="Bỏ chạy")

    assert await phone.apply() == ["applied"]

    stay = await phone.look(stay_id)
    assert (stay.exit_reason, stay.price_vnd, stay.arrears_vnd) == ("arrears", 5_000, 5_000)
    assert stay.left_at == NOON
    assert find_violations(fresh_database.owner_url) == []


async def test_what_was_taken_twice_is_kept_and_a_person_is_told(
    phone: Phone, fresh_database: FreshDatabase
) -> None:
    """Online a colleague took the same five thousand."""
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.take_cash(stay_id)
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        await collect(
            session,
            phone.gate.org_id,
            stay_id,
            cash(PER_VISIT_VND),
            priced_at=NOON,
            actor=phone.gate.attendant,
            now=NOON,
        )

    assert await phone.apply() == ["paid_twice"]

    assert (await phone.look(stay_id)).paid_vnd == 2 * PER_VISIT_VND
    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"]
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_that_is_reported_after_its_shift_was_counted_explains_the_variance(
    phone: Phone, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.take_cash(stay_id)
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        closed = await close_shift(
            session,
            phone.gate.org_id,
            phone.gate.shift_id,
            counted_vnd=PER_VISIT_VND,
            note=None,
            actor=phone.gate.attendant,
            now=SHIFT_CLOSED,
        )
    assert closed.variance_vnd == PER_VISIT_VND

    assert await phone.apply() == ["after_close"]

    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        taken = text(
            "SELECT sum(CASE WHEN credit_code = 'takings' THEN amount_vnd END),"
            " sum(CASE WHEN credit_code = 'cash_variance' THEN amount_vnd"
            " WHEN debit_code = 'cash_variance' THEN -amount_vnd END) FROM postings"
        )
        assert tuple((await session.execute(taken)).one()) == (PER_VISIT_VND, 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_ticket_that_is_late_and_too_much_and_paid_twice_is_told_as_all_of_these(
    phone: Phone, owner_database: Database, fresh_database: FreshDatabase
) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE lots SET offline_cash_max_vnd = 4000"))
    stay_id = await a_stay(phone.app, phone.gate)
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        await collect(
            session,
            phone.gate.org_id,
            stay_id,
            cash(PER_VISIT_VND),
            priced_at=NOON,
            actor=phone.gate.attendant,
            now=NOON,
        )
        await close_shift(
            session,
            phone.gate.org_id,
            phone.gate.shift_id,
            counted_vnd=2 * PER_VISIT_VND,
            note=None,
            actor=phone.gate.attendant,
            now=SHIFT_CLOSED,
        )
    await phone.take_cash(stay_id)

    assert await phone.apply() == ["paid_twice"]

    async with owner_database.begin() as session:
        facts = await session.scalar(text("SELECT reason_facts FROM breaks"))
    assert facts["why"] == "paid_twice, after_close, over_limit"
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_that_was_taken_before_its_stay_was_joined_is_known_when_it_comes_again(
    phone: Phone, fresh_database: FreshDatabase
) -> None:
    gate = phone.gate
    kept_id = await a_stay(phone.app, gate, ticket="A000017", entered_at=NOON - timedelta(hours=2))
    stay_id = await a_stay(phone.app, gate)
    taken = cash(PER_VISIT_VND)
    async with open_org_transaction(phone.app, gate.org_id) as session:
        await collect(
            session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
        )
    await phone.take_cash(stay_id, id=str(taken.id))
    async with open_org_transaction(phone.app, gate.org_id) as session:
        await join_stays(
            session, gate.org_id, kept_id, stay_id, reason="Một xe", actor=MANAGER, now=NOON
        )

    assert await phone.apply() == ["repeat"]

    assert (await phone.look(kept_id)).paid_vnd == PER_VISIT_VND
    assert await list_breaks(phone.app, gate.stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_what_cannot_be_is_refused_and_holds_up_nothing(
    phone: Phone, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.take_cash(new_id())
    await phone.take_cash(stay_id, amount_vnd="năm nghìn")
    await phone.take_cash(stay_id, shift_id=str(new_id()))
    await phone.keep("exit", session_id="x")
    await phone.keep("manual_open", reason="Barie hỏng")
    await phone.take_cash(stay_id)
    await phone.let_out(stay_id)

    assert await phone.apply() == [
        "unknown_session",
        "refused",
        "refused",
        "refused",
        "applied",
        "applied",
        "applied",
    ]
    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"] * 4
    assert find_violations(fresh_database.owner_url) == []


async def test_a_movement_that_breaks_a_constraint_leaves_the_others_standing(
    phone: Phone, owner_database: Database
) -> None:
    """The lot says that nobody is inside, so nobody can leave it."""
    stay_id = await a_stay(phone.app, phone.gate)
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE occupancy SET inside_count = 0"))
    await phone.let_out(stay_id)
    await phone.take_cash(stay_id)

    assert await phone.apply() == ["refused", "applied"]

    stay = await phone.look(stay_id)
    assert (stay.status, stay.paid_vnd) == ("inside", PER_VISIT_VND)
    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"]


async def test_more_cash_than_a_shift_may_take_offline_is_counted_and_shown(
    phone: Phone, owner_database: Database
) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE lots SET offline_cash_max_vnd = 9000"))
    for _ in range(2):
        await phone.take_cash(await a_stay(phone.app, phone.gate), at=NOON)

    assert await phone.apply() == ["applied", "over_limit"]
    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"]


async def test_a_phone_cannot_say_that_somebody_of_another_gate_did_something(
    phone: Phone, owner_database: Database
) -> None:
    stranger = {"staff_id": str(new_id())}
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.keep("manual_open", reason="Barie hỏng", **stranger)
    await phone.take_cash(stay_id, **stranger)
    await phone.let_out(stay_id, **stranger)

    assert await phone.apply() == ["unknown_person", "refused", "unknown_person"]

    async with owner_database.begin() as session:
        query = text("SELECT actor_id FROM audit_log WHERE action = 'lane.opened_by_hand'")
        assert await session.scalar(query) == phone.id
        assert await session.scalar(text("SELECT exit_by FROM parking_sessions")) == phone.id


async def test_a_person_without_the_right_to_a_gate_is_not_believed(
    phone: Phone, owner_database: Database
) -> None:
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE staff SET roles = '{accountant}'"))
    await phone.keep("manual_open", reason="Barie hỏng")

    assert await phone.apply() == ["unknown_person"]
