"""Casso: the published vectors, what JSON.stringify signs, and the test notice."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from payments.providers import (
    PROVIDERS,
    Direction,
    EndpointSecrets,
    Fault,
    RawCallback,
    Refusal,
    UnreadableNotice,
)
from tests.world.callbacks import CASSO_NOTICE, KEY, SECRETS, casso_callback, to_json
from tests.world.constants import NOON

CASSO = PROVIDERS["casso"]
SAMPLE: dict[str, Any] = {
    "id": 0,
    "reference": "MA_GIAO_DICH_THU_NGHIEM",
    "description": "giao dich thu nghiem",
    "amount": 599000,
    "runningBalance": 25000000,
    "transactionDateTime": "2024-10-03 15:06:37",
    "accountNumber": "88888888",
    "bankName": "VPBank",
    "bankAbbreviation": "VPB",
    "virtualAccountNumber": "",
    "virtualAccountName": "",
    "counterAccountName": "NGUYEN VAN A",
    "counterAccountNumber": "8888888888",
    "counterAccountBankId": "970415",
    "counterAccountBankName": "VietinBank",
}
# github CassoHQ/casso-webhook-v2-verify-signature: python.py verifies, javascript.js prints false.
GOOD = (
    "mgExMrjj4i7a1p8Cs6LmFbpCd8lbw4sSX4LZXPag7TKazeIogtR90tvWYTkwQbvs",
    (
        "t=1727948258788,v1=ed0a4bd2e826d5cb69988cdb141e6c1a080e21f3b57eb72cd78192220042b9e7"
        "dde0868fc667faea8e224900fa7904e7c88dfa098032fb2d6b6996856e8b7ff3"
    ),
)
BAD = (
    "g3oZ950pJQ4k6REhOPGkx37RsXgWz9QJ9RCAZ7i0yagLF32XQZtemQ6r3JIo4MCr",
    (
        "t=1734924830020,v1=6cec920aa3352341d3710d4ce89de3c73481739bdf240c89a440fb988bfb113f"
        "87be23dc75ad16982f6fbdb65553b73f4e51e73ed4764928f0401cd4a949a4c8"
    ),
)
BAD_DATA = SAMPLE | {
    "id": 218897,
    "reference": "FT24364030863634",
    "description": "hoi lai 100 bao mun dua",
    "amount": 16775000,
    "runningBalance": 16775000,
    "transactionDateTime": "2024-12-23 07:00:00",
    "accountNumber": "123456789",
    "bankName": "MBBank",
    "bankAbbreviation": "MBB",
    "counterAccountName": "",
    "counterAccountNumber": "",
    "counterAccountBankId": "",
    "counterAccountBankName": "",
}


def read_with(**changed: Any) -> Any:
    data = {**CASSO_NOTICE["data"], **changed}
    (told,) = CASSO.read(to_json({"error": 0, "data": data})).transactions
    return told


def signed(body: bytes, stringified: str, *, t: str = "1795150800000") -> RawCallback:
    """Sign what Node would print for this body."""
    v1 = hmac.new(KEY.encode(), f"{t}.{stringified}".encode(), hashlib.sha512).hexdigest()
    return RawCallback(headers={"x-casso-signature": f"t={t},v1={v1}"}, body=body)


@pytest.mark.parametrize(
    ("vector", "data", "is_valid"), [(GOOD, SAMPLE, True), (BAD, BAD_DATA, False)]
)
def test_the_published_vectors(
    vector: tuple[str, str], data: dict[str, Any], is_valid: bool
) -> None:
    key, header = vector
    body = to_json({"error": 0, "data": data})
    callback = RawCallback(headers={"x-casso-signature": header}, body=body)
    verified = CASSO.verify(callback, EndpointSecrets(keys=(key,)), now=NOON)
    assert verified.is_valid is is_valid


def test_the_test_notice_is_a_ping_and_never_money() -> None:
    for ping in (SAMPLE, SAMPLE | {"id": 5}, SAMPLE | {"reference": "FT1"}):
        reading = CASSO.read(to_json({"error": 0, "data": ping}))
        assert reading.is_ping
        assert reading.transactions == ()


def test_a_memo_that_says_test_is_still_money() -> None:
    assert read_with(description="MA_GIAO_DICH_THU_NGHIEM").amount_vnd == 599_000


def test_a_negative_amount_is_money_out() -> None:
    told = read_with(amount=-599_000)
    assert told.direction is Direction.OUT
    assert told.amount_vnd == 599_000


def test_the_facts_of_a_payment() -> None:
    told = read_with()
    assert told.provider_transaction_id == "218897"
    assert told.bank_reference == "FT24364030863634"
    assert told.memo == "trả tiền chè PPHKM2ABCDEFX"
    assert told.virtual_account is None
    assert told.payer_name == "NGUYỄN VĂN A"
    assert told.payer_bank == "VietinBank"


def test_spaces_and_order_in_the_body_do_not_matter() -> None:
    spaced = json.dumps(dict(reversed(list(CASSO_NOTICE.items()))), indent=1).encode()
    assert CASSO.verify(casso_callback(body=spaced), SECRETS, now=NOON).is_valid


@pytest.mark.parametrize(
    ("body", "stringified"),
    [
        (b'{"b":1.0,"a":null}', '{"a":null,"b":1}'),
        (b'{"b":1e21,"a":-0}', '{"a":0,"b":1e+21}'),
        (b'{"a":9007199254740993}', '{"a":9007199254740992}'),
        (b'{"a":0.1,"b":1e-7,"c":123456789.5}', '{"a":0.1,"b":1e-7,"c":123456789.5}'),
        (b'{"a":"\\ud83d"}', '{"a":"\\ud83d"}'),
        (b'{"a":"\\ud83d\\ude00\\/\\u00e9"}', '{"a":"😀/é"}'),
        (b'{"a":"\\u0001\\u2028\\u007f"}', '{"a":"\\u0001\u2028\x7f"}'),
        ('{"\ue000":1,"😀":2}'.encode(), '{"😀":2,"\ue000":1}'),
        (b'{"b":1,"10":1,"9":2,"09":3}', '{"9":2,"10":1,"09":3,"b":1}'),
        (b'{"a":[{"d":1,"c":[2,{"f":1,"e":2}]}]}', '{"a":[{"c":[2,{"e":2,"f":1}],"d":1}]}'),
    ],
)
def test_javascript_form_is_what_counts(body: bytes, stringified: str) -> None:
    assert CASSO.verify(signed(body, stringified), SECRETS, now=NOON).is_valid


def test_a_signature_over_the_bytes_as_they_came_holds_too() -> None:
    body = b'{"data":{"b":1.0,  "a":"\\u00e9"},"error":0}'
    assert CASSO.verify(signed(body, body.decode()), SECRETS, now=NOON).is_valid


def test_the_samples_that_escape_accents_are_not_followed() -> None:
    escaped = json.dumps(CASSO_NOTICE, sort_keys=True, separators=(",", ":"))
    verified = CASSO.verify(signed(to_json(CASSO_NOTICE), escaped), SECRETS, now=NOON)
    assert verified.refusal is Refusal.BAD_SIGNATURE


def test_any_of_several_signatures_may_hold() -> None:
    callback = casso_callback()
    t, v1 = callback.headers["x-casso-signature"].split(",")
    for header in (f"{t},v1={'0' * 128},{v1}", f"{v1}, {t}", f"{t},v0=x,{v1}"):
        both = replace(callback, headers={"x-casso-signature": header})
        assert CASSO.verify(both, SECRETS, now=NOON).is_valid


@pytest.mark.parametrize(
    "header", ["t=1,v1=", "v1=aa", "t=,v1=aa", "t=x,v1=aa", "t=1" + ",v1=a" * 9, "t=1;v1=aa", ","]
)
def test_a_header_of_another_shape_is_refused(header: str) -> None:
    callback = replace(casso_callback(), headers={"x-casso-signature": header})
    assert CASSO.verify(callback, SECRETS, now=NOON).refusal is Refusal.BAD_SIGNATURE


def test_the_signed_time_is_reported_but_no_undocumented_window_is_kept() -> None:
    verified = CASSO.verify(casso_callback(), SECRETS, now=NOON + timedelta(hours=12))
    assert verified.is_valid
    assert verified.skew_s == 12 * 3_600


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"error":0,"data":[]}', Fault.BODY),
        (b'{"error":0}', Fault.BODY),
        (b"[]", Fault.BODY),
        (b'{"error":0,"data":{"id":1,"amount":NaN}}', Fault.BODY),
        (to_json({"error": 1, "data": CASSO_NOTICE["data"]}), Fault.STATUS),
        (to_json({"error": 0, "data": {**CASSO_NOTICE["data"], "amount": 5000.0}}), Fault.AMOUNT),
        (
            to_json({"error": 0, "data": {**CASSO_NOTICE["data"], "id": 2**60}}),
            Fault.TRANSACTION_ID,
        ),
    ],
)
def test_what_breaks_the_contract_is_named(body: bytes, fault: Fault) -> None:
    with pytest.raises(UnreadableNotice) as caught:
        CASSO.read(body)
    assert caught.value.fault is fault


def test_a_body_nested_too_deeply_is_refused() -> None:
    body = b'{"a":' * 40 + b"1" + b"}" * 40
    assert not CASSO.verify(signed(body, "x"), SECRETS, now=NOON).is_valid
