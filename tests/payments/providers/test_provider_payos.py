"""payOS: what its two SDKs sign, what its registration test sends, and how a memo could cheat."""

import json
from typing import Any

import pytest

from payments.providers import (
    PROVIDERS,
    EndpointSecrets,
    Fault,
    RawCallback,
    Refusal,
    UnreadableNotice,
)
from payments.providers.payos.webhook import OPTIONAL_FIELDS, sign_body, signed_message
from tests.world.callbacks import PAYOS_DATA, SECRETS, payos_callback, to_json
from tests.world.constants import NOON

PAYOS = PROVIDERS["payos"]
# The sample of payos.vn/docs, "Kiểm tra dữ liệu với signature", with its published key.
DOCS_KEY = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675"
DOCS_SIGNATURE = "412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03"
DOCS_DATA: dict[str, Any] = {
    "orderCode": 123,
    "amount": 3000,
    "description": "VQRIO123",
    "accountNumber": "12345678",
    "reference": "TF230204212323",
    "transactionDateTime": "2023-02-04 18:25:00",
    "currency": "VND",
    "paymentLinkId": "124c33293c43417ab7879e14c8d9eb18",
    "code": "00",
    "desc": "Thành công",
    **dict.fromkeys(OPTIONAL_FIELDS, ""),
}


def wrap(data: Any, signature: Any) -> RawCallback:
    return RawCallback(headers={}, body=to_json({"data": data, "signature": signature}))


def read_with(**changed: Any) -> Any:
    (told,) = PAYOS.read(to_json({"data": {**PAYOS_DATA, **changed}})).transactions
    return told


def test_the_vector_of_the_docs_holds() -> None:
    secrets = EndpointSecrets(keys=(DOCS_KEY,))
    assert sign_body(DOCS_DATA, DOCS_KEY.encode()) == DOCS_SIGNATURE
    assert PAYOS.verify(wrap(DOCS_DATA, DOCS_SIGNATURE), secrets, now=NOON).is_valid


def test_the_registration_test_is_a_ping_and_never_money() -> None:
    reading = PAYOS.read(wrap(DOCS_DATA, DOCS_SIGNATURE).body)
    assert reading.is_ping
    assert reading.transactions == ()


def test_order_0_is_no_order() -> None:
    assert read_with(orderCode=0).provider_order_id is None
    assert read_with(orderCode=1).provider_order_id == "1"


@pytest.mark.parametrize(
    "real", [{"orderCode": 124}, {"description": "CSSW5YI4T28 VQRIO123"}, {"reference": "FT1"}]
)
def test_money_that_resembles_the_registration_test_is_credited(real: dict[str, Any]) -> None:
    assert len(PAYOS.read(to_json({"data": {**DOCS_DATA, **real}})).transactions) == 1


def test_the_facts_of_a_payment() -> None:
    told = read_with()
    assert told.amount_vnd == 20_000
    assert told.provider_order_id == "902118"
    assert told.bank_reference == "FT26324000123"
    assert told.provider_transaction_id == "0f0e33293c43417ab7879e14c8d9eb18:FT26324000123"
    assert told.virtual_account == "VQRQAEJCI2814"
    assert told.occurred_at.isoformat() == "2026-11-20T04:59:58+00:00"
    assert (told.payer_name, told.payer_account, told.payer_bank) == (
        "NGUYEN VAN A",
        "0011",
        "970422",
    )


def test_a_link_paid_twice_is_two_transactions_also_without_references() -> None:
    first = read_with(reference="")
    second = read_with(reference="", transactionDateTime="2026-11-20 12:00:07")
    assert first.bank_reference is None
    assert first.provider_transaction_id != second.provider_transaction_id


def test_absent_optional_fields_hold_whichever_sdk_signed() -> None:
    short = {name: value for name, value in PAYOS_DATA.items() if name not in OPTIONAL_FIELDS}
    by_node = payos_callback(short)  # leaves absent fields out
    by_python = json.loads(payos_callback({**short, **dict.fromkeys(OPTIONAL_FIELDS, "")}).body)
    assert PAYOS.verify(by_node, SECRETS, now=NOON).is_valid
    assert PAYOS.verify(wrap(short, by_python["signature"]), SECRETS, now=NOON).is_valid


def test_an_absent_required_field_is_never_filled_in() -> None:
    short = {name: value for name, value in PAYOS_DATA.items() if name != "orderCode"}
    signature = json.loads(payos_callback({**short, "orderCode": ""}).body)["signature"]
    verified = PAYOS.verify(wrap(short, signature), SECRETS, now=NOON)
    assert verified.refusal is Refusal.BAD_SIGNATURE


def test_an_unknown_field_is_signed_like_the_others() -> None:
    assert PAYOS.verify(
        payos_callback({**PAYOS_DATA, "channel": "web"}), SECRETS, now=NOON
    ).is_valid
    signature = json.loads(payos_callback().body)["signature"]
    added = wrap({**PAYOS_DATA, "channel": "web"}, signature)
    assert PAYOS.verify(added, SECRETS, now=NOON).refusal is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("null", ""),
        ("undefined", ""),
        ("NULL", "NULL"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.0, "1"),
        (1e21, "1e+21"),
        (2**53 + 1, "9007199254740992"),
        ([], "[]"),
        (["lương", 1.0, None], '["lương",1,null]'),
        ([{"b": "é", "a": {"z": 1, "y": 2}}], '[{"a":{"z":1,"y":2},"b":"é"}]'),
    ],
)
def test_values_are_signed_as_node_prints_them(value: Any, text: str) -> None:
    assert signed_message({"k": value, "a": ""}) == f"a=&k={text}".encode()


