"""Organisations, payees, and the guarded way of a bank account into their codes.

An overlaid sticker or a bad manager must not redirect money. So an account takes money only after
one person proposed it, another approved it, the bank reported a test transfer to it, and the
people of the payee are told on their own screen.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor, record_change
from core.db import enter_org
from core.ids import new_id
from core.logging import mask_tail
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.payees import queries
from payments.payees.errors import (
    AccountLinkNotProposed,
    AccountTaken,
    OrganisationCodeTaken,
    PayeeClosed,
    SecondPersonNeeded,
)
from payments.payees.models import (
    AccountStatus,
    LinkStatus,
    Organisation,
    OrganisationCode,
    OrgKind,
    Payee,
    PayeeAccount,
    ReceivingAccount,
)
from payments.payees.rules import OrgFacts, check_account


async def create_organisation(
    session: AsyncSession, *, code: str, name: str, kind: OrgKind, is_live: bool, now: datetime
) -> OrgFacts:
    """Make a tenant and enter it. The caller has checked the code's alphabet.

    Raises:
        OrganisationCodeTaken: the code was ever used.
    """
    org_id = new_id()
    await enter_org(session, org_id)
    session.add(
        Organisation(
            id=org_id, code=code, name=name, kind=kind.value, is_live=is_live, created_at=now
        )
    )
    try:
        await session.flush()
        session.add(OrganisationCode(code=code, org_id=org_id))
        await session.flush()
    except IntegrityError as error:
        raise OrganisationCodeTaken(code) from error
    return OrgFacts(id=org_id, code=code, name=name, is_live=is_live)


async def add_payee(
    session: AsyncSession, org_id: UUID, *, name: str, place: str, actor: Actor, now: datetime
) -> Payee:
    """Add a payee with its ledger accounts. It cannot be paid before it has an account."""
    payee = Payee(org_id=org_id, id=new_id(), name=name, place=place, created_at=now)
    session.add(payee)
    await session.flush()
    await ledger.open_payee_accounts(session, org_id, payee.id, now=now)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="payee.added",
        object_kind="payee",
        object_id=payee.id,
        after={"name": name, "place": place},
        now=now,
    )
    return payee


async def change_payee(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    name: str | None = None,
    place: str | None = None,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> Payee:
    """Rename a payee or say where it is now; None leaves as is.

    Raises:
        PayeeNotFound, PayeeClosed
    """
    payee = await queries.lock_payee(session, org_id, payee_id)
    if payee.closed_at is not None:
        raise PayeeClosed
    before = {"name": payee.name, "place": payee.place}
    payee.name = payee.name if name is None else name
    payee.place = payee.place if place is None else place
    after = {"name": payee.name, "place": payee.place}
    if after != before:
        await session.flush()
        _record_payee(session, payee, actor, "payee.changed", now, before, after, reason)
    return payee


async def close_payee(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> Payee:
    """Let a payee open no more bills. Money that still comes is recorded. Twice is like once.

    Raises:
        PayeeNotFound
    """
    payee = await queries.lock_payee(session, org_id, payee_id)
    if payee.closed_at is None:
        payee.closed_at = now
        await session.flush()
        after = {"closed_at": now.isoformat()}
        _record_payee(
            session, payee, actor, "payee.closed", now, {"closed_at": None}, after, reason
        )
    return payee


async def propose_account(
    session: AsyncSession,
    org_id: UUID,
    *,
    payee_id: UUID,
    is_known_bank: bool,
    bin_: str,
    account_number: str,
    virtual_account: str | None,
    holder_name: str,
    test_reference: str,
    actor: Actor,
    now: datetime,
) -> PayeeAccount:
    """Propose that a payee's codes name this account from now on. Nothing changes yet.

    Args:
        is_known_bank: whether the caller's bank list has the BIN.
        test_reference: a fresh reference for the memo of the test transfer, used if the account
            is new to the organisation.

    Raises:
        BadAccount, PayeeNotFound, PayeeClosed
    """
    check_account(
        is_known_bank=is_known_bank,
        bin_=bin_,
        account_number=account_number,
        virtual_account=virtual_account,
        holder=holder_name,
    )
    assert actor.id is not None
    payee = await queries.get_payee(session, org_id, payee_id)
    if payee.closed_at is not None:
        raise PayeeClosed
    account = await queries.lock_account_by_number(
        session, org_id, bin_=bin_, account_number=account_number
    )
    if account is None:
        account = ReceivingAccount(
            org_id=org_id,
            id=new_id(),
            bin=bin_,
            account_number=account_number,
            holder_name=holder_name.strip(),
            status=AccountStatus.PROPOSED.value,
            test_reference=test_reference,
            proposed_by=actor.id,
            proposed_at=now,
        )
        session.add(account)
        await session.flush()
        await ledger.open_receiving_accounts(session, org_id, account.id, now=now)
    elif account.status == AccountStatus.RETIRED:
        account.status, account.test_reference = AccountStatus.PROPOSED.value, test_reference
        account.holder_name = holder_name.strip()
        account.proposed_by, account.proposed_at = actor.id, now
        account.approved_by = account.approved_at = account.retired_at = None
        account.test_credit_id = account.activated_at = None
    link = PayeeAccount(
        org_id=org_id,
        id=new_id(),
        payee_id=payee_id,
        receiving_account_id=account.id,
        virtual_account=virtual_account or None,
        status=LinkStatus.PROPOSED.value,
        proposed_by=actor.id,
        proposed_at=now,
    )
    session.add(link)
    await session.flush()
    _record_link(session, link, actor, "account.proposed", now, before=None, account=account)
    return link


async def approve_account(
    session: AsyncSession, org_id: UUID, link_id: UUID, *, actor: Actor, now: datetime
) -> PayeeAccount:
    """Agree to a proposal as the second person. An account already tested is in force at once.

    Raises:
        SecondPersonNeeded: the approver is who proposed the link or the account.
        AccountLinkNotProposed, AccountLinkNotFound
        AccountTaken: the number or virtual account is in use, perhaps in another organisation.
    """
    assert actor.id is not None
    link = await queries.lock_link(session, org_id, link_id)
    account = await queries.lock_account(session, org_id, link.receiving_account_id)
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
        _record_link(session, link, actor, "account.approved", now, before="proposed")
        if account.status == AccountStatus.ACTIVE:
            await _put_in_force(session, link, account, actor, now)
    except IntegrityError as error:
        raise AccountTaken from error
    return link


async def refuse_account(
    session: AsyncSession, org_id: UUID, link_id: UUID, *, actor: Actor, reason: str, now: datetime
) -> None:
    """Turn a proposal down; an account that nothing else proposes is retired with it."""
    link = await queries.lock_link(session, org_id, link_id)
    if link.status not in (LinkStatus.PROPOSED, LinkStatus.APPROVED):
        raise AccountLinkNotProposed(link.status)
    before = link.status
    link.status, link.ended_at = LinkStatus.ENDED.value, now
    _record_link(session, link, actor, "account.refused", now, before=before, reason=reason)
    account = await queries.lock_account(session, org_id, link.receiving_account_id)
    if account.status in (AccountStatus.PROPOSED, AccountStatus.APPROVED):
        waiting = [
            other
            for status in (LinkStatus.PROPOSED, LinkStatus.APPROVED)
            for other in await queries.lock_links_of_account(session, org_id, account.id, status)
            if other.id != link.id
        ]
        if not waiting:
            account.status, account.retired_at = AccountStatus.RETIRED.value, now
    await session.flush()


async def note_test_transfer(
    session: AsyncSession, org_id: UUID, account_id: UUID, credit_id: UUID, *, now: datetime
) -> bool:
    """The bank reported the test transfer: put an approved account, and its links, in force.

    Returns:
        False if the account was not waiting for it (not approved yet, or active already).

    Raises:
        AccountTaken: the number is active elsewhere, or a link's virtual account is another
            payee's; the transaction goes on without that change.
    """
    account = await queries.lock_account(session, org_id, account_id)
    if account.status != AccountStatus.APPROVED:
        return False
    try:
        async with session.begin_nested():
            account.status = AccountStatus.ACTIVE.value
            account.test_credit_id, account.activated_at = credit_id, now
            await session.flush()
    except IntegrityError as error:
        raise AccountTaken from error  # another organisation proved first that it is theirs
    links = await queries.lock_links_of_account(session, org_id, account_id, LinkStatus.APPROVED)
    taken: IntegrityError | None = None
    for link in links:
        try:
            async with session.begin_nested():
                await _put_in_force(session, link, account, SYSTEM, now)
        except IntegrityError as error:
            taken = error  # it stays approved, and the other links are put in force
    if taken is not None:
        raise AccountTaken from taken
    return True


async def confirm_told(
    session: AsyncSession, org_id: UUID, link_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Someone of the payee says that they saw the change of their account."""
    link = await queries.lock_link(session, org_id, link_id)
    if link.holder_told_at is None:
        link.holder_told_at, link.holder_told_by = now, actor.id
        _record_link(session, link, actor, "account.change_seen", now, before=link.status)


