"""Receiving accounts: proposed by one person, approved by another, in force once tested."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.codes import answer_svg
from api.http.deps import requires
from api.http.paging import next_cursor, read_cursor
from api.manage.account_rail import RailPanel, read_rail_panel
from api.manage.history import Change, list_changes_of
from api.manage.page_context import (
    CHOICES_MAX,
    PAGE_ROWS,
    Before,
    Errors,
    Find,
    ManagerContext,
    TheManager,
    read_line,
)
from core.errors import HubError
from core.masking import mask_tail
from core.tenancy import open_org_transaction
from identity.people.rules import SEES_WHOLE, Permission
from payments.connections.vouching import TestReadiness, read_test_readiness
from payments.onboarding.service import approve_account
from payments.payees import accounts, queries
from payments.payees.errors import (
    AccountLinkNotInForce,
    AccountLinkNotProposed,
    AccountNotAwaitingTest,
    AccountTaken,
    BadAccount,
    PayeeClosed,
    SecondPersonNeeded,
)
from payments.payees.models import Payee
from payments.payees.queries import IN_USE, AccountLink
from payments.payees.rules import (
    TEST_TRANSFER_VND,
    AccountStatus,
    LinkStatus,
    awaits_test,
    check_account,
    transfer_test_payload,
)
from payments.rails.choice import choose_direct
from payments.rails.errors import DirectNotReported
from payments.vietqr.banks import find_bank, list_banks, name_bank

router = APIRouter(prefix="/manage/accounts", include_in_schema=False)

# Colour and icon of a link's state; its word is in [account] of api/manage/words/*/manage.toml.
STATES: Final = {
    LinkStatus.PROPOSED: ("attention", "people"),
    LinkStatus.APPROVED: ("attention", "clock"),
    LinkStatus.ACTIVE: ("good", "check"),
    LinkStatus.FORMER: ("plain", "replay"),
    LinkStatus.ENDED: ("bad", "stop"),
}
# Where on the form a part of the account was typed, and the words for what is wrong with it.
FIELDS: Final = {
    "bin": "bin",
    "account_number": "number",
    "virtual_account": "virtual",
    "holder_name": "holder",
}
WORDS: Final = {
    "unknown_bank": "bank_needed",
    "bad_number": "bad_account",
    "bad_holder": "bad_holder",
}
EMPTY_FORM: Final = {"payee": "", "bin": "", "number": "", "virtual": "", "holder": ""}


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


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One of the four things that an account needs before money is asked to it."""

    word: str
    is_done: bool
    when: str


@dataclass(frozen=True, kw_only=True)
class AccountPage:
    """Everything templates/manage_account.html may use, already worded."""

    row: AccountRow
    bank_name: str  # in full, to be compared by who approves
    stages: tuple[Stage, ...]
    approve_path: str
    refuse_path: str
    can_decide: bool
    can_refuse: bool
    end_path: str
    can_end: bool
    is_own_proposal: bool
    test_code_path: str  # "" when no test transfer is awaited
    test_vnd: int
    test_reference: str
    not_counted: str  # why no test transfer counts yet, or did not; "" when the next one does
    not_counted_next: str  # what to do about it
    rail: RailPanel | None  # how its codes are made, where it is in force
    history: tuple[Change, ...]
    others: tuple[AccountRow, ...]  # the payee's other accounts, former ones too
    error: str


@router.get("", dependencies=[requires(Permission.ACCOUNTS_READ)])
async def show_accounts(
    manager: TheManager,
    payee: Annotated[str, Query(max_length=36)] = "",
    ended: Annotated[str, Query(max_length=3)] = "",
    find: Find = "",
    before: Before = None,
) -> Response:
    """List which account each payee's codes name, or will; newest first."""
    form = {**EMPTY_FORM, "payee": payee}
    return await _render_list(
        manager, form, {}, with_ended=ended == "yes", find=find, before=before
    )


