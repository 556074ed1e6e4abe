"""A ticket that is neither used nor handed back is missing, whoever had the book."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from core.clock import hanoi_day
from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.overview.day import read_day
from parking.ticket_books.errors import (
    ShiftOver,
    TicketBookIdTaken,
    TicketBookReturned,
    TicketsIssued,
)
from parking.ticket_books.rules import MISSING_MAX, TicketBookFacts
from parking.ticket_books.service import issue_book, report_lost, return_book
from parking.ticket_books.views import TicketBookReport, read_reports
from tests.parking.shifts.test_shifts import close
from tests.world.constants import MANAGER, NOON
from tests.world.parking_sessions import Gate, a_stay

pytestmark = pytest.mark.anyio

LATER = NOON + timedelta(hours=1)


async def issue(database: Database, gate: Gate, **facts: Any) -> TicketBookFacts:
    """Give the tickets A0001 to A0010 out, unless the facts are others."""
    book = {"prefix": "A", "digits": 4, "first_number": 1, "last_number": 10, **facts}
    book_id = book.pop("id_", None) or new_id()
    async with open_org_transaction(database, gate.org_id) as session:
        return await issue_book(
            session, gate.org_id, book_id, shift_id=gate.shift_id, actor=MANAGER, now=NOON, **book
        )


async def hand_back(database: Database, gate: Gate, book_id: UUID, last_used: int | None) -> None:
    async with open_org_transaction(database, gate.org_id) as session:
        await return_book(
            session, gate.org_id, book_id, last_used=last_used, actor=MANAGER, now=NOON
        )


async def come_in(database: Database, gate: Gate, *tickets: str, kind: str = "ticket") -> None:
    for ticket in tickets:
        await a_stay(database, gate, ticket=ticket, ticket_kind=kind)


async def report(database: Database, gate: Gate) -> list[TicketBookReport]:
    async with open_org_transaction(database, gate.org_id) as session:
        return await read_reports(
            session, gate.org_id, gate.lot.id, before_id=None, limit=10, now=LATER
        )


async def test_of_a_book_that_was_handed_back_the_skipped_numbers_are_missing(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    await come_in(app_database, gate, "A0001", "A0002", "A0005")
    await come_in(app_database, gate, "A0003", kind="token")  # a card that looks like a ticket
    await come_in(app_database, gate, "A00044", "B0004", "A0011", "AX004")
    await hand_back(app_database, gate, book.id, 6)

    (found,) = await report(app_database, gate)

    assert (found.used_count, found.missing_count) == (3, 3)
    assert found.missing == ("A0003", "A0004", "A0006")


async def test_a_book_that_nobody_hands_back_is_missing_with_the_end_of_its_shift(
    app_database: Database, gate: Gate
) -> None:
    await issue(app_database, gate)
    await come_in(app_database, gate, "A0002")
    (running,) = await report(app_database, gate)
    await close(app_database, gate, 0)

    (over,) = await report(app_database, gate)

    assert running.missing == ("A0001",)
    assert over.missing_count == 9


async def test_an_unused_book_that_was_handed_back_is_whole(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    for _ in range(2):
        await hand_back(app_database, gate, book.id, None)
    with pytest.raises(TicketBookReturned):
        await hand_back(app_database, gate, book.id, 1)

    (found,) = await report(app_database, gate)

    assert (found.used_count, found.missing_count) == (0, 0)


async def test_a_report_names_the_first_hundred_that_are_missing_and_counts_them_all(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate, last_number=1_000)
    await hand_back(app_database, gate, book.id, 1_000)

    (found,) = await report(app_database, gate)

    assert (found.missing_count, len(found.missing)) == (1_000, MISSING_MAX)


@pytest.mark.parametrize(
    ("facts", "is_refused"),
    [
        ({"first_number": 10, "last_number": 20}, True),
        ({"first_number": 11, "last_number": 20}, False),
        ({"prefix": "", "digits": 5, "first_number": 1, "last_number": 10}, False),
        ({"digits": 5}, False),  # A00001 lies between A0001 and A0010 where letters are compared
        ({"prefix": "A0", "digits": 3, "first_number": 9, "last_number": 9}, True),  # A0009
        ({"prefix": "a"}, True),
    ],
)
async def test_no_ticket_is_given_out_twice(
    app_database: Database, gate: Gate, facts: dict[str, Any], is_refused: bool
) -> None:
    await issue(app_database, gate)
    if not is_refused:
        await issue(app_database, gate, **facts)
        return
    with pytest.raises(TicketsIssued):
        await issue(app_database, gate, **facts)


async def test_what_was_handed_back_unused_is_given_out_again(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    await hand_back(app_database, gate, book.id, 4)
    with pytest.raises(TicketsIssued):
        await issue(app_database, gate, first_number=4)
    await issue(app_database, gate, first_number=5)


async def test_the_same_id_is_the_same_book_and_no_other(
    app_database: Database, gate: Gate
) -> None:
    id_ = new_id()
    first = await issue(app_database, gate, id_=id_)
    assert await issue(app_database, gate, id_=id_) == first
    with pytest.raises(TicketBookIdTaken):
        await issue(app_database, gate, id_=id_, last_number=11)


async def test_a_closed_shift_is_given_no_tickets(app_database: Database, gate: Gate) -> None:
    await close(app_database, gate, 0)
    with pytest.raises(ShiftOver):
        await issue(app_database, gate)


@pytest.mark.parametrize(
    "facts",
    [
        {"prefix": "Á"},
        {"digits": 0},
        {"digits": 9},
        {"first_number": 11},
        {"last_number": 10_000},
        {"last_number": 1_001},
    ],
)
async def test_what_no_printer_prints_is_no_book(
    app_database: Database, gate: Gate, facts: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest):
        await issue(app_database, gate, **facts)


async def test_a_book_is_handed_back_by_one_of_its_numbers(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    for last_used in (0, 11):
        with pytest.raises(InvalidRequest):
            await hand_back(app_database, gate, book.id, last_used)


async def lose(database: Database, gate: Gate, book_id: UUID) -> TicketBookFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await report_lost(
            session, gate.org_id, book_id, reason="Rơi mất", actor=MANAGER, now=NOON
        )


async def list_alarms(database: Database, gate: Gate) -> list[tuple[str, str]]:
    async with open_org_transaction(database, gate.org_id) as session:
        day = await read_day(session, gate.org_id, gate.lot.id, hanoi_day(NOON), now=LATER)
    return sorted((one.kind, one.words) for one in day.alarms)


async def come_in_later(database: Database, gate: Gate, *tickets: str) -> None:
    for ticket in tickets:
        await a_stay(database, gate, ticket=ticket, entered_at=LATER)


async def test_a_ticket_of_a_book_that_was_handed_back_is_an_alarm_and_hides_no_leakage(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    await come_in(app_database, gate, "A0001", "A0003")
    await hand_back(app_database, gate, book.id, 3)

    await come_in_later(app_database, gate, "A0002", "A0007")

    assert await list_alarms(app_database, gate) == [
        ("stray_ticket", "A0002"),
        ("stray_ticket", "A0007"),
    ]
    (found,) = await report(app_database, gate)
    assert (found.used_count, found.missing, found.strays) == (2, ("A0002",), ("A0002", "A0007"))


async def test_a_ticket_that_was_handed_back_unused_and_had_been_used_is_an_alarm(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    await come_in(app_database, gate, "A0001", "A0002")
    await hand_back(app_database, gate, book.id, 1)

    (found,) = await report(app_database, gate)

    assert (found.missing, found.strays) == ((), ("A0002",))
    assert await list_alarms(app_database, gate) == [("stray_ticket", "A0002")]


async def test_a_ticket_of_a_lost_book_is_an_alarm(app_database: Database, gate: Gate) -> None:
    book = await issue(app_database, gate)
    await come_in(app_database, gate, "A0001")
    for _ in range(2):
        assert (await lose(app_database, gate, book.id)).lost_at == NOON

    await come_in_later(app_database, gate, "A0002")

    assert await list_alarms(app_database, gate) == [("stray_ticket", "A0002")]
    (found,) = await report(app_database, gate)
    assert (found.used_count, found.missing_count, found.strays) == (1, 9, ("A0002",))
    with pytest.raises(TicketsIssued):
        await issue(app_database, gate)


async def test_a_book_that_was_handed_back_is_not_lost(app_database: Database, gate: Gate) -> None:
    book = await issue(app_database, gate)
    await hand_back(app_database, gate, book.id, 3)

    with pytest.raises(TicketBookReturned):
        await lose(app_database, gate, book.id)


async def test_a_number_of_no_book_is_an_alarm_where_there_are_books(
    app_database: Database, gate: Gate
) -> None:
    await come_in(app_database, gate, "B0001")
    assert await list_alarms(app_database, gate) == []
    await issue(app_database, gate)

    await come_in(app_database, gate, "A0001", "A0011")
    await come_in(app_database, gate, "C0001", kind="token")

    assert await list_alarms(app_database, gate) == [
        ("stray_ticket", "A0011"),
        ("stray_ticket", "B0001"),
    ]


async def test_a_number_that_is_given_out_again_is_good_again(
    app_database: Database, gate: Gate
) -> None:
    book = await issue(app_database, gate)
    await hand_back(app_database, gate, book.id, 3)
    await issue(app_database, gate, first_number=4)

    await come_in_later(app_database, gate, "A0004")

    assert await list_alarms(app_database, gate) == []
