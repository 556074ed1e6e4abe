"""Photos that are kept, by their hash."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class PhotoUse(Base):
    """What a picture is the evidence of: one act, by the primary key.

    It is kept for a year and as long as the picture, so that the same one is not sent again for
    another act.
    """

    __tablename__ = "photo_uses"
    __table_args__ = (
        CheckConstraint("length(hash) = 32", name="hash_is_sha256"),
        Index("ix_photo_uses_used_at", "used_at"),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    subject_kind: Mapped[str]  # parking_session, lane_command, manual_open, lost_ticket
    subject_id: Mapped[UUID]
    used_at: Mapped[datetime]


class Photo(Base):
    """A picture of a vehicle. Sessions and observations name it by its hash."""

    __tablename__ = "photos"
    __table_args__ = (
        CheckConstraint("length(hash) = 32", name="hash_is_sha256"),
        Index("ix_photos_kept_until", "kept_until"),
        Index("ix_photos_unread", "stored_at", postgresql_where=text("is_unread")),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # SHA-256 of the file
    lot_id: Mapped[UUID | None]  # where it was taken first; None: it shows no lot
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int]
    taken_by: Mapped[UUID]  # a person, or the complaint that it came with
    stored_at: Mapped[datetime]
    kept_until: Mapped[datetime]  # then it is erased, file and row
    # Whether a reader of plates may look at it: a gate's, until it was read.
    is_unread: Mapped[bool] = mapped_column(server_default=text("false"))
