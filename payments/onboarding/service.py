"""Onboarding of receiving accounts: listing at an endpoint, and approval."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from payments.callbacks import queries as notice_queries
from payments.connections.models import CallbackEndpointAccount
from payments.connections.queries import (
    delete_callback_endpoint_accounts,
    get_endpoint,
    list_callback_endpoint_accounts,
    list_endpoint_ids_of,
)
from payments.connections.service import list_accounts, record_endpoint
from payments.onboarding.activation import put_in_force
from payments.payees import queries
from payments.payees.errors import (
    AccountLinkNotProposed,
    AccountTaken,
    SecondPersonNeeded,
)
from payments.payees.link_audit import record_link
from payments.payees.models import PayeeAccount
from payments.payees.rules import AccountStatus, LinkStatus, is_tested


async def set_accounts(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    account_ids: Collection[UUID],
    *,
    actor: Actor,
    now: datetime,
    may_vouch: bool = False,
) -> None:
    """Replace the accounts that an endpoint may speak for; notices that waited are retried at once.

    Args:
        may_vouch: whether the actor may approve accounts: then they answer for the whole list from
            now on. Otherwise the vouch for an account that stays listed stays too.

    Raises:
        CallbackEndpointNotFound, BadAccount
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    before = await list_callback_endpoint_accounts(session, org_id, [endpoint_id])
    vouched_by = {one.receiving_account_id: one.vouched_by for one in before}
    for one in before:
        session.expunge(one)  # deleted below; the same account may be listed again
    await delete_callback_endpoint_accounts(session, org_id, endpoint_id, vouched_by)
    listed = {one: actor.id if may_vouch else vouched_by.get(one) for one in account_ids}
    await list_accounts(session, org_id, endpoint_id, listed)
    await notice_queries.wake_notices(session, org_id, endpoint_id, now=now)
    after = {"accounts": [str(account_id) for account_id in account_ids], "is_vouched": may_vouch}
    record_endpoint(session, endpoint, actor, "callback_endpoint.accounts_set", now, after)


async def add_account(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    account_id: UUID,
    *,
    actor: Actor,
    now: datetime,
    may_vouch: bool = False,
) -> None:
    """Let an endpoint speak for one more account; notices that waited are retried at once.

    Idempotent; whoever may approve accounts vouches for one that was listed by another.

    Raises:
        CallbackEndpointNotFound
        BadAccount: it is not the organisation's, or one of the same number is listed.
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    listed = await session.get(
        CallbackEndpointAccount, (org_id, endpoint_id, account_id), populate_existing=True
    )
    voucher = actor.id if may_vouch else None
    if listed is not None:
        if voucher in (None, listed.vouched_by):
            return
        listed.vouched_by = voucher
    else:
        await list_accounts(session, org_id, endpoint_id, {account_id: voucher})
        await notice_queries.wake_notices(session, org_id, endpoint_id, now=now)
    await session.flush()
    after = {"account": str(account_id), "is_vouched": may_vouch}
    record_endpoint(session, endpoint, actor, "callback_endpoint.account_added", now, after)


async def remove_account(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    account_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Stop an endpoint from speaking for an account. Idempotent.

    Raises:
        CallbackEndpointNotFound
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    listed = await session.get(
        CallbackEndpointAccount, (org_id, endpoint_id, account_id), populate_existing=True
    )
    if listed is None:
        return
    await session.delete(listed)
    await session.flush()
    after = {"account": str(account_id)}
    record_endpoint(session, endpoint, actor, "callback_endpoint.account_removed", now, after)


async def approve_account(
    session: AsyncSession, org_id: UUID, link_id: UUID, *, actor: Actor, now: datetime
) -> PayeeAccount:
    """Agree to a proposal as the second person. What was tested already is in force at once.

    That is an account's own number that the hub has heard of, or a virtual account whose test
    transfer came before the approval. Notices that waited for the account are processed at once.

    Raises:
        SecondPersonNeeded: the approver is who proposed the link or the account.
        AccountLinkNotProposed, AccountLinkNotFound
        AccountTaken: the number or virtual account is in use, perhaps in another organisation.
    """
    assert actor.id is not None
    link, account = await queries.lock_link_and_account(session, org_id, link_id)
    if link.status != LinkStatus.PROPOSED:
        raise AccountLinkNotProposed(link.status)
    is_new_account = account.status == AccountStatus.PROPOSED
    if actor.id == link.proposed_by or (is_new_account and actor.id == account.proposed_by):
        raise SecondPersonNeeded
    try:
        if is_new_account:
            account.status = AccountStatus.APPROVED.value
            account.approved_by, account.approved_at = actor.id, now
        link.status = LinkStatus.APPROVED.value
        link.approved_by, link.approved_at = actor.id, now
        await session.flush()
        record_link(session, link, account, actor, "account.approved", now, before="proposed")
        if is_tested(link, account):
            await put_in_force(session, link, account, actor, now)
    except IntegrityError as error:
        raise AccountTaken from error
    for endpoint_id in await list_endpoint_ids_of(session, org_id, link.receiving_account_id):
        await notice_queries.wake_notices(session, org_id, endpoint_id, now=now)
    return link
