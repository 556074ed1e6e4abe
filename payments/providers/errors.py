"""Errors of providers' adapters."""

from enum import StrEnum
from typing import ClassVar

from core.errors import HubError, Kind


class Fault(StrEnum):
    """Which part of a notice could not be read."""

    BODY = "body"
    AMOUNT = "amount"
    DIRECTION = "direction"
    TIME = "time"
    TRANSACTION_ID = "transaction_id"
    REFERENCE = "reference"
    MEMO = "memo"
    ACCOUNT = "account"
    ORDER = "order"
    STATUS = "status"
    CURRENCY = "currency"


class PollFailed(HubError):
    """A poll failed or was not possible; the subclasses say what can be done about it."""


class ProviderCannotBePolled(PollFailed):
    """No provider that reports on the account has a pull API, or none has a token for it."""

    kind, code = Kind.CONFLICT, "provider_cannot_be_polled"
    title = "The provider cannot be polled"

    def __init__(self) -> None:
        super().__init__(
            "The provider of this account cannot be polled. Look into the bank's own app."
        )


class NoOrderToPoll(PollFailed):
    """The provider knows its own orders only, and none of these bills has one there."""

    kind, code, title = Kind.CONFLICT, "no_order_to_poll", "No order to look up"

    def __init__(self) -> None:
        super().__init__(
            "This provider lists its own orders only, and no recent bill here has one."
            " Look into the bank's own app."
        )


class ProviderRefusedToken(PollFailed):
    """The API token for polling is wrong, expired or withdrawn, or no longer readable here."""

    kind, code = Kind.CONFLICT, "provider_refused_token"
    title = "The provider refused the API token"

    def __init__(self) -> None:
        super().__init__(
            "The provider did not accept the API token of this endpoint (it is wrong or has"
            " expired), or the hub can no longer read it. Enter a new one; until then look into"
            " the bank's own app."
        )


class ProviderResponseUnreadable(PollFailed):
    """A provider answered a poll in another form than it documents."""

    kind, code = Kind.CONFLICT, "provider_response_unreadable"
    title = "The provider's answer cannot be read"


class ProviderDidNotRespond(PollFailed):
    """A provider was polled and did not answer in time."""

    kind, code, title = Kind.UNAVAILABLE, "provider_did_not_respond", "The provider did not answer"


class UnreadableNotice(HubError):
    """A message does not say what its provider's contract promises; the raw bytes are evidence."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unreadable_notice"
    title: ClassVar[str] = "The notice cannot be read"

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
