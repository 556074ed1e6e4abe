"""The page of all receiving accounts, and the row that presents one."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.paging import next_cursor, read_cursor
from api.manage.account_form import read_id
from api.manage.page_context import CHOICES_MAX, PAGE_ROWS, Errors, ManagerContext
from core.masking import mask_tail
from core.tenancy import open_org_transaction
from identity.people.rules import SEES_WHOLE, Permission
from payments.payees import queries
from payments.payees.models import Payee
from payments.payees.queries import IN_USE, AccountLink
from payments.payees.rules import LinkStatus
from payments.vietqr.banks import list_banks, name_bank

# Colour and icon of a link's state; its word is in [account] of api/manage/words/*/manage.toml.
STATES: Final = {
    LinkStatus.PROPOSED: ("attention", "people"),
    LinkStatus.APPROVED: ("attention", "clock"),
    LinkStatus.ACTIVE: ("good", "check"),
    LinkStatus.FORMER: ("plain", "replay"),
    LinkStatus.ENDED: ("bad", "stop"),
}


@dataclass(frozen=True, kw_only=True)
class AccountRow:
    """One payee's link to an account."""

    path: str
    payee_name: str
    place: str
    bank: str
    number: str  # whole for who handles accounts, else its end
    virtual_account: str
    holder_name: str
    tone: str
    icon: str
    word: str
    missing: str  # what has to happen next, in plain words; "" when nothing


@dataclass(frozen=True, kw_only=True)
class AccountsPage:
    """Everything templates/manage_accounts.html may use, already worded."""

    rows: tuple[AccountRow, ...]
    find: str
    can_find: bool  # there are more than one page of them, or more payees than are offered
    payees_are_more: bool
    older: str  # the address of the next page, "" on the last
    with_ended: bool
    can_propose: bool
    payees: tuple[tuple[str, str], ...]
    banks: tuple[tuple[str, str], ...]
    form: dict[str, str]
    errors: Errors


async def render_list(
    manager: ManagerContext,
    form: dict[str, str],
    errors: Errors,
    *,
    with_ended: bool = False,
    find: str = "",
    before: str | None = None,
) -> Response:
    """Draw the accounts, newest first, and the form that proposes one."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        links = await queries.list_links(
            tx,
            manager.org_id,
            statuses=list(LinkStatus) if with_ended else IN_USE,
            find=find,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        payees, payees_are_more = await _list_payees(tx, manager, form["payee"], find)
    cursor = next_cursor([link for link, *_ in links], PAGE_ROWS)
    ended = "yes" if with_ended else ""
    page = AccountsPage(
        rows=tuple(present_row(manager, one) for one in links[:PAGE_ROWS]),
        find=find,
        can_find=bool(find or before or cursor or payees_are_more),
        payees_are_more=payees_are_more,
        older=manager.path("/accounts", ended=ended, find=find, before=cursor) if cursor else "",
        with_ended=with_ended,
        can_propose=manager.may(Permission.ACCOUNTS_PROPOSE),
        payees=(
            ("", manager.say("account.choose_payee")),
            *((str(one.id), f"{one.name} · {one.place}") for one in payees),
        ),
        banks=(
            ("", manager.say("account.choose_bank")),
            *(
                (bank.bin, f"{bank.short_name} · {bank.name}")
                for bank in list_banks()
                if bank.receive_supported is not False
            ),
        ),
        form=form,
        errors=errors,
    )
    return manager.render(
        "manage_accounts.html", page, here="accounts", status=422 if errors else 200
    )


def present_row(manager: ManagerContext, found: AccountLink) -> AccountRow:
    """Word one link for who reads it: numbers are whole only for those who handle accounts."""
    link, account, payee = found
    status = LinkStatus(link.status)
    tone, icon = STATES[status]
    is_whole = not SEES_WHOLE.isdisjoint(manager.caller.permissions)
    virtual = link.virtual_account or ""
    missing = ""
    if status is LinkStatus.ACTIVE and link.holder_confirmed_at is None:
        missing = manager.say("account.missing.confirmed")
    elif status in (LinkStatus.PROPOSED, LinkStatus.APPROVED):
        missing = manager.say(f"account.missing.{status.value}")
    return AccountRow(
        path=manager.path(f"/accounts/{link.id}"),
        payee_name=payee.name,
        place=payee.place,
        bank=name_bank(account.bin),
        number=account.account_number if is_whole else mask_tail(account.account_number),
        virtual_account=virtual if is_whole or not virtual else mask_tail(virtual),
        holder_name=account.holder_name,
        tone=tone,
        icon=icon,
        word=manager.say(f"account.state.{status.value}"),
        missing=missing,
    )


async def _list_payees(
    tx: AsyncSession, manager: ManagerContext, chosen: str, find: str
) -> tuple[list[Payee], bool]:
    """List the payees to choose from: the chosen one, whatever is searched for, and those found."""
    found = await queries.search_payees(tx, manager.org_id, find=find, limit=CHOICES_MAX + 1)
    payees = list(found[:CHOICES_MAX])
    chosen_id = read_id(chosen)
    if chosen_id is not None and chosen_id not in {one.id for one in payees}:
        payees = [*await queries.list_payees_by_id(tx, manager.org_id, [chosen_id]), *payees]
    return payees, len(found) > CHOICES_MAX or bool(find)
