"""Which stall a counter's screen is for, and what every screen of it shows."""

from collections.abc import Sequence
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
from payments.ledger.service import read_takings
from payments.onboarding.holders import check_own_login
from payments.payees.errors import HolderNeeded
from payments.payees.models import PayeeAccount, ReceivingAccount
from payments.payees.queries import UnseenLink, find_routes, get_payee, list_unseen_links
from payments.payees.rules import PayeeRoute
from payments.vietqr.banks import name_bank

COUNTER: Final = "/counter"


@dataclass(frozen=True, kw_only=True)
class Stall:
    """The stall that a request is about, and who stands there."""

    caller: Caller
    payee_id: UUID
    suffix: str  # "?payee=…" where the address must say which stall; "" for its own staff

    @property
    def org_id(self) -> UUID:
        """The organisation that the stall belongs to."""
        return self.caller.org_id

    def path(self, path: str = "", **query: object) -> str:
        """Return an address of this stall's counter: path("/sales", checked="found")."""
        text = f"{COUNTER}{path}{self.suffix}"
        if not query:
            return text
        return f"{text}{'&' if self.suffix else '?'}{urlencode(query)}"


async def find_stall(
    caller: CurrentCaller,
    payee: Annotated[UUID | None, Query(description="The stall, for who works for none")] = None,
) -> Stall | None:
    """Return the stall of the address, or the caller's own; None if it must be chosen first.

    Raises:
        Forbidden: the caller works for another payee.
    """
    try:
        payee_id = caller.narrow(ScopeKind.PAYEE, payee)
    except ScopeNeeded:  # several stalls of one's own
        return None
    return None if payee_id is None else stall_of(caller, payee_id)


def stall_of(caller: Caller, payee_id: UUID) -> Stall:
    """Return a stall as this caller's addresses name it: whose only one it is need not."""
    choices = caller.choices(ScopeKind.PAYEE)
    query = {}
    if choices is None or len(choices) > 1:
        query["payee"] = str(payee_id)
    if caller.org_id != caller.home.id:
        query["org"] = caller.org_code
    suffix = f"?{urlencode(query)}" if query else ""
    return Stall(caller=caller, payee_id=payee_id, suffix=suffix)


async def require_stall(stall: Annotated[Stall | None, Depends(find_stall)]) -> Stall:
    """Return the stall that a form or a stream is about.

    Raises:
        InvalidRequest: the address names none, and there are several.
    """
    if stall is None:
        raise InvalidRequest("Choose a stall first.")
    return stall


MaybeStall = Annotated[Stall | None, Depends(find_stall)]
TheStall = Annotated[Stall, Depends(require_stall)]


@dataclass(frozen=True, kw_only=True)
class AccountChange:
    """The account that money goes to is new, and whoever looks has not said that they saw it."""

    link_id: UUID
    bank: str
    account: str  # only its end
    holder_name: str
    is_first: bool  # the stall had none before: nothing changed


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What templates/counter_base.html may use, already worded for a person."""

    stall_name: str
    place: str
    route: PayeeRoute | None  # None: no account in force, it cannot be paid yet
    can_open: bool
    can_sort: bool
    can_see: bool  # its own people may say "Tôi đã thấy"
    speaks_for: str  # whom that counts for: "stall", or themselves as "cashier" or "new_login"
    is_own_stall: bool  # its staff; others chose it from a list
    is_live: bool  # False: an organisation whose money is pretend
    today_vnd: int
    today_count: int
    changes: tuple[AccountChange, ...]
    suffix: str
    person_name: str  # who is signed in
    here: str  # which of the counter's screens this is: "keypad", "sales", "code"


async def read_frame(session: AsyncSession, stall: Stall, *, here: str, now: datetime) -> Frame:
    """Read what every screen of a stall's counter shows.

    Raises:
        PayeeNotFound: a manager's address names a stall of nobody's.
    """
    payee = await get_payee(session, stall.org_id, stall.payee_id)
    routes = await find_routes(session, stall.org_id, [stall.payee_id])
    today_vnd, today_count = await read_today(session, stall, now=now)
    caller = stall.caller
    links = await list_unseen_links(session, stall.org_id, stall.payee_id, reader_id=caller.id)
    return Frame(
        stall_name=payee.name,
        place=payee.place,
        route=routes.get(stall.payee_id),
        can_open=caller.may(Permission.BILLS_OPEN),
        can_sort=caller.may(Permission.SALES_SORT),
        can_see=caller.is_scoped,
        speaks_for=await _speaks_for(session, stall, links),
        is_own_stall=caller.is_scoped,
        is_live=caller.org.is_live,
        today_vnd=today_vnd,
        today_count=today_count,
        changes=tuple(_word_change(link, account, is_first) for link, account, is_first in links),
        suffix=stall.suffix,
        person_name=caller.name,
        here=here,
    )


async def read_today(session: AsyncSession, stall: Stall, *, now: datetime) -> tuple[int, int]:
    """Return today's takings in đồng, and how many payments are in them."""
    since, until = day_bounds(hanoi_day(now))
    org_id, payee_id = stall.org_id, stall.payee_id
    today_vnd = await read_takings(session, org_id, payee_id, since=since, until=until)
    return today_vnd, await count_sales(session, org_id, payee_id, since=since, until=until)


async def _speaks_for(session: AsyncSession, stall: Stall, links: Sequence[UnseenLink]) -> str:
    """Say for whom the caller may say that the account was seen (docs/adr/0001, 6)."""
    if not stall.caller.may(Permission.ACCOUNTS_ACKNOWLEDGE):
        return "cashier"
    try:
        for link, *_ in links:
            await check_own_login(session, stall.caller, link)
    except HolderNeeded:
        return "new_login"
    return "stall"


def _word_change(link: PayeeAccount, account: ReceivingAccount, is_first: bool) -> AccountChange:
    return AccountChange(
        link_id=link.id,
        bank=name_bank(account.bin),
        account=mask_tail(link.virtual_account or account.account_number),
        holder_name=account.holder_name,
        is_first=is_first,
    )


def render(
    request: Request, template: str, frame: Frame, page: Any = None, *, status: int = 200
) -> Response:
    """Render a screen of the counter; `page` is its own documented dataclass."""
    facts = {} if page is None else {"page": page}
    shown = {**{name: getattr(frame, name) for name in frame.__dataclass_fields__}, **facts}
    return no_store(templates.TemplateResponse(request, template, shown, status_code=status))


def go(path: str) -> Response:
    """Send a browser on after a form (303: by GET)."""
    return RedirectResponse(path, 303)
