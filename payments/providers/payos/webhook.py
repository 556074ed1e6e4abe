"""payOS webhooks: one paid transfer of one payment link, signed over the fields of `data`.

Source: PyPI payos 1.1.0 and npm @payos/node 2.0.5 (the two official SDKs, which disagree about
fields that are missing or unknown; we take what either signs), and payos.vn/docs,
"Kiểm tra dữ liệu với signature". See docs/callbacks.md.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from payments.providers.bank_references import is_identifying_reference
from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.fields import (
    find_id,
    find_name,
    parse_object,
    read_amount,
    read_id,
    read_instant,
    read_memo,
)
from payments.providers.javascript_json import js_number, js_sorted_keys, js_text, to_utf8
from payments.providers.payos.capabilities import PAYOS
from payments.providers.protocol import Pull
from payments.providers.signing import (
    AnswersPlainly,
    check_envelope,
    find_signing_key,
    refused,
    valid,
)
from payments.providers.types import (
    BODY_BYTES_MAX,
    Capabilities,
    Direction,
    EndpointSecrets,
    RawCallback,
    Reading,
    Refusal,
    RefusalDetail,
    ReportedTransaction,
    Verification,
)

# The Python SDK signs these as empty when they are missing; the Node SDK leaves them out.
OPTIONAL_FIELDS: Final = (
    "counterAccountBankId",
    "counterAccountBankName",
    "counterAccountName",
    "counterAccountNumber",
    "virtualAccountName",
    "virtualAccountNumber",
)
FIELDS: Final = frozenset(
    {
        *OPTIONAL_FIELDS,
        "accountNumber",
        "amount",
        "code",
        "currency",
        "desc",
        "description",
        "orderCode",
        "paymentLinkId",
        "reference",
        "transactionDateTime",
    }
)
FIELDS_SORTED: Final = sorted(FIELDS)
# What POST /confirm-webhook sends to the address at the moment it is registered. The second memo is
# the older one of the dashboard's own test (seen in several integrations).
PING_ORDER: Final = 123
PING_MEMO, PING_REFERENCE = "VQRIO123", "TF230204212323"
PING_MEMO_OLD: Final = "Ma giao dich thu nghiem"

_EMPTY: Final = frozenset({"null", "undefined"})
# Text inside a value that reads like the next signed field: see signed_message.
_FIELD_INSIDE: Final = re.compile(f"&(?:{'|'.join(sorted(FIELDS))})=")


@dataclass(frozen=True)
class PayOS(AnswersPlainly):
    """The adapter."""

    name: str = "payos"
    capabilities: Capabilities = PAYOS
    body_bytes_max: int = BODY_BYTES_MAX
    pull: Pull | None = None

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        """Check the body's signature over `data`: as received, then with absent fields empty."""
        if refusal := check_envelope(callback, self.body_bytes_max):
            return refusal
        try:
            envelope = parse_object(callback.body)
            data, signature = envelope.get("data"), envelope.get("signature")
            if type(data) is not dict:
                return refused(Refusal.MALFORMED, RefusalDetail.BODY_UNREADABLE)
            if type(signature) is not str or not signature:
                return refused(Refusal.MISSING_SIGNATURE, RefusalDetail.SIGNATURE_ABSENT)
            key_index = _find_key(data, signature, secrets)
            if key_index is None:
                return refused(Refusal.BAD_SIGNATURE, RefusalDetail.SIGNATURE_DIFFERS)
        except UnreadableNotice:
            return refused(Refusal.MALFORMED, RefusalDetail.BODY_UNREADABLE)
        return valid(key_index, partial(_read_data, data))

    def read(self, body: bytes) -> Reading:
        """Read the one transaction of a webhook. Only `data` is signed, so only `data` is read."""
        data = parse_object(body).get("data")
        if type(data) is not dict:
            raise UnreadableNotice(Fault.BODY, "data is not an object")
        return _read_data(data)


def signed_message(data: dict[str, Any]) -> bytes:
    """Return what payOS signs with HMAC-SHA256: sorted `key=value` joined by "&".

    Nothing is escaped, so a memo "x&orderCode=7" would let somebody who holds one signed webhook
    re-cut the same text into other fields. Values that contain "&<field>=" and keys that are no
    identifiers are refused: each signed text then has one reading.

    Raises:
        UnreadableNotice: such a key or value, or a nested value beyond the limits.
    """
    is_usual = data.keys() == FIELDS
    keys = FIELDS_SORTED if is_usual else js_sorted_keys(data)
    values = [_signed_text(data[key]) for key in keys]
    if not is_usual and not all(key.isidentifier() for key in keys):
        raise UnreadableNotice(Fault.BODY, "a key of data is not a name")
    message = "&".join([f"{key}={value}" for key, value in zip(keys, values, strict=True)])
    if message.count("&") >= len(keys) and any(map(_FIELD_INSIDE.search, values)):
        raise UnreadableNotice(Fault.BODY, "a value imitates a signed field")
    return to_utf8(message)


