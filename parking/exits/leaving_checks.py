"""Limits and evidence of those who leave for a reason in writing: how many, each with a new photo.

Pure: what was read and marked as used under the locks is handed in.
"""

from dataclasses import dataclass, field
from uuid import UUID

from parking.exits.errors import ExitPhotoNeeded, UnconfirmedLimitReached
from parking.exits.rules import ExitReason, may_leave_unseen
from parking.photos.errors import PhotoNotFound, PhotoUsed


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How many more each person may let out unconfirmed at a lot."""

    left: dict[tuple[UUID, UUID], int]  # (person, lot)

    def take(self, by: UUID, lot_id: UUID) -> None:
        """Count one more.

        Raises:
            UnconfirmedLimitReached
        """
        if self.left[by, lot_id] <= 0:
            raise UnconfirmedLimitReached
        self.left[by, lot_id] -= 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Photos of a batch that are the evidence of their own vehicles, and those that are kept."""

    used: set[tuple[bytes, UUID]] = field(default_factory=set)  # (hash, session)
    kept: set[bytes] = field(default_factory=set)

    def check(self, photo: bytes | None, session_id: UUID, *, is_forced: bool) -> None:
        """Hold a vehicle's photo to be its own; one that leaves unpaid, to be kept here.

        Raises:
            PhotoNotFound, PhotoUsed
        """
        if photo is None:
            return
        if is_forced and photo not in self.kept:
            raise PhotoNotFound
        if (photo, session_id) not in self.used:
            raise PhotoUsed


def check_photo(
    reason: ExitReason, *, photo: bytes | None, why_none: str | None, may_override: bool
) -> None:
    """Hold who leaves for a reason in writing to a photo, or to words that say why there is none.

    Raises:
        ExitPhotoNeeded
    """
    if photo is not None:
        return
    if not why_none or not may_leave_unseen(reason, may_override=may_override):
        raise ExitPhotoNeeded
