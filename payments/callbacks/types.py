"""Rows of notices and rejections, as they travel between use cases and SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


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
    """What a provider told before, when it was asked."""

    id: UUID
    body: bytes
    is_untried: bool  # nobody has begun to settle it


class DueNotice(NamedTuple):
    """A stored message that this transaction is to settle."""

    id: UUID
    endpoint_id: UUID
    provider: str
    body: bytes
    received_at: datetime
    attempts: int  # before this one
    outcome: str | None = None  # of the attempt before, if there was one


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeOutcome:
    """How far a notice got: handled, or to be looked at again."""

    notice_id: UUID
    outcome: str | None  # None: it was not judged yet, only put back
    handled_at: datetime | None
    next_attempt_at: datetime | None = None
