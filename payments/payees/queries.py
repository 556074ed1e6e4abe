"""All SQL of payees and receiving accounts.

Locks are FOR NO KEY UPDATE (`key_share=True`): a credit or bill being inserted holds KEY SHARE on
its account through the foreign key; a stronger lock would wait for it, or deadlock with it.
What is locked is read anew (`populate_existing`), also where the session has seen the row before:
flush what was changed before locking more.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Final
from uuid import UUID

from sqlalchemy import Select, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.audit import AuditRow
from core.search import has_words
from identity.organisations.models import SERVER_AND_TIMELINE
from payments.payees.errors import AccountLinkNotFound, PayeeHasNoAccount, PayeeNotFound
from payments.payees.link_audit import NEWS_READ
from payments.payees.models import Payee, PayeeAccount, ReceivingAccount
from payments.payees.rules import LOST_BURST_MAX, LOST_PER_SECOND_MAX, LinkStatus, PayeeRoute

LIST_MAX = 500
UNSEEN_MAX = 5
IN_USE = frozenset(LinkStatus) - {LinkStatus.ENDED}

FIND_ROUTES = text("""
    SELECT l.id, p.id, p.name, p.place, a.id, a.bin, a.account_number, l.virtual_account,
           a.holder_name
    FROM payee_accounts l
    JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    JOIN receiving_accounts a ON a.org_id = l.org_id AND a.id = l.receiving_account_id
    WHERE l.org_id = :org_id AND l.payee_id = ANY(CAST(:payee_ids AS uuid[]))
      AND l.status = 'active' AND a.status = 'active' AND p.closed_at IS NULL
""")

# Where the last run was taken on another server or timeline, what was given out since may not be
# known here (a standby that lagged, a dump that was loaded by hand), so it is skipped. All of it
# from the row that is updated: another relation's columns would be those of before a lock's wait.
SKIPPED: Final = f"""
    CASE WHEN taken_on = {SERVER_AND_TIMELINE} THEN 0
    ELSE {LOST_BURST_MAX} + {LOST_PER_SECOND_MAX}
         * (1 + greatest(0, CAST(extract(epoch FROM now() - taken_at) AS bigint))) END
"""

COUNT_LINKS = text("""
    SELECT status, count(*) FROM payee_accounts WHERE org_id = :org_id GROUP BY status
""")

HAS_OPEN_PAYEES = text(
    "SELECT EXISTS (SELECT FROM payees WHERE org_id = :org_id AND closed_at IS NULL)"
)

FIND_CODE_OWNER = text("""
    SELECT owner_kind, owner_id FROM payee_accounts
    WHERE org_id = :org_id AND payee_id = :payee_id AND status IN ('active', 'former')
      AND owner_kind IS NOT NULL
    ORDER BY status, id LIMIT 1
""")

NAME_PAYEES = text("""
    SELECT id, name, place FROM payees WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")


LIST_ACCOUNTS = text("""
    SELECT id, bin, account_number, holder_name FROM receiving_accounts
    WHERE org_id = :org_id ORDER BY id DESC LIMIT :limit
""")

