"""Receiving accounts: proposed by one person, approved by another, in force once tested."""

from collections.abc import Collection
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.codes import PICTURE_RESPONSES, SVG, answer_svg
from api.http.deps import Now, TheBillWriter, Tx, requires
from api.http.errors import may_answer
from api.http.idempotency import (
    REPLAYED,
    IdempotencyKey,
    find_first,
    hash_body,
    mark_replayed,
    take_key,
)
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.accounts.schemas import (
    AccountEnd,
    AccountHolder,
    AccountPage,
    AccountPropose,
    AccountRead,
    AccountRefuse,
    TestCodeRead,
)
from core.idempotency import IdempotencyKeyReused
from core.paging import BadCursor
from identity.people.callers import Caller
from identity.people.errors import ScopeNeeded
from identity.people.rules import SEES_WHOLE, Permission, ScopeKind
from payments.bills.errors import ReferencesUsedUp
from payments.onboarding import service as onboarding
from payments.onboarding.holders import confirm_by_holder
from payments.payees import accounts, queries
from payments.payees.errors import (
    AccountLinkNotFound,
    AccountLinkNotInForce,
    AccountLinkNotProposed,
    AccountNotAwaitingTest,
    AccountTaken,
    BadAccount,
    HolderNeeded,
    HolderNeedsAnother,
    PayeeClosed,
    PayeeNotFound,
    SecondPersonNeeded,
)
from payments.payees.queries import IN_USE, AccountLink
from payments.payees.rules import TEST_TRANSFER_VND, LinkStatus, awaits_test, transfer_test_payload

router = APIRouter(prefix="/v1", tags=["payees"])

Reader = Annotated[Caller, requires(Permission.ACCOUNTS_READ)]
Proposer = Annotated[Caller, requires(Permission.ACCOUNTS_PROPOSE)]
Approver = Annotated[Caller, requires(Permission.ACCOUNTS_APPROVE)]
PROPOSE: Final = "POST /v1/payees/{payee_id}/accounts"
Holder = Annotated[Caller, requires(Permission.ACCOUNTS_ACKNOWLEDGE)]


