"""Entries of vehicles, written by the statements and the role of the way in."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.exits.queries_undoing import reopen_session, void_session
from parking.exits.rules import list_credentials
from parking.exits.standing import get_stay
from parking.places.errors import LotClosed
from parking.places.service import close_lot
from parking.sessions.errors import LotOrClassNotFound
from parking.sessions.rules import CredentialKind, Verdict
from parking.sessions.service import override_entry
from parking.sessions.writer import EntryWriter
from tests.world.constants import MANAGER, NOON
from tests.world.entries import a_plate, all_are, an_entry, count_parked, verdicts
from tests.world.lots import CAR, MOTORBIKE, a_lot

pytestmark = pytest.mark.anyio


@pytest.fixture
async def writer(gate_database: Database) -> AsyncIterator[EntryWriter]:
    """What one process writes entries with."""
    writer = EntryWriter(gate_database, read_clock=lambda: NOON)
    yield writer
    await writer.drain()


async def test_a_vehicle_comes_in(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    entry = an_entry(lot, plate="29AA12345")

    answer = await writer.enter(entry)

    assert (answer.verdict, answer.session_id) == (Verdict.OPENED, entry.id)
    assert (answer.inside_count, answer.capacity) == (1, 100)
    assert all_are(await count_parked(owner_database, lot), 1)
    async with owner_database.begin() as session:
        seen = (await session.execute(text("SELECT plate, direction FROM observations"))).one()
        told = (
            await session.execute(text("SELECT kind, data FROM events WHERE kind LIKE 'parking.%'"))
        ).one()
        present = (await session.execute(text("SELECT kind, credential, tail FROM inside"))).one()
    assert tuple(seen) == ("29AA12345", "in")
    assert tuple(present) == ("plate", "motorbike:29AA12345", "345")
    assert told.kind == "parking.entered"
    assert told.data["session_id"] == str(entry.id)
    assert "29AA12345" not in str(told.data)


async def test_the_same_request_again_is_a_repeat(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    entry = an_entry(lot)
    first = await writer.enter(entry)

    again = await writer.enter(entry)

    assert (again.verdict, again.session_id) == (Verdict.REPEAT, entry.id)
    assert again.ticket_key == first.ticket_key
    assert all_are(await count_parked(owner_database, lot), 1)


async def test_an_id_of_another_entry_is_taken(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    first = an_entry(lot)
    await writer.enter(first)

    answer = await writer.enter(an_entry(lot, id_=first.id))

    assert answer.verdict is Verdict.TAKEN
    assert answer.ticket_key is None
    assert all_are(await count_parked(owner_database, lot), 1)


async def test_a_vehicle_that_is_inside_is_not_let_in_again(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    first = an_entry(lot, plate="29AA12345")
    await writer.enter(first)

    answer = await writer.enter(an_entry(lot, plate="29AA12345"))

    assert (answer.verdict, answer.session_id) == (Verdict.ALREADY_INSIDE, first.id)
    assert answer.entered_at == NOON
    assert all_are(await count_parked(owner_database, lot), 1)


async def test_a_car_and_a_motorbike_with_the_same_compact_plate_are_two_vehicles(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)

    answers = [
        await writer.enter(an_entry(lot, plate="30F12345", vehicle_class=vehicle_class))
        for vehicle_class in (CAR, MOTORBIKE)
    ]

    assert verdicts(answers) == ["opened", "opened"]
    assert all_are(await count_parked(owner_database, lot), 2)


async def test_the_last_free_space_goes_to_the_first_and_nobody_else(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database, capacity={MOTORBIKE: 3})

    answers = await asyncio.gather(*[writer.enter(an_entry(lot)) for _ in range(8)])

    assert verdicts(answers) == ["full"] * 5 + ["opened"] * 3
    assert [answer.verdict for answer in answers[:3]] == [Verdict.OPENED] * 3
    assert all_are(await count_parked(owner_database, lot), 3)


async def test_who_may_lets_a_vehicle_into_a_full_lot(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database, capacity={MOTORBIKE: 1})
    await writer.enter(an_entry(lot))

    answer = await writer.enter(an_entry(lot, may_exceed=True))

    assert (answer.verdict, answer.inside_count) == (Verdict.OPENED, 2)
    assert all_are(await count_parked(owner_database, lot), 2)


async def test_a_vehicle_without_a_plate_comes_in_on_its_ticket(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    first = await writer.enter(an_entry(lot, ticket="A0000123"))

    answers = [
        await writer.enter(an_entry(lot, ticket="A0000123")),
        await writer.enter(an_entry(lot, ticket="A0000123", ticket_kind=CredentialKind.TOKEN)),
    ]

    assert [a.verdict for a in answers] == [Verdict.ALREADY_INSIDE, Verdict.OPENED]
    assert answers[0].session_id == first.session_id
    assert all_are(await count_parked(owner_database, lot), 2)


async def test_a_ticket_of_two_classes_at_once_is_inside_once(
    app_database: Database, owner_database: Database, gate_database: Database
) -> None:
    lot = await a_lot(app_database)
    processes = [EntryWriter(gate_database, read_clock=lambda: NOON) for _ in range(2)]

    answers = await asyncio.gather(
        *[
            processes[n % 2].enter(
                an_entry(lot, ticket="T1", vehicle_class=CAR if n % 2 else MOTORBIKE)
            )
            for n in range(6)
        ]
    )

    assert verdicts(answers) == ["already_inside"] * 5 + ["opened"]
    assert all_are(await count_parked(owner_database, lot), 1)


async def test_a_lot_that_is_not_there_and_a_class_that_it_does_not_take_are_refused(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database, capacity={MOTORBIKE: 5})
    other = await a_lot(app_database)
    good, *refused = await asyncio.gather(
        writer.enter(an_entry(lot)),
        writer.enter(an_entry(lot, vehicle_class=CAR)),
        writer.enter(an_entry(lot, lot_id=new_id())),
        writer.enter(an_entry(lot, lot_id=other.id)),  # of another organisation
        return_exceptions=True,
    )

    assert [type(error) for error in refused] == [LotOrClassNotFound] * 3
    assert not isinstance(good, BaseException)
    assert good.verdict is Verdict.OPENED
    assert all_are(await count_parked(owner_database, lot), 1)
    assert all_are(await count_parked(owner_database, other), 0)


async def test_one_bad_vehicle_costs_the_others_of_its_flush_nothing(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    entries = [an_entry(lot) for _ in range(5)]
    entries[2] = an_entry(lot, plate="29AA\0")  # no rule let it through: the database refuses it

    answers = await asyncio.gather(*map(writer.enter, entries), return_exceptions=True)

    assert isinstance(answers[2], Exception)
    assert verdicts([a for a in answers if not isinstance(a, BaseException)]) == ["opened"] * 4
    assert all_are(await count_parked(owner_database, lot), 4)


async def test_two_tenants_in_one_flush_get_nothing_of_each_other(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    ours, theirs = await a_lot(app_database), await a_lot(app_database)
    plate, id_ = a_plate(), new_id()
    await writer.enter(an_entry(ours, plate=plate, id_=id_))

    # The same ids, plates and lots, crossed.
    answers = await asyncio.gather(
        writer.enter(an_entry(theirs, plate=plate)),
        writer.enter(an_entry(theirs, id_=id_)),
        writer.enter(an_entry(ours, lot_id=theirs.id)),
        writer.enter(an_entry(theirs, lot_id=ours.id)),
        writer.enter(an_entry(ours)),
        return_exceptions=True,
    )

    assert [type(a) is LotOrClassNotFound for a in answers] == [False, False, True, True, False]
    assert verdicts([a for a in answers if not isinstance(a, BaseException)]) == ["opened"] * 3
    assert all_are(await count_parked(owner_database, ours), 2)
    assert all_are(await count_parked(owner_database, theirs), 2)
    async with owner_database.begin() as session:
        crossed = (
            "SELECT count(*) FROM {} t JOIN lots l ON l.id = t.lot_id AND l.org_id <> t.org_id"
        )
        for table in ("parking_sessions", "inside", "observations"):
            assert await session.scalar(text(crossed.format(table))) == 0, table


async def test_the_licence_is_passed_once(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database, capacity={MOTORBIKE: 10}, licensed={MOTORBIKE: 3})

    await asyncio.gather(*[writer.enter(an_entry(lot)) for _ in range(6)])
    await writer.enter(an_entry(lot))

    async with owner_database.begin() as session:
        query = text("SELECT data FROM events WHERE kind = 'parking.over_licence'")
        alarms = (await session.scalars(query)).all()
    assert [(a["licensed_capacity"], a["inside_count"]) for a in alarms] == [(3, 4)]


async def test_nobody_comes_into_a_closed_lot_not_even_by_approval(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    await writer.enter(an_entry(lot))
    async with open_org_transaction(app_database, lot.org.id) as session:
        await close_lot(session, lot.org.id, lot.id, actor=MANAGER, now=NOON)

    answer = await writer.enter(an_entry(lot))
    async with open_org_transaction(app_database, lot.org.id) as session:
        with pytest.raises(LotClosed):
            await override_entry(
                session, an_entry(lot, may_exceed=True), reason="quen", actor=MANAGER, now=NOON
            )

    assert (answer.verdict, answer.capacity) == (Verdict.FULL, 0)
    assert all_are(await count_parked(owner_database, lot), 1)


@pytest.mark.parametrize("kind", [CredentialKind.TICKET, CredentialKind.TOKEN, CredentialKind.TAG])
async def test_a_stay_keeps_what_kind_of_ticket_it_began_on(
    app_database: Database, owner_database: Database, writer: EntryWriter, kind: CredentialKind
) -> None:
    """So that an exit that is undone brings a token back as a token."""
    lot = await a_lot(app_database)
    entry = an_entry(lot, ticket="T0001", ticket_kind=kind)
    await writer.enter(entry)
    async with open_org_transaction(app_database, lot.org.id) as session:
        stay = await get_stay(session, lot.org.id, entry.id)
        assert list_credentials(stay) == [(kind.value, "T0001", None)]
        await void_session(session, lot.org.id, stay, now=NOON)
        assert await reopen_session(session, lot.org.id, stay)

    again = await writer.enter(an_entry(lot, ticket="T0001", ticket_kind=kind))

    assert again.verdict is Verdict.ALREADY_INSIDE
    assert all_are(await count_parked(owner_database, lot), 1)