def sign_body(data: dict[str, Any], key: bytes) -> str:
    """Sign `data` of a webhook or of an API answer: 64 lower-case hexadecimal digits."""
    return hmac.digest(key, signed_message(data), "sha256").hex()


def find_key(data: dict[str, Any], signature: str, secrets: EndpointSecrets) -> int | None:
    """Return the index of the key that signed `data` of a webhook or an API answer, or None."""
    message = signed_message(data)
    return find_signing_key(
        secrets,
        lambda key: hmac.digest(key, message, "sha256").hex(),
        [to_utf8(signature)],
    )


def sign_header(data: dict[str, Any], key: bytes) -> str:
    """Sign as payOS does in the x-signature header of its payout API.

    As in the body, but objects are sorted at every depth, "null" stays text, and keys and values
    are URI-encoded. No callback uses it; it is here to hold the official vectors in one place.
    """
    pairs = [f"{quote(name)}={quote(_header_text(data[name]))}" for name in js_sorted_keys(data)]
    return hmac.digest(key, "&".join(pairs).encode(), "sha256").hex()


def _read_data(data: dict[str, Any]) -> Reading:
    if _is_ping(data):
        return Reading(is_ping=True, transactions=())
    if data.get("code", "00") != "00":
        raise UnreadableNotice(Fault.STATUS, "data.code is not 00")
    if data.get("currency") not in ("VND", "", None):
        raise UnreadableNotice(Fault.CURRENCY, "not VND")
    amount_vnd = read_amount(data.get("amount"))
    if amount_vnd < 0:
        raise UnreadableNotice(Fault.AMOUNT, "negative")
    occurred_at, is_date_only = read_instant(data.get("transactionDateTime"))
    reference = find_id(data.get("reference"), Fault.REFERENCE)
    link = read_id(data.get("paymentLinkId"), Fault.TRANSACTION_ID)
    # A transfer has no id at payOS: a link that is paid twice calls twice, with two references,
    # or, where the bank's is a filler or a counter, at two times.
    distinct_by = f"{occurred_at:%Y%m%dT%H%M%S}"
    if reference is not None and is_identifying_reference(reference):
        distinct_by = reference
    return Reading(
        is_ping=False,
        transactions=(
            ReportedTransaction(
                direction=Direction.IN,
                provider_transaction_id=read_id(f"{link}:{distinct_by}", Fault.TRANSACTION_ID),
                bank_reference=reference,
                amount_vnd=amount_vnd,
                memo=read_memo(data.get("description")),
                account_number=read_id(data.get("accountNumber"), Fault.ACCOUNT),
                virtual_account=find_id(data.get("virtualAccountNumber"), Fault.ACCOUNT),
                provider_order_id=_find_order(data.get("orderCode")),
                occurred_at=occurred_at,
                is_date_only=is_date_only,
                payer_name=find_name(data.get("counterAccountName")),
                payer_account=find_name(data.get("counterAccountNumber")),
                payer_bank=find_name(data.get("counterAccountBankName"))
                or find_name(data.get("counterAccountBankId")),
                is_simulated=False,
            ),
        ),
    )


def _find_key(data: dict[str, Any], signature: str, secrets: EndpointSecrets) -> int | None:
    key_index = find_key(data, signature, secrets)
    if key_index is None and any(field not in data for field in OPTIONAL_FIELDS):
        filled = {**dict.fromkeys(OPTIONAL_FIELDS, ""), **data}
        key_index = find_key(filled, signature, secrets)
    return key_index


def _signed_text(value: Any) -> str:
    if type(value) is str:
        return "" if value in _EMPTY else value
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list:
        # One level is sorted. JSON keeps what is deeper as it came.
        items = [
            {key: item[key] for key in js_sorted_keys(item)} if type(item) is dict else item
            for item in value
        ]
        return js_text(items, is_sorted=False)
    # Node would sign any object as "[object Object]", whatever is in it: we never do.
    return js_text(value) if type(value) is dict else js_number(value)


def _header_text(value: Any) -> str:
    if type(value) is str:
        return value
    return "" if value is None else js_text(value)


def _find_order(value: Any) -> str | None:
    """Read an orderCode; orders are numbered from 1, so 0 is money that pays none."""
    order = find_id(value, Fault.ORDER)
    return None if order == "0" else order


def _is_ping(data: dict[str, Any]) -> bool:
    if data.get("orderCode") != PING_ORDER:
        return False
    memo = data.get("description")
    return memo == PING_MEMO_OLD or (memo == PING_MEMO and data.get("reference") == PING_REFERENCE)
