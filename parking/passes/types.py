"""Requests for passes and watched plates, and both as screens and the API see them."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from parking.passes.rules import ExemptAs, PassKind, PassState, WatchState, pass_state, watch_state
from parking.vehicles import VehicleClass


@dataclass(frozen=True, kw_only=True, slots=True)
class PassWanted:
    """A pass that is to be sold or given."""

    kind: PassKind
    vehicle_class: VehicleClass
    plates: tuple[str, ...]  # as a person typed them
    holder_name: str
    holder_contact: str | None = None
    lot_id: UUID | None = None  # None: all lots
    valid_from: date
    months: int | None = None  # of a monthly pass
    seller_lot_id: UUID | None = None  # whose payee is paid; its own lot's, if it has one
    valid_until: date | None = None  # of an exemption
    exempt_as: ExemptAs | None = None
    reason: str | None = None  # of an exemption


@dataclass(frozen=True, kw_only=True, slots=True)
class BillWanted:
    """A bill that is to be shown for a pass."""

    id: UUID
    reference: str  # a fresh one
    monitored_for_s: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TermView:
    """Months that were sold together."""

    id: UUID
    first_on: date
    last_on: date
    months: int
    price_vnd: int
    bill_id: UUID | None
    collection_id: UUID | None  # of the cash that paid it
    in_force_at: datetime | None
    cancelled_at: datetime | None

    @property
    def is_waiting(self) -> bool:
        """Whether it waits to be paid."""
        return self.in_force_at is None and self.cancelled_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class PassView:
    """A pass with its plates and terms."""

    id: UUID
    lot_id: UUID | None
    lot_name: str | None
    seller_lot_id: UUID | None
    vehicle_class: str
    kind: str
    holder_name: str
    holder_contact: str | None
    valid_from: date
    valid_until: date
    price_vnd: int
    exempt_as: str | None
    reason: str | None
    in_force_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    plates: tuple[str, ...]  # compact
    terms: tuple[TermView, ...]  # the oldest first

    def state(self, today: date) -> PassState:
        """Say where it is in its life."""
        return pass_state(
            in_force_at=self.in_force_at,
            revoked_at=self.revoked_at,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            today=today,
        )

    @property
    def waiting(self) -> TermView | None:
        """The term that waits to be paid."""
        return next((term for term in self.terms if term.is_waiting), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchWanted:
    """A plate that is to be watched."""

    vehicle_class: VehicleClass
    plate: str  # as a person typed it
    reason: str
    source: str  # who asked for it, by which document
    from_on: date
    expires_on: date


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchView:
    """An entry of the watch list."""

    id: UUID
    vehicle_class: str
    plate: str
    reason: str
    source: str
    from_on: date
    expires_on: date
    proposed_by: UUID
    proposed_by_name: str | None
    proposed_at: datetime
    approved_by: UUID | None
    approved_by_name: str | None
    approved_at: datetime | None
    removed_at: datetime | None

    def state(self, today: date) -> WatchState:
        """Say where it is in its life."""
        return watch_state(
            approved_at=self.approved_at,
            removed_at=self.removed_at,
            from_on=self.from_on,
            expires_on=self.expires_on,
            today=today,
        )