@router.post("", dependencies=[requires(Permission.ACCOUNTS_PROPOSE)])
async def propose(
    manager: TheManager,
    payee: Annotated[str, Form(max_length=36)] = "",
    bin_: Annotated[str, Form(alias="bin", max_length=6)] = "",
    number: Annotated[str, Form(max_length=60)] = "",
    virtual: Annotated[str, Form(max_length=60)] = "",
    holder: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Propose an account; nothing changes before a second person agrees and a test arrives."""
    form = {
        "payee": payee,
        "bin": bin_,
        "number": "".join(number.split()),
        "virtual": "".join(virtual.split()),
        "holder": read_line(holder, 200),
    }
    payee_id = _read_id(payee)
    if errors := _find_faults(manager, form, payee_id):
        return await _render_list(manager, form, errors)
    assert payee_id is not None
    bill_writer = manager.services.bill_writer
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            link = await accounts.propose_account(
                tx,
                manager.org_id,
                payee_id=payee_id,
                bin_=bin_,
                account_number=form["number"],
                virtual_account=form["virtual"] or None,
                holder_name=form["holder"],
                test_reference=await bill_writer.take_reference(manager.caller.org),
                actor=manager.caller.actor,
                now=manager.now,
            )
    except PayeeClosed as error:
        return await _render_list(manager, form, {"payee": manager.present_error(error)})
    return manager.go(f"/accounts/{link.id}", done="account_proposed")


@router.get("/{link_id}", dependencies=[requires(Permission.ACCOUNTS_READ)])
async def show_account(manager: TheManager, link_id: UUID) -> Response:
    """Show an account, what it still needs, and who did what."""
    return await _render_one(manager, link_id)


@router.post("/{link_id}/approve", dependencies=[requires(Permission.ACCOUNTS_APPROVE)])
async def approve(manager: TheManager, link_id: UUID) -> Response:
    """Agree as the second person."""
    return await _decide(manager, link_id, approve_account, done="account_approved")


@router.post("/{link_id}/refuse", dependencies=[requires(Permission.ACCOUNTS_APPROVE)])
async def refuse(
    manager: TheManager, link_id: UUID, reason: Annotated[str, Form(max_length=1_000)] = ""
) -> Response:
    """Turn a proposal down, with a reason for whoever made it."""
    reason = _read_reason(manager, reason)
    return await _decide(
        manager, link_id, accounts.refuse_account, done="account_refused", reason=reason
    )


@router.post("/{link_id}/end", dependencies=[requires(Permission.ACCOUNTS_APPROVE)])
async def end(
    manager: TheManager, link_id: UUID, reason: Annotated[str, Form(max_length=1_000)] = ""
) -> Response:
    """Take an account out of use, with a reason for whoever asks later."""
    reason = _read_reason(manager, reason)
    return await _decide(manager, link_id, accounts.end_link, done="account_ended", reason=reason)


@router.post("/{link_id}/rail", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def choose_rail(
    manager: TheManager, link_id: UUID, direct: Annotated[str, Form(max_length=1)] = ""
) -> Response:
    """Say whether the payee's counter makes its codes by VietQR direct, or by payOS."""
    return await _decide(
        manager, link_id, choose_direct, done="rail_chosen", is_direct_only=direct == "1"
    )


@router.get("/{link_id}/test.svg", dependencies=[requires(Permission.ACCOUNTS_READ)])
async def show_test_code_image(manager: TheManager, link_id: UUID) -> Response:
    """Draw the code of the test transfer.

    Raises:
        AccountNotAwaitingTest: the account is in force already, or retired.
    """
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.get_link(tx, manager.org_id, link_id)
    link, account, _ = found
    if not awaits_test(link, account):
        raise AccountNotAwaitingTest(link.status)
    payload = transfer_test_payload(
        bin_=account.bin,
        code_account=link.virtual_account or account.account_number,
        test_reference=link.test_reference,
    )
    return await answer_svg(manager.request, payload)


async def _decide(
    manager: ManagerContext,
    link_id: UUID,
    decide: Callable[..., Awaitable[object]],
    *,
    done: str,
    **facts: object,
) -> Response:
    """Decide about an account; what somebody decided before is said on its page."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await decide(
                tx,
                manager.org_id,
                link_id,
                actor=manager.caller.actor,
                now=manager.now,
                **facts,
            )
    except (
        SecondPersonNeeded,
        AccountLinkNotProposed,
        AccountLinkNotInForce,
        AccountTaken,
        DirectNotReported,
    ) as error:
        return await _render_one(manager, link_id, error)
    return manager.go(f"/accounts/{link_id}", done=done)


def _read_id(typed: str) -> UUID | None:
    try:
        return UUID(typed)
    except ValueError:
        return None


def _read_reason(manager: ManagerContext, typed: str) -> str:
    return read_line(typed, 500) or manager.say("account.no_reason")


def _find_faults(
    manager: ManagerContext, form: dict[str, str], payee_id: UUID | None
) -> dict[str, str]:
    """Say beside each field of the form what no bank could have given."""
    errors = {} if payee_id is not None else {"payee": manager.say("error.payee_needed")}
    try:
        check_account(
            bin_=form["bin"],
            account_number=form["number"],
            virtual_account=form["virtual"] or None,
            holder_name=form["holder"],
        )
    except BadAccount as error:
        for fault in error.violations:
            errors[FIELDS[fault.field]] = manager.say(f"error.{WORDS[fault.code]}")
    return errors


async def _render_list(
    manager: ManagerContext,
    form: dict[str, str],
    errors: Errors,
    *,
    with_ended: bool = False,
    find: str = "",
    before: str | None = None,
) -> Response:
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
        rows=tuple(_present_row(manager, one) for one in links[:PAGE_ROWS]),
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


async def _list_payees(
    tx: AsyncSession, manager: ManagerContext, chosen: str, find: str
) -> tuple[list[Payee], bool]:
    """List the payees to choose from: the chosen one, whatever is searched for, and those found."""
    found = await queries.search_payees(tx, manager.org_id, find=find, limit=CHOICES_MAX + 1)
    payees = list(found[:CHOICES_MAX])
    chosen_id = _read_id(chosen)
    if chosen_id is not None and chosen_id not in {one.id for one in payees}:
        payees = [*await queries.list_payees_by_id(tx, manager.org_id, [chosen_id]), *payees]
    return payees, len(found) > CHOICES_MAX or bool(find)


async def _render_one(
    manager: ManagerContext, link_id: UUID, error: HubError | None = None
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        page = await _read_one(tx, manager, link_id, error)
    return manager.render(
        "manage_account.html", page, here="accounts", status=409 if error else 200
    )


async def _read_one(
    tx: AsyncSession, manager: ManagerContext, link_id: UUID, error: HubError | None
) -> AccountPage:
    found = await queries.get_link(tx, manager.org_id, link_id)
    link, account, payee = found
    not_counted, not_counted_next = await _present_not_counted(tx, manager, found)
    others = await queries.list_links(
        tx, manager.org_id, payee_id=payee.id, statuses=list(LinkStatus)
    )
    is_own = manager.caller.id in (link.proposed_by, account.proposed_by)
    is_open = link.status in (LinkStatus.PROPOSED, LinkStatus.APPROVED)
    moments = (
        ("proposed", link.proposed_at),
        ("approved", link.approved_at),
        ("tested", link.activated_at if link.virtual_account else account.activated_at),
        ("confirmed", link.holder_confirmed_at),
    )
    return AccountPage(
        row=_present_row(manager, found),
        bank_name=bank.name if (bank := find_bank(account.bin)) else account.bin,
        stages=tuple(
            Stage(
                word=manager.say(f"account.stage.{name}"),
                is_done=at is not None,
                when=manager.present_instant(at),
            )
            for name, at in moments
        ),
        approve_path=manager.path(f"/accounts/{link_id}/approve"),
        refuse_path=manager.path(f"/accounts/{link_id}/refuse"),
        can_decide=link.status == LinkStatus.PROPOSED
        and manager.may(Permission.ACCOUNTS_APPROVE)
        and not is_own,
        can_refuse=is_open and manager.may(Permission.ACCOUNTS_APPROVE),
        end_path=manager.path(f"/accounts/{link_id}/end"),
        can_end=link.status in (LinkStatus.ACTIVE, LinkStatus.FORMER)
        and manager.may(Permission.ACCOUNTS_APPROVE),
        is_own_proposal=link.status == LinkStatus.PROPOSED and is_own,
        test_code_path=manager.path(f"/accounts/{link_id}/test.svg")
        if awaits_test(link, account)
        else "",
        test_vnd=TEST_TRANSFER_VND,
        test_reference=link.test_reference,
        not_counted=not_counted,
        not_counted_next=not_counted_next,
        rail=await read_rail_panel(tx, manager, link),
        history=await list_changes_of(tx, manager, "account_link", link_id),
        others=tuple(_present_row(manager, one) for one in others if one[0].id != link_id),
        error=manager.present_error(error) if error else "",
    )


async def _present_not_counted(
    tx: AsyncSession, manager: ManagerContext, found: AccountLink
) -> tuple[str, str]:
    """Say that a test transfer did not count, or would not, and what to do about it."""
    link, account, _ = found
    if not awaits_test(link, account):
        return "", ""
    if link.test_refused_at is not None and link.test_refused_bank is not None:
        named = link.test_refused_bank
        when = manager.present_instant(link.test_refused_at)
        return (
            manager.say("account.not_counted.other_bank", when=when, named=named),
            manager.say(
                "account.not_counted.other_bank_next", named=named, bank=name_bank(account.bin)
            ),
        )
    proposers = {link.proposed_by}
    if account.status != AccountStatus.ACTIVE:
        proposers.add(account.proposed_by)
    readiness, start = await read_test_readiness(
        tx, manager.caller.org, account.id, proposers=proposers, now=manager.now
    )
    if link.test_refused_at is not None:
        word = manager.say(
            "account.not_counted.refused", when=manager.present_instant(link.test_refused_at)
        )
    elif readiness is TestReadiness.READY:
        return "", ""
    else:
        word = manager.say("account.not_counted.yet")
    return word, manager.say(
        f"account.not_counted.{readiness.value}", when=manager.present_instant(start)
    )


def _present_row(manager: ManagerContext, found: AccountLink) -> AccountRow:
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
