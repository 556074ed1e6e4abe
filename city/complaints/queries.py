"""SQL of complaints."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from city.complaints.errors import ComplaintNotFound
from city.complaints.models import Complaint
from city.complaints.rules import ComplaintStatus
from city.complaints.types import NewComplaint
from payments.breaks.models import Break
from payments.breaks.rules import BreakKind

OF_ONE_MAX: Final = 50  # complaints about one thing that a page shows

ERASE_PERSONAL = text("""
    UPDATE complaints SET words = CASE WHEN words IS NULL THEN NULL ELSE '…' END, contact = NULL
    WHERE (org_id, id) IN (
        SELECT org_id, id FROM complaints
        WHERE status <> 'open' AND resolved_at < :before AND (contact IS NOT NULL OR words <> '…')
        ORDER BY resolved_at LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


async def insert_complaint_once(
    session: AsyncSession,
    org_id: UUID,
    new: NewComplaint,
    *,
    public_token: str,
    request_hash: bytes,
    due_on: date,
    now: datetime,
) -> bool:
    """Store a complaint; False: its id is taken, or one of its kind is open about the same."""
    subject = new.subject
    statement = (
        insert(Complaint)
        .values(
            org_id=org_id,
            id=new.id,
            category=new.category.value,
            subject_kind=subject.kind.value,
            subject_id=subject.id,
            payee_id=subject.payee_id,
            lot_id=subject.lot_id,
            session_id=subject.session_id,
            bill_id=subject.bill_id,
            taken_vnd=new.taken_vnd,
            words=new.words,
            contact=new.contact,
            photo=new.photo,
            language=new.language,
            public_token=public_token,
            request_hash=request_hash,
            status=ComplaintStatus.OPEN.value,
            received_at=now,
            due_on=due_on,
        )
        .on_conflict_do_nothing()
        .returning(Complaint.id)
    )
    return await session.scalar(statement) is not None


async def find_complaint(
    session: AsyncSession, org_id: UUID, complaint_id: UUID
) -> Complaint | None:
    """Find a complaint."""
    return await session.get(Complaint, (org_id, complaint_id), populate_existing=True)


async def get_complaint(session: AsyncSession, org_id: UUID, complaint_id: UUID) -> Complaint:
    """Return a complaint.

    Raises:
        ComplaintNotFound
    """
    found = await find_complaint(session, org_id, complaint_id)
    if found is None:
        raise ComplaintNotFound(complaint_id)
    return found


async def lock_complaint(session: AsyncSession, org_id: UUID, complaint_id: UUID) -> Complaint:
    """Lock a complaint as it is now.

    Raises:
        ComplaintNotFound
    """
    query = (
        select(Complaint)
        .filter_by(org_id=org_id, id=complaint_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(query)
    if found is None:
        raise ComplaintNotFound(complaint_id)
    return found


async def get_by_token(session: AsyncSession, org_id: UUID, token: str) -> Complaint:
    """Return the complaint that a link opens.

    Raises:
        ComplaintNotFound
    """
    found = await session.scalar(select(Complaint).filter_by(org_id=org_id, public_token=token))
    if found is None:
        raise ComplaintNotFound
    return found


async def list_open(
    session: AsyncSession, org_id: UUID, *, after_id: UUID | None = None, limit: int
) -> Sequence[Complaint]:
    """List what waits for an answer, the nearest deadline first."""
    wanted = select(Complaint).where(Complaint.org_id == org_id, Complaint.status == "open")
    if after_id is not None:
        last = select(Complaint.due_on, Complaint.id).filter_by(org_id=org_id, id=after_id)
        wanted = wanted.where(tuple_(Complaint.due_on, Complaint.id) > last.scalar_subquery())
    ordered = wanted.order_by(Complaint.due_on, Complaint.id).limit(limit)
    return (await session.scalars(ordered)).all()


async def list_resolved(
    session: AsyncSession, org_id: UUID, *, after_id: UUID | None = None, limit: int
) -> Sequence[Complaint]:
    """List what was resolved, the latest first."""
    wanted = select(Complaint).where(Complaint.org_id == org_id, Complaint.status != "open")
    if after_id is not None:
        last = select(Complaint.resolved_at, Complaint.id).filter_by(org_id=org_id, id=after_id)
        wanted = wanted.where(tuple_(Complaint.resolved_at, Complaint.id) < last.scalar_subquery())
    ordered = wanted.order_by(Complaint.resolved_at.desc(), Complaint.id.desc()).limit(limit)
    return (await session.scalars(ordered)).all()


async def list_to_give_back(
    session: AsyncSession, org_id: UUID, *, after_id: UUID | None = None, limit: int
) -> Sequence[Complaint]:
    """List those whose refund is not given back yet, the nearest deadline first.

    They are as many as their open items, which are few however many complaints there were.
    """
    due_on = func.coalesce(Complaint.refund_due_on, Complaint.due_on)
    wanted = (
        select(Complaint)
        .join(Break, (Break.org_id == Complaint.org_id) & (Break.subject_id == Complaint.id))
        .where(
            Break.org_id == org_id,
            Break.kind == BreakKind.REFUND_AGREED,
            Break.closed_at.is_(None),
        )
    )
    if after_id is not None:
        last = select(due_on, Complaint.id).filter_by(org_id=org_id, id=after_id)
        wanted = wanted.where(tuple_(due_on, Complaint.id) > last.scalar_subquery())
    return (await session.scalars(wanted.order_by(due_on, Complaint.id).limit(limit))).all()


async def list_of_session(
    session: AsyncSession, org_id: UUID, session_id: UUID
) -> Sequence[Complaint]:
    """List what was complained of about a parking session and its payments, the latest first."""
    wanted = select(Complaint).filter_by(org_id=org_id, session_id=session_id)
    ordered = wanted.order_by(Complaint.received_at.desc()).limit(OF_ONE_MAX)
    return (await session.scalars(ordered)).all()


async def list_of_bill(session: AsyncSession, org_id: UUID, bill_id: UUID) -> Sequence[Complaint]:
    """List what was complained of about a bill and its payments, the latest first."""
    wanted = select(Complaint).filter_by(org_id=org_id, bill_id=bill_id)
    ordered = wanted.order_by(Complaint.received_at.desc()).limit(OF_ONE_MAX)
    return (await session.scalars(ordered)).all()


async def erase_personal(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """Erase words and contacts of what was resolved before an instant (worker: all of them)."""
    result = await session.execute(ERASE_PERSONAL, {"before": before, "limit": limit})
    return int(result.rowcount)  # type: ignore[attr-defined]
