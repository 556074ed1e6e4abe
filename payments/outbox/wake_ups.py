"""Wake-ups: the NOTIFY that the hub's processes receive when events are committed.

A wake-up is a hint: the `events` table is the truth, and a reader that missed one finds everything
there. Where the events fit they travel in it, so that nobody has to read them: otherwise each
process with open screens reads after each commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

CHANNEL: Final = "phopay_events"
# PostgreSQL documentation, NOTIFY: the payload "must be shorter than 8000 bytes".
PAYLOAD_BYTES_MAX: Final = 7_999


@dataclass(frozen=True, kw_only=True, slots=True)
class EventFacts:
    """One event as it is stored; `data` is JSON in one line."""

    id: UUID
    kind: str
    payee_id: UUID | None
    account_id: UUID | None
    bill_id: UUID | None
    data: str
    recorded_at: datetime


class _Event(msgspec.Struct, array_like=True):
    id: UUID
    kind: str
    payee_id: UUID | None
    account_id: UUID | None
    bill_id: UUID | None
    data: msgspec.Raw
    recorded_at: datetime


class _WakeUp(msgspec.Struct, array_like=True):
    org_id: UUID
    events: list[_Event]  # empty: there are too many, read the table


_decoder: Final = msgspec.json.Decoder(_WakeUp)


def write_wake_up(org_id: UUID, events: Sequence[EventFacts]) -> str:
    """Write the payload for one transaction's events; without them where they do not fit."""
    sent: list[Any] = [
        [e.id, e.kind, e.payee_id, e.account_id, e.bill_id, msgspec.Raw(e.data), e.recorded_at]
        for e in events
    ]
    payload = msgspec.json.encode([org_id, sent])
    if len(payload) > PAYLOAD_BYTES_MAX:
        payload = msgspec.json.encode([org_id, []])
    return payload.decode()


def read_wake_up(payload: str) -> tuple[UUID, list[EventFacts]]:
    """Read (organisation, events); no events: read them from the table.

    Raises:
        ValueError: it is no wake-up.
    """
    wake_up = _decoder.decode(payload)
    return wake_up.org_id, [
        EventFacts(
            id=e.id,
            kind=e.kind,
            payee_id=e.payee_id,
            account_id=e.account_id,
            bill_id=e.bill_id,
            data=bytes(e.data).decode(),
            recorded_at=e.recorded_at,
        )
        for e in wake_up.events
    ]
