"""Casso webhooks, version 2: one bank transaction, signed over the sorted JSON of the whole body.

Source: github CassoHQ/casso-webhook-v2-verify-signature (its Python, PHP, Go, Java and .NET sample
verifies; its JavaScript sample does not, even by its own code, and must be refused). What counts
is JSON.stringify: the Python and PHP samples would escape "é" and then differ from it.
See docs/callbacks.md.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from payments.providers.casso.capabilities import CASSO
from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.fields import (
    find_id,
    find_name,
    list_names,
    parse_object,
    read_amount,
    read_id,
    read_instant,
    read_memo,
)
from payments.providers.javascript_json import js_text
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

PING_ID: Final = 0
PING_REFERENCE: Final = "MA_GIAO_DICH_THU_NGHIEM"

SIGNATURES_MAX: Final = 4  # two keys during a rotation, with room

_UNIX_MS: Final = re.compile(r"\d{1,14}", re.ASCII)
_sort_quickly = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class Casso(AnswersPlainly):
    """The adapter."""

    name: str = "casso"
    capabilities: Capabilities = CASSO
    body_bytes_max: int = BODY_BYTES_MAX
    pull: Pull | None = None

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        """Check X-Casso-Signature: t=<ms>,v1=<hex>, where several v1 may stand."""
        if refusal := check_envelope(callback, self.body_bytes_max):
            return refusal
        header = callback.headers.get("x-casso-signature", "")
        if not header:
            return refused(Refusal.MISSING_SIGNATURE, RefusalDetail.SIGNATURE_ABSENT)
        signed_ms, signatures = _split_header(header)
        if not _UNIX_MS.fullmatch(signed_ms) or not 1 <= len(signatures) <= SIGNATURES_MAX:
            return refused(Refusal.BAD_SIGNATURE, RefusalDetail.SIGNATURE_UNREADABLE)
        try:
            notice = parse_object(callback.body)
            key_index = _find_key(notice, callback.body, signed_ms, signatures, secrets)
        except UnreadableNotice:
            return refused(Refusal.MALFORMED, RefusalDetail.BODY_UNREADABLE)
        if key_index is None:
            return refused(Refusal.BAD_SIGNATURE, RefusalDetail.SIGNATURE_DIFFERS)
        skew_s = int(now.timestamp()) - int(signed_ms) // 1_000
        return valid(key_index, partial(_read_notice, notice), skew_s=skew_s)

    def read(self, body: bytes) -> Reading:
        """Read the one transaction of a webhook; a negative amount is money out."""
        return _read_notice(parse_object(body))


def signed_message(body: bytes) -> bytes:
    """Return JSON.stringify(body with all keys sorted), or raise UnreadableNotice."""
    return js_text(parse_object(body)).encode()


def _read_notice(envelope: dict[str, Any]) -> Reading:
    data = envelope.get("data")
    if type(data) is not dict:
        raise UnreadableNotice(Fault.BODY, "data is not an object (version 1 sends an array)")
    if _is_ping(data.get("id"), data.get("reference")):
        return Reading(is_ping=True, transactions=())
    if envelope.get("error", 0) != 0:
        raise UnreadableNotice(Fault.STATUS, "error is not 0")
    amount_vnd = read_amount(data.get("amount"))
    occurred_at, is_date_only = read_instant(data.get("transactionDateTime"))
    return Reading(
        is_ping=False,
        transactions=(
            ReportedTransaction(
                direction=Direction.IN if amount_vnd > 0 else Direction.OUT,
                provider_transaction_id=read_id(data.get("id"), Fault.TRANSACTION_ID),
                bank_reference=find_id(data.get("reference"), Fault.REFERENCE),
                amount_vnd=abs(amount_vnd),
                memo=read_memo(data.get("description")),
                account_number=read_id(data.get("accountNumber"), Fault.ACCOUNT),
                virtual_account=find_id(data.get("virtualAccountNumber"), Fault.ACCOUNT),
                provider_order_id=None,
                occurred_at=occurred_at,
                is_date_only=is_date_only,
                payer_name=find_name(data.get("counterAccountName")),
                payer_account=find_name(data.get("counterAccountNumber")),
                payer_bank=find_name(data.get("counterAccountBankName"))
                or find_name(data.get("counterAccountBankId")),
                is_simulated=False,
                bank_names=list_names(data.get("bankName"), data.get("bankAbbreviation")),
            ),
        ),
    )


def _find_key(
    notice: dict[str, Any],
    body: bytes,
    signed_ms: str,
    signatures: list[bytes],
    secrets: EndpointSecrets,
) -> int | None:
    """Try the quick writer, then JavaScript's own form, then the bytes as they came.

    All three are authentic if they match, since each names one set of facts. They differ in
    numbers such as 1.0, in half characters, and in keys beyond the Basic Multilingual Plane.
    """
    prefix = signed_ms.encode() + b"."
    message = b""

    def sign(key: bytes) -> str:
        return hmac.digest(key, prefix + message, "sha512").hex()

    tried: list[bytes] = []
    for write in (_write_quickly, lambda value: js_text(value).encode(), lambda _: body):
        message = write(notice)
        if not message or message in tried:
            continue
        if (key_index := find_signing_key(secrets, sign, signatures)) is not None:
            return key_index
        tried.append(message)
    return None


def _write_quickly(notice: object) -> bytes:
    try:
        return _sort_quickly(notice)
    except (ValueError, RecursionError):  # half a surrogate pair has no UTF-8; js_text escapes it
        return b""


def _split_header(header: str) -> tuple[str, list[bytes]]:
    signed_ms, signatures = "", []
    for part in header.split(",", SIGNATURES_MAX + 2):
        name, _, value = part.strip().partition("=")
        if name == "t":
            signed_ms = value
        elif name == "v1" and value:
            signatures.append(value.encode("utf-8", "replace"))
    return signed_ms, signatures


def _is_ping(transaction_id: object, reference: object) -> bool:
    return (type(transaction_id) is int and transaction_id == PING_ID) or (
        reference == PING_REFERENCE
    )