NAME_ACCOUNTS = text("""
    SELECT id, bin, account_number, holder_name FROM receiving_accounts
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")


async def get_payee(session: AsyncSession, org_id: UUID, payee_id: UUID) -> Payee:
    """Return one payee.

    Raises:
        PayeeNotFound: there is none in this organisation.
    """
    payee = await session.get(Payee, (org_id, payee_id))
    if payee is None:
        raise PayeeNotFound(payee_id)
    return payee


async def lock_payee(session: AsyncSession, org_id: UUID, payee_id: UUID) -> Payee:
    """Lock one payee.

    Raises:
        PayeeNotFound: there is none in this organisation.
    """
    query = (
        select(Payee)
        .filter_by(org_id=org_id, id=payee_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    payee = await session.scalar(query)
    if payee is None:
        raise PayeeNotFound(payee_id)
    return payee


async def search_payees(
    session: AsyncSession,
    org_id: UUID,
    *,
    find: str = "",
    only: Collection[UUID] | None = None,
    limit: int,
) -> Sequence[Payee]:
    """List open payees whose name or place has all these words, without case and marks.

    In the order they were added. Ask for one more than is shown, to know that there are more.
    """
    query = select(Payee).where(Payee.org_id == org_id, Payee.closed_at.is_(None))
    if only is not None:
        query = query.where(Payee.id.in_(only))
    query = query.where(*has_words(Payee.name + " " + Payee.place, find))
    return (await session.scalars(query.order_by(Payee.id).limit(limit))).all()


async def list_payees_by_id(
    session: AsyncSession, org_id: UUID, payee_ids: Collection[UUID]
) -> Sequence[Payee]:
    """List these payees, closed ones too."""
    query = select(Payee).where(Payee.org_id == org_id, Payee.id.in_(payee_ids))
    return (await session.scalars(query.order_by(Payee.id))).all()


async def list_payees_page(
    session: AsyncSession,
    org_id: UUID,
    *,
    only: Collection[UUID] | None = None,
    before_id: UUID | None,
    with_closed: bool,
    limit: int,
) -> Sequence[Payee]:
    """List payees, the newest first; without the closed ones unless requested."""
    query = select(Payee).where(Payee.org_id == org_id)
    if not with_closed:
        query = query.where(Payee.closed_at.is_(None))
    if only is not None:
        query = query.where(Payee.id.in_(only))
    if before_id is not None:
        query = query.where(Payee.id < before_id)
    return (await session.scalars(query.order_by(Payee.id.desc()).limit(limit))).all()


async def get_route(session: AsyncSession, org_id: UUID, payee_id: UUID) -> PayeeRoute:
    """Return where a payee's money goes.

    Raises:
        PayeeNotFound: there is none in this organisation.
        PayeeHasNoAccount: it has no account in force, or is closed.
    """
    routes = await find_routes(session, org_id, [payee_id])
    if payee_id not in routes:
        await get_payee(session, org_id, payee_id)
        raise PayeeHasNoAccount(payee_id)
    return routes[payee_id]


async def find_routes(
    session: AsyncSession, org_id: UUID, payee_ids: Collection[UUID]
) -> dict[UUID, PayeeRoute]:
    """Find where the money of these payees goes; those without an account in force are left out."""
    values = {"org_id": org_id, "payee_ids": list(payee_ids)}
    names = [field.name for field in fields(PayeeRoute)]  # the order of the query's columns
    rows = await session.execute(FIND_ROUTES, values)
    routes = (PayeeRoute(**dict(zip(names, row, strict=True))) for row in rows)
    return {route.payee_id: route for route in routes}


async def find_payee_ids(
    session: AsyncSession, org_id: UUID, payee_ids: Collection[UUID]
) -> set[UUID]:
    """Find which of these payees the organisation has, closed ones too."""
    query = select(Payee.id).where(Payee.org_id == org_id, Payee.id.in_(payee_ids))
    return set(await session.scalars(query))


async def lock_account_by_number(
    session: AsyncSession, org_id: UUID, *, bin_: str, account_number: str
) -> ReceivingAccount | None:
    """Find and lock this organisation's own row of an account, in use or retired."""
    query = (
        select(ReceivingAccount)
        .where(
            ReceivingAccount.org_id == org_id,
            ReceivingAccount.bin == bin_,
            func.upper(ReceivingAccount.account_number) == account_number.upper(),
        )
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return await session.scalar(query)


async def lock_account(session: AsyncSession, org_id: UUID, account_id: UUID) -> ReceivingAccount:
    """Lock one receiving account that is known to exist."""
    query = (
        select(ReceivingAccount)
        .filter_by(org_id=org_id, id=account_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).one()


async def lock_link(session: AsyncSession, org_id: UUID, link_id: UUID) -> PayeeAccount:
    """Lock one link between a payee and an account.

    Raises:
        AccountLinkNotFound: there is none in this organisation.
    """
    query = (
        select(PayeeAccount)
        .filter_by(org_id=org_id, id=link_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    link = await session.scalar(query)
    if link is None:
        raise AccountLinkNotFound(link_id)
    return link


async def lock_link_and_account(
    session: AsyncSession, org_id: UUID, link_id: UUID
) -> tuple[PayeeAccount, ReceivingAccount]:
    """Lock a link's account and then the link: everywhere in this order, so that none deadlock.

    Raises:
        AccountLinkNotFound: there is none in this organisation.
    """
    query = select(PayeeAccount.receiving_account_id).filter_by(org_id=org_id, id=link_id)
    account_id = await session.scalar(query)  # a link never changes its account
    if account_id is None:
        raise AccountLinkNotFound(link_id)
    account = await lock_account(session, org_id, account_id)
    return await lock_link(session, org_id, link_id), account


async def lock_links_of_account(
    session: AsyncSession, org_id: UUID, account_id: UUID, statuses: Collection[LinkStatus]
) -> Sequence[PayeeAccount]:
    """Lock the links of an account that have one of these states, in the order of their ids."""
    query = (
        select(PayeeAccount)
        .where(
            PayeeAccount.org_id == org_id,
            PayeeAccount.receiving_account_id == account_id,
            PayeeAccount.status.in_([status.value for status in statuses]),
        )
        .order_by(PayeeAccount.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def find_open_proposal(
    session: AsyncSession,
    org_id: UUID,
    *,
    payee_id: UUID,
    account_id: UUID,
    virtual_account: str | None,
    proposed_by: UUID,
) -> PayeeAccount | None:
    """Find a person's proposal of this account for this payee that nobody has decided about."""
    code = func.upper(PayeeAccount.virtual_account)
    query = select(PayeeAccount).where(
        PayeeAccount.org_id == org_id,
        PayeeAccount.payee_id == payee_id,
        PayeeAccount.receiving_account_id == account_id,
        PayeeAccount.status == LinkStatus.PROPOSED.value,
        PayeeAccount.proposed_by == proposed_by,
        code.is_not_distinct_from(virtual_account and virtual_account.upper()),
    )
    return (await session.scalars(query.order_by(PayeeAccount.id).limit(1))).first()


async def is_account_in_use(session: AsyncSession, org_id: UUID, account_id: UUID) -> bool:
    """Tell whether any link to an account is proposed, in force or still listened to."""
    query = (
        select(PayeeAccount.id)
        .where(
            PayeeAccount.org_id == org_id,
            PayeeAccount.receiving_account_id == account_id,
            PayeeAccount.status.in_([status.value for status in IN_USE]),
        )
        .limit(1)
    )
    return await session.scalar(query) is not None


async def lock_links_of_payee(
    session: AsyncSession, org_id: UUID, payee_id: UUID
) -> Sequence[PayeeAccount]:
    """Lock the links that a payee's codes use, or used, in the order of their ids."""
    query = (
        select(PayeeAccount)
        .where(
            PayeeAccount.org_id == org_id,
            PayeeAccount.payee_id == payee_id,
            PayeeAccount.status.in_([LinkStatus.ACTIVE.value, LinkStatus.FORMER.value]),
        )
        .order_by(PayeeAccount.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def find_code_owner(
    session: AsyncSession, org_id: UUID, payee_id: UUID
) -> tuple[str, UUID] | None:
    """Find whom a payee's static code is for: (kind, id)."""
    values = {"org_id": org_id, "payee_id": payee_id}
    row = (await session.execute(FIND_CODE_OWNER, values)).one_or_none()
    return None if row is None else (row[0], row[1])


AccountLink = tuple[PayeeAccount, ReceivingAccount, Payee]
UnseenLink = tuple[PayeeAccount, ReceivingAccount, bool]


def _select_links(org_id: UUID) -> Select[PayeeAccount, ReceivingAccount, Payee]:
    return (
        select(PayeeAccount, ReceivingAccount, Payee)
        .join(
            ReceivingAccount,
            (ReceivingAccount.org_id == PayeeAccount.org_id)
            & (ReceivingAccount.id == PayeeAccount.receiving_account_id),
        )
        .join(Payee, (Payee.org_id == PayeeAccount.org_id) & (Payee.id == PayeeAccount.payee_id))
        .where(PayeeAccount.org_id == org_id)
    )


async def list_links(
    session: AsyncSession,
    org_id: UUID,
    *,
    payee_id: UUID | None = None,
    statuses: Collection[LinkStatus] = IN_USE,
    find: str = "",
    before_id: UUID | None = None,
    limit: int = LIST_MAX,
) -> Sequence[AccountLink]:
    """List account links with their account and payee, newest first; ended ones only on request.

    Args:
        find: words that payee, place, holder or numbers have.
    """
    query = _select_links(org_id).where(PayeeAccount.status.in_([one.value for one in statuses]))
    if payee_id is not None:
        query = query.where(PayeeAccount.payee_id == payee_id)
    if before_id is not None:
        query = query.where(PayeeAccount.id < before_id)
    if find:
        shown = func.concat_ws(
            " ",
            Payee.name,
            Payee.place,
            ReceivingAccount.holder_name,
            ReceivingAccount.account_number,
            PayeeAccount.virtual_account,
        )
        query = query.where(*has_words(shown, find))
    query = query.order_by(PayeeAccount.id.desc()).limit(limit)
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def list_links_of_accounts(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> Sequence[AccountLink]:
    """List the links in use of these accounts, newest first."""
    query = _select_links(org_id).where(
        PayeeAccount.receiving_account_id.in_(account_ids),
        PayeeAccount.status.in_([one.value for one in IN_USE]),
    )
    query = query.order_by(PayeeAccount.id.desc())
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def get_link(session: AsyncSession, org_id: UUID, link_id: UUID) -> AccountLink:
    """Return one account link with its account and payee.

    Raises:
        AccountLinkNotFound: there is none in this organisation.
    """
    query = _select_links(org_id).where(PayeeAccount.id == link_id)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise AccountLinkNotFound(link_id)
    return row[0], row[1], row[2]


async def list_unseen_links(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, reader_id: UUID
) -> Sequence[UnseenLink]:
    """List a payee's accounts that nobody confirmed and the reader has not read of, newest first.

    Returns:
        Link, account, and whether the payee had no account in force before it.
    """
    before = aliased(PayeeAccount)
    was_paid_before = exists().where(
        before.org_id == org_id,
        before.payee_id == payee_id,
        before.id != PayeeAccount.id,
        before.activated_at.is_not(None),
    )
    has_read = exists().where(
        AuditRow.org_id == org_id,
        AuditRow.object_kind == "account_link",
        AuditRow.object_id == PayeeAccount.id,
        AuditRow.action == NEWS_READ,
        AuditRow.actor_id == reader_id,
    )
    query = (
        select(PayeeAccount, ReceivingAccount, ~was_paid_before)
        .join(
            ReceivingAccount,
            (ReceivingAccount.org_id == PayeeAccount.org_id)
            & (ReceivingAccount.id == PayeeAccount.receiving_account_id),
        )
        .where(
            PayeeAccount.org_id == org_id,
            PayeeAccount.payee_id == payee_id,
            PayeeAccount.status == LinkStatus.ACTIVE.value,
            PayeeAccount.holder_confirmed_at.is_(None),
            ~has_read,
        )
        .order_by(PayeeAccount.id.desc())
        .limit(UNSEEN_MAX)
    )
    return [(link, account, is_first) for link, account, is_first in await session.execute(query)]
