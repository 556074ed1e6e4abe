"""Schemas of devices, their enrolment and their tokens."""

import binascii
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, SecretStr
from pydantic_core import PydanticCustomError

from api.http.fields import Body, NameText, OrgCode, Password, Read, ReasonText
from identity.devices.signatures import PUBLIC_KEY_BYTES_MAX, SIGNATURE_BYTES

BASE64_CHARS_MAX: Final = (PUBLIC_KEY_BYTES_MAX + 2) // 3 * 4
CHALLENGE_CHARS_MAX: Final = 200
DEVICE_YEARS: Final = range(1970, 2200)


def read_base64(text: str) -> bytes:
    """Return what a validated field of base64 says."""
    return binascii.a2b_base64(text, strict_mode=True)


def _check_base64(text: str) -> str:
    try:
        read_base64(text)
    except ValueError:
        raise PydanticCustomError("base64", "must be base64 with its padding") from None
    return text


def _check_year(at: datetime) -> datetime:
    if at.year not in DEVICE_YEARS:
        raise PydanticCustomError("out_of_range", "must lie between the years 1970 and 2199")
    return at


Base64Text = Annotated[
    str, Field(min_length=1, max_length=BASE64_CHARS_MAX), AfterValidator(_check_base64)
]
SignatureText = Annotated[
    Base64Text,
    Field(
        description=f"Base64 of the {SIGNATURE_BYTES} bytes r and s (ECDSA, P-256, SHA-256), as"
        " WebCrypto gives them."
    ),
]
PinText = Annotated[SecretStr, Field(min_length=1, max_length=20, examples=["739204"])]
# Not `Instant`: a battery that was empty sets a clock back to 1970.
DeviceAt = Annotated[
    AwareDatetime,
    AfterValidator(_check_year),
    Field(description="The time on the device's clock, however wrong it is."),
]


class CodeCreate(Body):
    """A code to enrol a phone at a lot."""

    name: Annotated[NameText, Field(examples=["Cổng chính"])]
    lot_id: UUID


class CodeMade(Read):
    """A code, shown this once, that enrols one phone."""

    id: UUID
    name: str
    lot_id: UUID
    expires_at: datetime
    code: str | None = Field(
        examples=["DXA2-7K3M-Q9PT"],
        description="Null when an earlier request with this Idempotency-Key made it: make another.",
    )


class DeviceEnrol(Body):
    """A phone that proves its key by signing the code."""

    code: Annotated[str, Field(min_length=1, max_length=40, examples=["DXA2-7K3M-Q9PT"])]
    public_key: Annotated[
        Base64Text, Field(description="Base64 of the P-256 key as SubjectPublicKeyInfo (DER).")
    ]
    signature: SignatureText


class DeviceEnrolled(Read):
    """What a phone keeps beside its key."""

    device_id: UUID
    name: str
    lot_id: UUID
    org_code: str
    hub_at: datetime


class ChallengeRead(Read):
    """What a phone signs next; good once and for two minutes."""

    challenge: str
    hub_at: datetime


class TokenCreate(Body):
    """A signed challenge."""

    org_code: OrgCode
    challenge: Annotated[str, Field(min_length=1, max_length=CHALLENGE_CHARS_MAX)]
    signature: SignatureText
    device_at: DeviceAt


class TokenMade(Read):
    """A token for the next fifteen minutes."""

    token: str
    expires_at: datetime
    device_id: UUID
    device_name: str
    lot_id: UUID
    shift_id: UUID | None
    staff_id: UUID | None = Field(description="Whom a PIN named on the device.")
    staff_name: str | None
    is_queue_only: bool = Field(
        description="The device was revoked: it may send what it recorded before, nothing else."
    )
    offset_ms: int | None = Field(
        description="How far the device's clock is behind the hub's; ahead is negative."
    )
    hub_at: datetime


class ReferenceBlockTake(Body):
    """A block that a phone asks for, by an id of its own: asked again, it is the same block."""

    id: UUID


class ReferenceBlockRead(Read):
    """References that a phone draws codes from while it has no network, and where they pay to."""

    id: UUID
    issued_at: datetime
    expires_at: datetime
    is_current: bool = Field(
        description="The lot is still paid on this account: draw from no other block."
    )
    bin: str = Field(description="The bank's BIN, for the code.")
    account: str = Field(description="The number that the code names.")
    holder_name: str
    bank_name: str


class ReferenceBlockMade(ReferenceBlockRead):
    """A block with its references, each for one code."""

    references: list[str] = Field(description="In the order in which they are used.")


class ReferenceBlocks(Read):
    """The blocks that a device may draw from, the last first."""

    blocks: list[ReferenceBlockRead]
    hub_at: datetime


class PersonName(Body):
    """Who works with the device."""

    staff_id: UUID
    pin: PinText


class GatePersonRead(Read):
    """Somebody who may work at the lot."""

    staff_id: UUID
    name: str
    has_pin: bool
    is_pin_locked: bool


class GatePeople(Read):
    """Who may be named on devices of a lot."""

    people: list[GatePersonRead]


class DeviceRead(Read):
    """A device of a lot."""

    id: UUID
    name: str
    lot_id: UUID
    enrolled_by: UUID
    enrolled_at: datetime
    last_seen_at: datetime | None
    offset_ms: int | None = Field(
        description="How far its clock was behind the hub's at the last contact."
    )
    person_id: UUID | None
    person_name: str | None
    revoked_at: datetime | None


class DevicePage(Read):
    """A page of devices, newest first."""

    devices: list[DeviceRead]
    next_cursor: str | None


class DeviceRevoke(Body):
    """Why a device is revoked."""

    reason: ReasonText | None = None


class PinSet(Body):
    """Somebody's new PIN."""

    pin: PinText


class OwnPinSet(Body):
    """One's own new PIN, with one's password."""

    password: Password
    pin: PinText
