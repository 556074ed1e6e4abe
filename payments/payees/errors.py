"""Errors of payees and their accounts."""

from uuid import UUID

from core.errors import HubError, Kind


class PayeeNotFound(HubError):
    """No such payee in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "payee_not_found", "Payee not found"

    def __init__(self, payee_id: UUID) -> None:
        super().__init__(f"This organisation has no payee {payee_id}.")


class PayeeClosed(HubError):
    """A payee that was closed is not changed any more and gets no new account."""

    kind, code, title = Kind.CONFLICT, "payee_closed", "The payee is closed"

    def __init__(self) -> None:
        super().__init__("This payee is closed. Add a new one if it trades again.")


class PayeeHasNoAccount(HubError):
    """A payee cannot be paid before its account was approved and tested."""

    kind, code, title = Kind.CONFLICT, "payee_has_no_account", "No tested account yet"

    def __init__(self, payee_id: UUID) -> None:
        super().__init__(
            f"The payee {payee_id} has no receiving account in force. A second person must approve"
            " its account, and a test transfer must arrive first."
        )


class AccountLinkNotFound(HubError):
    """No such proposal or link."""

    kind, code, title = Kind.NOT_FOUND, "account_link_not_found", "Account not found"

    def __init__(self, link_id: UUID) -> None:
        super().__init__(f"This organisation has no account link {link_id}.")


class AccountTaken(HubError):
    """(BIN, number) is in use, here or in another organisation."""

    kind, code, title = Kind.CONFLICT, "account_taken", "The account is in use elsewhere"

    def __init__(self) -> None:
        super().__init__(
            "This bank account, or this virtual account, is already in use in the hub."
            " Check the number, or ask the city's administrator."
        )


class BadAccount(HubError):
    """The bank or the number cannot be right."""

    kind, code, title = Kind.INVALID, "bad_account", "The account cannot be right"


class SecondPersonNeeded(HubError):
    """Who proposed an account cannot approve it."""

    kind, code, title = Kind.FORBIDDEN, "second_person_needed", "A second person is needed"

    def __init__(self) -> None:
        super().__init__(
            "You proposed this account, so another person with the right to approve must agree."
        )


class AccountLinkNotProposed(HubError):
    """Only a proposal can be approved or refused."""

    kind, code, title = Kind.CONFLICT, "account_link_not_proposed", "Already decided"

    def __init__(self, status: str) -> None:
        super().__init__(f"This account link is {status}; only a proposal can be decided.")


class AccountLinkNotInForce(HubError):
    """Only an account that a payee's codes name, or named, can be ended or acknowledged."""

    kind, code, title = Kind.CONFLICT, "account_link_not_in_force", "Not in force"

    def __init__(self, status: str) -> None:
        super().__init__(f"This account link is {status}, so it is not in force.")


class HolderNeeded(HubError):
    """Only the payee's own people can say that they saw a change of their account."""

    kind, code, title = Kind.FORBIDDEN, "holder_needed", "The holder is needed"

    def __init__(self) -> None:
        super().__init__(
            "Somebody of the payee itself must say that they saw this account: nobody who proposed"
            " or approved it, nor by a login that was made, reset or moved to the payee since the"
            " account was proposed, or whose password one of these two gave."
        )


class HolderNeedsAnother(HubError):
    """Who gave an account to the organisation does not give it back to its payee alone."""

    kind, code, title = Kind.FORBIDDEN, "holder_needs_another", "A second person is needed"

    def __init__(self) -> None:
        super().__init__(
            "Let somebody else say that the payee holds the account: you said that the organisation"
            " does."
        )


class AccountNotAwaitingTest(HubError):
    """Only a link that is not in force yet, and was not tested, has a test transfer to make."""

    kind, code, title = Kind.CONFLICT, "account_not_awaiting_test", "No test transfer is awaited"

    def __init__(self, status: str) -> None:
        super().__init__(f"This account is {status}; it needs no test transfer.")


class CodeOwnerTaken(HubError):
    """A payee has one static code, and its sales are another lot's already."""

    kind, code, title = Kind.CONFLICT, "code_owner_taken", "The code is another lot's poster"

    def __init__(self, payee_id: UUID) -> None:
        super().__init__(
            f"The static code of payee {payee_id} is the poster of another lot. Give this lot a"
            " payee of its own, or take that poster down."
        )
