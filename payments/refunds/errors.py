"""Errors of refunds."""

from uuid import UUID

from core.errors import HubError, Kind


class RefundTooHigh(HubError):
    """Together with what is to be given back already it would be more than was paid."""

    kind, code, title = Kind.CONFLICT, "refund_too_high", "More than was paid"

    def __init__(self, left_vnd: int) -> None:
        super().__init__(
            f"{left_vnd} ₫ are left of what was paid, without what is given back already."
        )
        self.left_vnd = left_vnd


class RefundNotFound(HubError):
    """No such refund in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "refund_not_found", "Refund not found"

    def __init__(self, refund_id: UUID) -> None:
        super().__init__(f"This organisation has no refund {refund_id}.")


class RefundIdTaken(HubError):
    """The id came with another refund before."""

    kind, code, title = Kind.CONFLICT, "refund_id_taken", "Id in use"

    def __init__(self, refund_id: UUID) -> None:
        super().__init__(f"The id {refund_id} names another refund. Make a new one.")


class PaymentNotFound(HubError):
    """No such payment in this organisation, or it was taken back."""

    kind, code, title = Kind.NOT_FOUND, "payment_not_found", "Payment not found"

    def __init__(self, payment_id: UUID) -> None:
        super().__init__(f"This organisation has no payment {payment_id} that counts.")


class RefundNotPossible(HubError):
    """What it is against cannot be given back as it stands."""

    kind, code, title = Kind.CONFLICT, "refund_not_possible", "Not to be refunded"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"It is {status}. Of a bill that is still owed the rest, cancel the bill first."
        )
        self.status = status


class RefundProposalNotFitting(HubError):
    """The proposal is closed, is about something else, or is for less."""

    kind, code, title = Kind.CONFLICT, "refund_proposal_not_fitting", "Another proposal"

    def __init__(self) -> None:
        super().__init__("Request no more than the open proposal says, for what it is about.")


class RefundStepNotPossible(HubError):
    """This step does not follow on what was done before."""

    kind, code, title = Kind.CONFLICT, "refund_step_not_possible", "Not the next step"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The refund is {status}. Look at it again, and take the step it waits for."
        )
        self.status = status


class RefundNeedsAnother(HubError):
    """A second person approves: not who requested it, opened the bill or changed the account."""

    kind, code, title = Kind.FORBIDDEN, "refund_needs_another", "A second person is needed"

    def __init__(self) -> None:
        super().__init__(
            "Let somebody do it who did not request it, open the bill or change the account."
        )


class RefundNotYours(HubError):
    """The holder of the account gives money back: the payee of its own, finance of the rest."""

    kind, code, title = Kind.FORBIDDEN, "refund_not_yours", "Another holder's account"

    def __init__(self, held_by: str) -> None:
        super().__init__(f"The account is held by the {held_by}, whose people take this step.")


class RefundHasNoDestination(HubError):
    """Nobody knows the account that the money goes back to."""

    kind, code, title = Kind.CONFLICT, "refund_has_no_destination", "No account to pay to"

    def __init__(self) -> None:
        super().__init__("Ask the payer for an account, and enter it before you approve.")


class RefundDestinationFixed(HubError):
    """The account is the one that paid, the refund was decided, or somebody else entered it."""

    kind, code, title = Kind.CONFLICT, "refund_destination_fixed", "The account is fixed"

    def __init__(self) -> None:
        super().__init__(
            "The account can be entered only while nobody has decided; who entered it, or requested"
            " the refund, corrects it until then."
        )


class RefundDestinationChanged(HubError):
    """The account is another than the one that who approves saw."""

    kind, code, title = Kind.CONFLICT, "refund_destination_changed", "Another account"

    def __init__(self) -> None:
        super().__init__(
            "The account to pay to is not the one that you saw. Read the refund again, and send its"
            " destination_hash."
        )


class RefundLinkLimit(HubError):
    """As much as an organisation gives back by payers' links in a day is entered already."""

    kind, code, title = Kind.CONFLICT, "refund_link_limit", "Enough for today"

    def __init__(self) -> None:
        super().__init__("No more accounts are taken by links today. Come back tomorrow.")


class RefundNamesDiffer(HubError):
    """The holder's name was typed twice, and not alike."""

    kind, code, title = Kind.INVALID, "refund_names_differ", "Two names"

    def __init__(self) -> None:
        super().__init__("Type the account holder's name twice alike.")


class RefundReferenceNeeded(HubError):
    """A transfer that was made has the bank's reference."""

    kind, code, title = Kind.INVALID, "refund_reference_needed", "Reference needed"

    def __init__(self) -> None:
        super().__init__("Enter the bank's reference of the transfer back.")


class RefundFileNotFound(HubError):
    """No such payment file in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "refund_file_not_found", "Payment file not found"

    def __init__(self, file_id: UUID) -> None:
        super().__init__(f"This organisation has no payment file {file_id}.")


class RefundFileIdTaken(HubError):
    """The id came with another payment file before."""

    kind, code, title = Kind.CONFLICT, "refund_file_id_taken", "Id in use"

    def __init__(self, file_id: UUID) -> None:
        super().__init__(f"The id {file_id} names another payment file. Make a new one.")


class RefundFileEmpty(HubError):
    """No approved refund of this account waits to be instructed."""

    kind, code, title = Kind.CONFLICT, "refund_file_empty", "Nothing to instruct"

    def __init__(self) -> None:
        super().__init__("No approved refund of this account waits to be instructed.")


class RefundLayoutUnknown(HubError):
    """No layout of payment files has this name."""

    kind, code, title = Kind.INVALID, "refund_layout_unknown", "Unknown layout"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no layout {name!r}. Read GET /v1/refund-files.")
