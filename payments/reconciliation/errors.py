"""Errors of explaining statement lines by hand."""

from datetime import date
from uuid import UUID

from core.errors import HubError, Kind


class StatementLineNotFound(HubError):
    """No such statement line in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "statement_line_not_found", "Statement line not found"

    def __init__(self, line_id: UUID) -> None:
        super().__init__(f"No statement line {line_id} was found.")


class LineBeforeOpening(HubError):
    """The line is booked before its account went live: the opening balance holds its money."""

    kind, code, title = Kind.CONFLICT, "line_before_opening", "The line is from before the go-live"

    def __init__(self, opened_on: date) -> None:
        super().__init__(
            f"Lines of this account count from {opened_on.isoformat()} on;"
            " what was booked before is in its opening balance."
        )


class TooManyLinesBefore(HubError):
    """More lines from before a go-live are explained than can be opened at once."""

    kind, code, title = Kind.CONFLICT, "too_many_lines_before", "Too many explained lines"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"More than {most:,} proofs of lines booked before that day were posted in days that"
            " are open. Close more days, and go live on a later one."
        )


class LineExplained(HubError):
    """The line has an explanation already."""

    kind, code, title = Kind.CONFLICT, "line_explained", "The line is explained"

    def __init__(self, explanation: str) -> None:
        super().__init__(f"The line is explained already ({explanation}). Unlink it first.")


class LineDirectionDiffers(HubError):
    """The money of the line goes the other way."""

    kind, code, title = Kind.INVALID, "line_direction_differs", "The money goes the other way"

    def __init__(self, direction: str) -> None:
        super().__init__(f"The money of this line went {direction}: it cannot be that.")


class LineAmountDiffers(HubError):
    """The credits together are not the amount of the line."""

    kind, code, title = Kind.CONFLICT, "line_amount_differs", "The amounts differ"

    def __init__(self, line_vnd: int, credits_vnd: int) -> None:
        super().__init__(
            f"The line has {line_vnd:,} đồng and the credits together {credits_vnd:,}."
            " Credits are linked whole."
        )


class CreditNotLinkable(HubError):
    """A credit is on another account, on a line already, or is no money of its own."""

    kind, code, title = Kind.CONFLICT, "credit_not_linkable", "The credit cannot be linked"

    def __init__(self, credit_id: UUID) -> None:
        super().__init__(
            f"The credit {credit_id} is not one of this account that waits for its line."
        )
