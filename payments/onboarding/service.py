"""Onboarding of receiving accounts: listing at an endpoint, and approval."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from payments.callbacks import queries as notice_queries
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


async def change_accounts(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    chosen: Collection[UUID],
    before: Collection[UUID] = (),
    actor: Actor,
    now: datetime,
    may_vouch: bool = False,
) -> None:
    """Add and remove accounts of an endpoint one by one; notices that waited are retried at once.

    Only the difference of the two lists is applied, so that two people may change one endpoint at
    the same time, and accounts that neither saw stay as they are. Idempotent.

    Args:
        chosen: the accounts that it is to speak for.
        before: those that it spoke for when the choice was made; what is missing in `chosen` ends.
        may_vouch: whether the actor may approve accounts: then they vouch for what they chose, as
            far as it is listed.

    Raises:
        CallbackEndpointNotFound
        BadAccount: one is not the organisation's, or one of the same number is listed.
    """
    endpoint = await get_endpoint(session, org_id, endpoint_id, is_to_change=True)
    rows = await list_callback_endpoint_accounts(session, org_id, [endpoint_id])
    listed = {one.receiving_account_id: one for one in rows}
    removed = (set(before) - set(chosen)) & listed.keys()
    added = set(chosen) - set(before) - listed.keys()
    own_vouch = actor.id if may_vouch else None
    vouched = {
        one
        for one in set(chosen) & listed.keys()
        if own_vouch not in (None, listed[one].vouched_by)
    }
    if not (added or removed or vouched):
        return
    for account_id in removed:
        await session.delete(listed[account_id])
    for account_id in vouched:
        listed[account_id].vouched_by = own_vouch
    await session.flush()
    if added:
        await list_accounts(session, org_id, endpoint_id, dict.fromkeys(added, own_vouch))
        await notice_queries.wake_notices(session, org_id, endpoint_id, now=now)
    after = {
        "added": sorted(map(str, added)),
        "removed": sorted(map(str, removed)),
        "is_vouched": may_vouch,
    }
    record_endpoint(session, endpoint, actor, "callback_endpoint.accounts_changed", now, after)


async def approve_account(
    session: AsyncSession, org_id: UUID, link_id: UUID, *, actor: Actor, now: datetime
) -> PayeeAccount:
    """Agree to a proposal as the second person. What was tested already is in force at once.

    That is an account's own number that some report named, or a virtual account whose test
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
