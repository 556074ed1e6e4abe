"""SQL of refunds: what they are against, their rows, their lists."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from payments.breaks.models import Break
from payments.breaks.rules import REFUNDS, BreakKind
from payments.refunds.errors import PaymentNotFound, RefundFileNotFound, RefundNotFound
from payments.refunds.models import Refund, RefundFile
from payments.refunds.rules import LIVE, RefundStatus
from payments.refunds.types import (
    AccountHolder,
    Destination,
    PaymentFacts,
    PaymentLeft,
    RefundView,
    WaitingAccount,
)

GET_PAYMENT = text("""
    SELECT p.id, p.bill_id, p.rail, p.source_kind, p.source_id, b.payee_id, b.receiving_account_id,
           b.created_by AS opened_by
    FROM payments p JOIN bills b ON b.org_id = p.org_id AND b.id = p.bill_id
    WHERE p.org_id = :org_id AND p.id = :id AND p.reversed_at IS NULL
""")
LIST_PAYMENTS_OF_BILL = text("""
    SELECT id, rail, amount_vnd, refundable_vnd, occurred_at FROM payments
    WHERE org_id = :org_id AND bill_id = :bill_id AND reversed_at IS NULL
      AND source_kind <> 'write_off'
    ORDER BY occurred_at, id LIMIT 50
""")
FIND_CREDIT_PAYEE = text("""
    SELECT coalesce(m.payee_id, b.payee_id) FROM matches m
    LEFT JOIN bills b ON b.org_id = m.org_id AND b.id = m.bill_id
    WHERE m.org_id = :org_id AND m.credit_id = :credit_id AND m.reversed_at IS NULL
""")
GET_PAYER = text("""
    SELECT payer_bank, payer_account, payer_name FROM bank_transactions
    WHERE org_id = :org_id AND id = :credit_id
""")
GET_HOLDER = text("""
    SELECT held_by, proposed_by, holder_set_by FROM receiving_accounts
    WHERE org_id = :org_id AND id = :account_id
""")
FIND_OPENER = text("SELECT created_by FROM bills WHERE org_id = :org_id AND id = :bill_id")
# The lock on the credit is held: no more than what nothing has taken.
TAKE_OPEN = text("""
    UPDATE bank_transactions SET open_vnd = open_vnd - :amount_vnd
    WHERE org_id = :org_id AND id = :credit_id AND open_vnd >= :amount_vnd
    RETURNING open_vnd
""")
FREE_OPEN = text("""
    UPDATE bank_transactions SET open_vnd = open_vnd + :amount_vnd
    WHERE org_id = :org_id AND id = :credit_id
""")
READ_OPEN = text(
    "SELECT open_vnd FROM bank_transactions WHERE org_id = :org_id AND id = :credit_id"
)
SUM_RETURNED = text("""
    SELECT coalesce(sum(amount_vnd), 0)::bigint FROM refunds
    WHERE org_id = :org_id AND bill_id = :bill_id AND payment_id IS NOT NULL
      AND status = 'returned'
""")
LIST_BILLS_OF_OWNER = text("""
    SELECT id, paid_vnd FROM bills WHERE org_id = :org_id AND owner_id = :owner_id
""")
# Of what people agreed to give back without it: a refund that follows no proposal.
SUM_WITHOUT_PROPOSAL = text("""
    SELECT coalesce(sum(amount_vnd), 0)::bigint FROM refunds
    WHERE org_id = :org_id AND bill_id = ANY(CAST(:bill_ids AS uuid[])) AND break_id IS NULL
      AND payment_id IS NOT NULL AND status = ANY(CAST(:statuses AS text[]))
""")
# A proposal may have been renewed meanwhile: its successor has the same kind and subject.
SUM_OF_PROPOSAL = text("""
    SELECT coalesce(sum(r.amount_vnd), 0)::bigint
    FROM refunds r JOIN breaks k ON k.org_id = r.org_id AND k.id = r.break_id
    WHERE r.org_id = :org_id AND k.kind = :kind AND k.subject_id = :subject_id
      AND r.status = ANY(CAST(:statuses AS text[]))
""")
REOPEN_BREAK = text("""
    UPDATE breaks k
    SET closed_at = NULL, closed_by = NULL, resolution = NULL, decision = NULL, outcome = NULL
    WHERE k.org_id = :org_id AND k.id = :id AND k.resolution = :resolution
      AND NOT EXISTS (
          SELECT FROM breaks o WHERE o.org_id = k.org_id AND o.kind = k.kind
            AND o.subject_id = k.subject_id AND o.closed_at IS NULL)
