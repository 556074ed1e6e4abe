"""Answers to entries, read from what the database decided."""

from typing import Final

from parking.sessions.errors import LotOrClassNotFound
from parking.sessions.queries import EntryRow
from parking.sessions.rules import EntryAnswer, EntryRequest, Verdict

UNKNOWN: Final = "unknown"  # no such lot of this organisation, or not this class


def make_answer(request: EntryRequest, row: EntryRow) -> EntryAnswer | Exception:
    """Say what a row of DECIDE_AND_WRITE means."""
    verdict, present_id, since, key, pass_id, is_pass_in_use, is_watched, *rest = row
    count, capacity, is_photo_missing = rest
    if verdict == UNKNOWN:
        return LotOrClassNotFound(request.vehicle_class.value)
    known = Verdict(verdict)
    return EntryAnswer(
        verdict=known,
        session_id=present_id if known is Verdict.ALREADY_INSIDE else request.id,
        ticket_key={Verdict.OPENED: request.ticket_key, Verdict.REPEAT: key}.get(known),
        entered_at=request.entered_at if known is Verdict.OPENED else since,
        pass_id=pass_id,
        is_pass_in_use=is_pass_in_use,
        is_watched=is_watched,
        inside_count=count,
        capacity=capacity,
        is_photo_missing=is_photo_missing,
    )
