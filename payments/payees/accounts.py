"""The guarded way of a bank account into a payee's codes, and out of them again.

An overlaid sticker or a bad manager must not redirect money. So an account takes money only after
one person proposed it, another approved it, the bank reported a test transfer to the number that
the codes name (by an endpoint that another person than the proposer answers for), and the people of
the payee see it on their own screen. What a test transfer does is in activation.py.
Locks go account, link, payee, its other links.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.ids import new_id
from core.text import check_lines
from identity.people.queries import find_key_makers, is_only_person
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.payees import queries
from payments.payees.errors import (
    AccountLinkNotInForce,
    AccountLinkNotProposed,
    HolderNeeded,
    HolderNeedsAnother,
    PayeeClosed,
)
from payments.payees.link_audit import NEWS_READ, record_link
from payments.payees.models import PayeeAccount, ReceivingAccount
from payments.payees.rules import AccountStatus, HeldBy, LinkStatus, check_account


async def propose_account(
    session: AsyncSession,
    org_id: UUID,
    *,
    payee_id: UUID,
    bin_: str,
    account_number: str,
    virtual_account: str | None,
    holder_name: str,
    test_reference: str,
    actor: Actor,
    now: datetime,
) -> PayeeAccount:
    """Propose that a payee's codes name this account from now on. Nothing changes yet.

    Idempotent: the same person's open proposal of the same account is returned as it is.

    Args:
        test_reference: a fresh reference for the memo of this link's test transfer.

    Raises:
        BadAccount, PayeeNotFound, PayeeClosed
    """
    check_lines(holder_name=holder_name)
    check_account(
        bin_=bin_,
        account_number=account_number,
        virtual_account=virtual_account,
        holder_name=holder_name,
    )
    assert actor.id is not None
    payee = await queries.get_payee(session, org_id, payee_id)
    if payee.closed_at is not None:
        raise PayeeClosed
    account = await _find_or_add_account(
        session,
        org_id,
        bin_=bin_,
        account_number=account_number,
        holder_name=holder_name.strip(),
        actor_id=actor.id,
        now=now,
    )
    known = await queries.find_open_proposal(
        session,
        org_id,
        payee_id=payee_id,
        account_id=account.id,
        virtual_account=virtual_account or None,
        proposed_by=actor.id,
    )
    if known is not None:
        return known
    link = PayeeAccount(
        org_id=org_id,
        id=new_id(),
        payee_id=payee_id,
        receiving_account_id=account.id,
        virtual_account=virtual_account or None,
        status=LinkStatus.PROPOSED.value,
        test_reference=test_reference,
        proposed_by=actor.id,
        proposed_at=now,
    )
    session.add(link)
    await session.flush()
    record_link(session, link, account, actor, "account.proposed", now, before=None)
    return link


async def refuse_account(
    session: AsyncSession, org_id: UUID, link_id: UUID, *, actor: Actor, reason: str, now: datetime
) -> None:
    """Turn a proposal down; an account that nothing else uses or proposes is retired with it.

    Raises:
        AccountLinkNotProposed, AccountLinkNotFound
    """
    link, account = await queries.lock_link_and_account(session, org_id, link_id)
    if link.status not in (LinkStatus.PROPOSED, LinkStatus.APPROVED):
        raise AccountLinkNotProposed(link.status)
    await _end_link(session, link, account, actor, "account.refused", now, reason)


async def end_link(
    session: AsyncSession, org_id: UUID, link_id: UUID, *, actor: Actor, reason: str, now: datetime
) -> None:
    """Take an account out of a payee's codes for good; idempotent.

    What comes by a printed code that still hangs waits for a person. The account is retired with
    its last link, and free then for another organisation. Bills opened before are still settled.

    Raises:
        AccountLinkNotInForce: it is a proposal, which is refused instead.
        AccountLinkNotFound
    """
    link, account = await queries.lock_link_and_account(session, org_id, link_id)
    if link.status == LinkStatus.ENDED:
        return
    if link.status not in (LinkStatus.ACTIVE, LinkStatus.FORMER):
        raise AccountLinkNotInForce(link.status)
    await _end_link(session, link, account, actor, "account.ended", now, reason)


async def confirm_seen(
    session: AsyncSession,
    org_id: UUID,
    link_id: UUID,
    *,
    payee_id: UUID | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Someone of the payee says that they saw the change of their account. Idempotent.

    Args:
        payee_id: the payee that the caller belongs to; None is nobody's.

    Raises:
        HolderNeeded: the caller is not the payee's, or had a part in the change.
        AccountLinkNotInForce: there is nothing to see yet, or not any more.
        AccountLinkNotFound
    """
    link, account = await queries.lock_link_and_account(session, org_id, link_id)
    if payee_id != link.payee_id or actor.id in (None, link.proposed_by, link.approved_by):
        raise HolderNeeded
    if link.status != LinkStatus.ACTIVE:
        raise AccountLinkNotInForce(link.status)
    if link.holder_confirmed_at is None:
        link.holder_confirmed_at, link.holder_confirmed_by = now, actor.id
        await session.flush()
        record_link(session, link, account, actor, "account.change_seen", now, before=link.status)


