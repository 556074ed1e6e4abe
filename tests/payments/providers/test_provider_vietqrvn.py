"""VietQR.vn: a login buys a token, a token brings a transaction, and 400 ends the repeats."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from payments.providers import (
    Direction,
    EndpointSecrets,
    Fault,
    RawCallback,
    Refusal,
    UnreadableNotice,
)
from payments.providers.vietqrvn.webhook import VietQRvn
from tests.world.callbacks import (
    KEY,
    ROTATED,
    SECRETS,
    USER,
    VIETQRVN_PUSH,
    to_json,
    vietqrvn_callback,
    vietqrvn_token_request,
)
from tests.world.constants import NOON

VIETQRVN = VietQRvn()


def read_with(**changed: Any) -> Any:
    (told,) = VIETQRVN.read(to_json({**VIETQRVN_PUSH, **changed})).transactions
    return told


def with_header(callback: RawCallback, value: str) -> RawCallback:
    return replace(callback, headers={"authorization": value})


def test_a_login_buys_a_token_of_300_seconds() -> None:
    callback = vietqrvn_token_request()
    assert VIETQRVN.verify(callback, SECRETS, now=NOON).is_valid

    issued = VIETQRVN.issue_token(callback, SECRETS, now=NOON)
    assert issued is not None
    answer = json.loads(issued.body)

    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 300
    assert KEY not in answer["access_token"]


@pytest.mark.parametrize(
    ("callback", "refusal"),
    [
        (vietqrvn_token_request(user="other"), Refusal.BAD_SIGNATURE),
        (vietqrvn_token_request(key="other"), Refusal.BAD_SIGNATURE),
        (vietqrvn_token_request(user="", key=KEY), Refusal.BAD_SIGNATURE),
        (with_header(vietqrvn_token_request(), "Basic ???"), Refusal.BAD_SIGNATURE),
        (with_header(vietqrvn_token_request(), "Basic é"), Refusal.BAD_SIGNATURE),
        (with_header(vietqrvn_token_request(), "Bearer x"), Refusal.MISSING_SIGNATURE),
        (replace(vietqrvn_token_request(), headers={}), Refusal.MISSING_SIGNATURE),
    ],
)
def test_a_wrong_login_buys_nothing(callback: RawCallback, refusal: Refusal) -> None:
    assert VIETQRVN.verify(callback, SECRETS, now=NOON).refusal is refusal


def test_an_endpoint_without_a_user_name_takes_no_login() -> None:
    nameless = EndpointSecrets(keys=(KEY,))
    assert not VIETQRVN.verify(vietqrvn_token_request(user=""), nameless, now=NOON).is_valid


@pytest.mark.parametrize(("after_s", "refusal"), [(299, None), (300, Refusal.EXPIRED_TOKEN)])
def test_a_token_ends_after_300_seconds(after_s: int, refusal: Refusal | None) -> None:
    now = NOON + timedelta(seconds=after_s)
    assert VIETQRVN.verify(vietqrvn_callback(), SECRETS, now=now).refusal is refusal


def test_a_token_cannot_be_prolonged_or_carried_to_another_endpoint() -> None:
    callback = vietqrvn_callback()
    expiry, _, mac = callback.headers["authorization"].removeprefix("Bearer ").partition(".")
    later = with_header(callback, f"Bearer {int(expiry) + 1}.{mac}")
    assert VIETQRVN.verify(later, SECRETS, now=NOON).refusal is Refusal.BAD_SIGNATURE
    for other in (
        EndpointSecrets(keys=("other",), username=USER),
        EndpointSecrets(keys=(KEY,), username="other"),
    ):
        assert VIETQRVN.verify(callback, other, now=NOON).refusal is Refusal.BAD_SIGNATURE


def test_a_rotation_in_the_middle_of_a_push_does_not_break_it() -> None:
    before = vietqrvn_callback(secrets=SECRETS)
    assert VIETQRVN.verify(before, ROTATED, now=NOON).used_previous_key
    after = vietqrvn_callback(secrets=ROTATED)
    assert not VIETQRVN.verify(after, ROTATED, now=NOON).used_previous_key


def test_a_login_is_no_token_and_a_token_no_login() -> None:
    login = vietqrvn_token_request().headers
    assert not VIETQRVN.verify(
        replace(vietqrvn_callback(), headers=login), SECRETS, now=NOON
    ).is_valid
    token = vietqrvn_callback().headers
    assert not VIETQRVN.verify(
        replace(vietqrvn_token_request(), headers=token), SECRETS, now=NOON
    ).is_valid


def test_the_facts_of_a_payment() -> None:
    told = read_with()
    assert told.direction is Direction.IN
    assert told.provider_transaction_id == "VQR-00017"
    assert told.bank_reference == "FT26324000123"
    assert told.provider_order_id == "PPHKM2ABCDEFX"
    assert told.occurred_at.isoformat() == "2026-11-20T04:59:58+00:00"
    assert not told.is_date_only


def test_both_spellings_of_the_documents_say_the_same() -> None:
    camel = {
        "transactionid": "transactionId",
        "transactiontime": "transactionTime",
        "referencenumber": "referenceNumber",
        "bankaccount": "bankAccount",
    }
    spelled = {camel.get(name, name): value for name, value in VIETQRVN_PUSH.items()}
    assert VIETQRVN.read(to_json(spelled)) == VIETQRVN.read(to_json(VIETQRVN_PUSH))


def test_money_out_is_read_as_outgoing() -> None:
    assert read_with(transType="D").direction is Direction.OUT


@pytest.mark.parametrize(
    ("changed", "fault", "code"),
    [
        ({"amount": "20000"}, Fault.AMOUNT, "002"),
        ({"amount": 20000.0}, Fault.AMOUNT, "002"),
        ({"transType": "c"}, Fault.DIRECTION, "003"),
        ({"transactiontime": 1_795_150_798}, Fault.TIME, "004"),
        ({"transactiontime": None}, Fault.TIME, "004"),
        ({"orderId": "x" * 101}, Fault.ORDER, "005"),
        ({"transactionid": ""}, Fault.TRANSACTION_ID, "007"),
        ({"referencenumber": ["x"]}, Fault.REFERENCE, "008"),
        ({"content": 5}, Fault.MEMO, "009"),
        ({"bankaccount": None}, Fault.ACCOUNT, "010"),
    ],
)
def test_a_lasting_fault_ends_the_repeats_with_the_providers_own_code(
    changed: dict[str, Any], fault: Fault, code: str
) -> None:
    with pytest.raises(UnreadableNotice) as caught:
        read_with(**changed)
    assert caught.value.fault is fault
    told = VIETQRVN.acknowledge_unreadable(caught.value, notice_id="n")
    answer = json.loads(told.body)
    assert told.status == 400
    assert (answer["error"], answer["errorReason"], answer["object"]) == (True, code, None)


def test_the_acknowledgement_has_the_four_keys_and_our_id() -> None:
    told = VIETQRVN.acknowledge(notice_id='0190"1')
    assert told.status == 200
    assert json.loads(told.body) == {
        "error": False,
        "errorReason": "000",
        "toastMessage": "",
        "object": {"reftransactionid": '0190"1'},
    }


def test_a_bad_token_may_be_tried_again_and_a_bad_body_may_not() -> None:
    assert VIETQRVN.refuse(Refusal.BAD_SIGNATURE).status == 401
    assert VIETQRVN.refuse(Refusal.EXPIRED_TOKEN).status == 401
    assert VIETQRVN.refuse(Refusal.TOO_LARGE).status == 400
