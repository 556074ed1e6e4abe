"""The contents of a NOTIFY: events as they were, or none where they do not fit."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.outbox.wake_ups import PAYLOAD_BYTES_MAX, EventFacts, read_wake_up, write_wake_up

ORG = UUID("01939f3c-0000-7000-8000-000000000001")
AT = datetime(2026, 11, 22, 5, 0, 0, 123456, tzinfo=UTC)


def an_event(number: int = 1, *, data: str = '{"amount_vnd":20000}') -> EventFacts:
    """Return one event of a stall."""
    return EventFacts(
        id=UUID(int=number),
        kind="bill.paid",
        payee_id=UUID(int=number + 1),
        account_id=None,
        bill_id=UUID(int=number + 2),
        data=data,
        recorded_at=AT,
    )


def test_events_come_back_as_they_were() -> None:
    events = [an_event(1), an_event(9, data='{"payer_name":"HỘ KINH DOANH \\"B12\\"","n":null}')]

    assert read_wake_up(write_wake_up(ORG, events)) == (ORG, events)


def test_events_that_do_not_fit_are_left_for_the_reader_to_look_up() -> None:
    one = len(write_wake_up(ORG, [an_event()]).encode())
    many = [an_event(number) for number in range(PAYLOAD_BYTES_MAX // (one // 2))]

    payload = write_wake_up(ORG, many)

    assert len(payload.encode()) <= PAYLOAD_BYTES_MAX
    assert read_wake_up(payload) == (ORG, [])


@pytest.mark.parametrize("data_chars", range(7_600, 7_900, 7))
def test_a_payload_is_never_longer_than_postgresql_takes(data_chars: int) -> None:
    event = an_event(data=f'{{"note":"{"ộ" * (data_chars // 3)}"}}')

    payload = write_wake_up(ORG, [event])

    assert len(payload.encode()) <= PAYLOAD_BYTES_MAX
    assert read_wake_up(payload)[1] in ([event], [])


@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin-1"))))
def test_anything_else_is_refused(payload: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expected|Invalid|truncated"):
        read_wake_up(payload)


@pytest.mark.parametrize("payload", ["[]", "{}", "null", f'["{ORG}"]', f'["{ORG}", [[1]]]'])
def test_json_of_another_shape_is_refused(payload: str) -> None:
    with pytest.raises(ValueError, match=r"Expected|Object"):
        read_wake_up(payload)
