"""Breaks: money that nothing explains, how old it is, and what somebody should do about it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.manage.page_context import PAGE_ROWS, Errors, ManagerContext, TheManager, read_line
from api.pages.reasons import present_reason, present_resolution
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill_id
from payments.bills.references import find_references
from payments.breaks.errors import BreakClosed, BreakHeld
from payments.breaks.models import Break
from payments.breaks.rules import BreakKind
from payments.breaks.service import close_break
from payments.breaks.views import BreakView, list_breaks
from payments.callbacks.views import list_payees_of_credits
from payments.credits import admissions

router = APIRouter(prefix="/manage/breaks", include_in_schema=False)

REFERENCE_CHARS_MAX = 60  # with what people put between its letters
SHOWN = {"open": True, "closed": False, "all": None}


@dataclass(frozen=True, kw_only=True)
class BreakRow:
    """One break, already worded."""

    id: UUID
    kind: str
    next_step: str
    reason: str
    amount_vnd: int | None
    age: str
    opened: str
    is_open: bool
    closed: str
    resolution: str
    close_path: str  # "" while its money is on its way
    admit_path: str  # with same_path: "" where there is nothing to decide
    same_path: str
    assign_path: str  # "" where the money has its explanation, or there is none
    spread_path: str  # the same for several bills
    refund_path: str  # where it is requested, "" unless it is a proposal of one
    payees: tuple[tuple[str, str], ...]  # who may have it: (id, name and place)


@dataclass(frozen=True, kw_only=True)
class BreaksPage:
    """Everything templates/manage_breaks.html may use, already worded."""

    rows: tuple[BreakRow, ...]
    show: str
    kind: str
    kinds: tuple[tuple[str, str], ...]
    shows: tuple[tuple[str, str], ...]
    can_resolve: bool
    older: str
    is_filtered: bool
    errors: Errors  # break's id → what is wrong with its resolution


@router.get("", dependencies=[requires(Permission.BREAKS_READ)])
async def show_breaks(
    manager: TheManager,
    show: Annotated[str, Query(max_length=6)] = "open",
    kind: Annotated[str, Query(max_length=40)] = "",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List what is unexplained, newest first, with the next step for each."""
    return await _render(manager, show=show, kind=kind, before=before)


