"""VietQR.vn transaction-sync: the provider asks for a token, then reports one transaction with it.

Nothing signs the body; the token and HTTPS are all there is. A token is made for each push, so
it is stateless: an expiry with an HMAC under the endpoint's password, which every hub process can
check. Whoever holds a token could also ask for one, so binding it to a password adds nothing
to what it guards.

Source: api.vietqr.vn (callback documents, in a lower-case and a camelCase version) and the code
of one server that implements them. See docs/callbacks.md.
"""

import base64
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.fields import (
    find_id,
    parse_object,
    read_amount,
    read_id,
    read_memo,
    read_unix_ms,
)
from payments.providers.protocol import Pull
from payments.providers.signing import (
    find_equal_key,
    find_signing_key,
    refused,
    split_authorization,
    usable_keys,
    valid,
)
from payments.providers.types import (
    BODY_BYTES_MAX,
    Acknowledgement,
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
from payments.providers.vietqrvn.capabilities import SYNC_SUBPATH, TOKEN_SUBPATH, VIETQRVN

TOKEN_VALID_S: Final = 300  # as in the provider's own documents

DIRECTIONS: Final = {"C": Direction.IN, "D": Direction.OUT}
# The provider's own error codes; 005 is "unexpected".
ERROR_REASONS: Final = {
    Fault.BODY: "001",
    Fault.AMOUNT: "002",
    Fault.DIRECTION: "003",
    Fault.TIME: "004",
    Fault.TRANSACTION_ID: "007",
    Fault.REFERENCE: "008",
    Fault.MEMO: "009",
    Fault.ACCOUNT: "010",
}

_TOKEN: Final = re.compile(rb"(\d{10,11})\.([0-9a-f]{64})", re.ASCII)
_write = msgspec.json.encode


@dataclass(frozen=True)
class VietQRvn:
    """The adapter of an endpoint that is two addresses, distinguished by the callback's subpath."""

    name: str = "vietqrvn"
    capabilities: Capabilities = VIETQRVN
    body_bytes_max: int = BODY_BYTES_MAX
    pull: Pull | None = None

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        """Check the Basic login of a token request, or the Bearer token of a transaction."""
        if len(callback.body) > self.body_bytes_max:
            return refused(Refusal.TOO_LARGE, RefusalDetail.BODY_TOO_LARGE)
        scheme, credentials = split_authorization(callback)
        subpath = callback.subpath.strip("/")
        if subpath == TOKEN_SUBPATH:
            if scheme != "basic" or not credentials:
                return refused(Refusal.MISSING_SIGNATURE, RefusalDetail.CREDENTIALS_ABSENT)
            return _check_login(credentials, secrets)
        if subpath == SYNC_SUBPATH:
            if scheme != "bearer" or not credentials:
                return refused(Refusal.MISSING_SIGNATURE, RefusalDetail.CREDENTIALS_ABSENT)
            return _check_token(credentials, secrets, partial(self.read, callback.body), now)
        return refused(Refusal.UNKNOWN_SUBPATH, RefusalDetail.PATH_UNKNOWN)

    def issue_token(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Acknowledgement | None:
        """Answer a verified token request with a token of 300 s under the current key."""
        if callback.subpath.strip("/") != TOKEN_SUBPATH:
            return None
        _, key = next(usable_keys(secrets))
        expiry = str(int(now.timestamp()) + TOKEN_VALID_S)
        token = f"{expiry}.{_sign_token(expiry.encode(), secrets, key)}"
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_VALID_S}
        return Acknowledgement(status=200, body=_write(answer))

    def read(self, body: bytes) -> Reading:
        """Read the one transaction of a push, in the names of either version of the documents."""
        push = parse_object(body)
        transaction_id = read_id(
            _either(push, "transactionid", "transactionId"), Fault.TRANSACTION_ID
        )
        amount_vnd = read_amount(push.get("amount"))
        if amount_vnd < 0:
            raise UnreadableNotice(Fault.AMOUNT, "negative")
        direction = _either(push, "transType", "transtype")
        if type(direction) is not str or direction not in DIRECTIONS:
            raise UnreadableNotice(Fault.DIRECTION, 'transType is neither "C" nor "D"')
        reference = _either(push, "referencenumber", "referenceNumber")
        return Reading(
            is_ping=False,
            transactions=(
                ReportedTransaction(
                    direction=DIRECTIONS[direction],
                    provider_transaction_id=transaction_id,
                    bank_reference=find_id(reference, Fault.REFERENCE),
                    amount_vnd=amount_vnd,
                    memo=read_memo(push.get("content")),
                    account_number=read_id(
                        _either(push, "bankaccount", "bankAccount"), Fault.ACCOUNT
                    ),
                    virtual_account=None,
                    provider_order_id=find_id(_either(push, "orderId", "orderid"), Fault.ORDER),
                    occurred_at=read_unix_ms(_either(push, "transactiontime", "transactionTime")),
                    is_date_only=False,
                    payer_name=None,
                    payer_account=None,
                    payer_bank=None,
                    is_simulated=False,
                ),
            ),
        )

    def acknowledge(self, *, notice_id: str) -> Acknowledgement:
        """Answer with the four keys the provider looks for, naming our own id."""
        answer = {
            "error": False,
            "errorReason": "000",
            "toastMessage": "",
            "object": {"reftransactionid": notice_id},
        }
        return Acknowledgement(status=200, body=_write(answer))

    def acknowledge_unreadable(self, error: UnreadableNotice, *, notice_id: str) -> Acknowledgement:
        """Answer 400 with the provider's code: 400 is the one failure it does not repeat."""
        return _fail(400, ERROR_REASONS.get(error.fault, "005"), str(error))

    def refuse(self, refusal: Refusal) -> Acknowledgement:
        """Answer 401, after which the provider takes a new token and tries again, or a last 400."""
        if refusal in (Refusal.MALFORMED, Refusal.TOO_LARGE):
            return _fail(400, "001", refusal.value)
        return _fail(401, "005", "not accepted")


def _check_login(credentials: bytes, secrets: EndpointSecrets) -> Verification:
    try:
        login = base64.b64decode(credentials, validate=True)
    except ValueError:
        return refused(Refusal.BAD_SIGNATURE, RefusalDetail.LOGIN_UNREADABLE)
    username, _, password = login.partition(b":")
    key_index = find_equal_key(secrets, password)
    is_user = hmac.compare_digest(username, (secrets.username or "").encode())
    if key_index is None or not is_user or not secrets.username:
        return refused(Refusal.BAD_SIGNATURE, RefusalDetail.LOGIN_DIFFERS)
    return valid(key_index, None)


def _check_token(
    credentials: bytes, secrets: EndpointSecrets, read: Callable[[], Reading], now: datetime
) -> Verification:
    found = _TOKEN.fullmatch(credentials)
    if found is None:
        return refused(Refusal.BAD_SIGNATURE, RefusalDetail.TOKEN_UNKNOWN)
    expiry, signature = found.groups()
    key_index = find_signing_key(
        secrets, lambda key: _sign_token(expiry, secrets, key), [signature]
    )
    if key_index is None:
        return refused(Refusal.BAD_SIGNATURE, RefusalDetail.TOKEN_DIFFERS)
    if now.timestamp() >= int(expiry):
        return refused(Refusal.EXPIRED_TOKEN, RefusalDetail.TOKEN_EXPIRED)
    return valid(key_index, read)


def _sign_token(expiry: bytes, secrets: EndpointSecrets, key: bytes) -> str:
    """Bind expiry and user under the password; the label keeps other signatures apart."""
    message = b"phopay vietqrvn token 1\0" + (secrets.username or "").encode() + b"\0" + expiry
    return hmac.digest(key, message, "sha256").hex()


def _fail(status: int, reason: str, message: str) -> Acknowledgement:
    answer = {"error": True, "errorReason": reason, "toastMessage": message, "object": None}
    return Acknowledgement(status=status, body=_write(answer))


def _either(push: dict[str, Any], name: str, other_name: str) -> Any:
    value = push.get(name)
    return push.get(other_name) if value is None else value
