"""Outcomes of notices and their retry policy, as tables."""

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from payments.callbacks.rules import NEVER, NoticeOutcome, Setback, is_newly_stuck, next_attempt
from payments.credits.rules import Verdict
from tests.world.constants import NOON

WORDS = Path(__file__).parents[3] / "api" / "manage" / "words"
ATTENTION = {
    "awaiting_sync",
    "over",
    "closed_bill",
    "unassigned",
    "wrong_account",
    "several_bills",
    "no_bill",
    "contradicted",
    "unreadable",
    "simulated_refused",
    "waits_for_account",
    "failed",
}

WAITS = [
    (Setback.ACCOUNT_UNKNOWN, 0, timedelta(minutes=1)),
    (Setback.ACCOUNT_UNKNOWN, 1, timedelta(minutes=8)),
    (Setback.ACCOUNT_UNKNOWN, 2, timedelta(minutes=64)),
    (Setback.ACCOUNT_UNKNOWN, 3, timedelta(hours=6)),
    (Setback.ACCOUNT_UNKNOWN, 2_000_000_000, timedelta(hours=6)),
    (Setback.FAILED, 0, timedelta(seconds=5)),
    (Setback.FAILED, 1, timedelta(seconds=10)),
    (Setback.FAILED, 6, timedelta(seconds=320)),
    (Setback.FAILED, 7, timedelta(minutes=10)),
    (Setback.FAILED, 2_000_000_000, timedelta(minutes=10)),
    (Setback.LOCKED, 0, timedelta(seconds=2)),
    (Setback.LOCKED, 4, timedelta(seconds=32)),
    (Setback.LOCKED, 5, timedelta(minutes=1)),
    (Setback.LOCKED, 2_000_000_000, timedelta(minutes=1)),
]


@pytest.mark.parametrize(("setback", "attempts", "wait"), WAITS)
def test_each_attempt_waits_longer_up_to_a_limit(
    setback: Setback, attempts: int, wait: timedelta
) -> None:
    assert next_attempt(setback, attempts=attempts, received_at=NOON, now=NOON) == NOON + wait


@pytest.mark.parametrize(
    ("setback", "wait"),
    [(Setback.FAILED, timedelta(days=1)), (Setback.LOCKED, timedelta(seconds=8))],
)
def test_after_three_days_a_failing_notice_is_tried_daily_and_a_locked_one_as_before(
    setback: Setback, wait: timedelta
) -> None:
    now = NOON + timedelta(days=3, microseconds=1)
    assert next_attempt(setback, attempts=2, received_at=NOON, now=now) == now + wait


def test_after_three_days_a_notice_without_an_account_is_left_alone() -> None:
    for attempts in range(20):
        just = NOON + timedelta(days=3)
        waits = next_attempt(Setback.ACCOUNT_UNKNOWN, attempts=attempts, received_at=NOON, now=just)
        assert waits < NEVER
        over = next_attempt(
            Setback.ACCOUNT_UNKNOWN,
            attempts=attempts,
            received_at=NOON,
            now=just + timedelta(microseconds=1),
        )
        assert over == NEVER


@pytest.mark.parametrize(
    ("outcome_before", "attempts", "is_told"),
    [
        ("failed", 3, False),
        ("failed", 4, True),  # the fifth failure
        ("failed", 5, False),
        (None, 5, True),  # it was locked, and fails now for the first time
        ("waits_for_account", 2, False),
        ("waits_for_account", 9, True),
    ],
)
def test_a_failing_notice_opens_one_break_for_a_person(
    outcome_before: str | None, attempts: int, is_told: bool
) -> None:
    assert is_newly_stuck(outcome_before, attempts=attempts) is is_told


def test_every_verdict_is_an_outcome() -> None:
    assert {verdict.value for verdict in Verdict} <= {outcome.value for outcome in NoticeOutcome}


def test_every_outcome_is_good_or_asks_for_attention() -> None:
    assert {outcome.value for outcome in NoticeOutcome if not outcome.is_good} == ATTENTION


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_outcome_has_its_words_and_what_asks_for_attention_a_next_step(
    language: str,
) -> None:
    words = tomllib.loads((WORDS / language / "manage.toml").read_text())
    assert set(words["outcome"]) == {outcome.value for outcome in NoticeOutcome} | {"waiting"}
    assert set(words["outcome_next"]) == ATTENTION
