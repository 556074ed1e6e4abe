"""Requests and answers about callback endpoints and what they received."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field, SecretStr

from api.http.fields import Body, NameText, Read
from payments.providers import PROVIDERS
from payments.providers.types import RefusalDetail

OVERLAP_S_MAX: Final = 7 * 86_400
ACCOUNTS_MAX: Final = 100
PULL_URL_CHARS_MAX: Final = 200

ProviderName = StrEnum("ProviderName", {name.upper(): name for name in PROVIDERS})  # type: ignore[misc]

Secret = Annotated[
    SecretStr,
    Field(
        min_length=16,
        max_length=256,
        examples=["5f2c9d1e8b7a4c60a1d2e3f4b5c6d7e8"],
        description="What the provider issued; null where the hub may make one (sepay,"
        " sepay_apikey, vietqrvn).",
    ),
]
PullKey = Annotated[SecretStr, Field(min_length=1, max_length=500)]
AccountIds = Annotated[
    list[UUID],
    Field(max_length=ACCOUNTS_MAX, description="The receiving accounts that it may speak for."),
]


class CallbackEndpointCreate(Body):
    """An address for one provider to call."""

    provider: ProviderName
    name: NameText
    secret: Secret | None = None
    is_sandbox: bool = Field(default=False, description="Refused in a live organisation.")
    account_ids: AccountIds
    pull_url: (
        Annotated[str, Field(max_length=PULL_URL_CHARS_MAX, pattern=r"^https?://\S+$")] | None
    ) = Field(
        default=None,
        description="Where a sandbox is polled: one of the addresses that the operator allows.",
    )
    pull_token: PullKey | None = Field(
        default=None,
        description='For polling the provider ("kiểm tra giao dịch"): SePay\'s API'
        " token, Casso's API key, payOS's API key (x-api-key). vietqrvn cannot be polled.",
    )
    pull_client_id: PullKey | None = Field(
        default=None, description="payOS's client id (x-client-id), beside its API key; no other's."
    )


class CallbackEndpointAccounts(Body):
    """The accounts that an endpoint may speak for from now on."""

    account_ids: AccountIds


class CallbackEndpointPull(Body):
    """Credentials for polling from now on; without a token the provider is no longer polled."""

    pull_token: PullKey | None
    pull_client_id: PullKey | None = None


class CallbackEndpointPolling(Body):
    """How often an account is polled by the clock."""

    every_s: Annotated[int, Field(strict=True, ge=60, le=86_400)] | Literal[0] | None = Field(
        description="0: never, until it is set again; null: as often as the installation polls."
    )


class CallbackEndpointRotate(Body):
    """A new secret, and how long the old one holds beside it."""

    secret: Secret | None = None
    overlap_s: Annotated[int, Field(strict=True, ge=0, le=OVERLAP_S_MAX)] = 86_400

    @property
    def overlap(self) -> timedelta:
        """As a timedelta."""
        return timedelta(seconds=self.overlap_s)


class CallbackEndpointAccountRead(Read):
    """An account that an endpoint speaks for."""

    id: UUID
    account_number: str = Field(description="Its last four characters.")
    vouched_by: UUID | None = Field(
        description="Who listed it last of those who may approve accounts. Test transfers of an"
        " account count only if this person and the endpoint's are there and did not propose it."
    )


class CallbackEndpointRead(Read):
    """A callback endpoint, without its secrets."""

    id: UUID
    provider: str
    name: str
    is_sandbox: bool
    url: str = Field(
        description="What to enter at the provider.",
        examples=["https://pay.example.vn/v1/callbacks/sepay/DXA2-Q0hlY2tlZCBhbmQgb2s"],
    )
    accounts: list[CallbackEndpointAccountRead]
    can_be_polled: bool = Field(description='Whether it has a token for "kiểm tra giao dịch".')
    previous_key_until: datetime | None = Field(description="Rotation: both keys hold until then.")
    key_vouched_by: UUID | None = Field(
        description="Who set the key, if that is a person who may approve accounts."
    )
    key_vouched_from: datetime | None = Field(
        description="No other key can have signed what comes from then on."
    )
    created_at: datetime
    revoked_at: datetime | None


class CallbackEndpointSecretsRead(Read):
    """Secrets in clear, shown this once."""

    secret: str | None = Field(
        description="Null when an earlier request with this Idempotency-Key was answered with it."
        " If that answer was lost, rotate the secret."
    )
    username: str | None = Field(description="For providers that log in (vietqrvn).")


class CallbackEndpointMade(CallbackEndpointRead, CallbackEndpointSecretsRead):
    """A new endpoint with its secrets, which are shown this once."""


class EndpointCounts(Read):
    """What an endpoint received in the last 24 hours."""

    accepted: int
    rejected: int
    waiting: int = Field(description="Stored and not processed yet, of any age.")
    skew_s_max: int | None = Field(description="The greatest lag of the provider's clock.")


class CallbackEndpointDetail(CallbackEndpointRead):
    """An endpoint and its health."""

    last_day: EndpointCounts


class CallbackEndpointsRead(Read):
    """A page of callback endpoints, newest first."""

    endpoints: list[CallbackEndpointRead]
    next_cursor: str | None


class NoticeRead(Read):
    """One message: accepted, or why not."""

    id: UUID
    is_accepted: bool
    source: str = Field(description="`callback`, or `pulled` when the hub polled.")
    outcome: str | None = Field(description="What became of it; null while it waits.")
    refusal: str | None = Field(description="Why it was not accepted.", examples=["bad_signature"])
    detail: RefusalDetail | None = Field(description="What was wrong with a refused message.")
    skew_s: int | None = Field(description="Our clock minus the signature's.")
    received_at: datetime
    handled_at: datetime | None
    attempts: int
    body_bytes: int


class NoticePage(Read):
    """A page of notices, newest first."""

    notices: list[NoticeRead]
    next_cursor: str | None


class NoticeBody(Read):
    """What a message said: account numbers by their last four characters, no signatures."""

    id: UUID
    body: str