""")
FIND_APPROVED = text("""
    SELECT id, bill_id FROM refunds
    WHERE org_id = :org_id AND status = 'approved' AND receiving_account_id = :account_id
      AND way = 'transfer' AND held_by = 'organisation'
    ORDER BY id LIMIT :limit
""")
LIST_TO_INSTRUCT = text("""
    SELECT a.id, a.bin, a.account_number, count(*), sum(r.amount_vnd)::bigint
    FROM refunds r
    JOIN receiving_accounts a ON a.org_id = r.org_id AND a.id = r.receiving_account_id
    WHERE r.org_id = :org_id AND r.status = 'approved' AND r.way = 'transfer'
      AND r.held_by = 'organisation'
    GROUP BY a.id, a.bin, a.account_number ORDER BY a.id LIMIT 50
""")
FIND_UNANSWERED = text("""
    SELECT org_id, id FROM refunds WHERE status = 'instructed' AND instructed_at < :before
    ORDER BY instructed_at LIMIT :limit
""")
COLUMNS: Final = """
    r.id, r.status, r.held_by, r.way, r.amount_vnd, r.reason, r.payment_id, r.credit_id, r.bill_id,
    r.break_id, b.reference, r.payee_id, p.name AS payee_name, r.receiving_account_id,
    r.destination_kind, r.destination_bank, r.destination_account, r.destination_name,
    r.destination_by, r.requested_by, r.requested_at, r.decided_by, r.decided_at, r.decided_words,
    r.is_decided_alone, r.reviewed_at, r.instructed_by, r.instructed_at, r.file_id, r.doubted_at,
    r.ended_by, r.ended_at, r.ended_words, r.bank_reference
