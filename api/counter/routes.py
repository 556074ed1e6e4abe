"""The counter's keypad, its live events, and the news of its account."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response, StreamingResponse

from api.counter.credits import facts_of_event, present_credit
from api.counter.page_context import (
    CounterPayee,
    MaybePayee,
    ThePayee,
    go,
    payee_of,
    read_context,
    read_today,
    render,
)
from api.http.deps import CurrentCaller, Now, TheDatabase, Tx, requires
from api.http.templating import language_of, templates
from api.live.streams import stream_events
from core.ids import new_id
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from payments.onboarding.holders import confirm_or_note_read
from payments.outbox.rules import EventKind
from payments.outbox.wake_ups import EventFacts
from payments.payees.queries import find_routes, search_payees

router = APIRouter(prefix="/counter", include_in_schema=False)

QUICK_VND: Final = (10_000, 20_000, 50_000, 100_000)
PAYEES_MAX: Final = 200  # in the list to choose from; more are found by their name
MONEY_EVENTS: Final = frozenset(
    {
        EventKind.BILL_PAID,
        EventKind.BILL_PART_PAID,
        EventKind.BILL_OVER_PAID,
        EventKind.BILL_CREDITED_AGAIN,
        EventKind.COUNTER_SALE,
        EventKind.CREDIT_UNASSIGNED,
        EventKind.CREDIT_UNEXPLAINED,
    }
)
Shape = Callable[[EventFacts], str | None]


@dataclass(frozen=True, kw_only=True)
class PayeeChoice:
    """One payee to choose."""

    name: str
    place: str
    path: str


@dataclass(frozen=True, kw_only=True)
class ChoosePage:
    """What templates/counter_choose.html may use."""

    org_name: str
    payees: tuple[PayeeChoice, ...]
    find: str
    are_more: bool  # than are listed: the name finds them
    are_own: bool  # one's own several payees, not all of the organisation
    org_code: str  # "" at home


@dataclass(frozen=True, kw_only=True)
class KeypadPage:
    """What templates/counter.html may use, already worded for a person."""

    bill_id: UUID  # of the bill that the form will open: sent twice, it opens one
    quick_vnd: tuple[int, ...]
    typed: str
    note: str
    is_amount_bad: bool


def keypad_page(*, typed: str = "", note: str = "", is_amount_bad: bool = False) -> KeypadPage:
    """Return the keypad, empty or with what was keyed wrongly."""
    return KeypadPage(
        bill_id=new_id(),
        quick_vnd=QUICK_VND,
        typed=typed,
        note=note,
        is_amount_bad=is_amount_bad,
    )


@router.get("", dependencies=[requires(Permission.SALES_READ)])
async def show_keypad(
    request: Request,
    caller: CurrentCaller,
    payee: MaybePayee,
    tx: Tx,
    now: Now,
    find: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Show the keypad; who works for several payees, or for all of them, chooses one first."""
    if payee is None:
        page = await _read_choices(tx, caller, find)
        return templates.TemplateResponse(request, "counter_choose.html", {"page": page})
    context = await read_context(tx, payee, here="keypad", now=now)
    return render(request, "counter.html", context, keypad_page())


@router.get("/today", dependencies=[requires(Permission.SALES_READ)])
async def show_today(request: Request, payee: ThePayee, tx: Tx, now: Now) -> Response:
    """Draw today's total and count again, for the pages that receive a payment."""
    today = await read_today(tx, payee, now=now)
    facts = {
        "today_vnd": today.vnd,
        "today_count": today.count,
        "today_cash_vnd": today.cash_vnd,
    }
    return templates.TemplateResponse(request, "counter_today.html", facts)


@router.get("/events", dependencies=[requires(Permission.EVENTS_READ)])
async def serve_events(
    request: Request,
    payee: ThePayee,
    database: TheDatabase,
    last_event_id: str | None = Query(default=None, max_length=64),
    may_replace: bool = True,
) -> StreamingResponse:
    """Stream to every device of the payee what happens, worded and drawn for its screen."""

    async def find_account() -> UUID | None:
        async with open_org_transaction(database, payee.org_id) as session:
            routes = await find_routes(session, payee.org_id, [payee.id])
        route = routes.get(payee.id)
        return route.receiving_account_id if route else None

    return await stream_events(
        request,
        org_id=payee.org_id,
        payee_id=payee.id,
        last_event_id=last_event_id,
        shape=_shape_for(request, payee),
        find_account=find_account,
        may_replace=may_replace,
    )


@router.post("/accounts/{link_id}/seen", dependencies=[requires(Permission.SALES_READ)])
async def confirm_account(link_id: UUID, payee: ThePayee, tx: Tx, now: Now) -> Response:
    """Note that someone of the payee saw its receiving account: for the payee, if they may speak.

    Who may not (a cashier; an owner whose login was made or reset since) says it for themselves.

    Raises:
        AccountLinkNotFound: the change is another payee's.
        AccountLinkNotInForce: there is nothing to see yet, or not any more.
        HolderNeeded: the caller is not the payee's own.
    """
    await confirm_or_note_read(tx, payee.caller, link_id, payee_id=payee.id, now=now)
    return go(payee.path())


async def _read_choices(tx: AsyncSession, caller: Caller, find: str) -> ChoosePage:
    own = caller.choices(ScopeKind.PAYEE)
    found = await search_payees(tx, caller.org_id, find=find, only=own, limit=PAYEES_MAX + 1)
    return ChoosePage(
        org_name=caller.org.name,
        payees=tuple(
            PayeeChoice(name=p.name, place=p.place, path=payee_of(caller, p.id).path())
            for p in found[:PAYEES_MAX]
        ),
        find=find,
        are_more=len(found) > PAYEES_MAX or bool(find),
        are_own=own is not None,
        org_code="" if caller.org_id == caller.home.id else caller.org_code,
    )


def _shape_for(request: Request, payee: CounterPayee) -> Shape:
    """Return what makes an event's data: the verdict as HTML, and what to say about it."""
    lang = language_of(request)
    fragment = templates.env.get_template("counter_verdict.html")

    def shape(event: EventFacts) -> str | None:
        if event.kind not in MONEY_EVENTS:
            return event.data
        data = msgspec.json.decode(event.data)
        facts = facts_of_event(data)
        verdict = present_credit(facts, lang)
        can_sort = payee.caller.may(Permission.SALES_SORT)
        html = fragment.render(lang=lang, verdict=verdict, suffix=payee.suffix, can_sort=can_sort)
        news = {
            "html": html,
            "status": verdict.status,
            "say": verdict.say,
            "say_vnd": verdict.say_vnd,
            "bill_id": verdict.bill_id,
            "credit_id": verdict.credit_id,
            "is_cash": facts.is_cash,
            "line": f"{format_vnd(data['amount_vnd'])} · {verdict.who}",
            "at": event.recorded_at,
        }
        return msgspec.json.encode(news).decode()

    return shape