async def _put_in_force(
    session: AsyncSession,
    link: PayeeAccount,
    account: ReceivingAccount,
    actor: Actor,
    now: datetime,
) -> None:
    previous = await queries.lock_link_in_force(session, link.org_id, link.payee_id)
    if previous is not None:
        # Printed codes of the old account still hang: it is listened to until someone ends it.
        previous.status = LinkStatus.FORMER.value
        await session.flush()
    link.status, link.activated_at = LinkStatus.ACTIVE.value, now
    await session.flush()
    _record_link(session, link, actor, "account.activated", now, before="approved")
    changed = NewEvent(
        kind=EventKind.ACCOUNT_CHANGED,
        payee_id=link.payee_id,
        data={
            "link_id": str(link.id),
            "bin": account.bin,
            "account": mask_tail(account.account_number),
            "holder_name": account.holder_name,
            "is_first": previous is None,
        },
    )
    await outbox.record(session, link.org_id, [changed], now=now)


def _record_payee(
    session: AsyncSession,
    payee: Payee,
    actor: Actor,
    action: str,
    now: datetime,
    before: dict[str, Any],
    after: dict[str, Any],
    reason: str | None,
) -> None:
    record_change(
        session,
        org_id=payee.org_id,
        actor=actor,
        action=action,
        object_kind="payee",
        object_id=payee.id,
        before=before,
        after=after,
        reason=reason,
        now=now,
    )


def _record_link(
    session: AsyncSession,
    link: PayeeAccount,
    actor: Actor,
    action: str,
    now: datetime,
    *,
    before: str | None,
    account: ReceivingAccount | None = None,
    reason: str | None = None,
) -> None:
    after: dict[str, object] = {"status": link.status, "payee_id": str(link.payee_id)}
    if account is not None:
        after |= {"bin": account.bin, "account": mask_tail(account.account_number)}
    record_change(
        session,
        org_id=link.org_id,
        actor=actor,
        action=action,
        object_kind="account_link",
        object_id=link.id,
        before=None if before is None else {"status": before},
        after=after,
        reason=reason,
        now=now,
    )
