"""Rows of movements, as they travel between use cases and SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from parking.sessions.rules import EntryRequest, MovementKind


@dataclass(kw_only=True, slots=True)
class StoredMovement:
    """A movement whose signature holds, and what became of it."""

    id: UUID
    seq: int
    kind: MovementKind
    body: str  # the very characters that were signed
    signature: bytes
    device_at: datetime
    offset_ms: int
    entry: EntryRequest | None = None  # to be decided
    leaves: UUID | None = None  # of an exit: the stay that it says is over
    verdict: str | None = None
    handled_at: datetime | None = None  # None: something is still to be done
    plate: str | None = None  # compact, where it names one
    has_words: bool = True  # that may quote another plate; until it was looked at
    # Whom the device names as who did it, and in which shift.
    staff_id: UUID | None = None
    shift_id: UUID | None = None
    to_check: str | None = None  # it counts, and a person must look: why
    is_done: bool = False  # it came before, and its breaks were opened then

    @property
    def needs_look(self) -> bool:
        """Whether its breaks are opened after it was stored, if there are any."""
        return self.to_check is not None or (
            self.entry is not None and self.entry.left_at is not None
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """The device that a batch is of, and who was signed in when it came."""

    org_id: UUID
    device_id: UUID
    lot_id: UUID
    received_from: UUID
