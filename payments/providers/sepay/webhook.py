"""SePay webhooks: one bank transaction, authenticated by an HMAC or by a plain API key.

They are two providers, so that an endpoint which was set up for the HMAC can never be talked
down to the plain key.

Source: developer.sepay.vn, "SePay webhooks" (xac-thuc, xu-ly-loi). See docs/callbacks.md.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.fields import (
    find_id,
    list_names,
    parse_object,
    read_amount,
    read_id,
    read_instant,
    read_memo,
)
from payments.providers.protocol import Pull
from payments.providers.sepay import capabilities
from payments.providers.signing import (
    AnswersPlainly,
    check_envelope,
    find_equal_key,
    find_signing_key,
    refused,
    split_authorization,
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

DIRECTIONS: Final = {"in": Direction.IN, "out": Direction.OUT}

_UNIX_S: Final = re.compile(r"\d{1,11}", re.ASCII)
# Sandbox money, as seen in notices: virtual account SBSEPAY + 12, reference SB + 12 hex.
_SANDBOX_ACCOUNT: Final = re.compile(r"SBSEPAY[0-9A-Z]{12}", re.ASCII)
_SANDBOX_REFERENCE: Final = re.compile(r"SB[0-9A-F]{12}", re.ASCII)


@dataclass(frozen=True)
class SePay(AnswersPlainly):
    """The body and the answers, which both kinds of endpoint share."""

    name: str
    capabilities: Capabilities
    body_bytes_max: int = BODY_BYTES_MAX
    pull: Pull | None = None

    def read(self, body: bytes) -> Reading:
        """Read the one transaction of a webhook, by name: the order of the fields varies."""
        notice = parse_object(body)
        direction = notice.get("transferType")
        if type(direction) is not str or direction not in DIRECTIONS:
            raise UnreadableNotice(Fault.DIRECTION, 'transferType is neither "in" nor "out"')
        amount_vnd = read_amount(notice.get("transferAmount"))
        if amount_vnd < 0:
            raise UnreadableNotice(Fault.AMOUNT, "negative")
        occurred_at, is_date_only = read_instant(notice.get("transactionDate"))
        reference = find_id(notice.get("referenceCode"), Fault.REFERENCE)
        virtual_account = find_id(notice.get("subAccount"), Fault.ACCOUNT)
        return Reading(
            is_ping=False,
            transactions=(
                ReportedTransaction(
                    direction=DIRECTIONS[direction],
                    provider_transaction_id=read_id(notice.get("id"), Fault.TRANSACTION_ID),
                    bank_reference=reference,
                    amount_vnd=amount_vnd,
                    memo=read_memo(notice.get("content")),
                    account_number=read_id(notice.get("accountNumber"), Fault.ACCOUNT),
                    virtual_account=virtual_account,
                    provider_order_id=None,
                    occurred_at=occurred_at,
                    is_date_only=is_date_only,
                    payer_name=None,
                    payer_account=None,
                    payer_bank=None,
                    is_simulated=_is_sandbox(virtual_account, reference),
                    bank_names=list_names(notice.get("gateway")),
                ),
            ),
        )


@dataclass(frozen=True)
class SePayHmac(SePay):
    """An endpoint whose webhook is set to HMAC-SHA256. A plain API key is not accepted here."""

    name: str = "sepay"
    capabilities: Capabilities = capabilities.HMAC

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        """Check X-SePay-Signature over timestamp, "." and the raw body; then the age.

        A wrong signature is never called stale, so the count of stale ones holds honest calls only.
        """
        if refusal := check_envelope(callback, self.body_bytes_max):
            return refusal
        timestamp = callback.headers.get("x-sepay-timestamp", "").strip()
        scheme, _, signature = callback.headers.get("x-sepay-signature", "").strip().partition("=")
        if not timestamp or not signature:
            return refused(Refusal.MISSING_SIGNATURE, RefusalDetail.SIGNATURE_ABSENT)
        if scheme != "sha256" or not _UNIX_S.fullmatch(timestamp):
            return refused(Refusal.BAD_SIGNATURE, RefusalDetail.SIGNATURE_UNREADABLE)
        message = timestamp.encode() + b"." + callback.body
        key_index = find_signing_key(
            secrets,
            lambda key: hmac.digest(key, message, "sha256").hex(),
            [signature.encode("utf-8", "replace")],
        )
        if key_index is None:
            return refused(Refusal.BAD_SIGNATURE, RefusalDetail.SIGNATURE_DIFFERS)
        skew_s = int(now.timestamp()) - int(timestamp)
        window_s = self.capabilities.clock_window_s
        if window_s is not None and abs(skew_s) > window_s:
            detail = RefusalDetail.CLOCK_DIFFERS
            return refused(Refusal.STALE_TIMESTAMP, detail, skew_s=skew_s)
        return valid(key_index, partial(self.read, callback.body), skew_s=skew_s)


@dataclass(frozen=True)
class SePayApiKey(SePay):
    """An endpoint whose webhook is set to an API key. It signs nothing: HTTPS is all there is."""

    name: str = "sepay_apikey"
    capabilities: Capabilities = capabilities.API_KEY

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        """Check `Authorization: Apikey <KEY>`."""
        if refusal := check_envelope(callback, self.body_bytes_max):
            return refusal
        scheme, offered = split_authorization(callback)
        if scheme != "apikey" or not offered:
            return refused(Refusal.MISSING_SIGNATURE, RefusalDetail.CREDENTIALS_ABSENT)
        key_index = find_equal_key(secrets, offered)
        if key_index is None:
            return refused(Refusal.BAD_SIGNATURE, RefusalDetail.KEY_DIFFERS)
        return valid(key_index, partial(self.read, callback.body))


def _is_sandbox(virtual_account: str | None, reference: str | None) -> bool:
    return bool(
        (virtual_account and _SANDBOX_ACCOUNT.fullmatch(virtual_account))
        or (reference and _SANDBOX_REFERENCE.fullmatch(reference))
    )
