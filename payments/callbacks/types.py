"""Rows of notices and rejections that travel between use cases and SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from payments.callbacks.rules import NoticeOutcome


@dataclass(frozen=True, kw_only=True, slots=True)
class NewNotice:
    """A verified message to be stored."""

    id: UUID
    endpoint_id: UUID
    provider: str
    source: str  # "callback" or "pulled"
    body: bytes
    headers: dict[str, str]  # without secrets
    skew_s: int | None
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRejection:
    """A message that was not accepted."""

    id: UUID
    endpoint_id: UUID
    refusal: str
    detail: str
    skew_s: int | None
    body_start: bytes
    received_at: datetime


class PulledNotice(NamedTuple):
    """A notice stored by an earlier poll."""

    id: UUID
    body: bytes
    is_untried: bool  # its processing has not begun


class DueNotice(NamedTuple):
    """A stored notice that this transaction has locked and is to process."""

    id: UUID
    endpoint_id: UUID
    provider: str
    body: bytes
    received_at: datetime
    attempts: int  # before this one
    outcome: NoticeOutcome | None = None  # of the attempt before, if there was one


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeResult:
    """What one attempt at a notice came to: handled, or to be tried again."""

    notice_id: UUID
    outcome: NoticeOutcome | None  # None: never processed, only put back
    handled_at: datetime | None
    next_attempt_at: datetime | None = None
