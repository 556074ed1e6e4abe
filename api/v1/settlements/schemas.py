"""Requests and answers about settlement statements."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, SecretStr

from api.http.fields import Body, Day, NameText, Read, ReasonText
from core.errors import HubError
from payments.ledger.types import Leg
from payments.settlements.rules import (
    BPS,
    BULK_MAX,
    FIXED_CHARGE_VND_MAX,
    SHARES_MAX,
    Channel,
    SettlementStatus,
    Share,
    Terms,
)
from payments.settlements.types import LineFacts, RunFacts, SettlementFacts, TermsFacts

Bps = Annotated[int, Field(strict=True, ge=0, le=BPS, description="Basis points: 250 is 2.5 %.")]


class SettlementRunCreate(Body):
    """Which period's statements are to be drafted."""

    id: UUID = Field(description="Made by the client (UUIDv7): the same again changes nothing.")
    first_day: Day = Field(
        description="Of payees without a statement, unless others begin earlier; the rest go on."
    )
    last_day: Day = Field(description="A closed day of the books.")
    payee_id: UUID | None = Field(default=None, description="Only this payee's.")


class SettlementRunRead(Read):
    """A run, and how far it has come."""

    id: UUID
    first_day: date
    last_day: date
    payee_id: UUID | None
    job_id: UUID | None = Field(description="`GET /v1/jobs/{id}` says how far it has come.")
    created_by: UUID
    created_at: datetime
    payees_done: int
    drafted: int = Field(description="Statements. Payees without a posting get none.")
    finished_at: datetime | None

    @classmethod
    def of(cls, found: RunFacts) -> "SettlementRunRead":
        """Make the answer."""
        return cls.model_validate(found)


class SettlementRunPage(Read):
    """A page of runs, newest first."""

    runs: list[SettlementRunRead]
    next_cursor: str | None


class ShareRead(Read):
    """Who has which part of the net amount."""

    name: str
    bps: int
    amount_vnd: int


class ChargeRead(Read):
    """What is charged on a channel."""

    channel: Channel
    bps: int
    amount_vnd: int


class CarriedRead(Read):
    """An open break of the payee's money, when the statement was drafted."""

    id: UUID
    kind: str
    amount_vnd: int | None
    opened_at: datetime


class SettlementLineRead(Read):
    """What one channel, the refunds, or what was written off moved in the period."""

    line: str = Field(description="A channel, `refund`, or `written_off`: in no amount.")
    credited_vnd: int
    debited_vnd: int
    net_vnd: int
    postings: int


class SettlementSummary(Read):
    """A settlement statement without its lines."""

    id: UUID
    run_id: UUID
    payee_id: UUID
    payee_name: str
    payee_place: str
    first_day: date
    last_day: date
    cut_off_at: datetime = Field(description="When its last day was closed: nothing came later.")
    status: SettlementStatus
    is_ready: bool = Field(description="False: it is still being written.")
    number: str | None = Field(description="From its approval on.")
    postings: int
    gross_vnd: int
    refunds_vnd: int
    charges_vnd: int
    fixed_charge_vnd: int
    commission_bps: int
    commission_vnd: int
    net_vnd: int = Field(description="gross - refunds - charges - fixed charge - commission")
    payee_vnd: int = Field(description="What of the net amount is the payee's.")
    carried_count: int = Field(description="Open breaks; not summed: some are owed to the payee.")
    drafted_by: UUID
    drafted_at: datetime | None
    reviewed_by: UUID | None
    reviewed_at: datetime | None
    approved_by: UUID | None
    approved_at: datetime | None
    is_approved_alone: bool
    sent_by: UUID | None
    sent_at: datetime | None
    discarded_by: UUID | None
    discarded_at: datetime | None
    discarded_words: str | None


class SettlementRead(SettlementSummary):
    """A settlement statement."""

    lines: list[SettlementLineRead]
    charges: list[ChargeRead]
    shares: list[ShareRead]
    carried: list[CarriedRead] = Field(description="The 50 oldest; listed and not deducted.")

    @classmethod
    def of(cls, found: SettlementFacts, lines: list[LineFacts]) -> "SettlementRead":
        """Make the answer."""
        facts = {name: getattr(found, name) for name in cls.model_fields if name != "lines"}
        for name in ("charges", "shares", "carried"):
            facts[name] = [dict(one) for one in facts[name]]
        return cls(
            **facts,
            lines=[
                SettlementLineRead(
                    line=one.line,
                    credited_vnd=one.credited_vnd,
                    debited_vnd=one.debited_vnd,
                    net_vnd=one.net_vnd,
                    postings=one.postings,
                )
                for one in lines
            ],
        )


class SettlementPage(Read):
    """A page of settlement statements, newest first."""

    settlements: list[SettlementSummary]
    next_cursor: str | None


