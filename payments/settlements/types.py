"""Rows of settlement statements, as they travel between use cases and SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from payments.settlements.rules import SettlementStatus, Terms


@dataclass(frozen=True, kw_only=True, slots=True)
class TermsFacts:
    """Terms as they are stored."""

    id: UUID
    payee_id: UUID
    version: int
    from_day: date
    terms: Terms
    set_by: UUID
    set_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """A run as it is stored."""

    id: UUID
    first_day: date
    last_day: date
    payee_id: UUID | None
    job_id: UUID | None
    created_by: UUID
    created_at: datetime
    payees_done: int
    drafted: int
    reached_payee_id: UUID | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SettlementFacts:
    """A statement as it is stored, without its lines."""

    id: UUID
    run_id: UUID
    payee_id: UUID
    payee_name: str
    payee_place: str
    first_day: date
    last_day: date
    cut_off_at: datetime
    terms_id: UUID | None
    status: SettlementStatus
    side: str
    reached_at: datetime | None
    reached_id: UUID | None
    postings: int
    gross_vnd: int
    refunds_vnd: int
    charges: Sequence[Mapping[str, Any]]
    charges_vnd: int
    fixed_charge_vnd: int
    commission_bps: int
    commission_vnd: int
    net_vnd: int
    shares: Sequence[Mapping[str, Any]]
    payee_vnd: int
    carried: Sequence[Mapping[str, Any]]
    carried_count: int
    drafted_by: UUID
    started_at: datetime
    drafted_at: datetime | None
    reviewed_by: UUID | None
    reviewed_at: datetime | None
    approved_by: UUID | None
    approved_at: datetime | None
    is_approved_alone: bool
    number: str | None
    sent_by: UUID | None
    sent_at: datetime | None
    discarded_by: UUID | None
    discarded_at: datetime | None
    discarded_words: str | None

    @property
    def is_ready(self) -> bool:
        """Whether all of its postings are counted."""
        return self.drafted_at is not None


class LineFacts(NamedTuple):
    """What one line of a statement moved."""

    line: str
    credited_vnd: int
    debited_vnd: int
    postings: int

    @property
    def net_vnd(self) -> int:
        """What it brought, corrections deducted; of refunds below zero."""
        return self.credited_vnd - self.debited_vnd


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """Open breaks of a payee's money: listed and not deducted."""

    count: int = 0
    shown: Sequence[Mapping[str, Any]] = ()  # {id, kind, amount_vnd, opened_at}, the oldest first


class DraftTarget(NamedTuple):
    """A payee whose statement a run drafts."""

    payee_id: UUID
    name: str
    place: str
    closed_at: datetime | None


class PeriodEnd(NamedTuple):
    """Where a payee's newest statement that is not discarded ends."""

    last_day: date
    settlement_id: UUID
    run_id: UUID
    is_ready: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a list of statements is held to; None: everything."""

    payee_ids: Sequence[UUID] | None = None
    status: SettlementStatus | None = None
    run_id: UUID | None = None
    first_day: date | None = None  # periods that end on this day or later
    last_day: date | None = None  # … or earlier
    is_final: bool = False  # only approved and sent ones
