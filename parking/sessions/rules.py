"""Rules of the way in: what a gate asks, how a vehicle is named, what is answered. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec

from core.errors import InvalidRequest, Violation
from core.ids import milliseconds_of
from core.text import TEXT_FAULTS, find_text_fault
from parking.plates import last_digits, read_plate
from parking.plates.errors import PlateError
from parking.vehicles import VehicleClass

# What most plates are once they are typed in capitals, by themselves: no letter in it can have been
# meant for a digit, and none is Đ. A test holds it equal to `read_plate`.
_IS_COMPACT: Final = re.compile(r"[1-9][0-9][ABCEFGHKLNPSTUVXYZ]{1,2}[0-9]{4,5}")
# An id's time picks the month that a row lies in, and says nothing else: a device that was offline
# for weeks is heard, and one whose clock is ahead by a day, too.
ID_AGE_MAX: Final = timedelta(days=35)
ID_AHEAD_MAX: Final = timedelta(days=2)
TICKET_CHARS_MAX: Final = 40
READ_TEXT_CHARS_MAX: Final = 40
SCORE_BPS_MAX: Final = 10_000
PHOTO_BYTES: Final = 32  # its SHA-256
TAIL_CHARS: Final = 3  # of a plate its digits: what people search by at the way out


class Verdict(StrEnum):
    """What became of an entry. Each is an answer; none is an error."""

    OPENED = "opened"
    REPEAT = "repeat"  # of the same request: it was opened before
    ALREADY_INSIDE = "already_inside"
    FULL = "full"
    TAKEN = "taken"  # the id is another entry's


class MovementVerdict(StrEnum):
    """What became of a movement that was not simply an entry."""

    WAITING = "waiting"  # stored; exits and collections are applied in the device's order
    REFUSED = "refused"  # what it says can be nothing: kept, for a person to look at
    BAD_SIGNATURE = "bad_signature"  # not kept: anybody could have made it
    UNREADABLE = "unreadable"  # not kept, either: it has no id
    AFTER_REVOCATION = "after_revocation"
    TOO_OLD = "too_old"
    AHEAD = "ahead"


class MovementKind(StrEnum):
    """What a device may report of."""

    ENTRY = "entry"
    EXIT = "exit"
    COLLECTION = "collection"
    BILL = "bill"  # a code that was drawn without network
    MANUAL_OPEN = "manual_open"


class CredentialKind(StrEnum):
    """How a vehicle proves that a stay is its own. APDS: CredentialTypeEnum."""

    PLATE = "plate"
    TICKET = "ticket"
    TOKEN = "token"  # noqa: S105 (a lot's plastic card, read like a keyboard)
    TAG = "tag"  # of the toll account


class Method(StrEnum):
    """How a vehicle was seen. APDS: ObservationElement.method."""

    VISUAL = "visual"
    ANPR = "anpr"
    SCANNER = "scanner"
    RF_TRANSPONDER = "rfTransponder"


class TimeSource(StrEnum):
    """Whose clock says when a vehicle came in."""

    HUB = "hub"
    DEVICE = "device"  # it was offline; corrected by the difference that it had found


class EntryRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One vehicle at the way in: what is asked, by whom, and when. Made by `read_entry`."""

    org_id: UUID
    lot_id: UUID
    id: UUID  # the session's, made by who asks
    vehicle_class: VehicleClass
    plate: str | None  # compact
    ticket_kind: CredentialKind | None
    ticket: str | None
    ticket_key: UUID  # 128 random bits: opens the driver's page
    access_id: UUID | None
    device_id: UUID | None
    shift_id: UUID | None
    entered_by: UUID
    photo: bytes | None
    method: Method
    read_text: str | None
    read_score_bps: int | None
    entered_at: datetime
    time_source: TimeSource
    request_hash: bytes
    may_exceed: bool = False  # it comes into a full lot: a person may, or it is in already
    left_at: datetime | None = None  # the stay is over: it began and ended offline

    @property
    def plate_credential(self) -> str | None:
        """The vehicle's key: the compact plate alone names a car and a motorbike."""
        return None if self.plate is None else name_vehicle(self.vehicle_class, self.plate)

    def list_keys(self) -> Iterator[tuple[UUID, UUID, str, str]]:
        """What no two entries that are written together may share."""
        yield self.org_id, self.id, "id", ""
        if self.left_at is not None:
            return
        if self.plate is not None:
            yield self.org_id, self.lot_id, "plate", f"{self.vehicle_class}:{self.plate}"
        if self.ticket is not None:
            yield self.org_id, self.lot_id, self.ticket_kind or "", self.ticket


class EntryAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one entry, and what its attendant must know."""

    verdict: Verdict
    session_id: UUID  # the one that is open: its own, or the one that is inside already
    ticket_key: UUID | None = None  # of an entry that is open
    entered_at: datetime | None = None  # of that session; None where it is nobody's
    pass_id: UUID | None = None  # it came in on this pass or exemption
    is_pass_in_use: bool = False  # its pass has another vehicle inside: this one pays
    is_watched: bool = False
    inside_count: int | None = None  # after it came in
    capacity: int | None = None
    is_photo_missing: bool = False  # its lot requires one, and none came with it


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """What names a stay inside a lot."""

    kind: CredentialKind
    value: str  # of a plate: class:compact

    @property
    def tail(self) -> str:
        """What people search by: a plate's last digits, a ticket's last characters."""
        if self.kind is CredentialKind.PLATE:
            return last_digits(self.value.partition(":")[2], TAIL_CHARS)
        return self.value[-TAIL_CHARS:]


def name_vehicle(vehicle_class: str, compact: str) -> str:
    """Return the credential of a plate: the compact text alone is ambiguous."""
    return f"{vehicle_class}:{compact}"


def check_entry_id(id_: UUID, *, now: datetime) -> str | None:
    """Say what is wrong with an entry's id, or None.

    It must be a UUIDv7 whose time is at most 35 days past and 2 days ahead.
    """
    if id_.version != 7:
        return "The id must be a UUIDv7 (RFC 9562)."
    made_at_s = milliseconds_of(id_) / 1_000
    if not (now - ID_AGE_MAX).timestamp() <= made_at_s <= (now + ID_AHEAD_MAX).timestamp():
        return "The id's time must be within the last 35 days and the next 2 days."
    return None


def read_vehicle_plate(text: str, vehicle_class: VehicleClass) -> str:
    """Return the compact plate of a text that a person accepted; no plate is refused for its form.

    Raises:
        InvalidRequest: it is no text, or longer than any plate.
    """
    if _IS_COMPACT.fullmatch(text):
        return text
    try:
        return read_plate(text, vehicle_class).compact
    except PlateError as error:
        raise _refuse("plate", error.code, str(error)) from None


def read_ticket(text: str, kind: CredentialKind) -> str:
    """Return a ticket's, token's or tag's number: letters count the same, small or large.

    Raises:
        InvalidRequest: it is empty, too long, or holds what cannot be printed.
    """
    number = text.strip().upper()
    if not 0 < len(number) <= TICKET_CHARS_MAX:
        detail = f"The {kind.value} has 1 to {TICKET_CHARS_MAX} characters."
        raise _refuse(kind.value, "ticket_length", detail)
    if fault := find_text_fault(number):
        raise _refuse(kind.value, fault, f"The {kind.value} {TEXT_FAULTS[fault]}.")
    return number


def check_read_text(text: str | None) -> None:
    """Check what a reader saw: it is stored as it is, so it must be text.

    Raises:
        InvalidRequest
    """
    if text is None:
        return
    if len(text) > READ_TEXT_CHARS_MAX:
        detail = f"What was read has at most {READ_TEXT_CHARS_MAX} characters."
        raise _refuse("read_text", "string_too_long", detail)
    if fault := find_text_fault(text):
        raise _refuse("read_text", fault, f"What was read {TEXT_FAULTS[fault]}.")


def hash_entry(
    *,
    lot_id: UUID,
    vehicle_class: str,
    plate: str | None,
    ticket_kind: str | None,
    ticket: str | None,
    access_id: UUID | None,
    photo: bytes | None,
) -> bytes:
    """Return the SHA-256 of what an entry says about the vehicle.

    Not of who sends it or when: a phone that got no answer sends it again as a movement, after a
    change of shift.
    """
    facts = (lot_id, vehicle_class, plate, ticket_kind, ticket, access_id, photo)
    return sha256(msgspec.json.encode(facts)).digest()


def _refuse(field: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, violations=[Violation(field=field, code=code, detail=detail)])