class SettlementItemRead(Read):
    """One posting of a statement."""

    posting_id: UUID
    line: str
    amount_vnd: int = Field(description="Below zero: a refund or a correction.")
    day: date = Field(description="Of the books.")
    effective_at: datetime
    posted_at: datetime
    cause_kind: str
    cause_id: UUID

    @classmethod
    def of(cls, leg: Leg, line: str) -> "SettlementItemRead":
        """Make the answer."""
        return cls(
            posting_id=leg.id,
            line=line,
            amount_vnd=leg.amount_vnd if leg.is_credit else -leg.amount_vnd,
            day=leg.day,
            effective_at=leg.effective_at,
            posted_at=leg.posted_at,
            cause_kind=leg.cause_kind,
            cause_id=leg.cause_id,
        )


class SettlementItemPage(Read):
    """A page of postings in the order of writing."""

    items: list[SettlementItemRead]
    next_at: datetime | None = Field(description="`after_at` of the next page; null: no more.")
    next_id: UUID | None = Field(description="`after_id` of the next page.")


class SettlementApprove(Body):
    """Agreement of a second person."""

    password: SecretStr | None = Field(
        default=None,
        max_length=1_000,
        description="One's own again: only where nobody else is in the organisation.",
    )


class SettlementsApprove(Body):
    """Agreement of a second person with several statements."""

    ids: list[UUID] = Field(min_length=1, max_length=BULK_MAX)


class SettlementVerdict(Read):
    """Whether one of several was approved."""

    id: UUID
    number: str | None
    code: str | None = Field(description="Of the error, where it was not approved.")
    detail: str | None


class SettlementVerdicts(Read):
    """What became of each, in the order of the request."""

    verdicts: list[SettlementVerdict]

    @classmethod
    def of(
        cls, ids: list[UUID], approved: list[SettlementFacts], refused: Mapping[UUID, HubError]
    ) -> "SettlementVerdicts":
        """Make the answer."""
        numbers = {one.id: one.number for one in approved}
        return cls(
            verdicts=[
                SettlementVerdict(
                    id=id_,
                    number=numbers.get(id_),
                    code=refused[id_].code if id_ in refused else None,
                    detail=str(refused[id_]) if id_ in refused else None,
                )
                for id_ in dict.fromkeys(ids)
            ]
        )


class SettlementWords(Body):
    """Why."""

    reason: ReasonText


class ShareBody(Body):
    """Who has which part of what is left after charges and commission."""

    name: NameText
    bps: Annotated[int, Field(strict=True, ge=1, le=BPS)]


class SettlementTermsPut(Body):
    """What is agreed with a payee from a day on."""

    seen_version: int = Field(
        strict=True, ge=0, description="The newest that you have read; 0: none. Newer answers 409."
    )
    from_day: Day = Field(
        description="Statements whose first day with money is this one or a later one."
    )
    commission_bps: Bps = 0
    fixed_charge_vnd: Annotated[int, Field(strict=True, ge=0, le=FIXED_CHARGE_VND_MAX)] = 0
    charge_bps: dict[Channel, Bps] = Field(
        default_factory=dict, max_length=len(Channel), description="By channel."
    )
    shares: list[ShareBody] = Field(default_factory=list, max_length=SHARES_MAX)

    def terms(self) -> Terms:
        """Return what the domain knows of it."""
        return Terms(
            commission_bps=self.commission_bps,
            fixed_charge_vnd=self.fixed_charge_vnd,
            charge_bps={channel.value: bps for channel, bps in self.charge_bps.items()},
            shares=tuple(Share(name=one.name, bps=one.bps) for one in self.shares),
        )


class ShareTermsRead(Read):
    """A share as it is agreed."""

    name: str
    bps: int


class SettlementTermsRead(Read):
    """One version of what is agreed with a payee."""

    payee_id: UUID
    version: int
    from_day: date
    commission_bps: int
    fixed_charge_vnd: int
    charge_bps: dict[str, int]
    shares: list[ShareTermsRead]
    set_by: UUID
    set_at: datetime

    @classmethod
    def of(cls, found: TermsFacts) -> "SettlementTermsRead":
        """Make the answer."""
        agreed: Any = found.terms
        return cls(
            payee_id=found.payee_id,
            version=found.version,
            from_day=found.from_day,
            commission_bps=agreed.commission_bps,
            fixed_charge_vnd=agreed.fixed_charge_vnd,
            charge_bps=dict(agreed.charge_bps),
            shares=[ShareTermsRead(name=one.name, bps=one.bps) for one in agreed.shares],
            set_by=found.set_by,
            set_at=found.set_at,
        )


class SettlementTermsList(Read):
    """The versions of a payee, newest first."""

    versions: list[SettlementTermsRead]
