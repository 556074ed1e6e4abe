"""Decision whether a silence of the heartbeat was an outage. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

BEAT_EVERY_S: Final = 5.0
# Three beats are missing. What is shorter, such as a restart, providers bridge by repeating.
OUTAGE_MIN: Final = timedelta(seconds=15)
# Clocks of banks and providers differ from ours, and a callback follows its transfer by a while.
MARGIN_BEFORE: Final = timedelta(minutes=10)
MARGIN_AFTER: Final = timedelta(minutes=5)


class OutageReason(StrEnum):
    """Why no hub received, as far as the hub that returned can tell."""

    UNKNOWN = "unknown"  # killed, power, network to the database: nobody said goodbye
    SHUTDOWN = "shutdown"  # the last hub stopped in order
    DATABASE = "database"  # hubs ran and could not write


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """A span of time in which no hub received."""

    from_at: datetime
    until_at: datetime
    reason: OutageReason


def find_silence(
    beat_at: datetime | None,
    stopped_at: datetime | None,
    *,
    now: datetime,
    was_database_away: bool,
) -> Silence | None:
    """Decide what lies between the last beat of any hub and this one.

    Args:
        beat_at: the last beat; None before the first.
        stopped_at: when a hub stopped in order, if none has beaten since.
        now: this beat, on the same clock, the database's.
        was_database_away: this hub ran all the while and could not write.

    Returns:
        None where it is too short to be an outage, or the clock was set back.
    """
    if beat_at is None:
        return None
    from_at = beat_at if stopped_at is None else max(beat_at, stopped_at)
    if now - from_at < OUTAGE_MIN:
        return None
    if stopped_at is not None:
        reason = OutageReason.SHUTDOWN
    elif was_database_away:
        reason = OutageReason.DATABASE
    else:
        reason = OutageReason.UNKNOWN
    return Silence(from_at=from_at, until_at=now, reason=reason)
