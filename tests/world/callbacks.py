"""Notices as the providers make them, signed here by code of its own, not by the adapters."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from payments.providers import Acknowledgement, EndpointSecrets, RawCallback
from payments.providers.vietqrvn.webhook import VietQRvn
from tests.world.constants import NOON

KEY = "khoá-hiện-tại-9f2c"
OLD_KEY = "previous-key-77aa"
USER = "phopay-hub"
SECRETS = EndpointSecrets(keys=(KEY,), username=USER)
ROTATED = EndpointSecrets(keys=("new-key-1234", KEY), username=USER)
PAYOS_DATA: Mapping[str, Any] = {
    "orderCode": 902_118,
    "amount": 20_000,
    "description": "CSSW5YI4T28 PPHKM2ABCDEFX",
    "accountNumber": "0123456789",
    "reference": "FT26324000123",
    "transactionDateTime": "2026-11-20 11:59:58",
    "currency": "VND",
    "paymentLinkId": "0f0e33293c43417ab7879e14c8d9eb18",
    "code": "00",
    "desc": "Thành công",
    "counterAccountBankId": "970422",
    "counterAccountBankName": "",
    "counterAccountName": "NGUYEN VAN A",
    "counterAccountNumber": "0011",
    "virtualAccountName": "",
    "virtualAccountNumber": "VQRQAEJCI2814",
}
SEPAY_NOTICE: Mapping[str, Any] = {
    "id": 92_704,
    "gateway": "Vietcombank",
    "transactionDate": "2026-11-20 11:59:58",
    "accountNumber": "0123499999",
    "code": None,
    "content": "MBVCB.3278907687.PPHKM2ABCDEFX.CT tu 0011 toi 0123 “chè”",
    "transferType": "in",
    "transferAmount": 2_277_000,
    "accumulated": 19_077_000,
    "subAccount": None,
    "referenceCode": "MBVCB.3278907687",
    "description": "",
}
CASSO_NOTICE: Mapping[str, Any] = {
    "error": 0,
    "data": {
        "id": 218_897,
        "reference": "FT24364030863634",
        "description": "trả tiền chè PPHKM2ABCDEFX",
        "amount": 599_000,
        "runningBalance": 25_000_000,
        "transactionDateTime": "2026-11-20 11:59:58",
        "accountNumber": "88888888",
        "bankName": "VPBank",
        "bankAbbreviation": "VPB",
        "virtualAccountNumber": "",
        "virtualAccountName": None,
        "counterAccountName": "NGUYỄN VĂN A",
        "counterAccountNumber": "8888888888",
        "counterAccountBankId": "970415",
        "counterAccountBankName": "VietinBank",
    },
}
VIETQRVN_PUSH: Mapping[str, Any] = {
    "transactionid": "VQR-00017",
    "transactiontime": 1_795_150_798_000,
    "referencenumber": "FT26324000123",
    "amount": 20_000,
    "content": "VQR1b49cbd3af PPHKM2ABCDEFX",
    "bankaccount": "0123456789",
    "transType": "C",
    "orderId": "PPHKM2ABCDEFX",
    "sign": "",
    "terminalCode": "",
    "urlLink": "",
    "subTerminalCode": "",
    "serviceCode": "",
}


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def payos_callback(data: Mapping[str, Any] = PAYOS_DATA, *, key: str = KEY) -> RawCallback:
    texts = {k: "" if v is None else str(v) for k, v in data.items()}
    message = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
    signature = hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
    envelope = {"code": "00", "desc": "success", "success": True, "data": dict(data)}
    return RawCallback(headers={}, body=to_json(envelope | {"signature": signature}))


def sepay_callback(
    notice: Mapping[str, Any] | bytes = SEPAY_NOTICE, *, key: str = KEY, at: datetime = NOON
) -> RawCallback:
    body = notice if isinstance(notice, bytes) else to_json(notice)
    timestamp = str(int(at.timestamp()))
    message = timestamp.encode() + b"." + body
    signature = hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
    headers = {"x-sepay-timestamp": timestamp, "x-sepay-signature": f"sha256={signature}"}
    return RawCallback(headers=headers, body=body)


def sepay_apikey_callback(
    notice: Mapping[str, Any] | bytes = SEPAY_NOTICE, *, key: str = "ascii-key"
) -> RawCallback:
    body = notice if isinstance(notice, bytes) else to_json(notice)
    return RawCallback(headers={"authorization": f"Apikey {key}"}, body=body)


def casso_callback(
    notice: Any = CASSO_NOTICE, *, key: str = KEY, at: datetime = NOON, body: bytes | None = None
) -> RawCallback:
    t = int(at.timestamp() * 1000)
    stringified = json.dumps(notice, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    v1 = hmac.new(key.encode(), f"{t}.{stringified}".encode(), hashlib.sha512).hexdigest()
    return RawCallback(
        headers={"x-casso-signature": f"t={t},v1={v1}"},
        body=to_json(notice) if body is None else body,
    )


def vietqrvn_token_request(*, user: str = USER, key: str = KEY) -> RawCallback:
    login = base64.b64encode(f"{user}:{key}".encode()).decode()
    headers = {"authorization": f"Basic {login}"}
    return RawCallback(headers=headers, body=b"{}", subpath="api/token_generate")


def read_token(answer: Acknowledgement | None) -> str:
    assert answer is not None
    return str(json.loads(answer.body)["access_token"])


def vietqrvn_callback(
    push: Mapping[str, Any] | bytes = VIETQRVN_PUSH,
    *,
    secrets: EndpointSecrets = SECRETS,
    at: datetime = NOON,
) -> RawCallback:
    token = read_token(VietQRvn().issue_token(vietqrvn_token_request(), secrets, now=at))
    return RawCallback(
        headers={"authorization": f"Bearer {token}"},
        body=push if isinstance(push, bytes) else to_json(push),
        subpath="bank/api/transaction-sync",
    )


ASCII_SECRETS = EndpointSecrets(keys=("ascii-key",), username=USER)
# provider name → (a valid notice, the secrets of its endpoint)
CALLBACKS: Mapping[str, tuple[Callable[[], RawCallback], EndpointSecrets]] = {
    "payos": (payos_callback, SECRETS),
    "sepay": (sepay_callback, SECRETS),
    "sepay_apikey": (sepay_apikey_callback, ASCII_SECRETS),
    "casso": (casso_callback, SECRETS),
    "vietqrvn": (vietqrvn_callback, SECRETS),
}
