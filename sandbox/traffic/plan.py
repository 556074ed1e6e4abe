"""The plan of a simulation: where the hub and the bank are, and who plays."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

SPEED_MAX: Final = 120
# Ways out, in hundredths of those who owe something.
WAYS: Final = {
    "qr": 46,
    "cash": 34,
    "toll": 10,
    "lost_ticket": 3,
    "unpaid": 3,
    "wrong_plate": 4,
}


class Gate(msgspec.Struct, kw_only=True):
    """A site's phone with its key, and the person whose PIN names them on it."""

    label: str
    org_code: str
    lot_id: UUID
    classes: list[Literal["car", "motorbike"]]
    room: int
    timing: str
    device_id: UUID
    private_key: str
    staff_id: UUID
    pin: str


class Stall(msgspec.Struct, kw_only=True):
    """A market's stall: the account that its printed code names."""

    bin: str
    number: str


class PassPlate(msgspec.Struct, kw_only=True):
    """A vehicle that has a pass."""

    vehicle_class: Literal["car", "motorbike"]
    plate: str


class Plan(msgspec.Struct, kw_only=True):
    """Everything that a simulation is told."""

    hub_url: str
    sandbox_url: str
    gates: list[Gate]
    stalls: list[Stall] = []
    passes: list[PassPlate] = []
    has_toll: bool = False
    ways: dict[str, int] = msgspec.field(default_factory=WAYS.copy)
    speed: Annotated[int, msgspec.Meta(ge=1, le=SPEED_MAX)] = 1
    seed: int = 1
