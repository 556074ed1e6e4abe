"""Types shared by the adapters of all providers.

An adapter is pure: bytes in, facts out. It reads no clock, no database and no network, so the
web edge, the worker that processes a backlog and the command line all run the same code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from payments.providers.errors import UnreadableNotice

# The largest real notice seen is below 2 KiB; each adapter may lower this, none may raise it.
BODY_BYTES_MAX: Final = 16_384
# Two during a rotation: the current one, and the one that a provider may still be using.
KEYS_MAX: Final = 2

MEMO_CHARS_MAX: Final = 1_000
ID_CHARS_MAX: Final = 100
NAME_CHARS_MAX: Final = 200


class Direction(StrEnum):
    """Which way the money went, seen from the receiving account."""

    IN = "in"
    OUT = "out"


class Refusal(StrEnum):
    """Why a callback was not accepted."""

    BAD_SIGNATURE = "bad_signature"
    MISSING_SIGNATURE = "missing_signature"
    STALE_TIMESTAMP = "stale_timestamp"  # signed by a known key, outside the clock window
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 (a reason, not a secret)
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNKNOWN_SUBPATH = "unknown_subpath"


class RefusalDetail(StrEnum):
    """What was wrong with a callback that was not accepted; api/pages/words has the words."""

    SIGNATURE_ABSENT = "signature_absent"
    SIGNATURE_UNREADABLE = "signature_unreadable"  # not in the provider's form
    SIGNATURE_DIFFERS = "signature_differs"
    CLOCK_DIFFERS = "clock_differs"
    CREDENTIALS_ABSENT = "credentials_absent"
    KEY_DIFFERS = "key_differs"
    LOGIN_UNREADABLE = "login_unreadable"
    LOGIN_DIFFERS = "login_differs"
    TOKEN_UNKNOWN = "token_unknown"  # noqa: S105 (a reason, not a secret)
    TOKEN_DIFFERS = "token_differs"  # noqa: S105 (of another endpoint)
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 (a reason, not a secret)
    BODY_UNREADABLE = "body_unreadable"
    BODY_TOO_LARGE = "body_too_large"
    PATH_UNKNOWN = "path_unknown"


class PulledBy(StrEnum):
    """By what a provider's pull API is searched."""

    ACCOUNT = "account"  # it lists an account's transactions
    ORDER = "order"  # it knows its own orders only


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a provider can do and needs: data, so that no code elsewhere goes by its name."""

    issues_secret: bool  # else the hub may make it
    needs_username: bool = False  # it logs in before it calls; the hub makes the name
    clock_window_s: int | None = None  # how far a signed time may be off; None: no documented rule
    subpaths: tuple[str, ...] = ("",)  # below the endpoint's address, where it calls
    # Its pull API, below this origin; a sandbox has another. None: it has none.
    pull_url: str | None = None
    pulled_by: PulledBy = PulledBy.ACCOUNT
    pull_needs_client_id: bool = False  # beside the token
    # Requests by the clock of one connection; what people ask for comes on top.
    pull_per_minute: int = 30

    @property
    def can_be_pulled(self) -> bool:
        """Whether it has a pull API."""
        return self.pull_url is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class RawCallback:
    """One HTTP request as it came."""

    headers: Mapping[str, str]  # lower-case names
    body: bytes
    subpath: str = ""  # what follows the endpoint id, for example "bank/api/transaction-sync"


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointSecrets:
    """The decrypted secrets of one callback endpoint."""

    keys: tuple[
        str, ...
    ]  # signing secrets, API keys or passwords: the current one first, at most 2
    username: str | None = None  # VietQR.vn's Basic user; its password is in keys

    def __repr__(self) -> str:
        """Show nothing: this object is near log lines and tracebacks."""
        return f"EndpointSecrets({len(self.keys)} keys)"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedTransaction:
    """One bank transaction as its provider reports it; texts are cleaned, the raw body is kept."""

    direction: Direction
    provider_transaction_id: str  # the provider's own id, by which its repeats are known
    bank_reference: str | None  # the bank's id (FT…), where the provider passes it on
    amount_vnd: int  # 1 to VND_MAX; the sign is in direction
    memo: str  # at most 1,000 characters; a longer one is cut and ends in "…"
    account_number: str
    virtual_account: str | None
    provider_order_id: str | None  # payOS orderCode, VietQR.vn orderId
    occurred_at: datetime  # aware UTC; the provider's clock
    is_date_only: bool  # the provider gives a day; occurred_at is its first instant in Hà Nội
    payer_name: str | None
    payer_account: str | None
    payer_bank: str | None
    is_simulated: bool  # the provider marks it as sandbox money
    # What the provider calls the bank of account_number; none where it does not say.
    bank_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one notice says."""

    is_ping: bool  # a test notice: acknowledge, never credit
    transactions: tuple[ReportedTransaction, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledgement:
    """An HTTP answer in the provider's own form."""

    status: int
    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """Whether a callback was signed with the endpoint's secret, and what a valid one says.

    A valid notice is read once, here: its reading is for the acknowledgement. Processing reads the
    stored body again. A valid token request (Webhook.issue_token) has neither of the two.
    """

    is_valid: bool
    refusal: Refusal | None
    detail: RefusalDetail | None = None  # for the notice log
    used_previous_key: bool = False
    skew_s: int | None = None  # our clock minus the signature's, where the scheme signs a time
    reading: Reading | None = None
    unreadable: UnreadableNotice | None = None  # it is stored all the same
