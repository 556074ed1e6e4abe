"""Movements of devices that were offline, as they are stored, and what became of each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from core.money import TRANSFER_VND_MAX
from core.text import find_text_fault
from parking.sessions.rules import EntryRequest
from payments.bills.references import REFERENCE_CHARS

REASON_CHARS_MAX: Final = 500

Data = TypeVar("Data", "ExitData", "CollectionData", "BillData", "ManualOpenData")
Words = Annotated[str, Meta(min_length=1, max_length=REASON_CHARS_MAX)]
PhotoHash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]  # of one that was uploaded before


class Applied(StrEnum):
    """What became of an exit or a collection of a device that was offline (`movements.verdict`)."""

    APPLIED = "applied"
    REPEAT = "repeat"  # it was known: by another phone, or by this one online
    REFUSED = "refused"  # it says nothing that can be applied; a break
    UNKNOWN_SESSION = "unknown_session"  # a break
    PAID_TWICE = "paid_twice"  # recorded, and something is to be given back; a break
    AFTER_CLOSE = "after_close"  # recorded, its shift was counted before; a break
    REFERENCE_REFUSED = "reference_refused"  # it is not this device's, or another bill's; a break
    AMOUNT_DIFFERS = "amount_differs"  # recorded, its code asks for more than the price; a break
    UNKNOWN_PERSON = "unknown_person"  # recorded as the device's: who it names is not of this gate
    OTHER_SHIFT = "other_shift"  # recorded: the shift it names is not this person's
    OVER_LIMIT = "over_limit"  # recorded, more than a shift may do offline; a break


NOT_COUNTED: Final = frozenset(
    {Applied.REFUSED, Applied.UNKNOWN_SESSION, Applied.REFERENCE_REFUSED}
)
TO_CHECK: Final = frozenset(
    {Applied.PAID_TWICE, Applied.AFTER_CLOSE, Applied.OVER_LIMIT, Applied.UNKNOWN_PERSON}
    | {Applied.OTHER_SHIFT, Applied.AMOUNT_DIFFERS}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MovementFacts:
    """A stored movement, verified and waiting."""

    id: UUID
    device_id: UUID
    lot_id: UUID
    kind: str
    data: Mapping[str, Any]  # as it was signed
    happened_at: datetime  # the device's time, corrected
    received_from: UUID  # who was signed in when it came
    entry: EntryRequest | None = None  # that waited for an exit before it


class ExitData(msgspec.Struct, kw_only=True):
    """`data` of an exit."""

    session_id: UUID
    staff_id: UUID
    shift_id: UUID | None = None
    forced: Literal["manual", "unconfirmed", "arrears"] | None = None
    reason: Words | None = None
    photo: PhotoHash | None = None  # else one may follow
    no_photo_reason: Words | None = None  # why none does
    plate: Annotated[str, Meta(max_length=20)] | None = None  # compact
    access_id: UUID | None = None
    is_ticket_lost: bool = False  # as of a collection


class CollectionData(msgspec.Struct, kw_only=True):
    """`data` of a collection."""

    id: UUID
    session_id: UUID
    staff_id: UUID
    shift_id: UUID
    rail: Literal["cash", "float", "exempt"]
    amount_vnd: Annotated[int, Meta(ge=0, le=TRANSFER_VND_MAX)]
    reason: Words | None = None
    is_ticket_lost: bool = False  # the photo follows


class BillData(msgspec.Struct, kw_only=True):
    """`data` of a bill whose code was drawn without network."""

    id: UUID
    session_id: UUID
    staff_id: UUID
    shift_id: UUID | None = None
    reference: Annotated[str, Meta(min_length=REFERENCE_CHARS, max_length=REFERENCE_CHARS)]
    amount_vnd: Annotated[int, Meta(ge=1, le=TRANSFER_VND_MAX)]
    reason: None = None
    is_ticket_lost: bool = False  # as of a collection


class ManualOpenData(msgspec.Struct, kw_only=True):
    """`data` of a lane that was opened by hand."""

    staff_id: UUID
    shift_id: UUID | None = None
    reason: Words
    photo: PhotoHash | None = None  # else one may follow
    no_photo_reason: Words | None = None  # why none does
    access_id: UUID | None = None


def read_data(data: Mapping[str, Any], kind: type[Data]) -> Data:
    """Return a movement's data as its kind says.

    Raises:
        msgspec.ValidationError
    """
    read = msgspec.convert(dict(data), kind)
    for words in (read.reason, getattr(read, "no_photo_reason", None)):
        if words is not None and find_text_fault(words):
            raise msgspec.ValidationError("reason")
    return read
