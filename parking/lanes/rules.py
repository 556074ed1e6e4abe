"""Life of a command: five seconds to be fetched, once, and what its controller answered. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

COMMAND_VALID_FOR: Final = timedelta(seconds=5)  # after that it is never carried out
# A vehicle that has been let through a moment ago needs no words for its barrier.
JUST_NOW: Final = timedelta(minutes=2)
OPEN_WAIT_MAX_S: Final = 6.0  # by then the attendant knows: opened, stuck or silent
FETCH_WAIT_MAX_S: Final = 25.0  # shorter than proxies keep a silent connection
WAITERS_MAX: Final = 500  # held requests of one process
WAITERS_A_LANE_MAX: Final = 4  # a controller, and those of it that a proxy still holds


class LaneResult(StrEnum):
    """What a controller did."""

    OPENED = "opened"
    STUCK = "stuck"


class LaneState(StrEnum):
    """What the attendant sees."""

    WAITING = "waiting"
    OPENED = "opened"
    STUCK = "stuck"
    SILENT = "silent"  # nobody answered in time; the barrier may be open or not


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenWanted:
    """A barrier that is to be opened."""

    id: UUID  # made by the client
    session_id: UUID | None  # of the vehicle that passes
    reason: str | None = None  # in words, with a photo, where no vehicle was let through just now
    photo: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneCommandFacts:
    """A command as it stands."""

    id: UUID
    lot_id: UUID
    access_id: UUID
    session_id: UUID | None
    reason: str | None
    requested_by: UUID
    requested_at: datetime
    expires_at: datetime
    fetched_by: UUID | None
    fetched_at: datetime | None
    result: str | None
    answered_at: datetime | None
    is_over: bool  # its time, by the database's clock

    @property
    def state(self) -> LaneState:
        """What is known of the barrier. An answer that comes late is shown all the same."""
        if self.result is not None:
            return LaneState(self.result)
        return LaneState.SILENT if self.is_over else LaneState.WAITING


@dataclass(frozen=True, kw_only=True, slots=True)
class PassingFacts:
    """A vehicle at a lane, and whether a barrier was opened for it before."""

    status: str
    entered_at: datetime
    left_at: datetime | None
    was_opened: bool


def needs_words(passing: PassingFacts | None, direction: str, *, now: datetime) -> bool:
    """Tell whether an opening takes a reason and a photo: nobody was let through just now.

    A second opening for one vehicle would let another one pass, and takes them, too.
    """
    if passing is None or passing.was_opened:
        return True
    times = []
    if direction in ("out", "both") and passing.left_at is not None:
        times.append(passing.left_at)
    if direction in ("in", "both") and passing.status == "inside":
        times.append(passing.entered_at)
    return not any(now - at <= JUST_NOW for at in times)
