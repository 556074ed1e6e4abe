"""SQL of expiry: which bills nobody watches any longer, and their new status."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.bills.owners_rules import NewChange, SubjectKind
from payments.bills.queries_payments import insert_changes
from payments.bills.rules import BillStatus

FIND_EXPIRED_UNSTORED = text("""
    SELECT DISTINCT org_id FROM bills
    WHERE status IN ('open', 'part_paid') AND monitor_until >= :since AND monitor_until < :now
""")

# An array of locked ids, made once: as IN (…) it would be joined, and a plan may read the inner
# side again for each bill, lock more than the limit, and lose a bill that changed just before.
STORE_EXPIRY = text("""
    UPDATE bills SET status = 'expired'
    WHERE org_id = :org_id AND id = ANY(ARRAY(
        SELECT id FROM bills
        WHERE org_id = :org_id AND status IN ('open', 'part_paid')
          AND monitor_until >= :since AND monitor_until < :now
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED))
    RETURNING id, paid_vnd > 0, owner_kind, owner_id
""")


async def find_expired_unstored(
    session: AsyncSession, *, since: datetime, now: datetime
) -> list[UUID]:
    """Find organisations with bills that nobody watches since then (worker: all of them)."""
    values = {"since": since, "now": now}
    return list((await session.execute(FIND_EXPIRED_UNSTORED, values)).scalars())


async def store_expiry(
    session: AsyncSession, org_id: UUID, *, since: datetime, limit: int, now: datetime
) -> int:
    """Store the expiry of bills whose monitoring ended in [since, now); return how many."""
    values = {"org_id": org_id, "since": since, "now": now, "limit": limit}
    rows = (await session.execute(STORE_EXPIRY, values)).all()
    changes = [
        NewChange(
            subject_kind=SubjectKind.BILL,
            subject_id=bill_id,
            owner_kind=owner_kind,
            owner_id=owner_id,
            from_status=BillStatus.PART_PAID.value if has_part else BillStatus.OPEN.value,
            to_status=BillStatus.EXPIRED.value,
        )
        for bill_id, has_part, owner_kind, owner_id in rows
        if owner_kind is not None
    ]
    if changes:
        await insert_changes(session, org_id, changes, now=now)
    return len(rows)
