"""Rules of jobs: pauses, what is worth repeating, and turns."""

from datetime import timedelta
from uuid import UUID

import pytest

from core.errors import Busy, InvalidRequest
from core.jobs.rules import DueOrg, describe_error, is_worth_repeating, order_turns, pause_after
from tests.world.constants import NOON

A, B, C = (UUID(int=number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 10), (2, 40), (3, 160), (4, 640), (6, 10_240), (7, 21_600), (8, 21_600), (100, 21_600)],
)
def test_each_pause_is_four_times_the_one_before_up_to_six_hours(
    attempts: int, seconds: int
) -> None:
    assert pause_after(attempts) == timedelta(seconds=seconds)


def test_nineteen_attempts_last_for_three_days() -> None:
    assert sum((pause_after(n) for n in range(1, 19)), timedelta()) >= timedelta(days=3)


def test_a_refused_fact_is_not_worth_repeating() -> None:
    assert is_worth_repeating(ValueError())
    assert is_worth_repeating(Busy("later"))
    assert not is_worth_repeating(InvalidRequest("never"))


def test_an_unknown_errors_text_is_not_shown() -> None:
    assert describe_error(ValueError("Nguyễn Văn A")) == ("internal_error", "ValueError")
    assert describe_error(InvalidRequest("row 3")) == ("invalid_request", "row 3")


def due(org_id: UUID, *, running: int = 0, minutes: int = 0) -> DueOrg:
    return DueOrg(org_id=org_id, running=running, due_at=NOON - timedelta(minutes=minutes))


def test_whoever_runs_least_goes_first_then_whoever_was_served_longest_ago() -> None:
    waiting = [due(A, running=1, minutes=60), due(B, minutes=5), due(C, minutes=30)]

    assert order_turns(waiting, turns={}, own={}, own_max=3) == [C, B, A]
    assert order_turns(waiting, turns={C: 7, B: 3}, own={}, own_max=3) == [B, C, A]


def test_an_organisation_with_its_share_of_the_slots_waits() -> None:
    assert order_turns([due(A), due(B)], turns={}, own={A: 3}, own_max=3) == [B]
