"""What can be wrong with callbacks, credits and their corrections."""

from uuid import UUID

from core.errors import HubError, Kind


class EndpointNotFound(HubError):
    """No such callback endpoint in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "endpoint_not_found", "Callback endpoint not found"

    def __init__(self, endpoint_id: UUID) -> None:
        super().__init__(f"This organisation has no callback endpoint {endpoint_id}.")


class EndpointRevoked(HubError):
    """A revoked endpoint stays closed and gets no new secret."""

    kind, code, title = Kind.CONFLICT, "endpoint_revoked", "The endpoint is revoked"

    def __init__(self) -> None:
        super().__init__("This endpoint was revoked. Make a new one.")


class DeliveryNotFound(HubError):
    """No such message at this endpoint."""

    kind, code, title = Kind.NOT_FOUND, "delivery_not_found", "Delivery not found"

    def __init__(self, delivery_id: UUID) -> None:
        super().__init__(f"This endpoint received no message {delivery_id}.")


class BreakNotFound(HubError):
    """No such break in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "break_not_found", "Break not found"

    def __init__(self, break_id: UUID) -> None:
        super().__init__(f"This organisation has no break {break_id}.")


class BreakClosed(HubError):
    """A break is closed once; its resolution stays."""

    kind, code, title = Kind.CONFLICT, "break_closed", "Already resolved"

    def __init__(self) -> None:
        super().__init__("This break was resolved before.")


class BreakNotDecidable(HubError):
    """This decision does not fit what the break is about."""

    kind, code, title = Kind.CONFLICT, "break_not_decidable", "Not to be decided so"

    def __init__(self) -> None:
        super().__init__("This break is not about money that could be decided about in this way.")


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


class BadAskUrl(HubError):
    """Only a sandbox is asked at another address, and only at one that the operator allows."""

    kind, code, title = Kind.INVALID, "bad_ask_url", "The address cannot be asked"

    def __init__(self) -> None:
        super().__init__(
            "Only a sandbox endpoint may be asked at another address, one of those that the"
            " operator of this hub allows (PHOPAY_SANDBOX_ORIGINS). Leave it out."
        )


class CreditNotFound(HubError):
    """No such credit in this organisation, or not of this payee."""

    kind, code, title = Kind.NOT_FOUND, "credit_not_found", "Payment not found"

    def __init__(self, credit_id: UUID) -> None:
        super().__init__(f"No payment {credit_id} was found.")


class CreditNotCorrectable(HubError):
    """The present explanation of a credit does not allow this correction."""

    kind, code, title = Kind.CONFLICT, "credit_not_correctable", "The payment cannot be changed"


class AskingFailed(HubError):
    """A provider was not asked, or in vain; its subclasses say what can be done about it."""


class ProviderCannotBeAsked(AskingFailed):
    """No provider that reports on the account takes questions, or none has a token for them."""

    kind, code = Kind.CONFLICT, "provider_cannot_be_asked"
    title = "The provider cannot be asked"

    def __init__(self) -> None:
        super().__init__(
            "The provider of this account cannot be asked. Look into the bank's own app."
        )


class NoOrderToAskAbout(AskingFailed):
    """The provider knows its own orders only, and none of these bills was made there."""

    kind, code, title = Kind.CONFLICT, "no_order_to_ask_about", "No order to ask about"

    def __init__(self) -> None:
        super().__init__(
            "This provider tells of its own orders only, and no recent bill here has one."
            " Look into the bank's own app."
        )


class ProviderRefusedToken(AskingFailed):
    """The API token for asking is wrong, expired or withdrawn, or no longer readable here."""

    kind, code = Kind.CONFLICT, "provider_refused_token"
    title = "The provider refused the API token"

    def __init__(self) -> None:
        super().__init__(
            "The provider did not accept the API token of this endpoint (it is wrong or has"
            " expired), or the hub can no longer read it. Enter a new one; until then look into"
            " the bank's own app."
        )


class ProviderAnswerUnreadable(AskingFailed):
    """A provider answered a question in another form than it documents."""

    kind, code = Kind.CONFLICT, "provider_answer_unreadable"
    title = "The provider's answer cannot be read"


class ProviderDidNotAnswer(AskingFailed):
    """A provider was asked and did not answer in time."""

    kind, code, title = Kind.UNAVAILABLE, "provider_did_not_answer", "The provider did not answer"


class BadAskToken(HubError):
    """What is needed for asking is incomplete, has signs of another kind, or has no use here."""

    kind, code, title = Kind.INVALID, "bad_ask_token", "The API token cannot be used"
