"""Steps of a refund, decided without a database."""

from itertools import product

import pytest

from payments.payees.rules import HeldBy
from payments.refunds.rules import (
    LIVE,
    POSTED,
    RefundStatus,
    Step,
    Way,
    decide_step,
    is_same_name,
    list_steps,
    status_given_back,
)

WAYS = list(product(HeldBy, Way))


@pytest.mark.parametrize(("held_by", "way"), WAYS)
def test_a_refund_holds_and_posts_its_money_once_whatever_steps_are_taken(
    held_by: HeldBy, way: Way
) -> None:
    seen = set()

    def walk(status: RefundStatus, held: int, posted: int) -> None:
        assert (held, posted) == (int(status in LIVE), int(status in POSTED)), status
        seen.add(status)
        for step in list_steps(status, held_by=held_by, way=way):
            effect = decide_step(status, step, held_by=held_by, way=way)
            assert effect is not None
            walk(
                effect.status,
                held - int(effect.frees),
                posted + int(effect.posts) - int(effect.reverses),
            )

    walk(RefundStatus.REQUESTED, 1, 0)
    assert {RefundStatus.RETURNED, RefundStatus.CANCELLED} <= seen
    assert (RefundStatus.REJECTED in seen) == (held_by is HeldBy.ORGANISATION)


def test_only_what_the_organisation_holds_is_approved_and_instructed() -> None:
    for held_by, way in WAYS:
        steps = list_steps(RefundStatus.REQUESTED, held_by=held_by, way=way)
        assert (Step.APPROVE in steps) == (held_by is HeldBy.ORGANISATION)
        assert (Step.CONFIRM in steps) == (held_by is HeldBy.PAYEE)
    instructed = list_steps(RefundStatus.APPROVED, held_by=HeldBy.ORGANISATION, way=Way.TRANSFER)
    assert Step.INSTRUCT in instructed


def test_a_transfer_that_the_bank_sent_back_was_not_done() -> None:
    effect = decide_step(
        RefundStatus.RETURNED, Step.FAIL, held_by=HeldBy.ORGANISATION, way=Way.TRANSFER
    )
    assert effect is not None
    assert (effect.frees, effect.reverses, effect.is_end) == (True, True, True)


@pytest.mark.parametrize(
    ("status", "returned_vnd", "after"),
    [
        ("paid", 1, "part_refunded"),
        ("paid", 20_000, "refunded"),
        ("over_paid", 20_000, "refunded"),
        ("part_refunded", 0, "over_paid"),
        ("refunded", 19_999, "part_refunded"),
        ("cancelled", 20_000, "cancelled"),
        ("part_paid", 5_000, "part_paid"),
    ],
)
def test_a_bill_says_how_much_of_it_was_given_back(
    status: str, returned_vnd: int, after: str
) -> None:
    found = status_given_back(
        status, paid_vnd=20_000, received_vnd=20_001, returned_vnd=returned_vnd
    )
    assert found == after


def test_a_name_that_was_typed_twice_is_compared_without_case_and_spaces() -> None:
    assert is_same_name("NGUYEN THI LAN", " nguyen  thi lan ")
    assert not is_same_name("NGUYEN THI LAN", "NGUYEN THI LAM")