@router.post("/{break_id}/close", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def close(
    manager: TheManager, break_id: UUID, resolution: Annotated[str, Form(max_length=2_000)] = ""
) -> Response:
    """Write down how a break was resolved."""
    words = read_line(resolution, 500)
    if not words:
        return await _render(manager, errors={str(break_id): manager.say("error.needed")})
    problem: HubError | None = None
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await close_break(
                tx,
                manager.org_id,
                break_id,
                resolution=words,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except (BreakClosed, BreakHeld) as error:
        problem = error
    if problem is not None:
        return await _render(manager, errors={"": manager.present_error(problem)})
    return manager.go("/breaks", done="break_closed")


@router.post("/{break_id}/admit", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def admit(manager: TheManager, break_id: UUID) -> Response:
    """Count what may be one transfer reported twice as another transfer."""
    return await _decide(
        manager,
        lambda tx: admissions.admit(
            tx, manager.caller.org, break_id, actor=manager.caller.actor, now=manager.now
        ),
    )


@router.post("/{break_id}/same-money", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def confirm_same_money(manager: TheManager, break_id: UUID) -> Response:
    """Count a transfer that was reported twice once."""
    return await _decide(
        manager,
        lambda tx: admissions.confirm_same_money(
            tx, manager.org_id, break_id, actor=manager.caller.actor, now=manager.now
        ),
    )


@router.post("/{break_id}/assign", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def assign(
    manager: TheManager,
    break_id: UUID,
    payee_id: Annotated[UUID | None, Form()] = None,
    reference: Annotated[str, Form(max_length=REFERENCE_CHARS_MAX)] = "",
) -> Response:
    """Give a payment to the bill with this reference, or to a payee as a sale."""
    named = read_line(reference, REFERENCE_CHARS_MAX)
    if not named and payee_id is None:
        return await _render(manager, errors={"": manager.say("error.payee_needed")})

    async def give(tx: AsyncSession) -> Break:
        bill_id = await _find_bill(tx, manager.org_id, named) if named else None
        return await admissions.assign(
            tx,
            manager.org_id,
            break_id,
            payee_id=None if named else payee_id,
            bill_id=bill_id,
            actor=manager.caller.actor,
            now=manager.now,
        )

    return await _decide(manager, give)


async def _find_bill(tx: AsyncSession, org_id: UUID, typed: str) -> UUID:
    """Return the one bill that a reference names, as people and banks write it.

    Raises:
        BillNotFound: there is none; or two, by chance, and money goes to no guess.
    """
    found = set()
    for one in find_references(typed):
        with suppress(BillNotFound):
            found.add(await get_bill_id(tx, org_id, one.reference))
    if len(found) != 1:
        raise BillNotFound(typed)
    return found.pop()


async def _decide(
    manager: ManagerContext, decide: Callable[[AsyncSession], Awaitable[Break]]
) -> Response:
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await decide(tx)
    except HubError as error:
        return await _render(manager, errors={"": manager.present_error(error)})
    return manager.go("/breaks", done="break_closed")


async def _render(
    manager: ManagerContext,
    *,
    show: str = "open",
    kind: str = "",
    before: str | None = None,
    errors: Errors | None = None,
) -> Response:
    show = show if show in SHOWN else "open"
    kind = kind if kind in {one.value for one in BreakKind} else ""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await list_breaks(
            tx,
            manager.org_id,
            is_open=SHOWN[show],
            kind=kind or None,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        payees = await list_payees_of_credits(
            tx, manager.org_id, [one.credit_id for one in found if one.credit_id is not None]
        )
    cursor = next_cursor(found, PAGE_ROWS)
    page = BreaksPage(
        rows=tuple(_present_row(manager, one, payees) for one in found[:PAGE_ROWS]),
        show=show,
        kind=kind,
        kinds=(
            ("", manager.say("break.all_kinds")),
            *((one.value, manager.say(f"break.kind.{one.value}")) for one in BreakKind),
        ),
        shows=tuple((one, manager.say(f"break.show.{one}")) for one in SHOWN),
        can_resolve=manager.may(Permission.BREAKS_RESOLVE),
        older=manager.path("/breaks", show=show, kind=kind, before=cursor) if cursor else "",
        is_filtered=bool(kind) or show != "open",
        errors=errors or {},
    )
    return manager.render("manage_breaks.html", page, here="breaks", status=422 if errors else 200)


def _present_row(
    manager: ManagerContext,
    one: BreakView,
    payees: Mapping[UUID, Sequence[tuple[UUID, str, str | None]]],
) -> BreakRow:
    may_be_twice = one.kind in admissions.MAYBE_TWICE
    is_assignable = one.kind in admissions.ASSIGNABLE and one.credit_id is not None
    # What a toll charge has left goes back by its operator (payments/rails/toll/).
    is_proposal = one.kind == BreakKind.REFUND_AGREED or (
        one.kind == BreakKind.REFUND_DUE and one.subject_id in (one.bill_id, one.credit_id)
    )
    listed = payees.get(one.credit_id, ()) if one.credit_id is not None else ()
    return BreakRow(
        id=one.id,
        kind=manager.word("break.kind", one.kind),
        next_step=manager.say("break.next_held")
        if one.held_at is not None
        else manager.word("break.next", one.kind),
        reason=present_reason(manager.lang, one.reason, one.reason_facts),
        amount_vnd=one.amount_vnd,
        age=manager.present_age(one.opened_at),
        opened=manager.present_instant(one.opened_at),
        is_open=one.closed_at is None,
        closed=manager.present_instant(one.closed_at),
        resolution=present_resolution(manager.lang, one.resolution or ""),
        close_path="" if one.held_at is not None else manager.path(f"/breaks/{one.id}/close"),
        admit_path=manager.path(f"/breaks/{one.id}/admit") if may_be_twice else "",
        same_path=manager.path(f"/breaks/{one.id}/same-money") if may_be_twice else "",
        assign_path=manager.path(f"/breaks/{one.id}/assign") if is_assignable else "",
        spread_path=manager.path(f"/breaks/{one.id}/spread") if is_assignable else "",
        refund_path=manager.path("/refunds/new", **{"break": one.id})
        if is_proposal and manager.may(Permission.REFUNDS_REQUEST)
        else "",
        payees=tuple(
            (str(id_), f"{name} · {place}" if place else name) for id_, name, place in listed
        ),
    )
