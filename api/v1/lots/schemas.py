"""Requests and answers about lots, their parts and their operators."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, Day, Line, NameText, Read, ReasonText
from core.errors import InvalidRequest, Violation
from parking.places.rules import CAPACITY_MAX, Direction, LotKind, PaymentTiming
from parking.vehicles import VehicleClass

CASH_MAX_VND: Final = 100_000_000
STALE_AFTER_H_MAX: Final = 8_760  # a year
AddressText = Annotated[Line, Field(min_length=1, max_length=300)]
LicenceText = Annotated[Line, Field(min_length=1, max_length=120)]
Capacity = Annotated[int, Field(strict=True, ge=0, le=CAPACITY_MAX)]


class OperatorCreate(Body):
    """Who runs lots: the seller that tickets and receipts name."""

    name: Annotated[NameText, Field(examples=["Công ty Khai thác điểm đỗ xe"])]
    address: Annotated[AddressText, Field(examples=["1 Trần Quang Khải, Hà Nội"])]
    tax_code: Annotated[str, Field(max_length=14, examples=["0100109106"])]


class OperatorRead(Read):
    """A parking operator."""

    id: UUID
    name: str
    address: str
    tax_code: str
    created_at: datetime


class OperatorList(Read):
    """All operators of the organisation."""

    operators: list[OperatorRead]


class _Facts(Body):
    zone: NameText | None = Field(default=None, description="What tariffs call this part of town.")
    latitude_e6: int | None = Field(default=None, description="Millionths of a degree, WGS 84.")
    longitude_e6: int | None = None
    licence_number: LicenceText | None = None
    licence_issuer: LicenceText | None = None
    licence_from: Day | None = None
    licence_until: Day | None = Field(default=None, description="Its last day, in Hà Nội.")


class LotCreate(_Facts):
    """A place where vehicles are parked for money."""

    operator_id: UUID
    payee_id: UUID = Field(description="Whose receiving account its codes name.")
    name: Annotated[NameText, Field(examples=["Bãi xe Trần Quang Khải"])]
    address: AddressText
    kind: LotKind
    payment_timing: PaymentTiming = PaymentTiming.PAY_AND_EXIT
    is_crowd_mode: bool = False
    photo_required: bool = Field(
        default=False,
        description="Of each vehicle that comes in; one without is let in and counted.",
    )
    offline_cash_max_vnd: int = Field(default=2_000_000, ge=0, le=CASH_MAX_VND)
    unconfirmed_exits_max: int = Field(default=20, ge=0, le=1_000)
    stale_after_h: int = Field(
        default=72,
        ge=1,
        le=STALE_AFTER_H_MAX,
        description="After so many hours inside, a person must say whether a vehicle is there.",
    )


class LotPatch(_Facts):
    """What to change; what is left out stays. Null empties what may be empty."""

    operator_id: UUID | None = None
    payee_id: UUID | None = None
    name: NameText | None = None
    address: AddressText | None = None
    kind: LotKind | None = None
    payment_timing: PaymentTiming | None = None
    is_crowd_mode: bool | None = None
    photo_required: bool | None = None
    offline_cash_max_vnd: int | None = Field(default=None, ge=0, le=CASH_MAX_VND)
    unconfirmed_exits_max: int | None = Field(default=None, ge=0, le=1_000)
    stale_after_h: int | None = Field(default=None, ge=1, le=STALE_AFTER_H_MAX)
    is_closed: bool | None = Field(default=None, description="True closes the lot for good.")
    reason: ReasonText | None = None

    def changes(self) -> dict[str, object]:
        """Return the facts that are to be changed.

        Raises:
            InvalidRequest: something that every lot has is to be emptied.
        """
        named = self.model_dump(exclude_unset=True, exclude={"is_closed", "reason"})
        may_be_empty = set(_Facts.model_fields)
        emptied = [name for name, value in named.items() if value is None]
        if wrong := [name for name in emptied if name not in may_be_empty]:
            detail = "Every lot has one: leave it out, or name another."
            raise InvalidRequest(
                detail,
                violations=[
                    Violation(field=f"body.{name}", code="not_empty", detail=detail)
                    for name in wrong
                ],
            )
        return named


class CapacityPut(Body):
    """How many vehicles of a class a lot takes."""

    capacity: Capacity = Field(description="Over it the lot is full.")
    licensed_capacity: Capacity = Field(description="Over it there is an alarm.")
    reason: ReasonText | None = None


class OccupancyRead(Read):
    """How full a lot is with vehicles of one class."""

    vehicle_class: VehicleClass
    capacity: int
    licensed_capacity: int
    inside_count: int
    free: int
    is_over_licence: bool


class OccupancyList(Read):
    """How full a lot is, class by class."""

    classes: list[OccupancyRead]


class LotRead(Read):
    """A lot."""

    id: UUID
    operator_id: UUID
    payee_id: UUID
    name: str
    address: str
    kind: LotKind
    zone: str | None
    latitude_e6: int | None
    longitude_e6: int | None
    licence_number: str | None
    licence_issuer: str | None
    licence_from: Day | None
    licence_until: Day | None
    payment_timing: PaymentTiming
    is_crowd_mode: bool
    photo_required: bool
    offline_cash_max_vnd: int
    unconfirmed_exits_max: int
    stale_after_h: int
    created_at: datetime
    closed_at: datetime | None


class LotPage(Read):
    """A page of lots, newest first."""

    lots: list[LotRead]
    next_cursor: str | None


class AccessCreate(Body):
    """A lane into a lot, out of it, or both."""

    name: Annotated[NameText, Field(examples=["Cổng 1"])]
    direction: Direction
    has_controller: bool = Field(default=False, description="A barrier that opens on command.")


class AccessRead(Read):
    """A lane."""

    id: UUID
    name: str
    direction: Direction
    has_controller: bool
    created_at: datetime
    closed_at: datetime | None


class AccessList(Read):
    """The lanes of a lot that are in use."""

    accesses: list[AccessRead]


class AreaCreate(Body):
    """A part of a lot, such as a floor."""

    name: Annotated[NameText, Field(examples=["Tầng B1"])]


class AreaRead(Read):
    """An area."""

    id: UUID
    name: str
    created_at: datetime


class AreaList(Read):
    """The areas of a lot."""

    areas: list[AreaRead]


class PosterRead(Read):
    """A lot's poster: the static code of its payee, by which drivers pay without a session."""

    lot_id: UUID
    payee_id: UUID
    is_made: bool = Field(description="What is paid by the code is a collection of the lot.")
    qr_svg: str | None = Field(description="Where the code is drawn.")
    card_png: str | None = Field(description="The same in a frame, to be printed.")
