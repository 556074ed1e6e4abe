"""States of a job, pauses between its attempts, and whose turn it is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.errors import HubError, Kind

ATTEMPTS_MAX: Final = 5  # unless the job says otherwise: 10 s + 40 s + 160 s + 640 s of pauses
ATTEMPTS_LIMIT: Final = 100
ARGUMENTS_BYTES_MAX: Final = 16_384  # ids and choices; files and rows stay in tables of their own
WAITING_MAX: Final = 10_000  # unfinished jobs of one organisation; many small steps are one job
KIND_CHARS_MAX: Final = 64
KEY_CHARS_MAX: Final = 200
NOTE_CHARS_MAX: Final = 200
PAUSE_MIN: Final = timedelta(seconds=10)
PAUSE_MAX: Final = timedelta(hours=6)


class JobStatus(StrEnum):
    """What has become of a job."""

    QUEUED = "queued"  # also between two attempts
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # a person has to look: nothing tries it again
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class DueOrg:
    """One organisation that has a job to run now."""

    org_id: UUID
    running: int  # of its jobs, in all workers
    due_at: datetime  # of the one that has waited longest


def pause_after(attempts: int) -> timedelta:
    """Return how long a job rests after so many failed attempts: 10 s, then four times as long.

    A pause and not an instant: only the database's clock decides when a job is due.
    """
    assert attempts >= 1
    return PAUSE_MAX if attempts > 8 else min(PAUSE_MAX, PAUSE_MIN * 4 ** (attempts - 1))


def is_worth_repeating(error: BaseException) -> bool:
    """Tell whether another attempt may end otherwise: a refused fact stays refused."""
    if isinstance(error, HubError):
        return error.kind in (Kind.UNAVAILABLE, Kind.TOO_MANY)
    return True


def describe_error(error: BaseException) -> tuple[str, str]:
    """Return an error's code and what to show of it; an unknown error's text may be personal."""
    if isinstance(error, HubError):
        return error.code, str(error)[:500]
    return "internal_error", type(error).__name__


def order_turns(
    due: Sequence[DueOrg], *, turns: Mapping[UUID, int], own: Mapping[UUID, int], own_max: int
) -> list[UUID]:
    """Put organisations in the order in which a worker's free slot is offered to them.

    Whoever has fewest jobs running goes first, then whoever was served longest ago, so that a
    thousand jobs of one organisation delay another's single job by one job and not by a thousand.

    Args:
        turns: when this worker last served an organisation, as a counter; nothing means never.
        own: how many jobs of each organisation this worker runs.
        own_max: most of these: the rest of the slots stays free for others.
    """
    waiting = [one for one in due if own.get(one.org_id, 0) < own_max]
    waiting.sort(key=lambda one: (one.running, turns.get(one.org_id, 0), one.due_at))
    return [one.org_id for one in waiting]
