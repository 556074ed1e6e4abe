"""Errors of callback endpoints and their credentials."""

from uuid import UUID

from core.errors import HubError, Kind


class CallbackEndpointNotFound(HubError):
    """No such callback endpoint in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "callback_endpoint_not_found", "Callback endpoint not found"

    def __init__(self, endpoint_id: UUID) -> None:
        super().__init__(f"This organisation has no callback endpoint {endpoint_id}.")


class CallbackEndpointRevoked(HubError):
    """A revoked endpoint stays closed and gets no new secret."""

    kind, code, title = Kind.CONFLICT, "callback_endpoint_revoked", "The endpoint is revoked"

    def __init__(self) -> None:
        super().__init__("This endpoint was revoked. Make a new one.")


class SandboxRefused(HubError):
    """A live organisation takes no sandbox endpoint."""

    kind, code, title = Kind.CONFLICT, "sandbox_refused", "Live organisations take real money only"

    def __init__(self) -> None:
        super().__init__(
            "This organisation is live: it refuses sandbox endpoints and simulated credits."
            " Use a test organisation to try things out."
        )


class UnknownProvider(HubError):
    """No adapter has this name."""

    kind, code, title = Kind.INVALID, "unknown_provider", "Unknown provider"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"No provider is called {name!r}. Use one of: {', '.join(known)}.")


class BadSecret(HubError):
    """A signing secret is too short or in the wrong form."""

    kind, code, title = Kind.INVALID, "bad_secret", "The secret cannot be used"


class BadPullUrl(HubError):
    """Only a sandbox is polled at another address, and only at one that the operator allows."""

    kind, code, title = Kind.INVALID, "bad_pull_url", "The address cannot be polled"

    def __init__(self) -> None:
        super().__init__(
            "Only a sandbox endpoint may be polled at another address, one of those that the"
            " operator of this hub allows (PHOPAY_SANDBOX_ORIGINS). Leave it out."
        )


class BadPullToken(HubError):
    """Credentials for polling are incomplete, have characters of another kind, or no use here."""

    kind, code, title = Kind.INVALID, "bad_pull_token", "The API token cannot be used"
