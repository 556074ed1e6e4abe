"""Activation: a reported test transfer brings an account, and its links, into force.

Who proposes, approves and ends them is in accounts.py. Locks go account, link, payee, its other
links.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor
from core.masking import mask_tail
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.payees import queries
from payments.payees.code_owners import take_over_owner
from payments.payees.errors import (
    AccountTaken,
)
from payments.payees.link_audit import record_link
from payments.payees.models import PayeeAccount, ReceivingAccount
from payments.payees.rules import (
    AccountStatus,
    LinkStatus,
    is_same_number,
    is_tested,
    is_vouched_by_others,
)


async def note_test_transfer(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    credit_id: UUID,
    references: Collection[str],
    virtual_account: str | None,
    vouched_by: Collection[UUID] | None,
    other_bank: str | None = None,
    now: datetime,
) -> bool:
    """The bank reported a test transfer: put what it shows, and a second person approved, in force.

    Any link's transfer shows that the bank reports on the account. Only one that came by the very
    virtual account of its link shows that this number leads to the account. A transfer whose
    proposer could have written the bank's report themselves shows nothing: it is noted on the link.

    Args:
        references: what the memo holds.
        virtual_account: the number by which the money came, as the bank says.
        vouched_by: who answers for the endpoint that reported it; see is_vouched_by_others.
        other_bank: which bank's account it came to, if not the account's own: that is one of the
            same number elsewhere, and its transfer shows nothing of this one.

    Returns:
        False if nothing was waiting for it (an account that nobody approved, or tested already), or
        it does not count.

    Raises:
        AccountTaken: the number is active elsewhere, or a link's virtual account is another
            payee's; the transaction goes on without that change.
    """
    account = await queries.lock_account(session, org_id, account_id)
    if account.status not in (AccountStatus.APPROVED, AccountStatus.ACTIVE):
        return False
    links = await queries.lock_links_of_account(
        session, org_id, account_id, (LinkStatus.PROPOSED, LinkStatus.APPROVED)
    )
    named = {link.id for link in links if link.test_reference in references}
    named -= await _refuse_tests(
        session, account, links, named, vouched_by=vouched_by, other_bank=other_bank, now=now
    )
    if not named:
        return False
    is_new_account = account.status == AccountStatus.APPROVED
    if is_new_account:
        await _activate(session, account, credit_id, vouched_by or (), now)
    shown = {
        link.id
        for link in links
        if link.id in named
        and link.test_credit_id is None
        and (link.virtual_account is None or is_same_number(link.virtual_account, virtual_account))
    }
    taken: IntegrityError | None = None
    for link in links:
        try:
            async with session.begin_nested():
                if link.id in shown:
                    link.test_credit_id = credit_id
                    await session.flush()
                if link.status == LinkStatus.APPROVED and is_tested(link, account):
                    await put_in_force(session, link, account, SYSTEM, now)
        except IntegrityError as error:
            taken = error  # it stays approved, and the other links are put in force
    if taken is not None:
        raise AccountTaken from taken
    return is_new_account or bool(shown)


async def _refuse_tests(
    session: AsyncSession,
    account: ReceivingAccount,
    links: Sequence[PayeeAccount],
    named: Collection[UUID],
    *,
    vouched_by: Collection[UUID] | None,
    other_bank: str | None,
    now: datetime,
) -> set[UUID]:
    """Note on which of the named links a test transfer does not count, and return these."""
    refused = set()
    for link in links:
        proposers = [link.proposed_by]
        if account.status != AccountStatus.ACTIVE:
            proposers.append(account.proposed_by)
        is_good = other_bank is None and is_vouched_by_others(vouched_by, proposers)
        if link.id not in named or is_good:
            continue
        refused.add(link.id)
        if not is_tested(link, account):
            link.test_refused_at, link.test_refused_bank = now, other_bank
            record_link(
                session,
                link,
                account,
                SYSTEM,
                "account.test_refused",
                now,
                before=link.status,
                named_bank=other_bank,
            )
    await session.flush()
    return refused


async def _activate(
    session: AsyncSession,
    account: ReceivingAccount,
    credit_id: UUID,
    vouched_by: Collection[UUID],
    now: datetime,
) -> None:
    try:
        async with session.begin_nested():
            account.status = AccountStatus.ACTIVE.value
            account.test_credit_id, account.activated_at = credit_id, now
            account.test_vouched_by = sorted(vouched_by)
            await session.flush()
    except IntegrityError as error:
        raise AccountTaken from error  # another organisation proved first that it is theirs


async def put_in_force(
    session: AsyncSession,
    link: PayeeAccount,
    account: ReceivingAccount,
    actor: Actor,
    now: datetime,
) -> None:
    """Let a payee's codes name this account from now on; what they named before still counts."""
    # Of two links that come into force at once, the second finds the first.
    await queries.lock_payee(session, link.org_id, link.payee_id)
    before = await queries.lock_links_of_payee(session, link.org_id, link.payee_id)
    for one in before:
        if one.receiving_account_id == account.id and is_same_number(
            one.virtual_account, link.virtual_account
        ):
            # The payee returns to this number: the new link speaks for it.
            was = one.status
            one.status, one.ended_at = LinkStatus.ENDED.value, now
            record_link(session, one, account, actor, "account.replaced", now, before=was)
        elif one.status == LinkStatus.ACTIVE:
            # Printed codes of the old account still hang: it is listened to until someone ends it.
            one.status = LinkStatus.FORMER.value
    await session.flush()
    link.status, link.activated_at = LinkStatus.ACTIVE.value, now
    take_over_owner(link, before)
    await session.flush()
    record_link(session, link, account, actor, "account.activated", now, before="approved")
    changed = NewEvent(
        kind=EventKind.ACCOUNT_CHANGED,
        payee_id=link.payee_id,
        data={
            "link_id": str(link.id),
            "bin": account.bin,
            "account": mask_tail(link.virtual_account or account.account_number),
            "holder_name": account.holder_name,
            "is_first": not before,
        },
    )
    await outbox.record(session, link.org_id, [changed], now=now)
