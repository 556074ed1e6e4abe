"""Requests and answers about parking sessions at the way out."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.http.fields import AmountVnd, Body, Instant, Line, Read, ReasonText
from parking.exits.quoting import STAY_MINUTES_MAX, StayQuote
from parking.exits.rules import ExitReason, ReviewDecision, SessionStatus, StayFacts
from parking.plates import PLATE_CHARS_MAX
from parking.sessions.rules import (
    READ_TEXT_CHARS_MAX,
    SCORE_BPS_MAX,
    TICKET_CHARS_MAX,
    Method,
)
from parking.tariffs.pricing import PriceLine
from parking.tariffs.quotes import TOKEN_CHARS_MAX
from parking.vehicles import VehicleClass

QuoteToken = Annotated[
    str,
    Field(max_length=TOKEN_CHARS_MAX, description="`quote` of POST …/quotes; it holds 5 minutes."),
]
OwnId = Annotated[
    UUID, Field(description="A UUIDv7 of your own making. Repeating it answers the same.")
]
PlateText = Annotated[Line, Field(min_length=1, max_length=4 * PLATE_CHARS_MAX)]


class QuoteCreate(Body):
    """What is different about this stay."""

    is_ticket_lost: bool = Field(
        default=False, description="Report it first, by POST …/lost-ticket."
    )
    stay_minutes: int | None = Field(
        default=None,
        ge=1,
        le=STAY_MINUTES_MAX,
        description="Paid ahead is a stay of so many minutes after the entry, where the lot's"
        " `payment_timing` is `prepay`; longer than that costs the rest at the exit.",
    )


class BillForStay(Body):
    """A VietQR bill for what is due."""

    id: OwnId
    amount_vnd: AmountVnd = Field(description="What was quoted; another amount is refused.")
    quote: QuoteToken


class CollectionCreate(Body):
    """What was taken for a stay without a bill."""

    id: OwnId
    rail: Literal["cash", "pass", "exempt", "float"] = Field(
        description="`float`: the attendant pays on behalf of the driver, and deposits it later."
    )
    amount_vnd: AmountVnd | None = Field(
        default=None, description="What was quoted; left out for `pass` and `exempt`."
    )
    quote: QuoteToken | None = Field(default=None, description="Needed with an amount.")
    pass_id: UUID | None = Field(default=None, description="Of `pass`.")
    reason: ReasonText | None = Field(default=None, description="Of `exempt`.")


class CollectionReverse(Body):
    """Why."""

    reason: ReasonText | None = Field(
        default=None, description="Needed ten seconds after, with `parking.override`."
    )


class ExitCreate(Body):
    """A vehicle at the way out."""

    plate: PlateText | None = Field(default=None, description="As it was seen going out.")
    is_plate_confirmed: bool = Field(
        default=False, description="Somebody compared the photos: it may go though another came in."
    )
    forced: Literal["manual", "unconfirmed", "arrears"] | None = Field(
        default=None, description="Why it leaves though something is due."
    )
    reason: ReasonText | None = Field(default=None, description="Of `forced`, in words.")
    access_id: UUID | None = Field(default=None, description="The lane.")
    photo: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of a photo that was uploaded. `forced` takes one."
    )
    no_photo_reason: ReasonText | None = Field(
        default=None,
        description="Of `forced`, why there is no photo: for `arrears`, since it drove off; for the"
        " others, with `parking.override`.",
    )
    method: Method = Method.VISUAL
    read_text: Annotated[Line, Field(max_length=READ_TEXT_CHARS_MAX)] | None = None
    read_score_bps: Annotated[int, Field(strict=True, ge=0, le=SCORE_BPS_MAX)] | None = None


class VehicleCorrect(Body):
    """What the vehicle is, typed anew."""

    plate: PlateText | None = Field(description="Null: it has none that can be read.")
    vehicle_class: VehicleClass
    reason: ReasonText | None = Field(
        default=None, description="Needed where it is not your own typing, or something was paid."
    )


class ReviewDecide(Body):
    """What a person says about a stay under review."""

    decision: ReviewDecision = Field(
        description="`left`: nobody saw it leave, and it owes nothing more. `owing`: it left at"
        " `left_at`, and the price until then is arrears. `never`: it was never here; refused"
        " where something was paid. `inside`: it is there."
    )
    left_at: Instant | None = Field(default=None, description="Of `owing`.")
    reason: ReasonText


class StaysJoin(Body):
    """Another stay of the same vehicle."""

    other_id: UUID = Field(description="The one that left goes on, else the one that came first.")
    reason: ReasonText


class StayPart(Body):
    """The second vehicle of a stay: by what it is known."""

    id: OwnId
    plate: PlateText | None = Field(
        default=None, description="The stay's own, which it takes along, or a new one."
    )
    ticket: Annotated[Line, Field(min_length=1, max_length=TICKET_CHARS_MAX)] | None = Field(
        default=None, description="The stay's own, or a new one."
    )
    ticket_kind: Literal["ticket", "token", "tag"] = Field(
        default="ticket", description="What `ticket` is."
    )
    reason: ReasonText


class ParkingSessionRead(Read):
    """A parking session as it stands now."""

    id: UUID
    lot_id: UUID
    vehicle_class: str
    plate: str | None
    ticket: str | None
    status: SessionStatus
    entered_at: datetime
    left_at: datetime | None
    exit_reason: str | None
    pass_id: UUID | None
    price_vnd: int | None = Field(description="Of the whole stay, as last quoted.")
    paid_vnd: int = Field(description="By bills and collections; a pass is no money.")
    paid_until: datetime | None = Field(
        description="Grace after paying: until then, at least, it may leave without paying more."
    )
    bill_id: UUID | None = Field(description="The bill that is shown for it.")
    arrears_vnd: int = Field(description="What it left owing.")


class ReviewPage(Read):
    """A page of stays under review, oldest first."""

    parking_sessions: list[ParkingSessionRead]
    next_cursor: str | None


class LineRead(Read):
    """One line of a price: a code with facts, and an amount."""

    code: str = Field(examples=["blocks"])
    amount_vnd: int
    facts: dict[str, Any]


class ArrearsRead(Read):
    """An earlier stay of the same vehicle that was not paid."""

    session_id: UUID
    left_at: datetime | None
    arrears_vnd: int


class QuoteRead(Read):
    """What is due for a stay, and the quote that holds the hub to it."""

    session_id: UUID
    amount_vnd: int = Field(description="What is due now.")
    price_vnd: int = Field(description="Of the whole stay.")
    paid_vnd: int
    lines: list[LineRead] = Field(description="They add up to what is due.")
    tariff_version_id: UUID | None
    quoted_at: datetime
    valid_until: datetime
    quote: str | None = Field(description="The signed quote; null where nothing is due.")
    arrears: list[ArrearsRead]


class CollectionRead(Read):
    """What was taken for a stay."""

    id: UUID
    session_id: UUID | None
    shift_id: UUID | None
    rail: str
    amount_vnd: int
    receipt_number: str | None = Field(examples=["PT26-03-000017"])
    reason: str | None
    pass_id: UUID | None
    collected_at: datetime
    reversed_at: datetime | None


class ExitRead(Read):
    """A vehicle that left."""

    session_id: UUID
    lot_id: UUID
    left_at: datetime
    reason: ExitReason
    price_vnd: int | None = Field(description="Null where no tariff priced the stay.")
    paid_vnd: int
    arrears_vnd: int
    is_repeat: bool = Field(description="It had left before.")


def write_stay(stay: StayFacts) -> ParkingSessionRead:
    """Return a stay as the API shows it."""
    return ParkingSessionRead.model_validate(stay)


def write_quote(quote: StayQuote) -> QuoteRead:
    """Return a quote as the API shows it."""
    standing = quote.standing
    return QuoteRead(
        session_id=standing.stay.id,
        amount_vnd=standing.due_vnd,
        price_vnd=standing.price.amount_vnd,
        paid_vnd=standing.stay.paid_vnd,
        lines=[_write_line(line) for line in quote.lines],
        tariff_version_id=standing.price.version_id,
        quoted_at=quote.quoted_at,
        valid_until=quote.valid_until,
        quote=quote.token,
        arrears=[
            ArrearsRead(session_id=one.id, left_at=one.left_at, arrears_vnd=one.arrears_vnd)
            for one in quote.arrears
        ],
    )


def _write_line(line: PriceLine) -> LineRead:
    return LineRead(code=line.code.value, amount_vnd=line.amount_vnd, facts=dict(line.facts))
