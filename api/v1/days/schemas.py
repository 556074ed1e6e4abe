"""Requests and answers about days of the books."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.http.fields import REASON_FACTS, Body, Day, Read, ReasonText
from core.masking import mask_tail
from core.money import VND_MAX
from core.reasons import Reason
from payments.closing.models import ClosedOverDay, OpeningBalance
from payments.closing.rules import UNDER_WAY_MAX, ClosedBy, DayStatus, NotReady, Proof, Told
from payments.closing.views import AccountDay, DayBoard, DayLine
from payments.ledger.types import ClosedDay


class DayReason(Read):
    """One thing that keeps a day open."""

    code: NotReady
    facts: dict[str, Any] = Field(description=REASON_FACTS)


class DayNote(Read):
    """One thing that is said before a close, and keeps nothing open."""

    code: Told
    facts: dict[str, Any] = Field(description=REASON_FACTS)


class DayRead(Read):
    """A day of the books."""

    day: date
    status: DayStatus
    closed_at: datetime | None
    closed_by: UUID | None
    postings: int | None = Field(description="How many it holds; null while it is open.")
    hash: str | None = Field(description="SHA-256 of all that stands in it, chained to the day"
                                         " before. Null while it is open.")  # fmt: skip
    is_two_way: bool | None = Field(
        description="Closed without a statement for one account or more (“hai chiều”)."
    )


class DayPage(Read):
    """A page of days, the last one first."""

    days: list[DayRead]
    next_before: date | None = Field(description="Give it as `before` for the next page.")


class AccountDayRead(Read):
    """A receiving account on one day. Balances are what is there: debits minus credits."""

    receiving_account_id: UUID
    bin: str
    account_number: str = Field(description="Its last characters.")
    holder_name: str
    proof: ClosedBy = Field(
        description="What proves it: `statement`; `callbacks_only` (“hai chiều”); of a closed day"
        " also `closed_over`, by two people."
    )
    is_ready: bool
    is_two_way: bool
    reasons: list[DayReason]
    bills: int
    billed_vnd: int
    credits: int
    called_back_vnd: int
    lines: int
    lines_in_vnd: int
    lines_out_vnd: int
    matched_vnd: int
    to_match_vnd: int
    progress_bp: int = Field(description="10000 is all of it.")
    opening_vnd: int | None
    in_vnd: int | None
    out_vnd: int | None
    closing_vnd: int | None
    bank_vnd: int | None = Field(description="In the books; null until the day before is closed.")
    late_lines_vnd: int
    carried_count: int | None = Field(description="null: carried as one sum, or not closed yet.")
    carried_vnd: int | None = Field(description="“Tiền đang về”; null: not known yet.")
    breaks: int = Field(description="Open now, about its credits of whatever day.")
    over_by_1: UUID | None
    over_by_2: UUID | None


class DayBoardRead(DayRead):
    """A day with a page of its accounts."""

    reasons: list[DayReason] = Field(description="Of the organisation as a whole.")
    told: list[DayNote]
    account_count: int
    ready_count: int
    two_way_count: int
    carried_vnd: int | None
    accounts: list[AccountDayRead]
    next_cursor: str | None


class CloseOver(Body):
    """Why a day of an account is closed though it is not proved."""

    reason: ReasonText


class CloseOverRead(Read):
    """Who said so; with the second name the day can be closed over."""

    day: date
    receiving_account_id: UUID
    reason: str
    by_1: UUID
    at_1: datetime
    by_2: UUID | None
    at_2: datetime | None


class OpeningPropose(Body):
    """What a statement opens an account's first day with."""

    day: Day = Field(description="The first day that the statement proves.")
    amount_vnd: int = Field(
        strict=True,
        ge=-VND_MAX,
        le=VND_MAX,
        examples=[12_500_000],
        description="Whole đồng, as the statement opens that day; overdrawn, below zero.",
    )
    under_way: list[UUID] = Field(
        default_factory=list,
        max_length=UNDER_WAY_MAX,
        description="Credits that were reported before the day, and that the bank books later.",
    )


class OpeningEnd(Body):
    """Why an opening balance is withdrawn or reversed."""

    reason: ReasonText


