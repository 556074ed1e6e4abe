"""Requests and answers about passes."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.fields import AmountVnd, Body, Day, Line, NameText, Read, ReasonText
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.passes.importing import CSV_CHARS_MAX
from parking.passes.rules import MONTHS_MAX, PLATES_MAX, ExemptAs, PassKind, PassState
from parking.passes.types import PassView, PassWanted
from parking.plates import PLATE_CHARS_MAX, mask_plate
from parking.vehicles import VehicleClass

PlateText = Annotated[str, Field(min_length=1, max_length=4 * PLATE_CHARS_MAX)]
Plates = Annotated[
    list[PlateText],
    Field(min_length=1, max_length=PLATES_MAX, examples=[["29-B1 123.45", "29AA 000.01"]]),
]
Months = Annotated[int, Field(strict=True, ge=1, le=MONTHS_MAX)]


class PassCreate(Body):
    """A monthly pass that is sold, or an exemption that is given."""

    kind: PassKind
    vehicle_class: VehicleClass
    plates: Plates
    holder_name: Annotated[NameText, Field(examples=["Nguyễn Thị Hoa"])]
    holder_contact: Annotated[Line, Field(max_length=120)] | None = None
    lot_id: UUID | None = Field(default=None, description="Null: at all lots.")
    valid_from: Day
    months: Months | None = Field(default=None, description="Of a monthly pass.")
    seller_lot_id: UUID | None = Field(
        default=None, description="Of a monthly pass for all lots: the lot whose payee is paid."
    )
    valid_until: Day | None = Field(default=None, description="Of an exemption: its last day.")
    exempt_as: ExemptAs | None = None
    reason: ReasonText | None = Field(
        default=None, description="Of an exemption: why, and by which document."
    )

    def wanted(self) -> PassWanted:
        """Return the facts."""
        return PassWanted(
            kind=self.kind,
            vehicle_class=self.vehicle_class,
            plates=tuple(self.plates),
            holder_name=self.holder_name,
            holder_contact=self.holder_contact or None,
            lot_id=self.lot_id,
            valid_from=self.valid_from,
            months=self.months,
            seller_lot_id=self.seller_lot_id,
            valid_until=self.valid_until,
            exempt_as=self.exempt_as,
            reason=self.reason,
        )


class PassImport(Body):
    """Passes as a table: its first row names the columns (docs/passes.md)."""

    csv: Annotated[str, Field(min_length=1, max_length=CSV_CHARS_MAX)]


class PassImported(Read):
    """The passes that a table made, in the order of its rows."""

    pass_ids: list[UUID]


class PassCash(Body):
    """Cash for the months of a pass that wait to be paid."""

    id: UUID = Field(description="A UUIDv7 of your own making. Repeating it answers the same.")
    amount_vnd: AmountVnd = Field(description="What the months cost; another amount is refused.")


class PassRenew(Body):
    """More months of a pass, from the day after its last."""

    months: Months


class PassRevoke(Body):
    """Why a pass is revoked."""

    reason: ReasonText


class PlatesPut(Body):
    """The vehicles that a pass is for from now on."""

    plates: Plates
    reason: ReasonText


class TermRead(Read):
    """Months that were sold together."""

    id: UUID
    first_on: Day
    last_on: Day
    months: int
    price_vnd: int
    bill_id: UUID | None = Field(description="The bill that was shown last.")
    in_force_at: datetime | None = Field(description="When they were paid.")
    cancelled_at: datetime | None


class PassRead(Read):
    """A pass. Plates are masked, and the contact is left out, for who does not manage passes."""

    id: UUID
    kind: PassKind
    state: PassState
    lot_id: UUID | None
    seller_lot_id: UUID | None
    vehicle_class: VehicleClass
    plates: list[str]
    holder_name: str
    holder_contact: str | None
    valid_from: Day
    valid_until: Day = Field(description="Its last day; renewals count once they are paid.")
    price_vnd: int = Field(description="Of a month, when it was sold.")
    exempt_as: ExemptAs | None
    reason: str | None
    terms: list[TermRead]
    created_at: datetime
    revoked_at: datetime | None


class PassPage(Read):
    """A page of passes, newest first."""

    passes: list[PassRead]
    next_cursor: str | None


class PhonePlateRead(Read):
    """A vehicle that has a pass here, by its hash."""

    plate_hash: str = Field(description="docs/passes.md says how a phone makes it.")
    pass_id: UUID
    kind: PassKind
    valid_from: Day
    valid_until: Day


class PhoneList(Read):
    """What a lot's phones know of passes while they are offline."""

    key: str = Field(description="Of the hashes, hexadecimal; this lot's alone.")
    is_complete: bool = Field(description="False: there are more vehicles than fit.")
    plates: list[PhonePlateRead]


def write_pass(found: PassView, caller: Caller, today: date) -> PassRead:
    """Write a pass for its reader."""
    manages = caller.may(Permission.PARKING_MANAGE)
    return PassRead(
        id=found.id,
        kind=PassKind(found.kind),
        state=found.state(today),
        lot_id=found.lot_id,
        seller_lot_id=found.seller_lot_id,
        vehicle_class=VehicleClass(found.vehicle_class),
        plates=[plate if manages else mask_plate(plate) for plate in found.plates],
        holder_name=found.holder_name,
        holder_contact=found.holder_contact if manages else None,
        valid_from=found.valid_from,
        valid_until=found.valid_until,
        price_vnd=found.price_vnd,
        exempt_as=None if found.exempt_as is None else ExemptAs(found.exempt_as),
        reason=found.reason,
        terms=[TermRead.model_validate(term) for term in found.terms],
        created_at=found.created_at,
        revoked_at=found.revoked_at,
    )
