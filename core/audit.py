"""The audit log: who changed what, from what to what, and why; rows are never edited."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from core.ids import new_id
from core.masking import mask_plates
from core.tenancy import OrgRow


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acts: a person, a key or the hub itself."""

    kind: str  # "staff", "api_key", "device", "system"
    id: UUID | None
    name: str  # as shown in the log
    request_id: str = ""


SYSTEM = Actor(kind="system", id=None, name="hub")


class AuditRow(OrgRow):
    """One change. The application's role may insert and read these rows, nothing else."""

    __tablename__ = "audit_log"
    # The story of one object, and whether somebody did a thing to it: read while pages load.
    __table_args__ = (Index("ix_audit_log_object", "org_id", "object_id"),)

    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str]
    action: Mapped[str]  # past tense, "bill.cancelled"
    object_kind: Mapped[str]
    object_id: Mapped[UUID]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    reason: Mapped[str | None]
    request_id: Mapped[str]
    recorded_at: Mapped[datetime]


def record_change(
    session: AsyncSession,
    *,
    org_id: UUID,
    actor: Actor,
    action: str,
    object_kind: str,
    object_id: UUID,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str | None = None,
    now: datetime,
) -> None:
    """Add one audit row to the running transaction: it commits with the change or not at all.

    `before` and `after` hold JSON values only, and never a secret, a password or a whole plate. A
    plate in the reason, which is a person's words, is masked here: these rows are kept for ever.
    """
    session.add(
        AuditRow(
            org_id=org_id,
            id=new_id(),
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_name=actor.name,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            before=before,
            after=after,
            reason=None if reason is None else mask_plates(reason),
            request_id=actor.request_id,
            recorded_at=now,
        )
    )


async def list_changes(
    session: AsyncSession,
    org_id: UUID,
    *,
    object_kind: str | None = None,
    object_id: UUID | None = None,
    actor_name: str | None = None,
    between: tuple[datetime, datetime] | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> Sequence[AuditRow]:
    """List an organisation's changes, newest first; every filter that is given must hold.

    Args:
        actor_name: a part of the actor's name, in whatever case.
        between: recorded at or after the first instant and before the second.
    """
    query = select(AuditRow).where(AuditRow.org_id == org_id)
    if object_kind is not None:
        query = query.where(AuditRow.object_kind == object_kind)
    if object_id is not None:
        query = query.where(AuditRow.object_id == object_id)
    if actor_name:
        query = query.where(AuditRow.actor_name.icontains(actor_name, autoescape=True))
    if between is not None:
        query = query.where(AuditRow.recorded_at >= between[0], AuditRow.recorded_at < between[1])
    if before_id is not None:
        query = query.where(AuditRow.id < before_id)
    return (await session.scalars(query.order_by(AuditRow.id.desc()).limit(limit))).all()
