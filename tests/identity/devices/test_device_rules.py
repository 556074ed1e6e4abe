"""Standing of movements that a device signed, and times of a clock that is wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from identity.devices.rules import (
    MovementStanding,
    correct_time,
    format_code,
    is_movement_accepted,
    judge_movement,
    measure_offset_ms,
    normalise_code,
)
from tests.world.constants import NOON

MOMENT = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Phone:
    revoked_at: datetime | None = None


def test_what_was_signed_before_a_revocation_counts_and_what_later_does_not() -> None:
    phone = Phone(revoked_at=NOON)

    assert is_movement_accepted(phone, NOON, NOON + HOUR)
    assert judge_movement(phone, NOON + MOMENT, NOON + HOUR) is MovementStanding.AFTER_REVOCATION


def test_a_queue_is_taken_for_72_hours() -> None:
    oldest = NOON - 72 * HOUR

    assert is_movement_accepted(Phone(), oldest, NOON)
    assert judge_movement(Phone(), oldest - MOMENT, NOON) is MovementStanding.TOO_OLD


def test_a_movement_may_be_ahead_by_what_a_clock_is_still_off() -> None:
    ahead = NOON + timedelta(minutes=5)

    assert is_movement_accepted(Phone(), ahead, NOON)
    assert judge_movement(Phone(), ahead + MOMENT, NOON) is MovementStanding.AHEAD


@pytest.mark.parametrize("behind", [7 * HOUR, -7 * HOUR, timedelta(0), 9_000 * HOUR, -MOMENT])
def test_a_time_is_corrected_by_how_far_the_clock_is_behind(behind: timedelta) -> None:
    shown = NOON - behind

    assert correct_time(shown, measure_offset_ms(shown, NOON)) == NOON


@pytest.mark.parametrize(
    "typed", ["DXA2-7K3M-Q9PT", "dxa27k3mq9pt", " dxa2 7k3m q9pt ", "DXA2–7K3M–Q9PT"]
)
def test_a_code_is_the_same_however_it_is_typed(typed: str) -> None:
    assert normalise_code(typed) == "DXA27K3MQ9PT"
    assert format_code("DXA27K3MQ9PT") == "DXA2-7K3M-Q9PT"


@pytest.mark.parametrize("typed", ["", "DXA2", "DXA27K3MQ9PTX", "DXA2_7K3M_Q9PT", "ĐXA27K3MQ9PT"])
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert normalise_code(typed) is None
