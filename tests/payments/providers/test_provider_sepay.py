"""SePay: the HMAC and its clock window, the plain key, never one in place of the other."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from payments.providers import PROVIDERS, Direction, Fault, Refusal, UnreadableNotice
from tests.world.callbacks import (
    ASCII_SECRETS,
    OLD_KEY,
    SECRETS,
    SEPAY_NOTICE,
    sepay_apikey_callback,
    sepay_callback,
    to_json,
)
from tests.world.constants import NOON

HMAC = PROVIDERS["sepay"]
APIKEY = PROVIDERS["sepay_apikey"]


def read_with(**changed: Any) -> Any:
    (told,) = HMAC.read(to_json({**SEPAY_NOTICE, **changed})).transactions
    return told


def test_the_facts_of_a_payment() -> None:
    told = read_with()
    assert told.direction is Direction.IN
    assert told.provider_transaction_id == "92704"
    assert told.amount_vnd == 2_277_000
    assert told.bank_reference == "MBVCB.3278907687"
    assert told.memo == SEPAY_NOTICE["content"]
    assert told.virtual_account is None
    assert told.occurred_at.isoformat() == "2026-11-20T04:59:58+00:00"
    assert not told.is_simulated


def test_fields_are_read_by_name_in_any_order() -> None:
    backwards = dict(reversed(list(SEPAY_NOTICE.items())))
    assert HMAC.read(to_json(backwards)) == HMAC.read(to_json(SEPAY_NOTICE))


def test_outgoing_money_is_read_as_outgoing() -> None:
    assert read_with(transferType="out").direction is Direction.OUT


@pytest.mark.parametrize(
    "marks", [{"subAccount": "SBSEPAY0OUMVNGTUSIX"}, {"referenceCode": "SB7703EF77157F"}]
)
def test_sandbox_money_is_marked(marks: dict[str, str]) -> None:
    assert read_with(**marks).is_simulated


def test_a_payer_cannot_mark_money_as_simulated() -> None:
    assert not read_with(content="SBSEPAY0OUMVNGTUSIX SB7703EF77157F").is_simulated


@pytest.mark.parametrize("late_s", [-300, 0, 300])
def test_inside_five_minutes_the_skew_is_reported(late_s: int) -> None:
    verified = HMAC.verify(sepay_callback(), SECRETS, now=NOON + timedelta(seconds=late_s))
    assert verified.is_valid
    assert verified.skew_s == late_s


@pytest.mark.parametrize("late_s", [-301, 301, 1_980])
def test_outside_five_minutes_an_honest_call_is_stale_not_forged(late_s: int) -> None:
    verified = HMAC.verify(sepay_callback(), SECRETS, now=NOON + timedelta(seconds=late_s))
    assert verified.refusal is Refusal.STALE_TIMESTAMP
    assert verified.skew_s == late_s


def test_an_old_forgery_is_a_bad_signature_and_not_counted_as_stale() -> None:
    verified = HMAC.verify(sepay_callback(key="guess"), SECRETS, now=NOON + timedelta(hours=1))
    assert verified.refusal is Refusal.BAD_SIGNATURE
    assert verified.skew_s is None


def test_the_timestamp_is_part_of_what_is_signed() -> None:
    callback = sepay_callback()
    fresher = {**callback.headers, "x-sepay-timestamp": str(int(NOON.timestamp()) + 60)}
    verified = HMAC.verify(replace(callback, headers=fresher), SECRETS, now=NOON)
    assert verified.refusal is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("gone", ["x-sepay-timestamp", "x-sepay-signature"])
def test_either_header_missing_is_no_signature(gone: str) -> None:
    callback = sepay_callback()
    headers = {name: value for name, value in callback.headers.items() if name != gone}
    verified = HMAC.verify(replace(callback, headers=headers), SECRETS, now=NOON)
    assert verified.refusal is Refusal.MISSING_SIGNATURE


@pytest.mark.parametrize("timestamp", ["1795150800.0", "٣", "-5", "1e9", "9" * 12])
def test_a_timestamp_that_is_not_unix_seconds_is_refused(timestamp: str) -> None:
    callback = sepay_callback()
    headers = {**callback.headers, "x-sepay-timestamp": timestamp}
    verified = HMAC.verify(replace(callback, headers=headers), SECRETS, now=NOON)
    assert verified.refusal is Refusal.BAD_SIGNATURE


def test_an_endpoint_with_hmac_is_not_talked_down_to_the_plain_key() -> None:
    verified = HMAC.verify(sepay_apikey_callback(), ASCII_SECRETS, now=NOON)
    assert verified.refusal is Refusal.MISSING_SIGNATURE


def test_an_endpoint_with_a_plain_key_does_not_take_a_signature_for_it() -> None:
    verified = APIKEY.verify(sepay_callback(key="ascii-key"), ASCII_SECRETS, now=NOON)
    assert verified.refusal is Refusal.MISSING_SIGNATURE


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        ("Apikey ascii-key", None),
        ("apikey   ascii-key ", None),
        ("Apikey Ascii-key", Refusal.BAD_SIGNATURE),
        ("Apikey ascii-ke", Refusal.BAD_SIGNATURE),
        ("Apikey é", Refusal.BAD_SIGNATURE),
        ("Apikey", Refusal.MISSING_SIGNATURE),
        ("Bearer ascii-key", Refusal.MISSING_SIGNATURE),
        ("ascii-key", Refusal.MISSING_SIGNATURE),
    ],
)
def test_the_plain_key_is_compared_whole(header: str, refusal: Refusal | None) -> None:
    callback = replace(sepay_apikey_callback(), headers={"authorization": header})
    assert APIKEY.verify(callback, ASCII_SECRETS, now=NOON).refusal is refusal


def test_a_replaced_key_is_refused_once_it_left_the_rotation() -> None:
    verified = HMAC.verify(sepay_callback(key=OLD_KEY), SECRETS, now=NOON)
    assert verified.refusal is Refusal.BAD_SIGNATURE


def test_a_signed_body_that_is_no_json_is_valid_and_unreadable() -> None:
    callback = sepay_callback(b"\xff not json")
    assert HMAC.verify(callback, SECRETS, now=NOON).is_valid
    with pytest.raises(UnreadableNotice):
        HMAC.read(callback.body)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"transferType": "IN"}, Fault.DIRECTION),
        ({"transferType": None}, Fault.DIRECTION),
        ({"transferType": ["in"]}, Fault.DIRECTION),
        ({"transferAmount": -1}, Fault.AMOUNT),
        ({"transferAmount": "2000.00"}, Fault.AMOUNT),
        ({"id": None}, Fault.TRANSACTION_ID),
        ({"id": True}, Fault.TRANSACTION_ID),
        ({"id": " "}, Fault.TRANSACTION_ID),
        ({"transactionDate": ""}, Fault.TIME),
    ],
)
def test_what_breaks_the_contract_is_named(changed: dict[str, Any], fault: Fault) -> None:
    with pytest.raises(UnreadableNotice) as caught:
        read_with(**changed)
    assert caught.value.fault is fault


def test_a_day_without_a_time_is_marked() -> None:
    told = read_with(transactionDate="2026-11-20")
    assert told.is_date_only
    assert told.occurred_at.isoformat() == "2026-11-19T17:00:00+00:00"


def test_both_pages_of_the_documents_are_answered() -> None:
    told = HMAC.acknowledge(notice_id="n")
    assert (told.status, json.loads(told.body)) == (200, {"success": True})
