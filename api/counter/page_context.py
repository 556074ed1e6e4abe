"""Page context of the counter: whose counter it is, and what every screen of it shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import RedirectResponse, Response

from api.http.deps import CurrentCaller
from api.http.middleware import no_store
from api.http.templating import templates
from core.clock import day_bounds, hanoi_day
from core.errors import InvalidRequest
from core.masking import mask_tail
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import Permission, ScopeKind
from payments.credits.sales import count_sales
from payments.ledger.service import read_cash_taken, read_takings
from payments.onboarding.holders import SpeaksFor, find_speaks_for
from payments.payees.models import PayeeAccount, ReceivingAccount
from payments.payees.queries import find_routes, get_payee, list_unseen_links
from payments.payees.rules import PayeeRoute
from payments.vietqr.banks import name_bank

COUNTER: Final = "/counter"


@dataclass(frozen=True, kw_only=True)
class CounterPayee:
    """The payee whose counter a request is about, and who stands there."""

    caller: Caller
    id: UUID
    suffix: str  # "?payee=…" where the address must say whose counter; "" for its own staff

    @property
    def org_id(self) -> UUID:
        """The organisation that the payee belongs to."""
        return self.caller.org_id

    def path(self, path: str = "", **query: object) -> str:
        """Return an address of this payee's counter: path("/sales", checked="found")."""
        text = f"{COUNTER}{path}{self.suffix}"
        if not query:
            return text
        return f"{text}{'&' if self.suffix else '?'}{urlencode(query)}"


async def find_counter_payee(
    caller: CurrentCaller,
    payee: Annotated[UUID | None, Query(description="The payee, for who works for none")] = None,
) -> CounterPayee | None:
    """Return the payee of the address, or the caller's own; None if it must be chosen first.

    Raises:
        Forbidden: the caller works for another payee.
    """
    try:
        payee_id = caller.narrow(ScopeKind.PAYEE, payee)
    except ScopeNeeded:  # several payees of one's own
        return None
    return None if payee_id is None else payee_of(caller, payee_id)


def payee_of(caller: Caller, payee_id: UUID) -> CounterPayee:
    """Return a payee as this caller's addresses name it: whose only one it is need not."""
    choices = caller.choices(ScopeKind.PAYEE)
    query = {}
    if choices is None or len(choices) > 1:
        query["payee"] = str(payee_id)
    if caller.org_id != caller.home.id:
        query["org"] = caller.org_code
    suffix = f"?{urlencode(query)}" if query else ""
    return CounterPayee(caller=caller, id=payee_id, suffix=suffix)


async def require_counter_payee(
    payee: Annotated[CounterPayee | None, Depends(find_counter_payee)],
) -> CounterPayee:
    """Return the payee that a form or a stream is about.

    Raises:
        InvalidRequest: the address names none, and there are several.
    """
    if payee is None:
        raise InvalidRequest("Choose a stall first.")
    return payee


MaybePayee = Annotated[CounterPayee | None, Depends(find_counter_payee)]
ThePayee = Annotated[CounterPayee, Depends(require_counter_payee)]


@dataclass(frozen=True, kw_only=True)
class AccountChange:
    """The account that money goes to is new, and whoever looks has not said that they saw it."""

    link_id: UUID
    bank: str
    account: str  # only its end
    holder_name: str
    is_first: bool  # the payee had none before: nothing changed


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """What templates/counter_base.html may use, already worded for a person."""

    payee_name: str
    place: str
    route: PayeeRoute | None  # None: no account in force, it cannot be paid yet
    can_open: bool
    can_sort: bool
    can_see: bool  # its own people may say "Tôi đã thấy"
    speaks_for: SpeaksFor  # whom that counts for
    is_own_payee: bool  # its staff; others chose it from a list
    is_live: bool  # False: an organisation whose money is pretend
    today_vnd: int
    today_count: int
    today_cash_vnd: int  # of today's takings
    changes: tuple[AccountChange, ...]
    suffix: str
    person_name: str  # who is signed in
    here: str  # which of the counter's screens this is: "keypad", "sales", "code"


@dataclass(frozen=True, kw_only=True)
class Today:
    """What a payee took today."""

    vnd: int
    count: int  # of payments by bank
    cash_vnd: int  # of `vnd`


async def read_context(
    session: AsyncSession, payee: CounterPayee, *, here: str, now: datetime
) -> PageContext:
    """Read what every screen of a payee's counter shows.

    Raises:
        PayeeNotFound: a manager's address names a payee that there is none of.
    """
    found = await get_payee(session, payee.org_id, payee.id)
    routes = await find_routes(session, payee.org_id, [payee.id])
    today = await read_today(session, payee, now=now)
    caller = payee.caller
    links = await list_unseen_links(session, payee.org_id, payee.id, reader_id=caller.id)
    return PageContext(
        payee_name=found.name,
        place=found.place,
        route=routes.get(payee.id),
        can_open=caller.may(Permission.BILLS_OPEN),
        can_sort=caller.may(Permission.SALES_SORT),
        can_see=caller.is_scoped,
        speaks_for=await find_speaks_for(session, caller, [link for link, *_ in links]),
        is_own_payee=caller.is_scoped,
        is_live=caller.org.is_live,
        today_vnd=today.vnd,
        today_count=today.count,
        today_cash_vnd=today.cash_vnd,
        changes=tuple(
            _present_change(link, account, is_first) for link, account, is_first in links
        ),
        suffix=payee.suffix,
        person_name=caller.name,
        here=here,
    )


async def read_today(session: AsyncSession, payee: CounterPayee, *, now: datetime) -> Today:
    """Read what a payee took today."""
    since, until = day_bounds(hanoi_day(now))
    org_id = payee.org_id
    today_vnd = await read_takings(session, org_id, payee.id, since=since, until=until)
    return Today(
        vnd=today_vnd,
        count=await count_sales(session, org_id, payee.id, since=since, until=until),
        cash_vnd=await read_cash_taken(session, org_id, payee.id, since=since, until=until),
    )


def _present_change(link: PayeeAccount, account: ReceivingAccount, is_first: bool) -> AccountChange:
    return AccountChange(
        link_id=link.id,
        bank=name_bank(account.bin),
        account=mask_tail(link.virtual_account or account.account_number),
        holder_name=account.holder_name,
        is_first=is_first,
    )


def render(
    request: Request, template: str, context: PageContext, page: Any = None, *, status: int = 200
) -> Response:
    """Render a screen of the counter; `page` is its own documented dataclass."""
    facts = {} if page is None else {"page": page}
    shown = {**{name: getattr(context, name) for name in context.__dataclass_fields__}, **facts}
    return no_store(templates.TemplateResponse(request, template, shown, status_code=status))


def go(path: str) -> Response:
    """Send a browser on after a form (303: by GET)."""
    return RedirectResponse(path, 303)
