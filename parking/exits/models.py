"""Links of stays, two that were one vehicle and one that was two; and tickets that were lost."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Vnd
from core.tenancy import OrgRow


class StayLink(OrgRow):
    """A stay joined into another, or parted from it, and the money that counts for the other.

    Bills and collections stay with the stay that they were taken for; the sum of `moved_vnd` says
    how much of them counts for the kept one. No foreign keys: sessions lie in months.
    """

    __tablename__ = "stay_links"
    __table_args__ = (
        CheckConstraint("kind IN ('joined', 'parted', 'settled')", name="kind_known"),
        CheckConstraint("kept_id <> other_id", name="two_stays"),
        CheckConstraint(
            "kind <> 'parted' OR (moved_vnd = 0 AND waived_vnd = 0)", name="money_stays_when_parted"
        ),
        Index("ix_stay_links_kept", "org_id", "kept_id", "id"),
        Index(
            "uq_stay_links_other",
            "org_id",
            "other_id",
            unique=True,
            postgresql_where=text("kind <> 'settled'"),
        ),
    )

    kind: Mapped[str] = mapped_column(String(10))  # settled: what was paid changed afterwards
    kept_id: Mapped[UUID]
    other_id: Mapped[UUID]  # joined: voided since; parted: new
    moved_vnd: Mapped[Vnd]  # from the other to the kept one; below zero: back
    waived_vnd: Mapped[Vnd]  # as moved_vnd: by exemptions, no money
    reason: Mapped[str | None]
    linked_by: Mapped[UUID | None]
    linked_at: Mapped[datetime]


class LostTicket(Base):
    """A ticket that was reported lost. Only its photo may follow. No foreign key, as above."""

    __tablename__ = "lost_tickets"
    __table_args__ = (
        CheckConstraint("length(photo) = 32", name="photo_is_sha256"),
        CheckConstraint("photo IS NOT NULL OR reason IS NOT NULL", name="photo_or_reason"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    photo: Mapped[bytes | None] = mapped_column(LargeBinary)  # of what proves whose vehicle it is
    reason: Mapped[str | None]  # why there is no photo, or none yet
    device_id: Mapped[UUID | None]
    reported_by: Mapped[UUID]
    reported_at: Mapped[datetime]
