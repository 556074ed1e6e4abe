"""Protocols of a provider's adapter: its webhook, and its pull API where it has one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from payments.providers.errors import UnreadableNotice
from payments.providers.pulling import PullPage, PullQuery, PullRequest, PullResponse
from payments.providers.types import (
    Acknowledgement,
    Capabilities,
    EndpointSecrets,
    RawCallback,
    Reading,
    Refusal,
    Verification,
)


class Pull(Protocol):
    """Requests to a provider's pull API, and reading of its responses."""

    def list_requests(self, query: PullQuery) -> Sequence[PullRequest]:
        """List the first requests; none where there is nothing to look up."""
        ...

    def read(self, response: PullResponse, request: PullRequest, query: PullQuery) -> PullPage:
        """Read a response.

        Raises:
            UnreadableNotice: it is not in the provider's form.
            ProviderRefusedToken: the provider does not accept the token, or no longer.
            ProviderDidNotRespond: it is out of order, or limits the rate of requests.
        """
        ...


class Webhook(Protocol):
    """How a provider calls back about bank transactions, and what it can do besides."""

    @property
    def name(self) -> str:
        """The name in the callback address and in the database."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do and needs."""
        ...

    @property
    def body_bytes_max(self) -> int:
        """A larger body is refused before anything of it is read."""
        ...

    @property
    def pull(self) -> Pull | None:
        """Its pull API; None where it has none."""
        ...

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        """Check size, address and signature, and read a valid notice. Never raises."""
        ...

    def issue_token(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Acknowledgement | None:
        """Answer a valid token request; None where the callback is a notice, to be stored."""
        ...

    def read(self, body: bytes) -> Reading:
        """Read the facts of a verified body.

        Raises:
            UnreadableNotice: and nothing else, whatever the bytes are.
        """
        ...

    def acknowledge(self, *, notice_id: str) -> Acknowledgement:
        """Answer "stored", the same for the first notice and every repeat."""
        ...

    def acknowledge_unreadable(self, error: UnreadableNotice, *, notice_id: str) -> Acknowledgement:
        """Answer a valid notice that is stored but unreadable, so that it is not sent again."""
        ...

    def refuse(self, refusal: Refusal) -> Acknowledgement:
        """Answer what was not accepted. An unknown endpoint is answered as a bad signature."""
        ...
