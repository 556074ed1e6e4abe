"""Requests and answers of a lot's gate.

Bodies are msgspec's: one definition reads them strictly, bounds them and describes them for
OpenAPI, at a tenth of the cost.
"""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from pydantic import Field

from api.http.fields import Body, Instant, Read
from parking.plates import PLATE_CHARS_MAX, format_plate
from parking.sessions.rules import (
    READ_TEXT_CHARS_MAX,
    SCORE_BPS_MAX,
    TICKET_CHARS_MAX,
    Method,
    MovementKind,
    Verdict,
)
from parking.sessions.views import FoundBy
from parking.vehicles import VehicleClass

REASON_CHARS_MAX: Final = 500

Ticket = Annotated[str, Meta(min_length=1, max_length=TICKET_CHARS_MAX)]
PhotoHash = Annotated[
    str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 of a photo that was uploaded.")
]


class EntryCreate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A vehicle at the way in. It has a plate, or a ticket, token or tag, or a plate and one."""

    id: Annotated[
        UUID,
        Meta(
            description="The session's id, of your own making: a UUIDv7 whose time is within the"
            " last 35 days and the next 2 days. Sending it again answers the same session."
        ),
    ]
    vehicle_class: VehicleClass
    plate: Annotated[str, Meta(min_length=1, max_length=4 * PLATE_CHARS_MAX)] | None = None
    ticket: Ticket | None = None
    token: Ticket | None = None
    tag: Ticket | None = None
    access_id: Annotated[UUID, Meta(description="The lane.")] | None = None
    photo: PhotoHash | None = None
    method: Method = Method.VISUAL
    read_text: (
        Annotated[
            str, Meta(max_length=READ_TEXT_CHARS_MAX, description="What a plate reader saw, raw.")
        ]
        | None
    ) = None
    read_score_bps: Annotated[int, Meta(ge=0, le=SCORE_BPS_MAX)] | None = None
    ticket_key: (
        Annotated[
            UUID,
            Meta(description="128 random bits on a ticket that was printed already."),
        ]
        | None
    ) = None
    override_reason: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=REASON_CHARS_MAX,
                description="Why it comes in although the lot is full or the vehicle is inside;"
                " needs `parking.override`.",
            ),
        ]
        | None
    ) = None


class EntryRead(Read):
    """What became of an entry: `201` opened it now, `200` says why not, or that it was before."""

    verdict: Verdict
    session_id: UUID
    ticket_key: UUID | None
    entered_at: datetime | None
    pass_id: UUID | None
    is_pass_in_use: bool
    is_watched: bool
    inside_count: int | None
    capacity: int | None
    is_photo_missing: bool = Field(description="The lot requires a photo, and none came with it.")


class MovementResult(Read):
    """What became of one movement of a batch."""

    id: UUID | None = Field(description="Null where it could not be read or verified.")
    verdict: str = Field(examples=["opened", "waiting", "bad_signature"])


class MovementsRead(Read):
    """The answers of a batch, in its order."""

    results: list[MovementResult]


class MovementRead(Read):
    """A movement as it stands now."""

    id: UUID
    device_id: UUID
    seq: int
    kind: MovementKind
    verdict: str
    handled_at: datetime | None
    received_at: datetime
    is_pin_checked: bool = Field(
        description="False: who did it was chosen on the phone without a network, by no PIN."
    )


class MovementPage(Read):
    """Movements, oldest first."""

    movements: list[MovementRead]


class InsideRead(Read):
    """A vehicle inside."""

    id: UUID
    vehicle_class: VehicleClass
    plate: str | None
    plate_written: str | None = Field(examples=["29-AA 123.45"])
    ticket: str | None
    entered_at: datetime
    photo: str | None = Field(description="SHA-256 of the photo at the way in.")
    pass_id: UUID | None
    found_by: FoundBy


class InsidePage(Read):
    """At most 50 vehicles: the likeliest first, or the newest."""

    sessions: list[InsideRead]


class PhotoAttach(Body):
    """A photo that comes after its vehicle."""

    id: UUID = Field(description="A UUIDv7 of your own making. Repeating it answers the same.")
    photo: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of a photo that was uploaded."
    )
    direction: Literal["in", "out"] = "in"
    taken_at: Instant | None = Field(default=None, description="Null: now.")


class PhotoAttached(Read):
    """A photo that belongs to a stay."""

    id: UUID
    session_id: UUID
    photo: str
    direction: Literal["in", "out"]


class PlateAdd(Body):
    """A plate that was read after its vehicle came in."""

    plate: Annotated[str, Field(min_length=1, max_length=4 * PLATE_CHARS_MAX)]
    vehicle_class: VehicleClass
    method: Method = Method.VISUAL


class PlateAdded(Read):
    """Whether the vehicle is inside by another stay."""

    is_conflict: bool


def write_plate(compact: str, vehicle_class: str) -> str:
    """Return a stored plate as the law writes it."""
    return format_plate(compact, VehicleClass(vehicle_class))


class OpeningPhoto(Body):
    """A photo of a lane that was opened by hand, taken without network."""

    photo: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="Of POST …/photos.")]
