"""Receiving accounts: proposed by one person, approved by another, in force once tested."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.http.codes import answer_svg
from api.http.deps import requires
from api.manage.account_form import EMPTY_FORM, find_faults, read_id
from api.manage.account_list import render_list
from api.manage.account_page import render_one
from api.manage.page_context import Before, Find, ManagerContext, TheManager, read_line
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.onboarding.service import approve_account
from payments.payees import accounts, queries
from payments.payees.errors import (
    AccountLinkNotInForce,
    AccountLinkNotProposed,
    AccountNotAwaitingTest,
    AccountTaken,
    PayeeClosed,
    SecondPersonNeeded,
)
from payments.payees.rules import awaits_test, transfer_test_payload
from payments.rails.choice import choose_direct
from payments.rails.errors import DirectNotReported

router = APIRouter(prefix="/manage/accounts", include_in_schema=False)


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
    return await render_list(manager, form, {}, with_ended=ended == "yes", find=find, before=before)


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
    payee_id = read_id(payee)
    if errors := find_faults(manager, form, payee_id):
        return await render_list(manager, form, errors)
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
        return await render_list(manager, form, {"payee": manager.present_error(error)})
    return manager.go(f"/accounts/{link.id}", done="account_proposed")


@router.get("/{link_id}", dependencies=[requires(Permission.ACCOUNTS_READ)])
async def show_account(manager: TheManager, link_id: UUID) -> Response:
    """Show an account, what it still needs, and who did what."""
    return await render_one(manager, link_id)


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
        return await render_one(manager, link_id, error)
    return manager.go(f"/accounts/{link_id}", done=done)


def _read_reason(manager: ManagerContext, typed: str) -> str:
    return read_line(typed, 500) or manager.say("account.no_reason")