class OpeningRead(Read):
    """An opening balance: proposed by one person, confirmed by another."""

    id: UUID
    receiving_account_id: UUID
    day: date
    amount_vnd: int
    under_way: list[UUID]
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    bank_vnd: int | None = Field(description="What it added to the books' bank balance.")
    clearing_vnd: int | None = Field(description="All clearing until then, which it took away.")
    under_way_vnd: int | None = Field(description="What of that was put back, credit by credit.")
    ended_by: UUID | None
    ended_at: datetime | None = Field(description="When it was withdrawn or reversed.")


class ProofSet(Body):
    """What proves an account, from an open day on."""

    proof: Proof
    from_day: Day


class ProofRead(Read):
    """What proves an account on a day, and its newest opening balance."""

    receiving_account_id: UUID
    proof: Proof
    from_day: date | None = Field(description="null: since ever.")
    opening_balance: OpeningRead | None


class CarriedRead(Read):
    """A credit that is reported and not on a statement; below zero, the other way round."""

    credit_id: UUID
    since_day: date
    amount_vnd: int


class CarriedPage(Read):
    """A page of what an account carries at the end of the last closed day."""

    items: list[CarriedRead]
    next_cursor: str | None


def present_day(
    day: date, status: DayStatus, closed: ClosedDay | None, *, is_two_way: bool | None
) -> DayRead:
    """Make the answer about a day."""
    return DayRead(
        day=day,
        status=status,
        closed_at=None if closed is None else closed.closed_at,
        closed_by=None if closed is None else closed.closed_by,
        postings=None if closed is None else closed.postings,
        hash=None if closed is None else closed.hash.hex(),
        is_two_way=is_two_way,
    )


def present_days(found: list[DayLine], limit: int) -> DayPage:
    """Make a page of at most `limit` days."""
    shown = found[:limit]
    return DayPage(
        days=[
            present_day(one.day, one.status, one.closed, is_two_way=one.is_two_way) for one in shown
        ],
        next_before=shown[-1].day if len(found) > limit else None,
    )


def present_board(board: DayBoard, *, limit: int, cursor: str | None) -> DayBoardRead:
    """Make the answer about a day with its accounts."""
    day = present_day(
        board.day,
        board.status,
        board.closed,
        is_two_way=None if board.closed is None else board.two_way_count > 0,
    )
    return DayBoardRead(
        **day.model_dump(),
        reasons=[_present_reason(one) for one in board.reasons],
        told=[DayNote(code=Told(one.code), facts=dict(one.facts)) for one in board.told],
        account_count=board.account_count,
        ready_count=board.ready_count,
        two_way_count=board.two_way_count,
        carried_vnd=board.carried_vnd,
        accounts=[_present_account(one) for one in board.accounts[:limit]],
        next_cursor=cursor,
    )


def present_over(found: ClosedOverDay) -> CloseOverRead:
    """Make the answer about who closes a day over."""
    return CloseOverRead.model_validate(found)


def present_opening(found: OpeningBalance) -> OpeningRead:
    """Make the answer about an opening balance."""
    return OpeningRead.model_validate(found)


def _present_reason(reason: Reason) -> DayReason:
    return DayReason(code=NotReady(reason.code), facts=dict(reason.facts))


def _present_account(one: AccountDay) -> AccountDayRead:
    figures, over = one.figures, one.over
    return AccountDayRead(
        receiving_account_id=one.receiving_account_id,
        bin=one.bin,
        account_number=mask_tail(one.account_number),
        holder_name=one.holder_name,
        proof=ClosedBy(one.proof.value),
        is_ready=not one.reasons,
        is_two_way=one.is_two_way,
        reasons=[_present_reason(reason) for reason in one.reasons],
        bills=figures.bills,
        billed_vnd=figures.billed_vnd,
        credits=figures.credits,
        called_back_vnd=figures.called_back_vnd,
        lines=figures.lines,
        lines_in_vnd=figures.lines_in_vnd,
        lines_out_vnd=figures.lines_out_vnd,
        matched_vnd=one.matched_vnd,
        to_match_vnd=one.to_match_vnd,
        progress_bp=one.progress_bp,
        opening_vnd=one.opening_vnd,
        in_vnd=one.in_vnd,
        out_vnd=one.out_vnd,
        closing_vnd=one.closing_vnd,
        bank_vnd=one.bank_vnd,
        late_lines_vnd=one.late_lines_vnd,
        carried_count=one.carried_count,
        carried_vnd=one.carried_vnd,
        breaks=one.breaks,
        over_by_1=None if over is None else over.by_1,
        over_by_2=None if over is None else over.by_2,
    )
