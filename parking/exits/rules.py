"""Rules of the way out: what is due for a stay, and what lets a vehicle leave. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from parking.places.rules import PaymentTiming

OWNER_KIND: Final = "parking_session"  # of a stay's bills
UNDO_EXIT_FOR: Final = timedelta(seconds=10)
UNDO_ENTRY_FOR: Final = timedelta(seconds=10)
PURPOSE: Final = "Gửi xe"


class SessionStatus(StrEnum):
    """Where a stay is in its life."""

    INSIDE = "inside"
    LEFT = "left"
    REVIEW = "review"  # nobody saw it leave; a person decides
    VOIDED = "voided"


class ExitReason(StrEnum):
    """Why a vehicle could leave."""

    PAID = "paid"
    FREE = "free"  # within its free minutes, or at a time that costs nothing
    PASS = "pass"  # noqa: S105 (no password)
    EXEMPT = "exempt"
    MANUAL = "manual"  # opened by hand; a reason is given
    UNCONFIRMED = "unconfirmed"  # shown a transfer that no bank has confirmed yet
    ARREARS = "arrears"  # left without paying: collected at the next visit
    UNSEEN = "unseen"  # nobody saw it leave: a person said so later; nothing is asked for


class ReviewDecision(StrEnum):
    """What a person says about a stay under review."""

    LEFT = "left"  # nobody saw it leave; it owes nothing more
    OWING = "owing"  # it left at a time that somebody can name, unpaid: arrears
    NEVER = "never"  # it was never here: the entry was a mistake
    INSIDE = "inside"  # it is there


# What lets a vehicle leave though something is due; each takes a reason in words.
FORCED: Final = frozenset({ExitReason.MANUAL, ExitReason.UNCONFIRMED, ExitReason.ARREARS})
IS_IN_ARREARS: Final = frozenset({ExitReason.MANUAL, ExitReason.ARREARS})


@dataclass(frozen=True, kw_only=True, slots=True)
class StayFacts:
    """A parking session, its lot and its pass, as the way out needs them."""

    id: UUID
    lot_id: UUID
    payee_id: UUID
    zone: str | None
    payment_timing: str
    vehicle_class: str
    plate: str | None
    ticket: str | None
    ticket_kind: str | None
    status: str
    entered_at: datetime
    entry_by: UUID
    entry_shift_id: UUID | None
    entry_photo: bytes | None
    pass_id: UUID | None
    pass_kind: str | None
    pass_until: date | None  # its last day
    left_at: datetime | None
    exit_by: UUID | None
    exit_shift_id: UUID | None
    exit_reason: str | None
    price_vnd: int | None
    paid_vnd: int  # in money
    waived_vnd: int  # by exemptions at the gate
    paid_until: datetime | None
    bill_id: UUID | None
    bill_paid_vnd: int
    arrears_vnd: int
    is_ticket_lost: bool  # as a person reported: its price is part of the stay's

    @property
    def is_inside(self) -> bool:
        """Whether it is inside still, or nobody saw it leave: it is priced to this moment."""
        return self.status in (SessionStatus.INSIDE, SessionStatus.REVIEW)

    @property
    def is_exempt(self) -> bool:
        """Whether the pass that it is on is an exemption."""
        return self.pass_kind == "exempt"  # noqa: S105 (no password)

    @property
    def settled_vnd(self) -> int:
        """The part of its price that is no longer due: paid, or waived."""
        return self.paid_vnd + self.waived_vnd

    @property
    def collected_vnd(self) -> int:
        """What was collected for it without a bill."""
        return self.paid_vnd - self.bill_paid_vnd


def due_vnd(stay: StayFacts, price_vnd: int, *, at: datetime) -> int:
    """Return what is due: the price of the whole stay less what was paid or waived.

    During grace it is nothing. Of a stay that is over it is what it left owing.
    """
    if not stay.is_inside:
        return stay.arrears_vnd
    if stay.paid_until is not None and at <= stay.paid_until:
        return 0
    return max(0, price_vnd - stay.settled_vnd)


def price_to_keep(stay: StayFacts, price_vnd: int, *, is_said_paid: bool = False) -> int:
    """Return the price of a stay that leaves: nothing that was paid ahead is given back.

    Args:
        is_said_paid: its driver says that the code that was quoted last is paid.
    """
    if stay.payment_timing != PaymentTiming.PREPAY:
        return price_vnd
    quoted_vnd = stay.price_vnd or 0
    return max(price_vnd, quoted_vnd if is_said_paid else min(quoted_vnd, stay.settled_vnd))


def reason_to_leave(stay: StayFacts, price_vnd: int, *, rails: frozenset[str]) -> ExitReason:
    """Say why a vehicle that owes nothing may leave.

    Args:
        rails: of what was collected for it.
    """
    if "exempt" in rails:
        return ExitReason.EXEMPT
    if "pass" in rails or (stay.pass_id is not None and price_vnd == 0):
        return ExitReason.EXEMPT if stay.is_exempt else ExitReason.PASS
    return ExitReason.FREE if price_vnd == 0 else ExitReason.PAID


def arrears_at_exit(reason: ExitReason, owed_vnd: int) -> int:
    """Return what is to be collected at the next visit."""
    return owed_vnd if reason in IS_IN_ARREARS else 0


def may_leave_unseen(reason: ExitReason, *, may_override: bool) -> bool:
    """Tell whether a vehicle may leave for a reason in writing without a photo, if somebody says
    why there is none: one that drove off is no longer there to be photographed, another one is."""
    return reason is ExitReason.ARREARS or may_override


def is_own_typing(stay: StayFacts, by: UUID) -> bool:
    """Tell whether somebody may correct a vehicle by themselves: they typed it, and nothing came
    in for it yet, nor was a pass shown."""
    is_unpaid = not stay.settled_vnd and stay.paid_until is None
    return stay.entry_by == by and is_unpaid and stay.is_inside


def list_credentials(stay: StayFacts) -> list[tuple[str, str, UUID | None]]:
    """Return (kind, credential, pass) of what a stay is known by inside.

    Of a monthly pass's vehicles one at a time is inside on it: its plate carries the pass.
    """
    found: list[tuple[str, str, UUID | None]] = []
    if stay.plate is not None:
        pass_id = None if stay.is_exempt else stay.pass_id
        found.append(("plate", f"{stay.vehicle_class}:{stay.plate}", pass_id))
    if stay.ticket is not None and stay.ticket_kind is not None:
        found.append((stay.ticket_kind, stay.ticket, None))
    return found
