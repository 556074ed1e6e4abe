"""Ticket books of a lot: given out for a shift, handed back, reported lost, and what is missing."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.page_context import Before, Errors, ManagerContext, TheManager, read_line
from core.errors import HubError, InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.queries import find_names
from identity.people.rules import Permission
from parking.overview.day import list_open_shifts
from parking.places.queries import list_lots
from parking.ticket_books import service
from parking.ticket_books.errors import TicketBookReturned, TicketsIssued
from parking.ticket_books.rules import write_ticket
from parking.ticket_books.views import TicketBookReport, read_reports

router = APIRouter(prefix="/manage/ticket-books", include_in_schema=False)

ROWS: Final = 20  # each is compared with the stays of its time
SHOWN_MISSING: Final = 30
Text = Annotated[str, Form(max_length=1_000)]


@dataclass(frozen=True, kw_only=True)
class BookRow:
    """One ticket book."""

    id: UUID
    numbers: str  # "A0001–A0100"
    who: str
    issued: str
    tone: str
    icon: str
    word: str
    used: int
    last_used: str
    missing_count: int
    missing: str  # the first of them, as printed
    strays: str  # used though the book was handed back, or lost
    is_out: bool
    is_lost: bool


@dataclass(frozen=True, kw_only=True)
class TicketBooksPage:
    """Everything templates/ticket_books.html may use, already worded."""

    lots: tuple[tuple[str, str], ...]
    lot: str
    rows: tuple[BookRow, ...]
    shifts: tuple[tuple[str, str], ...]
    form: dict[str, str]
    errors: Errors
    failed: str  # the book whose form was not accepted
    older: str


@router.get("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def show_books(
    manager: TheManager, lot: UUID | None = None, before: Before = None
) -> Response:
    """List the books of a lot, newest first; of the first lot where none is named."""
    return await _render(manager, lot, before=before)


@router.post("", dependencies=[requires(Permission.PARKING_MANAGE)])
async def issue(
    manager: TheManager,
    lot: Annotated[UUID, Form()],
    shift_id: Text = "",
    first: Text = "",
    last: Text = "",
    form_id: FormId = None,
) -> Response:
    """Give a book out for a shift that runs."""
    form = {"shift_id": shift_id, "first": first.strip(), "last": last.strip()}
    numbers = _read_numbers(form["first"], form["last"])
    shift = _read_id(shift_id)
    errors = {}
    if shift is None:
        errors["shift_id"] = translate(manager.lang, "ticket_books.shift_needed")
    if numbers is None:
        errors["last"] = translate(manager.lang, "ticket_books.bad_numbers")
    if shift is None or numbers is None:
        return await _render(manager, lot, form=form, errors=errors)
    prefix, digits, first_number, last_number = numbers
    book_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            route = "/manage/ticket-books"
            if await take_form(tx, manager, route, form_id, shift, *numbers, makes=book_id) is None:
                await service.issue_book(
                    tx,
                    manager.org_id,
                    book_id,
                    shift_id=shift,
                    prefix=prefix,
                    digits=digits,
                    first_number=first_number,
                    last_number=last_number,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        return await _render(manager, lot, form=form, errors={"last": _say(manager, error)})
    return manager.go("/ticket-books", lot=lot, done="ticket_book_issued")


@router.post("/{book_id}/return", dependencies=[requires(Permission.PARKING_MANAGE)])
async def take_back(
    manager: TheManager, book_id: UUID, lot: Annotated[UUID, Form()], last_used: Text = ""
) -> Response:
    """Take a book back by the last number that was torn off; empty: none was."""
    digits = "".join(one for one in last_used.strip() if one.isascii() and one.isdigit())
    text = last_used.strip()
    if text and not (digits and text.endswith(digits) and len(digits) <= 8):
        return await _fail(manager, lot, book_id, translate(manager.lang, "ticket_books.bad_last"))
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.return_book(
                tx,
                manager.org_id,
                book_id,
                last_used=int(digits) if digits else None,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except (InvalidRequest, TicketBookReturned) as error:
        return await _fail(manager, lot, book_id, _say(manager, error))
    return manager.go("/ticket-books", lot=lot, done="ticket_book_returned")


@router.post("/{book_id}/lost", dependencies=[requires(Permission.PARKING_MANAGE)])
async def report_lost(
    manager: TheManager, book_id: UUID, lot: Annotated[UUID, Form()], reason: Text = ""
) -> Response:
    """Write that a book is lost: what was not used of it is missing."""
    why = read_line(reason, 500)
    if not why:
        return await _fail(manager, lot, book_id, manager.say("error.needed"))
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.report_lost(
                tx, manager.org_id, book_id, reason=why, actor=manager.caller.actor, now=manager.now
            )
    except TicketBookReturned as error:
        return await _fail(manager, lot, book_id, _say(manager, error))
    return manager.go("/ticket-books", lot=lot, done="ticket_book_lost")


async def _fail(manager: ManagerContext, lot: UUID, book_id: UUID, word: str) -> Response:
    return await _render(manager, lot, errors={"": word}, failed=str(book_id))


async def _render(
    manager: ManagerContext,
    lot_id: UUID | None,
    *,
    before: str | None = None,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
    failed: str = "",
) -> Response:
    found: list[TicketBookReport] = []
    shifts: list[tuple[UUID, str]] = []
    names: dict[UUID, str] = {}
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        lots = await list_lots(tx, manager.org_id)
        chosen = next((one for one in lots if one.id == lot_id), lots[0] if lots else None)
        if chosen is not None:
            found = await read_reports(
                tx,
                manager.org_id,
                chosen.id,
                before_id=read_cursor(before),
                limit=ROWS + 1,
                now=manager.now,
            )
            shifts = [
                (one.id, f"{one.staff_name} · {manager.present_instant(one.opened_at)}")
                for one in await list_open_shifts(tx, manager.org_id, chosen.id)
            ]
            names = await find_names(tx, manager.org_id, {one.book.issued_to for one in found})
    cursor = next_cursor(found, ROWS)
    lot = str(chosen.id) if chosen else ""
    page = TicketBooksPage(
        lots=tuple((str(one.id), one.name) for one in lots),
        lot=lot,
        rows=tuple(_present(manager, one, names) for one in found[:ROWS]),
        shifts=tuple((str(id_), word) for id_, word in shifts),
        form=form or {"shift_id": "", "first": "", "last": ""},
        errors=errors or {},
        failed=failed,
        older=manager.path("/ticket-books", lot=lot, before=cursor) if cursor else "",
    )
    status = 422 if errors else 200
    return manager.render("ticket_books.html", page, here="ticket_books", status=status)


def _present(manager: ManagerContext, one: TicketBookReport, names: dict[UUID, str]) -> BookRow:
    book = one.book
    if book.returned_at is not None:
        tone, icon, word = "good", "check", "returned"
    elif book.lost_at is not None:
        tone, icon, word = "bad", "stop", "lost"
    else:
        tone, icon, word = "plain", "clock", "out"
    if one.missing_count and tone != "bad":
        tone, icon = "attention", "warning"
    shown = ", ".join(one.missing[:SHOWN_MISSING])
    last = ""
    if book.last_used is not None:
        last = write_ticket(book.prefix, book.digits, book.last_used)
    return BookRow(
        id=book.id,
        numbers=f"{book.first_ticket}–{book.last_ticket}",
        who=names.get(book.issued_to, ""),
        issued=manager.present_instant(book.issued_at),
        tone=tone,
        icon=icon,
        word=translate(manager.lang, f"ticket_books.state.{word}"),
        used=one.used_count,
        last_used=last,
        missing_count=one.missing_count,
        missing=f"{shown}, …" if one.missing_count > SHOWN_MISSING else shown,
        strays=", ".join(one.strays[:SHOWN_MISSING]),
        is_out=book.returned_at is None,
        is_lost=book.lost_at is not None,
    )


def _say(manager: ManagerContext, error: HubError) -> str:
    if isinstance(error, TicketsIssued):
        return translate(manager.lang, "ticket_books.issued_before")
    if isinstance(error, InvalidRequest):
        return translate(manager.lang, "ticket_books.bad_last")
    return manager.present_error(error)


def _read_numbers(first: str, last: str) -> tuple[str, int, int, int] | None:
    """Read the first and last ticket as they are printed: (prefix, digits, first, last)."""
    ends = [text.upper() for text in (first, last)]
    digits = [len(text) - len(text.rstrip("0123456789")) for text in ends]
    prefixes = [text[: len(text) - n] for text, n in zip(ends, digits, strict=True)]
    if not digits[0] or digits[0] != digits[1] or prefixes[0] != prefixes[1] or digits[0] > 8:
        return None
    numbers = [int(text[-digits[0] :]) for text in ends]
    return prefixes[0], digits[0], numbers[0], numbers[1]


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
