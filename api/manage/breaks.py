"""Breaks: money that nothing explains, how old it is, and what somebody should do about it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.manage.break_page import render_page
from api.manage.break_words import BreakWords, list_outcomes, present_break, say
from api.manage.page_context import PAGE_ROWS, Errors, ManagerContext, TheManager, read_line
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people.queries import find_names, list_who_may
from identity.people.rules import Permission
from payments.bills.errors import BillNotFound
from payments.bills.queries import get_bill_id
from payments.bills.references import find_references
from payments.breaks.models import Break
from payments.breaks.rules import SAID, WORDS_MAX, BreakKind, BreakType, Outcome
from payments.breaks.service import close_break, do_in_bulk
from payments.callbacks.views import list_payees_of_credits
from payments.credits import admissions
from payments.decisions.queries import count_waiting
from payments.decisions.views import (
    FIND_CHARS_MAX,
    BreakFilter,
    count_open,
    list_worklist,
)

router = APIRouter(prefix="/manage/breaks", include_in_schema=False)

REFERENCE_CHARS_MAX: Final = 60  # with what people put between its letters
OWNERS_MAX: Final = 50
SHOWN: Final[dict[str, dict[str, Any]]] = {
    "open": {"is_open": True},
    "overdue": {"is_open": True, "is_overdue": True},
    "closed": {"is_open": False},
    "waiting": {"awaits": "approval"},
    "review": {"awaits": "review"},
    "all": {},
}
BY_THIS_PAGE: Final = ("overdue", "waiting", "review")  # their words are in breaks.toml
ME, NOBODY = "me", "none"
Words = Annotated[str, Form(max_length=2_000)]
# Where a form of the page of one break comes back to.
IsPage = Annotated[bool, Query(alias="page")]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a list is asked for, as its address says it."""

    show: str = "open"
    type: str = ""
    kind: str = ""
    owner: str = ""
    find: str = ""
    before: str | None = None


@dataclass(frozen=True, kw_only=True)
class BreaksPage:
    """Everything templates/manage_breaks.html may use, already worded."""

    rows: tuple[BreakWords, ...]
    asked: Asked
    shows: tuple[tuple[str, str], ...]
    types: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...]
    owners: tuple[tuple[str, str], ...]  # to filter by
    people: tuple[tuple[str, str], ...]  # to give to
    outcomes: tuple[tuple[str, str], ...]
    counts: tuple[tuple[str, str], ...]  # (words, address)
    can_resolve: bool
    older: str
    is_filtered: bool
    errors: Errors  # break's id → what is wrong with its resolution