async def set_holder(
    session: AsyncSession,
    org_id: UUID,
    link_id: UUID,
    *,
    held_by: HeldBy,
    actor: Actor,
    now: datetime,
) -> PayeeAccount:
    """Write who can send money from the account of a link, and so gives it back. Idempotent.

    Refunds that were requested before go on as they began.

    Raises:
        AccountLinkNotFound
        AccountLinkNotInForce: the link has ended.
        HolderNeedsAnother: who gave the account to the organisation does not give it back alone,
            which would do without a second person for the refunds between.
    """
    link, account = await queries.lock_link_and_account(session, org_id, link_id)
    if link.status == LinkStatus.ENDED:
        raise AccountLinkNotInForce(link.status)
    if (before := account.held_by) != held_by:
        if held_by is HeldBy.PAYEE and account.holder_set_by is not None:
            setter = account.holder_set_by
            makers = await find_key_makers(session, org_id, [setter])
            is_setter = actor.id in {setter, *makers}
            if is_setter and not await is_only_person(
                session, org_id, actor.id, since=link.proposed_at
            ):
                raise HolderNeedsAnother
        account.held_by, account.holder_set_by = held_by.value, actor.id
        await session.flush()
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="account.holder_set",
            object_kind="account_link",
            object_id=link.id,
            before={"held_by": before},
            after={"held_by": held_by.value},
            now=now,
        )
    return link


async def note_read(
    session: AsyncSession,
    link: PayeeAccount,
    account: ReceivingAccount,
    *,
    payee_id: UUID | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Someone of the payee read of its account for themselves; the payee has not confirmed it.

    Raises:
        HolderNeeded: they are not the payee's.
        AccountLinkNotInForce: there is nothing to read yet, or not any more.
    """
    if payee_id != link.payee_id or actor.id is None:
        raise HolderNeeded
    if link.status != LinkStatus.ACTIVE:
        raise AccountLinkNotInForce(link.status)
    record_link(session, link, account, actor, NEWS_READ, now, before=link.status)


async def _find_or_add_account(
    session: AsyncSession,
    org_id: UUID,
    *,
    bin_: str,
    account_number: str,
    holder_name: str,
    actor_id: UUID,
    now: datetime,
) -> ReceivingAccount:
    """Lock the organisation's row of an account, which it makes or takes up again if it must."""
    account = await queries.lock_account_by_number(
        session, org_id, bin_=bin_, account_number=account_number
    )
    if account is None:
        account = ReceivingAccount(
            org_id=org_id,
            id=new_id(),
            bin=bin_,
            account_number=account_number,
            holder_name=holder_name,
            status=AccountStatus.PROPOSED.value,
            proposed_by=actor_id,
            proposed_at=now,
            test_vouched_by=[],
        )
        try:
            async with session.begin_nested():
                session.add(account)
                await session.flush()
        except IntegrityError:  # somebody else proposes it at this moment: their row is there now
            known = await queries.lock_account_by_number(
                session, org_id, bin_=bin_, account_number=account_number
            )
            if known is None:
                raise
            return known
        await ledger.open_receiving_accounts(session, org_id, account.id, now=now)
    elif account.status == AccountStatus.RETIRED:
        account.status, account.holder_name = AccountStatus.PROPOSED.value, holder_name
        account.proposed_by, account.proposed_at = actor_id, now
        account.approved_by = account.approved_at = account.retired_at = None
        account.test_credit_id = account.activated_at = None
        account.test_vouched_by = []
    return account


async def _end_link(
    session: AsyncSession,
    link: PayeeAccount,
    account: ReceivingAccount,
    actor: Actor,
    action: str,
    now: datetime,
    reason: str,
) -> None:
    before = link.status
    link.status, link.ended_at = LinkStatus.ENDED.value, now
    await session.flush()
    record_link(session, link, account, actor, action, now, before=before, reason=reason)
    if before in (LinkStatus.ACTIVE, LinkStatus.FORMER):  # its screens receive its money till now
        ended = NewEvent(
            kind=EventKind.ACCOUNT_CHANGED,
            payee_id=link.payee_id,
            data={"link_id": str(link.id), "is_ended": True},
        )
        await outbox.record(session, link.org_id, [ended], now=now)
    if not await queries.is_account_in_use(session, link.org_id, account.id):
        account.status, account.retired_at = AccountStatus.RETIRED.value, now
        await session.flush()