@router.post(
    "/payees/{payee_id}/accounts",
    status_code=201,
    responses={
        **may_answer(
            BadAccount, PayeeNotFound, PayeeClosed, ReferencesUsedUp, IdempotencyKeyReused
        ),
        201: REPLAYED,
    },
)
async def propose_account(
    payee_id: UUID,
    body: AccountPropose,
    response: Response,
    caller: Proposer,
    tx: Tx,
    bill_writer: TheBillWriter,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> AccountRead:
    """Propose that a payee's codes name this account. Nothing changes before a second person agrees
    and the bank has reported a test transfer. What you proposed already, and nobody decided, is
    answered again."""
    asked = (caller.org_id, PROPOSE, idempotency_key, hash_body(body, payee_id))
    first = await find_first(tx, *asked)
    if first is not None:
        mark_replayed(response)
        return await _show(tx, caller, first)
    link = await accounts.propose_account(
        tx,
        caller.org_id,
        payee_id=payee_id,
        bin_=body.bin,
        account_number=body.account_number,
        virtual_account=body.virtual_account,
        holder_name=body.holder_name,
        test_reference=await bill_writer.take_reference(caller.org),
        actor=caller.actor,
        now=now,
    )
    await take_key(tx, *asked, makes=link.id, now=now)
    return await _show(tx, caller, link.id)


@router.get("/accounts", responses=may_answer(BadCursor, ScopeNeeded))
async def list_accounts(
    caller: Reader,
    tx: Tx,
    payee_id: UUID | None = None,
    status: Annotated[list[LinkStatus] | None, Query(max_length=len(LinkStatus))] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> AccountPage:
    """List account links, newest first; ended ones when `status=ended` asks for them."""
    wanted: Collection[LinkStatus] = status or IN_USE
    found = await queries.list_links(
        tx,
        caller.org_id,
        payee_id=caller.narrow(ScopeKind.PAYEE, payee_id),
        statuses=wanted,
        before_id=read_cursor(cursor),
        limit=limit + 1,
    )
    return AccountPage(
        accounts=[AccountRead.of(one, is_whole=_sees_whole(caller)) for one in found[:limit]],
        next_cursor=next_cursor([link for link, *_ in found], limit),
    )


@router.get("/accounts/{link_id}", responses=may_answer(AccountLinkNotFound))
async def show_account(link_id: UUID, caller: Reader, tx: Tx) -> AccountRead:
    """Show an account link."""
    return await _show(tx, caller, link_id)


@router.post(
    "/accounts/{link_id}/approve",
    responses=may_answer(
        AccountLinkNotFound, SecondPersonNeeded, AccountLinkNotProposed, AccountTaken
    ),
)
async def approve_account(link_id: UUID, caller: Approver, tx: Tx, now: Now) -> AccountRead:
    """Agree as the second person. What was tested before is in force at once."""
    await _find_own(tx, caller, link_id)
    await onboarding.approve_account(tx, caller.org_id, link_id, actor=caller.actor, now=now)
    return await _show(tx, caller, link_id)


@router.post(
    "/accounts/{link_id}/refuse",
    responses=may_answer(AccountLinkNotFound, AccountLinkNotProposed),
)
async def refuse_account(
    link_id: UUID, body: AccountRefuse, caller: Approver, tx: Tx, now: Now
) -> AccountRead:
    """Turn a proposal down."""
    await _find_own(tx, caller, link_id)
    await accounts.refuse_account(
        tx, caller.org_id, link_id, actor=caller.actor, reason=body.reason, now=now
    )
    return await _show(tx, caller, link_id)


@router.post(
    "/accounts/{link_id}/end",
    responses=may_answer(AccountLinkNotFound, AccountLinkNotInForce),
)
async def end_account(
    link_id: UUID, body: AccountEnd, caller: Approver, tx: Tx, now: Now
) -> AccountRead:
    """Take an account out of a payee's codes for good; its number is free again with its last link.

    Bills opened before are still settled. Idempotent."""
    await _find_own(tx, caller, link_id)
    await accounts.end_link(
        tx, caller.org_id, link_id, actor=caller.actor, reason=body.reason, now=now
    )
    return await _show(tx, caller, link_id)


@router.post(
    "/accounts/{link_id}/seen",
    responses=may_answer(AccountLinkNotFound, HolderNeeded, AccountLinkNotInForce),
)
async def acknowledge_account(link_id: UUID, caller: Holder, tx: Tx, now: Now) -> AccountRead:
    """Say, as one of the payee's people, that you saw the change of your account.

    Whoever proposed or approved it cannot say so, nor can a login made or reset since."""
    link, *_ = await _find_own(tx, caller, link_id)
    await confirm_by_holder(tx, caller, link, now=now)
    return await _show(tx, caller, link_id)


@router.post(
    "/accounts/{link_id}/holder",
    responses=may_answer(AccountLinkNotFound, AccountLinkNotInForce, HolderNeedsAnother),
)
async def set_holder(
    link_id: UUID, body: AccountHolder, caller: Proposer, tx: Tx, now: Now
) -> AccountRead:
    """Say who holds the account: its payee, or the organisation. Who holds it gives money back."""
    await accounts.set_holder(
        tx, caller.org_id, link_id, held_by=body.held_by, actor=caller.actor, now=now
    )
    return await _show(tx, caller, link_id)


@router.get(
    "/accounts/{link_id}/test-code",
    responses=may_answer(AccountLinkNotFound, AccountNotAwaitingTest),
)
async def show_test_code(link_id: UUID, caller: Reader, tx: Tx) -> TestCodeRead:
    """Show the code of the test transfer: 1.000 ₫ with a memo that only this link has."""
    found = await _find_own(tx, caller, link_id)
    return TestCodeRead(
        vietqr=_write_test(found),
        amount_vnd=TEST_TRANSFER_VND,
        test_reference=found[0].test_reference,
        qr_svg=f"/v1/accounts/{link_id}/test-code/qr.svg",
    )


@router.get(
    "/accounts/{link_id}/test-code/qr.svg",
    response_class=Response,
    responses={
        **may_answer(AccountLinkNotFound, AccountNotAwaitingTest),
        **PICTURE_RESPONSES[SVG],
    },
)
async def show_test_code_image(request: Request, link_id: UUID, caller: Reader, tx: Tx) -> Response:
    """Draw the code of the test transfer."""
    return await answer_svg(request, _write_test(await _find_own(tx, caller, link_id)))


async def _find_own(tx: AsyncSession, caller: Caller, link_id: UUID) -> AccountLink:
    found = await queries.get_link(tx, caller.org_id, link_id)
    if not caller.sees(ScopeKind.PAYEE, found[0].payee_id):
        raise AccountLinkNotFound(link_id)
    return found


async def _show(tx: AsyncSession, caller: Caller, link_id: UUID) -> AccountRead:
    return AccountRead.of(await _find_own(tx, caller, link_id), is_whole=_sees_whole(caller))


def _sees_whole(caller: Caller) -> bool:
    return not SEES_WHOLE.isdisjoint(caller.permissions)


def _write_test(found: AccountLink) -> str:
    link, account, _ = found
    if not awaits_test(link, account):
        raise AccountNotAwaitingTest(link.status)
    return transfer_test_payload(
        bin_=account.bin,
        code_account=link.virtual_account or account.account_number,
        test_reference=link.test_reference,
    )
