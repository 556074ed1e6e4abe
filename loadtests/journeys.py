"""Journeys of the load tests: who comes, how many at once, and for how long."""

from dataclasses import dataclass
from typing import Final

import msgspec


class Phase(msgspec.Struct, array_like=True, frozen=True):
    """A stretch of a journey: users grow or shrink evenly to this many over these seconds."""

    seconds: float
    users: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much a journey is."""

    phases: tuple[Phase, ...]
    pace_s: float  # a user begins something this often, or later if the last is not done
    lots: int = 100
    inside: int = 0  # vehicles there beforehand
    devices: int = 0  # that were without network
    movements_each: int = 200

    @property
    def users(self) -> int:
        """The most at once."""
        return max(phase.users for phase in self.phases)

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(phase.seconds for phase in self.phases)

    def users_at(self, at_s: float) -> int | None:
        """Return how many there are at a moment; None: it is over."""
        before, users = 0.0, 0
        for phase in self.phases:
            if at_s < before + phase.seconds:
                share = (at_s - before) / phase.seconds
                return max(1, round(users + (phase.users - users) * share))
            before, users = before + phase.seconds, phase.users
        return None


@dataclass(frozen=True, kw_only=True)
class Journey:
    """One of the load tests."""

    about: str
    users: dict[str, int]  # class of loadtests.gate_users → its weight
    full: Plan
    quick: Plan


# A lane every 0.7 s: 66 users are the city's peak hour (95 entries a second, contracts of the
# issue), 200 its burst (285).
LANE_PACE_S: Final = 0.7
DRIVER_PACE_S: Final = 2.0
RETURN_S: Final = 60.0

JOURNEYS: Final = {
    "morning-peak": Journey(
        about="vehicles come in, ramping to the peak, with a minute of three times as many",
        users={"WayIn": 1},
        full=Plan(
            phases=(Phase(120, 66), Phase(90, 66), Phase(0, 200), Phase(60, 200), Phase(0, 66),
                    Phase(30, 66)),
            pace_s=LANE_PACE_S,
        ),
        quick=Plan(
            phases=(Phase(8, 20), Phase(7, 20), Phase(0, 60), Phase(60, 60)),
            pace_s=LANE_PACE_S,
            lots=40,
        ),
    ),
    "evening-exits": Journey(
        about="vehicles are found, quoted, paid by QR through the sandbox's bank, and leave",
        users={"WayOut": 1},
        full=Plan(
            phases=(Phase(60, 200), Phase(240, 200)), pace_s=DRIVER_PACE_S, inside=12_000
        ),
        quick=Plan(
            phases=(Phase(10, 60), Phase(40, 60)), pace_s=DRIVER_PACE_S, lots=40, inside=2_000
        ),
    ),
    "offline-return": Journey(
        about="devices that were without network send what they kept, all within a minute",
        users={"Returning": 1},
        full=Plan(phases=(Phase(0, 100), Phase(RETURN_S, 100)), pace_s=0.0, devices=100),
        quick=Plan(phases=(Phase(0, 60), Phase(RETURN_S, 60)), pace_s=0.0, devices=100),
    ),
    "mixed-day": Journey(
        about="vehicles come and go; they pay by QR and in cash, and devices come back online",
        users={"WayIn": 8, "WayOut": 5, "WayOutInCash": 4, "Returning": 1},
        full=Plan(
            phases=(Phase(60, 60), Phase(430, 120), Phase(60, 200), Phase(50, 60)),  # ten minutes
            pace_s=DRIVER_PACE_S,
            inside=10_000,
            devices=30,
        ),
        quick=Plan(
            phases=(Phase(10, 40), Phase(25, 60), Phase(10, 20)),
            pace_s=DRIVER_PACE_S,
            lots=40,
            inside=1_000,
            devices=10,
        ),
    ),
}  # fmt: skip
