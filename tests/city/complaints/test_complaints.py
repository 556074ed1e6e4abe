"""A complaint is taken in once, has a deadline and a link, and ends with an outcome."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from city.complaints import queries
from city.complaints.errors import (
    ComplaintAlreadyOpen,
    ComplaintIdTaken,
    ComplaintNotFound,
    ComplaintResolved,
    ComplaintSaysNothing,
    RefundNotFitting,
)
from city.complaints.jobs import KEPT_FOR, erase_complaints
from city.complaints.models import Complaint
from city.complaints.rules import Category, Outcome
from city.complaints.service import resolve_complaint
from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from parking.exits.paying import collect
from tests.payments.invariants import find_violations
from tests.world.complaints import a_new_complaint, complain
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_gate, a_stay, cash

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stay_id(app_database: Database, gate: Gate) -> UUID:
    return await a_stay(app_database, gate)


async def resolve(database: Database, gate: Gate, complaint_id: UUID, **facts: Any) -> Complaint:
    known = {"outcome": Outcome.UPHELD, "answer": "Nhân viên đã thu thừa.", "now": NOON, **facts}
    async with open_org_transaction(database, gate.org_id) as session:
        return await resolve_complaint(session, gate.org_id, complaint_id, actor=MANAGER, **known)


async def pay_in_cash(database: Database, gate: Gate, stay_id: UUID) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await collect(
            session,
            gate.org_id,
            stay_id,
            cash(PER_VISIT_VND),
            priced_at=NOON,
            actor=gate.attendant,
            now=NOON,
        )


async def list_open_ids(database: Database, gate: Gate) -> list[UUID]:
    async with open_org_transaction(database, gate.org_id) as session:
        return [one.id for one in await queries.list_open(session, gate.org_id, limit=10)]


async def test_a_complaint_waits_with_a_deadline_and_opens_by_its_link(
    app_database: Database, gate: Gate, stay_id: UUID
) -> None:
    new = a_new_complaint(gate, stay_id, words="Thu 20.000 thay vì 5.000", taken_vnd=20_000)

    made = await complain(app_database, gate, new)

    assert (made.status, made.outcome) == ("open", None)
    assert made.due_on > made.received_at.date()
    assert await list_open_ids(app_database, gate) == [new.id]
    async with open_org_transaction(app_database, gate.org_id) as session:
        found = await queries.get_by_token(session, gate.org_id, made.public_token)
        assert found.id == new.id
        with pytest.raises(ComplaintNotFound):
            await queries.get_by_token(session, gate.org_id, "A" * 22)


async def test_the_same_complaint_again_answers_the_first(
    app_database: Database, gate: Gate, stay_id: UUID
) -> None:
    new = a_new_complaint(gate, stay_id)
    first = await complain(app_database, gate, new)

    again = await complain(app_database, gate, new, now=NOON + timedelta(days=1))

    assert again.public_token == first.public_token
    assert again.received_at == first.received_at
    with pytest.raises(ComplaintIdTaken):
        await complain(app_database, gate, replace(new, words="khác"))


async def test_ten_taps_at_once_make_one_complaint(
    app_database: Database, gate: Gate, stay_id: UUID
) -> None:
    new = a_new_complaint(gate, stay_id)
    ready = asyncio.Barrier(10)

    async def tap() -> str:
        await ready.wait()
        return (await complain(app_database, gate, new)).public_token

    assert len({*await asyncio.gather(*(tap() for _ in range(10)))}) == 1
    assert await list_open_ids(app_database, gate) == [new.id]


async def test_one_of_a_kind_waits_at_a_time_about_one_stay(
    app_database: Database, gate: Gate, stay_id: UUID
) -> None:
    first = await complain(app_database, gate, a_new_complaint(gate, stay_id))

    with pytest.raises(ComplaintAlreadyOpen):
        await complain(app_database, gate, a_new_complaint(gate, stay_id, words="lần nữa"))
    await complain(app_database, gate, a_new_complaint(gate, stay_id, category=Category.RUDE))
    other_stay_id = await a_stay(app_database, gate)
    await complain(app_database, gate, a_new_complaint(gate, other_stay_id))

    await resolve(app_database, gate, first.id)
    await complain(app_database, gate, a_new_complaint(gate, stay_id))


async def test_something_else_has_to_be_said_in_words_that_can_be_seen(
    app_database: Database, gate: Gate, stay_id: UUID
) -> None:
    for words, refused in ((None, ComplaintSaysNothing), ("\u202etxt", InvalidRequest)):
        new = a_new_complaint(gate, stay_id, category=Category.OTHER, words=words)
        with pytest.raises(refused):
            await complain(app_database, gate, new)
    assert await list_open_ids(app_database, gate) == []


async def test_an_upheld_complaint_puts_its_refund_on_the_list_and_the_books_agree(
    app_database: Database, gate: Gate, stay_id: UUID, fresh_database: FreshDatabase
) -> None:
    await pay_in_cash(app_database, gate, stay_id)
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id))

    resolved = await resolve(app_database, gate, made.id, refund_vnd=4_000)
    again = await resolve(app_database, gate, made.id, refund_vnd=4_000)

    assert (resolved.status, resolved.outcome) == ("answered", "upheld")
    assert again.resolved_at == resolved.resolved_at
    async with open_org_transaction(app_database, gate.org_id) as session:
        rows = await session.execute(
            text("SELECT kind, subject_id, amount_vnd, reason FROM breaks")
        )
        assert [tuple(row) for row in rows] == [
            ("refund_agreed", made.id, 4_000, "complaint_upheld")
        ]
        audited = await session.execute(
            text(
                "SELECT action, actor_kind FROM audit_log WHERE object_kind = 'complaint'"
                " ORDER BY id"
            )
        )
        assert [tuple(row) for row in audited] == [
            ("complaint.received", "public"),
            ("complaint.resolved", MANAGER.kind),
        ]
    assert find_violations(fresh_database.owner_url) == []
    with pytest.raises(ComplaintResolved):
        await resolve(app_database, gate, made.id, outcome=Outcome.REJECTED)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.REJECTED, "answered"), (Outcome.DUPLICATE, "closed"), (Outcome.WITHDRAWN, "closed")],
)
async def test_what_is_not_upheld_gives_nothing_back(
    app_database: Database, gate: Gate, stay_id: UUID, outcome: Outcome, status: str
) -> None:
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id))

    with pytest.raises(RefundNotFitting):
        await resolve(app_database, gate, made.id, outcome=outcome, refund_vnd=5_000)

    assert (await resolve(app_database, gate, made.id, outcome=outcome)).status == status
    with pytest.raises(ComplaintNotFound):
        await resolve(app_database, gate, new_id())


async def test_the_nearest_deadline_comes_first_and_pages_go_on_where_they_ended(
    app_database: Database, gate: Gate
) -> None:
    made = []
    for day in (3, 0, 1, 0):
        stay_id = await a_stay(app_database, gate)
        new = a_new_complaint(gate, stay_id)
        made.append(await complain(app_database, gate, new, now=NOON + timedelta(days=7 + day)))
    wanted = [one.id for one in sorted(made, key=lambda one: (one.due_on, one.id))]

    listed: list[UUID] = []
    async with open_org_transaction(app_database, gate.org_id) as session:
        while page := await queries.list_open(
            session, gate.org_id, after_id=listed[-1] if listed else None, limit=3
        ):
            listed += [one.id for one in page]
    assert listed == wanted

    for hour, one in enumerate(made):
        await resolve(app_database, gate, one.id, now=NOON + timedelta(days=30, hours=hour))
    async with open_org_transaction(app_database, gate.org_id) as session:
        first = await queries.list_resolved(session, gate.org_id, limit=3)
        rest = await queries.list_resolved(session, gate.org_id, after_id=first[-1].id, limit=3)
    assert [one.id for one in (*first, *rest)] == [one.id for one in reversed(made)]


async def test_nobody_of_another_organisation_sees_it(
    app_database: Database, gate: Gate, stay_id: UUID
) -> None:
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id))
    other = await a_gate(app_database)

    assert await list_open_ids(app_database, other) == []
    with pytest.raises(ComplaintNotFound):
        await resolve(app_database, other, made.id)


async def test_a_year_after_the_outcome_nobody_knows_who_complained(
    app_database: Database, worker_database: Database, gate: Gate, stay_id: UUID
) -> None:
    facts = {"category": Category.OTHER, "words": "Anh Tú mắng tôi", "contact": "0905 123 456"}
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id, **facts))
    waiting = await complain(
        app_database, gate, a_new_complaint(gate, stay_id, contact="lan@example.vn")
    )
    await resolve(app_database, gate, made.id)
    databases = JobDatabases(app=app_database, worker=worker_database)

    assert await erase_complaints(databases, now=NOON + KEPT_FOR) == 0
    assert await erase_complaints(databases, now=NOON + KEPT_FOR + timedelta(seconds=1)) == 1
    assert await erase_complaints(databases, now=NOON + KEPT_FOR + timedelta(days=1)) == 0

    async with open_org_transaction(app_database, gate.org_id) as session:
        erased = await queries.get_complaint(session, gate.org_id, made.id)
        assert (erased.words, erased.contact, erased.outcome) == ("…", None, "upheld")
        kept = await queries.get_complaint(session, gate.org_id, waiting.id)
        assert kept.contact == "lan@example.vn"
        assert isinstance(kept.due_on, date)