"""
# Each filter that is given, and only those.
FILTERS: Final = {
    "before_id": "r.id < :before_id",
    "statuses": "r.status = ANY(CAST(:statuses AS text[]))",
    "payee_id": "r.payee_id = :payee_id",
    "bill_id": "r.bill_id = :bill_id",
    "held_by": "r.held_by = :held_by",
    "refund_id": "r.id = :refund_id",
    "to_review": "r.is_decided_alone AND r.reviewed_at IS NULL",
}


async def get_payment(session: AsyncSession, org_id: UUID, payment_id: UUID) -> PaymentFacts:
    """Return a payment that counts.

    Raises:
        PaymentNotFound
    """
    rows = await session.execute(GET_PAYMENT, {"org_id": org_id, "id": payment_id})
    row = rows.mappings().one_or_none()
    if row is None:
        raise PaymentNotFound(payment_id)
    return PaymentFacts(**row)


async def list_payments_of_bill(
    session: AsyncSession, org_id: UUID, bill_id: UUID
) -> list[PaymentLeft]:
    """List the payments of a bill that money came by, the oldest first (at most 50)."""
    values = {"org_id": org_id, "bill_id": bill_id}
    return [PaymentLeft(*row) for row in await session.execute(LIST_PAYMENTS_OF_BILL, values)]


async def find_payer(session: AsyncSession, org_id: UUID, credit_id: UUID) -> Destination | None:
    """Find the account that paid, where the bank reported all of it."""
    values = {"org_id": org_id, "credit_id": credit_id}
    bank, account, name = (await session.execute(GET_PAYER, values)).one()
    if not (bank and account and name):
        return None
    return Destination(kind="payer", bank=bank, account=account, name=name)


async def find_credit_payee(session: AsyncSession, org_id: UUID, credit_id: UUID) -> UUID | None:
    """Find whose a credit is: its payee, or that of the bill it is for."""
    values = {"org_id": org_id, "credit_id": credit_id}
    payee_id: UUID | None = (await session.execute(FIND_CREDIT_PAYEE, values)).scalar_one_or_none()
    return payee_id


async def get_holder(session: AsyncSession, org_id: UUID, account_id: UUID) -> AccountHolder:
    """Return who holds a receiving account, and who had a hand in that."""
    values = {"org_id": org_id, "account_id": account_id}
    row = (await session.execute(GET_HOLDER, values)).one()
    return AccountHolder(held_by=row[0], changed_by=(row[1], row[2]))


async def find_opener(session: AsyncSession, org_id: UUID, bill_id: UUID | None) -> UUID | None:
    """Return who opened a bill."""
    if bill_id is None:
        return None
    values = {"org_id": org_id, "bill_id": bill_id}
    opener: UUID | None = (await session.execute(FIND_OPENER, values)).scalar_one_or_none()
    return opener


async def take_open(session: AsyncSession, org_id: UUID, credit_id: UUID, amount_vnd: int) -> bool:
    """Take from what a locked credit has left; False: less is left, and nothing was taken."""
    values = {"org_id": org_id, "credit_id": credit_id, "amount_vnd": amount_vnd}
    return (await session.execute(TAKE_OPEN, values)).one_or_none() is not None


async def read_open(session: AsyncSession, org_id: UUID, credit_id: UUID) -> int:
    """Return how many đồng of a credit nothing has taken."""
    values = {"org_id": org_id, "credit_id": credit_id}
    return int((await session.execute(READ_OPEN, values)).scalar_one())


async def free_open(session: AsyncSession, org_id: UUID, credit_id: UUID, amount_vnd: int) -> None:
    """Give back what a refund had taken of a credit, as it will not be made."""
    values = {"org_id": org_id, "credit_id": credit_id, "amount_vnd": amount_vnd}
    await session.execute(FREE_OPEN, values)


async def find_refund(session: AsyncSession, org_id: UUID, refund_id: UUID) -> Refund | None:
    """Find a refund, as it is committed now."""
    query = (
        select(Refund)
        .filter_by(org_id=org_id, id=refund_id)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).one_or_none()


async def get_refund(session: AsyncSession, org_id: UUID, refund_id: UUID) -> Refund:
    """Return a refund without a lock.

    Raises:
        RefundNotFound
    """
    found = await find_refund(session, org_id, refund_id)
    if found is None:
        raise RefundNotFound(refund_id)
    return found


async def lock_refund(session: AsyncSession, org_id: UUID, refund_id: UUID) -> Refund:
    """Lock a refund as it is now.

    Raises:
        RefundNotFound
    """
    query = (
        select(Refund)
        .filter_by(org_id=org_id, id=refund_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(query)
    if found is None:
        raise RefundNotFound(refund_id)
    return found


async def find_approved(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, limit: int
) -> list[tuple[UUID, UUID | None]]:
    """Find (refund, bill) of what is approved of an account and goes back by transfer."""
    values = {"org_id": org_id, "account_id": account_id, "limit": limit}
    return [(row[0], row[1]) for row in await session.execute(FIND_APPROVED, values)]


async def list_to_instruct(session: AsyncSession, org_id: UUID) -> list[WaitingAccount]:
    """List the accounts with approved refunds that wait for a payment file (at most 50)."""
    rows = await session.execute(LIST_TO_INSTRUCT, {"org_id": org_id})
    return [WaitingAccount(*row) for row in rows]


async def lock_approved(
    session: AsyncSession, org_id: UUID, refund_ids: Collection[UUID]
) -> Sequence[Refund]:
    """Lock those of these refunds that are approved yet, in the order of their ids."""
    query = (
        select(Refund)
        .where(
            Refund.org_id == org_id,
            Refund.id.in_(refund_ids),
            Refund.status == RefundStatus.APPROVED,
        )
        .order_by(Refund.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def find_file(session: AsyncSession, org_id: UUID, file_id: UUID) -> RefundFile | None:
    """Find a payment file."""
    query = select(RefundFile).filter_by(org_id=org_id, id=file_id)
    return (await session.scalars(query)).one_or_none()


async def get_file(session: AsyncSession, org_id: UUID, file_id: UUID) -> RefundFile:
    """Return a payment file.

    Raises:
        RefundFileNotFound
    """
    found = await find_file(session, org_id, file_id)
    if found is None:
        raise RefundFileNotFound(file_id)
    return found


async def list_files(
    session: AsyncSession, org_id: UUID, *, before_id: UUID | None, limit: int
) -> Sequence[RefundFile]:
    """List payment files without their bytes, newest first."""
    query = select(RefundFile).options(defer(RefundFile.content)).filter_by(org_id=org_id)
    if before_id is not None:
        query = query.where(RefundFile.id < before_id)
    return (await session.scalars(query.order_by(RefundFile.id.desc()).limit(limit))).all()


async def lock_proposal(
    session: AsyncSession, org_id: UUID, break_id: UUID | None, *, subject_id: UUID
) -> Break | None:
    """Lock the open proposal that is named, or what is due of a subject. None: there is none."""
    query = select(Break).where(Break.org_id == org_id, Break.closed_at.is_(None))
    if break_id is not None:
        query = query.where(Break.id == break_id, Break.kind.in_(REFUNDS))
    else:
        query = query.where(Break.kind == BreakKind.REFUND_DUE, Break.subject_id == subject_id)
    locking = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(locking)).one_or_none()


async def lock_agreed(
    session: AsyncSession, org_id: UUID, *, bill_id: UUID, matter_ids: Collection[UUID]
) -> Sequence[Break]:
    """Lock the open proposals that people agreed to of a bill or a matter, the oldest first."""
    query = (
        select(Break)
        .where(
            Break.org_id == org_id,
            Break.kind == BreakKind.REFUND_AGREED,
            Break.closed_at.is_(None),
            or_(Break.bill_id == bill_id, Break.matter_id.in_(matter_ids)),
        )
        .order_by(Break.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def list_bills_of_owner(
    session: AsyncSession, org_id: UUID, owner_id: UUID
) -> list[tuple[UUID, int]]:
    """List (bill, đồng paid of it) of an owner."""
    rows = await session.execute(LIST_BILLS_OF_OWNER, {"org_id": org_id, "owner_id": owner_id})
    return [(row[0], row[1]) for row in rows]


async def find_proposal(session: AsyncSession, org_id: UUID, break_id: UUID) -> Break:
    """Return the break that a refund was requested from, or the open one that renewed it."""
    named = await session.get_one(Break, (org_id, break_id), populate_existing=True)
    query = (
        select(Break)
        .filter_by(org_id=org_id, kind=named.kind, subject_id=named.subject_id, closed_at=None)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).one_or_none() or named


async def reopen_proposal(
    session: AsyncSession, org_id: UUID, break_id: UUID, *, resolution: str
) -> None:
    """Open a proposal again that closed by this resolution, unless its like is open."""
    values = {"org_id": org_id, "id": break_id, "resolution": resolution}
    await session.execute(REOPEN_BREAK, values)


async def sum_returned(session: AsyncSession, org_id: UUID, bill_id: UUID) -> int:
    """Return how many đồng of a locked bill's payments were given back."""
    values = {"org_id": org_id, "bill_id": bill_id}
    return int((await session.execute(SUM_RETURNED, values)).scalar_one())


