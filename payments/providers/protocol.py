"""Protocols of a provider's adapter: its webhook, and where it has one its pull API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from payments.providers.errors import UnreadableNotice
from payments.providers.pulling import Answer, PullQuery, PullRequest, Told
from payments.providers.types import (
    Acknowledgement,
    EndpointSecrets,
    RawCallback,
    Reading,
    Refusal,
    Verification,
)


class Asking(Protocol):
    """The part of an adapter that can be asked."""

    @property
    def url(self) -> str:
        """The provider's address, the same for everybody; a sandbox has another."""
        ...

    @property
    def needs_client_id(self) -> bool:
        """Whether a token alone is not enough."""
        ...

    @property
    def pulls_by_order(self) -> bool:
        """Whether it knows its own orders only, and has no list of an account's transactions."""
        ...

    def ask(self, inquiry: PullQuery) -> Sequence[PullRequest]:
        """Return the requests; none where there is nothing to ask about."""
        ...

    def read(self, answer: Answer, request: PullRequest, inquiry: PullQuery) -> Told:
        """Tell what an answer says.

        Raises:
            UnreadableNotice: it is not in the provider's form.
            ProviderRefusedToken: the provider does not know us, or no longer.
            ProviderDidNotRespond: it is out of order, or wants fewer questions.
        """
        ...


class Provider(Protocol):
    """One way in which a provider reports bank transactions."""

    @property
    def name(self) -> str:
        """The name in the callback address and in the database."""
        ...

    @property
    def body_bytes_max(self) -> int:
        """A larger body is refused before anything of it is read."""
        ...

    @property
    def clock_window_s(self) -> int | None:
        """How far a signed time may be from ours, either way; None where no rule is documented."""
        ...

    @property
    def asking(self) -> "Asking | None":
        """How it is asked what came in; None where it has nothing that could be asked."""
        ...

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        """Check size, address and signature. Never raises, whatever the bytes are."""
        ...

    def read(self, body: bytes) -> Reading:
        """Tell the facts of a verified body.

        Raises:
            UnreadableNotice: and nothing else, whatever the bytes are.
        """
        ...

    def acknowledge(self, *, notice_id: str) -> Acknowledgement:
        """Say "stored", the same for the first notice and every repeat."""
        ...

    def acknowledge_unreadable(self, error: UnreadableNotice, *, notice_id: str) -> Acknowledgement:
        """Answer a well-signed notice that is stored but unreadable, so that nobody repeats it."""
        ...

    def refuse(self, refusal: Refusal) -> Acknowledgement:
        """Answer what was not accepted. An unknown endpoint is answered as a bad signature."""
        ...
