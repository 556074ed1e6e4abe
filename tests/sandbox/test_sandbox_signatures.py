"""The sandbox's own signatures hold against vectors that the providers published."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.providers import casso, payos, sepay, vietqrvn

SHARED = Path(__file__).parents[2] / "../shared/data"
# payos.vn, "Kiểm tra dữ liệu với signature".
PAYOS_KEY = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675"
PAYOS_DATA = {
    "orderCode": 123, "amount": 3000, "description": "VQRIO123", "accountNumber": "12345678",
    "reference": "TF230204212323", "transactionDateTime": "2023-02-04 18:25:00",
    "currency": "VND", "paymentLinkId": "124c33293c43417ab7879e14c8d9eb18", "code": "00",
    "desc": "Thành công", "counterAccountBankId": "", "counterAccountBankName": "",
    "counterAccountName": "", "counterAccountNumber": "", "virtualAccountName": "",
    "virtualAccountNumber": "",
}  # fmt: skip
# github CassoHQ/casso-webhook-v2-verify-signature, python.py and four others.
CASSO_KEY = "mgExMrjj4i7a1p8Cs6LmFbpCd8lbw4sSX4LZXPag7TKazeIogtR90tvWYTkwQbvs"
CASSO_BODY = {
    "error": 0,
    "data": {
        "id": 0, "reference": "MA_GIAO_DICH_THU_NGHIEM", "description": "giao dich thu nghiem",
        "amount": 599000, "runningBalance": 25000000,
        "transactionDateTime": "2024-10-03 15:06:37", "accountNumber": "88888888",
        "bankName": "VPBank", "bankAbbreviation": "VPB", "virtualAccountNumber": "",
        "virtualAccountName": "", "counterAccountName": "NGUYEN VAN A",
        "counterAccountNumber": "8888888888", "counterAccountBankId": "970415",
        "counterAccountBankName": "VietinBank",
    },
}  # fmt: skip
CASSO_SIGNATURE = (
    "ed0a4bd2e826d5cb69988cdb141e6c1a080e21f3b57eb72cd78192220042b9e7"
    "dde0868fc667faea8e224900fa7904e7c88dfa098032fb2d6b6996856e8b7ff3"
)


def test_payos_webhook_vector_holds() -> None:
    signed = payos.sign(PAYOS_KEY, PAYOS_DATA)
    assert signed == "412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03"


def test_casso_vector_holds() -> None:
    header = casso.signature_header(CASSO_KEY, CASSO_BODY, 1727948258788)
    assert header == f"t=1727948258788,v1={CASSO_SIGNATURE}"


def payos_sdk_vectors() -> list[dict[str, Any]]:
    file = SHARED / "payos_signatures.json"
    vectors: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return [vector for vector in vectors if vector["type"] == "body"]


@pytest.mark.parametrize("vector", payos_sdk_vectors(), ids=lambda vector: vector["caseName"])
def test_every_body_vector_of_payos_holds(vector: dict[str, Any]) -> None:
    assert payos.sign("test_checksum_key", vector["payload"]) == vector["expect"]


def test_payos_signs_five_fields_of_a_create_request_unencoded() -> None:
    request = {
        "orderCode": 7, "amount": 2000, "description": "a b", "returnUrl": "http://r/?a=1&b=2",
        "cancelUrl": "http://c", "buyerName": "ignored",
    }  # fmt: skip
    text = "amount=2000&cancelUrl=http://c&description=a b&orderCode=7&returnUrl=http://r/?a=1&b=2"
    expected = hmac.new(b"k", text.encode(), hashlib.sha256).hexdigest()
    assert payos.sign_create("k", request) == expected


def test_the_retry_schedules_are_the_documented_ones() -> None:
    assert [wait_s / 60 for wait_s in sepay.WAITS_S] == [0, 1, 1, 2, 3, 5, 8, 13]
    assert vietqrvn.WAITS_S == (0, 1, 2, 3, 4, 60, 60, 60, 60, 60)
    assert casso.Casso().waits_s[:6] == (0, 30, 30, 60, 90, 150)
    assert sum(casso.Casso().waits_s) <= 24 * 3600
    assert len(casso.Casso().waits_s) <= 18