async def sum_without_proposal(
    session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]
) -> int:
    """Return how many đồng of some bills go back, or went, without a proposal."""
    values = {
        "org_id": org_id,
        "bill_ids": list(bill_ids),
        "statuses": [status.value for status in LIVE],
    }
    return int((await session.execute(SUM_WITHOUT_PROPOSAL, values)).scalar_one())


async def sum_of_proposal(
    session: AsyncSession, found: Break, *, statuses: Collection[RefundStatus]
) -> int:
    """Return how many đồng of the refunds that follow a proposal stand at these statuses."""
    values = {
        "org_id": found.org_id,
        "kind": found.kind,
        "subject_id": found.subject_id,
        "statuses": [status.value for status in statuses],
    }
    return int((await session.execute(SUM_OF_PROPOSAL, values)).scalar_one())


async def find_unanswered(
    session: AsyncSession, *, before: datetime, limit: int
) -> list[tuple[UUID, UUID]]:
    """Find (organisation, refund) of those instructed before then (worker role)."""
    rows = await session.execute(FIND_UNANSWERED, {"before": before, "limit": limit})
    return [(row[0], row[1]) for row in rows]


@cache
def write_list(given: frozenset[str]) -> TextClause:
    """Write the statement of a list of refunds with these filters."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    return text(f"""
        SELECT {COLUMNS}
        FROM refunds r
        LEFT JOIN bills b ON b.org_id = r.org_id AND b.id = r.bill_id
        LEFT JOIN payees p ON p.org_id = r.org_id AND p.id = r.payee_id
        WHERE {" AND ".join(["r.org_id = :org_id", *wanted])}
        ORDER BY r.id DESC LIMIT :limit
    """)  # noqa: S608 (our own conditions)


async def list_refunds(
    session: AsyncSession,
    org_id: UUID,
    *,
    to_review: bool = False,
    limit: int,
    **filters: Any,
) -> list[RefundView]:
    """List refunds, newest first; every filter of FILTERS that is given must hold."""
    values = {name: value for name, value in filters.items() if value is not None}
    given = {*values, "to_review"} if to_review else set(values)
    rows = await session.execute(
        write_list(frozenset(given)), {**values, "org_id": org_id, "limit": limit}
    )
    return [RefundView(**row) for row in rows.mappings()]
