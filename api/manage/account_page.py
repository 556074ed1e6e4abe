"""The page of one receiving account: what it still needs, who did what, and its test transfer."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.manage.account_list import AccountRow, present_row
from api.manage.account_rail import RailPanel, read_rail_panel
from api.manage.history import Change, list_changes_of
from api.manage.page_context import ManagerContext
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.connections.vouching import TestReadiness, read_test_readiness
from payments.payees import queries
from payments.payees.queries import AccountLink
from payments.payees.rules import TEST_TRANSFER_VND, AccountStatus, LinkStatus, awaits_test
from payments.vietqr.banks import find_bank, name_bank


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


async def render_one(
    manager: ManagerContext, link_id: UUID, error: HubError | None = None
) -> Response:
    """Draw one account, with what kept a decision about it from being taken."""
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
        row=present_row(manager, found),
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
        others=tuple(present_row(manager, one) for one in others if one[0].id != link_id),
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
