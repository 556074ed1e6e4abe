"""Refunds by complaints: of a stay or a bill together never more than was paid for it."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from city.complaints.rules import Category, Outcome, Subject, SubjectKind
from city.complaints.service import resolve_complaint
from core.db import Database
from core.errors import Busy
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.errors import CollectionNotReversible
from parking.collections.rules import CollectionRail
from parking.exits.joining import join_stays
from parking.exits.paying import Taken, collect, open_bill
from parking.exits.undoing import reverse_collection
from payments.bills.cash import take_back_cash, take_rest_in_cash
from payments.bills.errors import CashNotReversible
from payments.refunds.errors import RefundTooHigh
from payments.refunds.service import cancel_bill_and_propose_refund
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.breaks import give_up_rest
from tests.world.complaints import a_new_complaint, complain
from tests.world.constants import MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR
from tests.world.notices import pay
from tests.world.parking_sessions import (
    HOURLY_VND,
    PER_VISIT_VND,
    Gate,
    a_bill_wanted,
    a_stay,
    cash,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HOUR = timedelta(hours=1)


async def take(database: Database, gate: Gate, stay_id: UUID, taken: Taken) -> UUID:
    async with open_org_transaction(database, gate.org_id) as session:
        stored = await collect(
            session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
        )
    return stored.id


async def a_paid_stay(database: Database, gate: Gate) -> UUID:
    stay_id = await a_stay(database, gate)
    await take(database, gate, stay_id, cash(PER_VISIT_VND))
    return stay_id


async def uphold(database: Database, gate: Gate, complaint_id: UUID, refund_vnd: int) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await session.connection()
        await resolve_complaint(
            session,
            gate.org_id,
            complaint_id,
            outcome=Outcome.UPHELD,
            answer="Nhân viên đã thu thừa.",
            refund_vnd=refund_vnd,
            actor=MANAGER,
            now=NOON,
        )


async def complain_of_bill(database: Database, gate: Gate, bill_id: UUID) -> UUID:
    subject = Subject(
        kind=SubjectKind.BILL, id=bill_id, payee_id=gate.lot.payee_id, bill_id=bill_id
    )
    return (await complain(database, gate, a_new_complaint(gate, bill_id, subject=subject))).id


async def list_refunds(database: Database, gate: Gate) -> list[tuple[str, int]]:
    async with open_org_transaction(database, gate.org_id) as session:
        rows = await session.execute(
            text("SELECT kind, amount_vnd FROM breaks WHERE closed_at IS NULL ORDER BY id")
        )
        return [(row[0], row[1]) for row in rows]


async def test_two_complaints_about_one_stay_give_back_no_more_than_was_paid(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_paid_stay(app_database, gate)
    first = await complain(app_database, gate, a_new_complaint(gate, stay_id))
    other = a_new_complaint(gate, stay_id, category=Category.CHARGED_TWICE)
    second = await complain(app_database, gate, other)
    await uphold(app_database, gate, first.id, 3_000)

    with pytest.raises(RefundTooHigh) as refused:
        await uphold(app_database, gate, second.id, 3_000)

    assert refused.value.left_vnd == PER_VISIT_VND - 3_000
    await uphold(app_database, gate, second.id, PER_VISIT_VND - 3_000)  # it waits still
    assert await list_refunds(app_database, gate) == [
        ("refund_agreed", 3_000),
        ("refund_agreed", PER_VISIT_VND - 3_000),
    ]
    assert find_violations(fresh_database.owner_url) == []


async def test_what_was_given_back_once_is_not_given_back_again_after_its_item_is_closed(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_paid_stay(app_database, gate)
    first = await complain(app_database, gate, a_new_complaint(gate, stay_id))
    await uphold(app_database, gate, first.id, PER_VISIT_VND)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(
            text("UPDATE breaks SET closed_at = :now, resolution = 'đã trả'"), {"now": NOON}
        )
    again = await complain(app_database, gate, a_new_complaint(gate, stay_id))

    with pytest.raises(RefundTooHigh):
        await uphold(app_database, gate, again.id, 1)


async def test_nothing_is_given_back_of_a_stay_that_nobody_paid(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    exempt = Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe công an")
    await take(app_database, gate, stay_id, exempt)
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id))

    with pytest.raises(RefundTooHigh):
        await uphold(app_database, gate, made.id, 1)


async def two_joined_stays(
    database: Database, gate: Gate, *, is_by_code: bool = False
) -> tuple[UUID, UUID, UUID | None]:
    """Return the kept stay, the joined one that was paid, and the collection that paid it."""
    kept_id = await a_stay(database, gate, ticket="A000017", entered_at=NOON - timedelta(hours=2))
    other_id = await a_stay(database, gate, plate="29AA12345")
    collection_id = None
    if is_by_code:
        async with open_org_transaction(database, gate.org_id) as session:
            bill = await open_bill(
                session, gate.org_id, other_id, a_bill_wanted(gate, PER_VISIT_VND),
                priced_at=NOON, actor=gate.attendant, now=NOON,
            )  # fmt: skip
        await pay(database, gate.stall, bill)
    else:
        collection_id = await take(database, gate, other_id, cash(PER_VISIT_VND))
    async with open_org_transaction(database, gate.org_id) as session:
        await join_stays(
            session, gate.org_id, kept_id, other_id, reason="Một xe", actor=MANAGER, now=NOON
        )
    return kept_id, other_id, collection_id


@pytest.mark.parametrize("is_by_code", [False, True])
@pytest.mark.parametrize("is_kept_first", [False, True])
async def test_what_a_joined_stay_was_paid_is_given_back_once_whichever_is_complained_of(
    app_database: Database,
    gate: Gate,
    fresh_database: FreshDatabase,
    is_by_code: bool,
    is_kept_first: bool,
) -> None:
    kept_id, other_id, _ = await two_joined_stays(app_database, gate, is_by_code=is_by_code)
    about = [kept_id, other_id] if is_kept_first else [other_id, kept_id]
    made = [(await complain(app_database, gate, a_new_complaint(gate, id_))).id for id_ in about]
    await uphold(app_database, gate, made[0], PER_VISIT_VND)

    with pytest.raises(RefundTooHigh):
        await uphold(app_database, gate, made[1], 1)

    assert await list_refunds(app_database, gate) == [("refund_agreed", PER_VISIT_VND)]
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("is_about_kept", [False, True])
async def test_cash_of_a_joined_stay_that_is_to_be_given_back_is_not_undone_as_well(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, is_about_kept: bool
) -> None:
    kept_id, other_id, collection_id = await two_joined_stays(app_database, gate)
    assert collection_id is not None
    new = a_new_complaint(gate, kept_id if is_about_kept else other_id)
    made = await complain(app_database, gate, new)
    await uphold(app_database, gate, made.id, 1)

    with pytest.raises(CollectionNotReversible):
        async with open_org_transaction(app_database, gate.org_id) as session:
            await reverse_collection(
                session, gate.org_id, collection_id, may_override=True, reason="Thu nhầm",
                actor=MANAGER, now=NOON,
            )  # fmt: skip

    assert find_violations(fresh_database.owner_url) == []


async def test_cash_is_not_undone_below_what_is_given_back_of_the_stay_and_its_bill_together(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate, vehicle_class=CAR, entered_at=NOON - HOUR)
    async with open_org_transaction(app_database, gate.org_id) as session:
        bill = await open_bill(
            session, gate.org_id, stay_id, a_bill_wanted(gate, HOURLY_VND),
            priced_at=NOON, actor=gate.attendant, now=NOON,
        )  # fmt: skip
    await pay(app_database, gate.stall, bill)
    later = NOON + HOUR
    async with open_org_transaction(app_database, gate.org_id) as session:
        rest = await collect(
            session, gate.org_id, stay_id, cash(HOURLY_VND), priced_at=later,
            actor=gate.attendant, now=later,
        )  # fmt: skip
    of_bill = await complain_of_bill(app_database, gate, bill.id)
    await uphold(app_database, gate, of_bill, HOURLY_VND)
    of_stay = await complain(app_database, gate, a_new_complaint(gate, stay_id))
    await uphold(app_database, gate, of_stay.id, HOURLY_VND)

    with pytest.raises(CollectionNotReversible):
        async with open_org_transaction(app_database, gate.org_id) as session:
            await reverse_collection(
                session, gate.org_id, rest.id, may_override=True, reason="Thu nhầm",
                actor=MANAGER, now=later,
            )  # fmt: skip

    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("round_", range(3))
async def test_of_two_who_give_back_the_whole_of_one_stay_at_once_one_does(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, round_: int
) -> None:
    stay_id = await a_paid_stay(app_database, gate)
    made = [
        await complain(app_database, gate, a_new_complaint(gate, stay_id, category=category))
        for category in (Category.OVERCHARGED, Category.CHARGED_TWICE, Category.RUDE)
    ]
    ready = asyncio.Barrier(len(made))

    async def decide(complaint_id: UUID) -> bool:
        await ready.wait()
        try:
            await uphold(app_database, gate, complaint_id, PER_VISIT_VND)
        except RefundTooHigh:
            return False
        return True

    decided = await asyncio.gather(*(decide(one.id) for one in made))

    assert sorted(decided) == [False, False, True]
    assert await list_refunds(app_database, gate) == [("refund_agreed", PER_VISIT_VND)]
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_that_is_to_be_given_back_is_not_undone_as_well(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    taken_id = await take(app_database, gate, stay_id, cash(PER_VISIT_VND))
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id))
    await uphold(app_database, gate, made.id, 1_000)

    with pytest.raises(CollectionNotReversible):
        async with open_org_transaction(app_database, gate.org_id) as session:
            await reverse_collection(
                session,
                gate.org_id,
                taken_id,
                may_override=True,
                reason="Bấm nhầm",
                actor=gate.attendant,
                now=NOON,
            )


@pytest.mark.parametrize(("is_agreed_first", "due"), [(True, 3_000), (False, 5_000)])
async def test_a_cancelled_bill_and_a_complaint_about_it_give_back_what_was_paid_once(
    app_database: Database,
    gate: Gate,
    fresh_database: FreshDatabase,
    is_agreed_first: bool,
    due: int,
) -> None:
    bill = await a_bill(app_database, gate.stall)
    await pay(app_database, gate.stall, bill, amount_vnd=5_000)
    complaint_id = await complain_of_bill(app_database, gate, bill.id)
    if is_agreed_first:
        await uphold(app_database, gate, complaint_id, 2_000)

    async with open_org_transaction(app_database, gate.org_id) as session:
        await cancel_bill_and_propose_refund(
            session, gate.org_id, bill.id, actor=VENDOR, reason="hết hàng", now=NOON
        )

    if not is_agreed_first:
        with pytest.raises(RefundTooHigh):
            await uphold(app_database, gate, complaint_id, 2_000)
    agreed = [("refund_agreed", 2_000)] if is_agreed_first else []
    assert await list_refunds(app_database, gate) == [*agreed, ("refund_due", due)]
    assert find_violations(fresh_database.owner_url) == []


async def test_the_rest_in_cash_is_not_taken_back_once_it_is_to_be_given_back(
    app_database: Database, gate: Gate
) -> None:
    bill = await a_bill(app_database, gate.stall)
    await pay(app_database, gate.stall, bill, amount_vnd=5_000)
    assert bill.amount_vnd is not None
    rest_vnd, payment_id = bill.amount_vnd - 5_000, new_id()
    async with open_org_transaction(app_database, gate.org_id) as session:
        await take_rest_in_cash(
            session,
            gate.org_id,
            bill.id,
            payment_id=payment_id,
            amount_vnd=rest_vnd,
            actor=VENDOR,
            now=NOON,
        )
    complaint_id = await complain_of_bill(app_database, gate, bill.id)
    await uphold(app_database, gate, complaint_id, 6_000)

    with pytest.raises(CashNotReversible):
        async with open_org_transaction(app_database, gate.org_id) as session:
            await take_back_cash(
                session, gate.org_id, bill.id, payment_id=payment_id, actor=VENDOR, now=NOON
            )


async def test_the_books_show_a_refund_of_more_than_was_paid(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, owner_database: Database
) -> None:
    stay_id = await a_paid_stay(app_database, gate)
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id))
    await uphold(app_database, gate, made.id, PER_VISIT_VND)

    async with owner_database.begin() as session:
        await session.execute(text("UPDATE breaks SET amount_vnd = amount_vnd + 1"))

    (found,) = find_violations(fresh_database.owner_url)
    assert found.startswith("refunds_are_no_more_than_paid")


@pytest.mark.parametrize("round_", range(4))
async def test_of_a_join_a_refund_and_an_undoing_at_once_the_books_agree(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, round_: int
) -> None:
    kept_id = await a_stay(
        app_database, gate, ticket="A000017", entered_at=NOON - timedelta(hours=2)
    )
    other_id = await a_stay(app_database, gate)
    collection_id = await take(app_database, gate, other_id, cash(PER_VISIT_VND))
    new = a_new_complaint(gate, (kept_id, other_id)[round_ % 2])
    made = await complain(app_database, gate, new)
    ready = asyncio.Barrier(3)

    async def join() -> None:
        async with open_org_transaction(app_database, gate.org_id) as session:
            await session.connection()
            await ready.wait()
            await join_stays(
                session, gate.org_id, kept_id, other_id, reason="Một xe", actor=MANAGER, now=NOON
            )

    async def give_back() -> None:
        await ready.wait()
        await uphold(app_database, gate, made.id, PER_VISIT_VND)

    async def undo() -> None:
        async with open_org_transaction(app_database, gate.org_id) as session:
            await session.connection()
            await ready.wait()
            await reverse_collection(
                session, gate.org_id, collection_id, may_override=True, reason="Thu nhầm",
                actor=MANAGER, now=NOON,
            )  # fmt: skip

    found = await asyncio.gather(join(), give_back(), undo(), return_exceptions=True)

    refused = [one for one in found if one is not None]
    assert {type(one) for one in refused} <= {RefundTooHigh, CollectionNotReversible, Busy}, refused
    given, undone = (one is None for one in found[1:])
    assert not (given and undone)
    assert find_violations(fresh_database.owner_url) == []


async def test_what_was_given_up_of_a_bill_is_not_given_back(
    app_database: Database, gate: Gate
) -> None:
    bill = await a_bill(app_database, gate.stall)
    await pay(app_database, gate.stall, bill, amount_vnd=15_000)
    await give_up_rest(app_database, gate.stall, bill)
    complaint_id = await complain_of_bill(app_database, gate, bill.id)

    with pytest.raises(RefundTooHigh):
        await uphold(app_database, gate, complaint_id, 15_001)
    await uphold(app_database, gate, complaint_id, 15_000)
