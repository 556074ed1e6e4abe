"""payOS signatures held against the official SDK (PyPI payos 1.1.0) and its published vectors."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payos import PayOS

from payments.providers import PROVIDERS, EndpointSecrets, RawCallback
from payments.providers.payos.webhook import FIELDS, sign_body, sign_header
from tests.world.callbacks import PAYOS_DATA, to_json
from tests.world.constants import NOON

KEY = "test_checksum_key"
SDK = PayOS(client_id="c", api_key="a", checksum_key=KEY, base_url="http://127.0.0.1:9")
SECRETS = EndpointSecrets(keys=(KEY,))
VECTORS = Path(__file__).parents[2] / "../shared/data/payos_signatures.json"
# Four of payOS's published cases, so that a clone without the data folder has some of its own.
OWN_VECTORS: list[dict[str, Any]] = [
    {
        "caseName": "webhook",
        "type": "body",
        "payload": {
            "accountNumber": "0123456789",
            "amount": 20000,
            "description": "thanh toan",
            "reference": "FT-REFERENCE",
            "transactionDateTime": "2025-12-12 09:00:00",
            "virtualAccountNumber": "",
            "counterAccountBankId": "01202001",
            "counterAccountBankName": "",
            "counterAccountName": "NGUYEN VAN A",
            "counterAccountNumber": "9876543210",
            "virtualAccountName": "",
            "currency": "VND",
            "orderCode": 0,
            "paymentLinkId": "payment-link-id",
            "code": "00",
            "desc": "success",
        },
        "expect": "302b3becca1672dff99daafae2965f40e48ea3ca39453e4bf37fbcc26807a0e8",
    },
    {
        "caseName": "nothing",
        "type": "body",
        "payload": {},
        "expect": "d9dd60ea06e1ee2dc960267c7a798f0c70307a4783ac0460d015772412c37938",
    },
    {
        "caseName": "paid link with a list and nulls",
        "type": "body",
        "payload": {
            "id": "payment-link-id",
            "orderCode": 0,
            "amount": 2000,
            "amountPaid": 2000,
            "amountRemaining": 0,
            "status": "PAID",
            "createdAt": "2025-12-12T09:00:00+07:00",
            "transactions": [
                {
                    "accountNumber": "0123456789",
                    "amount": 2000,
                    "counterAccountBankId": "01202001",
                    "counterAccountBankName": None,
                    "counterAccountName": "NGUYEN VAN A",
                    "counterAccountNumber": "9876543210",
                    "description": "TRANSACTION DESCRIPTION",
                    "reference": "FT-REFERENCE",
                    "transactionDateTime": "2025-12-12T09:00:00+07:00",
                    "virtualAccountName": None,
                    "virtualAccountNumber": None,
                }
            ],
            "canceledAt": None,
            "cancellationReason": None,
        },
        "expect": "6af5e2c9a28256c140169ed624114b43295915d7b6e2fa6278b17a7c43aadefd",
    },
    {
        "caseName": "payout with a list of texts",
        "type": "header",
        "payload": {
            "referenceId": "referenceId",
            "amount": 2000,
            "description": "payout",
            "toBin": "970422",
            "toAccountNumber": "0123456789",
            "category": ["salary", "hoa"],
        },
        "expect": "1bb7686b766bb5d164227a7d4d2e4d4ad241e4a7a91f61c75674c0af9cf90fca",
    },
]


def sign(vector: dict[str, Any]) -> str:
    signer = {"body": sign_body, "header": sign_header}[vector["type"]]
    return signer(vector["payload"], KEY.encode())


@pytest.mark.parametrize("vector", OWN_VECTORS, ids=lambda vector: vector["caseName"])
def test_published_cases_hold(vector: dict[str, Any]) -> None:
    assert sign(vector) == vector["expect"]


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared data folder is not beside the clone")
def test_every_published_case_holds() -> None:
    vectors = json.loads(VECTORS.read_text())
    assert {vector["type"] for vector in vectors} == {"body", "header"}
    assert [v["caseName"] for v in vectors if sign(v) != v["expect"]] == []


@pytest.mark.parametrize("vector", OWN_VECTORS, ids=lambda vector: vector["caseName"])
def test_the_sdk_signs_the_published_cases_alike(vector: dict[str, Any]) -> None:
    if vector["type"] == "header":
        assert SDK.crypto.create_signature(KEY, vector["payload"]) == sign(vector)
    else:
        assert SDK.crypto.create_signature_from_object(vector["payload"], KEY) == sign(vector)


# What both SDKs print alike: no "&name=" and no doubles, on which Python and Node differ.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="&"))
values = (
    texts
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.booleans()
    | st.none()
    | st.lists(texts | st.dictionaries(st.sampled_from(["b", "a", "đ"]), texts | st.none()))
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*sorted(FIELDS), "zone", "Á"]), values))
def test_what_the_sdk_signs_is_accepted(data: dict[str, Any]) -> None:
    signature = SDK.crypto.create_signature_from_object(data, KEY)
    callback = RawCallback(headers={}, body=to_json({"data": data, "signature": signature}))
    assert PROVIDERS["payos"].verify(callback, SECRETS, now=NOON).is_valid


def test_the_sdk_accepts_what_we_sign() -> None:
    data = dict(PAYOS_DATA)
    envelope = {"code": "00", "desc": "success", "success": True, "data": data}
    body = to_json(envelope | {"signature": sign_body(data, KEY.encode())})
    assert SDK.webhooks.verify(body).order_code == data["orderCode"]
