"""The table of commands to lanes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class LaneCommand(OrgRow):
    """One opening of a barrier: who wanted it and why, who carried it out, what came of it."""

    __tablename__ = "lane_commands"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "access_id"],
            ["parking_accesses.org_id", "parking_accesses.id"],
            name="fk_lane_commands_access",
        ),
        CheckConstraint("result IN ('opened', 'stuck')", name="result_known"),
        CheckConstraint("result IS NULL OR fetched_at IS NOT NULL", name="answered_after_fetched"),
        # By hand: with both. The photo goes when the vehicle's owner asks for it.
        CheckConstraint("photo IS NULL OR reason IS NOT NULL", name="photo_with_words"),
        Index("ix_lane_commands_access", "org_id", "access_id", "expires_at"),
        Index(
            "ix_lane_commands_by_hand",
            "org_id",
            "lot_id",
            "requested_at",
            postgresql_where=text("reason IS NOT NULL"),
        ),
        Index(
            "ix_lane_commands_session",
            "org_id",
            "session_id",
            postgresql_where=text("session_id IS NOT NULL"),
        ),
        # Read for all organisations by what wakes waiting controllers.
        Index(
            "ix_lane_commands_waiting", "expires_at", postgresql_where=text("fetched_at IS NULL")
        ),
    )

    lot_id: Mapped[UUID]
    access_id: Mapped[UUID]
    session_id: Mapped[UUID | None]
    reason: Mapped[str | None]  # in a person's words: opened by hand
    photo: Mapped[bytes | None] = mapped_column(LargeBinary)
    requested_by: Mapped[UUID]
    requested_at: Mapped[datetime]  # this and what follows by the database's clock
    expires_at: Mapped[datetime]
    fetched_by: Mapped[UUID | None]  # the controller's key
    fetched_at: Mapped[datetime | None]
    result: Mapped[str | None]
    answered_at: Mapped[datetime | None]
