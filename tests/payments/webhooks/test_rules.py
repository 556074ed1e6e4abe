"""Event types, the retry schedule, Retry-After, and when an endpoint is stopped."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from payments.outbox.rules import EventKind
from payments.webhooks.payloads import FIELDS, write_body
from payments.webhooks.rules import (
    EVENT_TYPES,
    GROUPS,
    JITTER_PERCENT,
    NOT_SENT,
    PAUSES,
    Answer,
    Failure,
    classify,
    list_kinds,
    must_stop,
    next_pause,
    read_retry_after,
)
from payments.webhooks.types import SentEvent

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
REFUSED = Answer(status=500, failure=Failure.STATUS)


def test_every_kind_of_event_is_sent_by_a_public_name_or_kept_on_purpose() -> None:
    assert set(EVENT_TYPES) | NOT_SENT == set(EventKind)
    assert set(EVENT_TYPES).isdisjoint(NOT_SENT)
    groups = {f"{name.partition('.')[0]}.*" for name in EVENT_TYPES.values()}
    assert groups <= set(GROUPS)
    assert {group.removesuffix(".*") for group in groups} <= FIELDS.keys()


def test_a_group_stands_for_its_events_and_no_other() -> None:
    assert list_kinds(["payment.*"]) == [
        *("counter_sale.received", "credit.unassigned", "credit.unexplained", "credit.corrected")
    ]
    assert list_kinds(["bill.paid", "day.*"]) == ["bill.paid", "day.closed"]
    assert "parking.entered" in list_kinds(["parking_session.*"])


def test_retries_go_on_for_three_days_and_then_end() -> None:
    pauses = [next_pause(n + 1, REFUSED, jitter_percent=0, now=NOON) for n in range(len(PAUSES))]

    assert pauses == list(PAUSES)
    assert timedelta(days=3) <= sum(PAUSES, timedelta(0)) <= timedelta(days=4)
    assert next_pause(len(PAUSES) + 1, REFUSED, jitter_percent=0, now=NOON) is None


def test_jitter_makes_a_pause_longer_by_a_tenth_at_most() -> None:
    longest = next_pause(2, REFUSED, jitter_percent=JITTER_PERCENT, now=NOON)
    assert longest == timedelta(minutes=5, seconds=30)


@pytest.mark.parametrize(
    ("status", "header", "pause"),
    [
        (429, "120", timedelta(minutes=2)),
        (503, "Fri, 20 Nov 2026 05:10:00 GMT", timedelta(minutes=10)),
        (503, "999999999999", timedelta(days=1)),
        (503, "Fri, 20 Nov 2020 05:10:00 GMT", timedelta(0)),
        (503, "soon", None),
        (500, "120", None),
        (503, "Thu, 01 Jan 2026 00:00:00 +99999999999999", None),
    ],
)
def test_a_pause_that_is_asked_for_is_honoured_within_a_day(
    status: int, header: str, pause: timedelta | None
) -> None:
    answer = Answer(status=status, failure=Failure.STATUS, retry_after=header)

    assert read_retry_after(answer, now=NOON) == pause
    assert next_pause(1, answer, jitter_percent=0, now=NOON) == max(PAUSES[0], pause or PAUSES[0])


def test_gone_and_what_cannot_be_sent_is_not_tried_again() -> None:
    for answer in (
        Answer(status=410, failure=Failure.STATUS),
        Answer(failure=Failure.EVENT_ERASED),
        Answer(failure=Failure.BODY_TOO_LARGE),
    ):
        assert next_pause(1, answer, jitter_percent=0, now=NOON) is None


def test_only_2xx_is_good_and_a_redirect_is_a_failure_of_its_own() -> None:
    assert [classify(status) for status in (200, 204, 299)] == [None] * 3
    assert {classify(status) for status in (300, 301, 302, 307, 308, 399)} == {Failure.REDIRECT}
    assert {classify(status) for status in (199, 400, 404, 410, 500)} == {Failure.STATUS}


def test_an_endpoint_is_stopped_after_five_days_of_nothing_but_failures() -> None:
    assert not must_stop(NOON - timedelta(days=4, hours=23), 500, now=NOON)
    assert not must_stop(NOON - timedelta(days=30), 9, now=NOON)
    assert must_stop(NOON - timedelta(days=5), 10, now=NOON)


def test_a_body_holds_named_fields_only_and_no_whole_plate() -> None:
    data = {
        "reference": "PPHKXM12345678",
        "memo": "xe 29D1-876.54 gui tu 19031234567890",
        "amount_vnd": 20_000,
        "secret_of_tomorrow": "x",
    }
    event = SentEvent(
        id=UUID(int=7),
        kind="bill.paid",
        bill_id=UUID(int=8),
        payee_id=None,
        data=json.dumps(data),
        recorded_at=NOON,
    )

    body = write_body(event)

    assert json.loads(body) == {
        "id": str(UUID(int=7)),
        "type": "bill.paid",
        "timestamp": "2026-11-20T05:00:00Z",
        "data": {
            "bill_id": str(UUID(int=8)),
            "payee_id": None,
            "reference": "PPHKXM12345678",
            "amount_vnd": 20_000,
            "memo": "xe 29D***54 gui tu …7890",
        },
    }
    assert write_body(event) == body