@router.get("", dependencies=[requires(Permission.BREAKS_READ)])
async def show_breaks(
    manager: TheManager,
    show: Annotated[str, Query(max_length=10)] = "open",
    type_: Annotated[str, Query(alias="type", max_length=40)] = "",
    kind: Annotated[str, Query(max_length=40)] = "",
    owner: Annotated[str, Query(max_length=36)] = "",
    find: Annotated[str, Query(max_length=FIND_CHARS_MAX)] = "",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List what is unexplained, newest first, with the next step for each."""
    asked = Asked(
        show=show, type=type_, kind=kind, owner=owner, find=read_line(find), before=before
    )
    return await _render(manager, asked)


@router.post("/bulk", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def act_on_many(
    manager: TheManager,
    break_id: Annotated[list[UUID] | None, Form(max_length=PAGE_ROWS)] = None,
    do: Annotated[str, Form(max_length=10)] = "",
    owner: Annotated[UUID | None, Form()] = None,
    words: Words = "",
    outcome: Annotated[str, Form(max_length=20)] = Outcome.EXPLAINED.value,
) -> Response:
    """Close the ticked breaks in the same words, or give them to one person."""
    said = read_line(words, WORDS_MAX)
    if not break_id:
        return await _render(manager, errors={"": say(manager, "bulk_none")})
    if do != "give" and not said:
        return await _render(manager, errors={"": manager.say("error.needed")})
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        answers = await do_in_bulk(
            tx,
            manager.org_id,
            break_id,
            owner_id=owner,
            resolution=None if do == "give" else said,
            outcome=_read_outcome(outcome),
            actor=manager.caller.actor,
            now=manager.now,
        )
    problems = [one.problem for one in answers if one.problem is not None]
    if problems:
        why = " ".join(dict.fromkeys(manager.present_error(one) for one in problems))
        done = len(answers) - len(problems)
        told = say(manager, "bulk_some", done=done, all=len(answers), why=why)
        return await _render(manager, errors={"": told})
    return manager.go("/breaks", done="break_changed")


@router.post("/{break_id}/close", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def close(
    manager: TheManager,
    break_id: UUID,
    resolution: Words = "",
    outcome: Annotated[str, Form(max_length=20)] = Outcome.EXPLAINED.value,
    is_page: IsPage = False,
) -> Response:
    """Write down how a break ended."""
    words = read_line(resolution, WORDS_MAX)
    if not words:
        return await _complain(manager, break_id, manager.say("error.needed"), is_page=is_page)
    return await _decide(
        manager,
        break_id,
        lambda tx: close_break(
            tx,
            manager.org_id,
            break_id,
            resolution=words,
            outcome=_read_outcome(outcome),
            actor=manager.caller.actor,
            now=manager.now,
        ),
        is_page=is_page,
    )


@router.post("/{break_id}/admit", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def admit(manager: TheManager, break_id: UUID, is_page: IsPage = False) -> Response:
    """Count what may be one transfer reported twice as another transfer."""
    return await _decide(
        manager,
        break_id,
        lambda tx: admissions.admit(
            tx, manager.caller.org, break_id, actor=manager.caller.actor, now=manager.now
        ),
        is_page=is_page,
    )


@router.post("/{break_id}/same-money", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def confirm_same_money(
    manager: TheManager, break_id: UUID, is_page: IsPage = False
) -> Response:
    """Count a transfer that was reported twice once."""
    return await _decide(
        manager,
        break_id,
        lambda tx: admissions.confirm_same_money(
            tx, manager.org_id, break_id, actor=manager.caller.actor, now=manager.now
        ),
        is_page=is_page,
    )


@router.post("/{break_id}/assign", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def assign(
    manager: TheManager,
    break_id: UUID,
    payee_id: Annotated[UUID | None, Form()] = None,
    reference: Annotated[str, Form(max_length=REFERENCE_CHARS_MAX)] = "",
    is_page: IsPage = False,
) -> Response:
    """Give a payment to the bill with this reference, or to a payee as a sale."""
    named = read_line(reference, REFERENCE_CHARS_MAX)
    if not named and payee_id is None:
        problem = manager.say("error.payee_needed")
        return await _complain(manager, None if not is_page else break_id, problem, is_page=is_page)

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

    return await _decide(manager, break_id, give, is_page=is_page)


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
    manager: ManagerContext,
    break_id: UUID,
    decide: Callable[[AsyncSession], Awaitable[Break]],
    *,
    is_page: bool,
) -> Response:
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await decide(tx)
    except HubError as error:
        about = break_id if is_page else None
        return await _complain(manager, about, manager.present_error(error), is_page=is_page)
    return manager.go(f"/breaks/{break_id}" if is_page else "/breaks", done="break_closed")


async def _complain(
    manager: ManagerContext, break_id: UUID | None, problem: str, *, is_page: bool
) -> Response:
    """Say what is wrong where the form was: on the page of a break, or in the list."""
    if is_page and break_id is not None:
        return await render_page(manager, break_id, errors={"": problem})
    return await _render(manager, errors={"" if break_id is None else str(break_id): problem})


def _read_outcome(outcome: str) -> Outcome:
    return Outcome(outcome) if outcome in SAID else Outcome.EXPLAINED


def _read_filter(manager: ManagerContext, asked: Asked) -> tuple[Asked, BreakFilter]:
    """Return what is asked for without what this page does not know, and the filter it makes."""
    known = replace(
        asked,
        show=asked.show if asked.show in SHOWN else "open",
        type=asked.type if asked.type in set(BreakType) else "",
        kind=asked.kind if asked.kind in set(BreakKind) else "",
    )
    if known.find and not SHOWN[known.show].get("is_open"):
        known = replace(known, show="open")  # words are looked for in what is open
    owner_id: UUID | None = None
    if known.owner == ME:
        owner_id = manager.caller.id
    elif known.owner and known.owner != NOBODY:
        with suppress(ValueError):
            owner_id = UUID(known.owner)
        if owner_id is None:
            known = replace(known, owner="")
    wanted = BreakFilter(
        **SHOWN[known.show],
        type=BreakType(known.type) if known.type else None,
        kind=known.kind or None,
        owner_id=owner_id,
        is_unowned=known.owner == NOBODY,
        find=known.find,
    )
    return known, wanted


async def _render(
    manager: ManagerContext, asked: Asked | None = None, *, errors: Errors | None = None
) -> Response:
    asked, wanted = _read_filter(manager, asked or Asked())
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await list_worklist(
            tx,
            manager.org_id,
            wanted,
            before_id=read_cursor(asked.before),
            limit=PAGE_ROWS + 1,
            now=manager.now,
        )
        credit_ids = [one.credit_id for one in found if one.credit_id is not None]
        payees = await list_payees_of_credits(tx, manager.org_id, credit_ids)
        owners = {one.owner_id for one in found if one.owner_id is not None}
        names = await find_names(tx, manager.org_id, owners)
        people = await list_who_may(tx, manager.org_id, Permission.BREAKS_RESOLVE, limit=OWNERS_MAX)
        counts = await _count(tx, manager)
    cursor = next_cursor(found, PAGE_ROWS)
    kept = {"show": asked.show, "type": asked.type, "kind": asked.kind, "owner": asked.owner}
    listed = tuple((str(id_), name) for id_, name in people.items())
    page = BreaksPage(
        rows=tuple(present_break(manager, one, payees, names) for one in found[:PAGE_ROWS]),
        asked=asked,
        shows=tuple(
            (one, say(manager, f"show.{one}"))
            if one in BY_THIS_PAGE
            else (one, manager.say(f"break.show.{one}"))
            for one in SHOWN
        ),
        types=(
            ("", say(manager, "all_types")),
            *((one.value, say(manager, f"type.{one}")) for one in BreakType),
        ),
        kinds=(
            ("", manager.say("break.all_kinds")),
            *((one.value, manager.say(f"break.kind.{one.value}")) for one in BreakKind),
        ),
        owners=(
            ("", say(manager, "anybody")),
            (ME, say(manager, "mine")),
            (NOBODY, say(manager, "nobody")),
            *listed,
        ),
        people=listed,
        outcomes=list_outcomes(manager),
        counts=counts,
        can_resolve=manager.may(Permission.BREAKS_RESOLVE),
        older=manager.path("/breaks", **kept, find=asked.find, before=cursor) if cursor else "",
        is_filtered=bool(asked.kind or asked.type or asked.owner or asked.find)
        or asked.show != "open",
        errors=errors or {},
    )
    return manager.render("manage_breaks.html", page, here="breaks", status=422 if errors else 200)


async def _count(tx: AsyncSession, manager: ManagerContext) -> tuple[tuple[str, str], ...]:
    """Say how many are open, late, nobody's and one's own, and where each list is."""
    counts = await count_open(tx, manager.org_id, me=manager.caller.id, now=manager.now)
    waiting, to_review = await count_waiting(tx, manager.org_id)
    told = [
        ("open_count", counts.open, {}),
        ("overdue_count", counts.overdue, {"show": "overdue"}),
        ("unowned_count", counts.unowned, {"owner": NOBODY}),
        ("mine_count", counts.mine, {"owner": ME}),
    ]
    listed = [
        (say(manager, key, count=count), manager.path("/breaks", **query))
        for key, count, query in told
    ]
    listed += [
        (say(manager, key, count=count), manager.path("/breaks", show=show))
        for key, count, show in (
            ("waiting_count", waiting, "waiting"),
            ("review_count", to_review, "review"),
        )
        if count
    ]
    return tuple(listed)