def test_two_objects_never_share_one_signed_text() -> None:
    assert signed_message({"k": {"amount": 1}}) != signed_message({"k": {"amount": 2}})


def test_a_memo_cannot_be_cut_into_other_fields() -> None:
    """One signed text, two readings: the second would move order 902118's money to order 7."""
    memo = "a&orderCode=7&paymentLinkId=x"
    honest = payos_callback({**PAYOS_DATA, "description": memo})
    signature = json.loads(honest.body)["signature"]
    swallowed = f"x&orderCode={PAYOS_DATA['orderCode']}&paymentLinkId={PAYOS_DATA['paymentLinkId']}"
    forged = {**PAYOS_DATA, "description": "a", "orderCode": 7, "paymentLinkId": swallowed}
    assert (
        json.loads(payos_callback(forged).body)["signature"] == signature
    )  # the texts are the same

    assert PAYOS.verify(wrap(forged, signature), SECRETS, now=NOON).refusal is Refusal.MALFORMED
    assert PAYOS.verify(honest, SECRETS, now=NOON).refusal is Refusal.MALFORMED


def test_an_ampersand_in_a_memo_is_only_an_ampersand() -> None:
    assert PAYOS.verify(
        payos_callback({**PAYOS_DATA, "description": "A&B=C"}), SECRETS, now=NOON
    ).is_valid


@pytest.mark.parametrize("signature", [None, "", 7, [], True])
def test_a_body_without_a_signature_is_told_apart(signature: Any) -> None:
    verified = PAYOS.verify(wrap(dict(PAYOS_DATA), signature), SECRETS, now=NOON)
    assert verified.refusal is Refusal.MISSING_SIGNATURE


@pytest.mark.parametrize("signature", ["é", "\ud800", "A" * 64, DOCS_SIGNATURE])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    body = json.dumps({"data": dict(PAYOS_DATA), "signature": signature}).encode()
    verified = PAYOS.verify(RawCallback(headers={}, body=body), SECRETS, now=NOON)
    assert verified.refusal is Refusal.BAD_SIGNATURE


def test_of_two_equal_keys_the_signed_one_is_read() -> None:
    """JSON.parse takes the last; if verify took the first, anybody could add an amount."""
    honest = payos_callback().body
    doubled = honest.replace(b'"amount":20000', b'"amount":20000,"amount":90000000')
    assert doubled != honest
    callback = RawCallback(headers={}, body=doubled)
    assert PAYOS.verify(callback, SECRETS, now=NOON).refusal is Refusal.BAD_SIGNATURE


def test_half_a_character_is_hashed_as_node_hashes_it_and_not_stored() -> None:
    signature = json.loads(payos_callback({**PAYOS_DATA, "description": "a\ufffd"}).body)[
        "signature"
    ]
    data = {**PAYOS_DATA, "description": "a\ud83d"}
    body = json.dumps({"data": data, "signature": signature}).encode()
    assert PAYOS.verify(RawCallback(headers={}, body=body), SECRETS, now=NOON).is_valid
    assert PAYOS.read(body).transactions[0].memo == "a"


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"amount": 20000.0}, Fault.AMOUNT),
        ({"amount": "20000"}, Fault.AMOUNT),
        ({"amount": True}, Fault.AMOUNT),
        ({"amount": 0}, Fault.AMOUNT),
        ({"amount": -5}, Fault.AMOUNT),
        ({"amount": 10**15 + 1}, Fault.AMOUNT),
        ({"currency": "USD"}, Fault.CURRENCY),
        ({"code": "01"}, Fault.STATUS),
        ({"accountNumber": ""}, Fault.ACCOUNT),
        ({"accountNumber": "1\x002"}, Fault.ACCOUNT),
        ({"paymentLinkId": None}, Fault.TRANSACTION_ID),
        ({"orderCode": 2**53}, Fault.ORDER),
        ({"orderCode": 1.0}, Fault.ORDER),
        ({"reference": "F" * 101}, Fault.REFERENCE),
        ({"description": {"a": 1}}, Fault.MEMO),
        ({"transactionDateTime": "2023-02-30 18:25:00"}, Fault.TIME),
        ({"transactionDateTime": "04/02/2023 18:25"}, Fault.TIME),
        ({"transactionDateTime": 1675509900}, Fault.TIME),
    ],
)
def test_what_breaks_the_contract_is_named_not_guessed(
    changed: dict[str, Any], fault: Fault
) -> None:
    with pytest.raises(UnreadableNotice) as caught:
        read_with(**changed)
    assert caught.value.fault is fault


def test_the_acknowledgement_is_payos_own() -> None:
    assert json.loads(PAYOS.acknowledge(notice_id="n").body) == {"success": True}
