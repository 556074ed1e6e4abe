"""Errors of statements."""

from uuid import UUID

from core.errors import HubError, Kind


class StatementNotFound(HubError):
    """No such statement in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "statement_not_found", "Statement not found"

    def __init__(self, statement_id: UUID) -> None:
        super().__init__(f"No statement {statement_id} was found.")


class ReceivingAccountNotFound(HubError):
    """No such receiving account in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "receiving_account_not_found", "Account not found"

    def __init__(self, account_id: UUID) -> None:
        super().__init__(f"This organisation has no receiving account {account_id}.")


class StatementIdTaken(HubError):
    """A client-made id names a statement of another file already."""

    kind, code, title = Kind.CONFLICT, "statement_id_taken", "The id names another statement"

    def __init__(self, statement_id: UUID) -> None:
        super().__init__(f"The id {statement_id} belongs to another file. Make a new id.")


class StatementFileEmpty(HubError):
    """The request has no bytes."""

    kind, code, title = Kind.INVALID, "statement_file_empty", "The file is empty"

    def __init__(self) -> None:
        super().__init__("The request's body is the file; it has no bytes. Send the file itself.")


class StatementFileTooLarge(HubError):
    """The file is over the limit."""

    kind, code, title = Kind.TOO_LARGE, "statement_file_too_large", "The file is too large"

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            f"A statement may have {bytes_max:,} bytes. Export fewer days in one file."
        )


class StatementNotAcceptable(HubError):
    """The statement has faults, or is not read yet."""

    kind, code, title = Kind.CONFLICT, "statement_not_acceptable", "It cannot be accepted"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The statement is {status}; one that is staged can be accepted. What is wrong with a"
            " refused one is in its problems and row errors: mend the file or its mapping."
        )


class StatementNotDiscardable(HubError):
    """The statement was accepted: its lines are evidence."""

    kind, code, title = Kind.CONFLICT, "statement_not_discardable", "It was accepted"

    def __init__(self) -> None:
        super().__init__("An accepted statement is evidence and stays. Post corrections instead.")


class StatementOverlaps(HubError):
    """Another statement owns some of its days, and the two do not say the same of them."""

    kind, code, title = Kind.CONFLICT, "statement_overlaps", "Another statement has these days"

    def __init__(self, *, days: int, repeats: int, extra: int, missing: int) -> None:
        super().__init__(
            f"Of {days} days another statement was accepted before. {repeats} lines are the same,"
            f" {extra} are only in this file, {missing} only in the earlier one. Where the bank"
            " has added lines since, accept it with `adds_lines`."
        )
        self.days, self.repeats, self.extra, self.missing = days, repeats, extra, missing


class StatementDaysTaken(HubError):
    """Days of it were taken by another statement since it was looked at."""

    kind, code, title = Kind.CONFLICT, "statement_days_taken", "Another was accepted meanwhile"

    def __init__(self) -> None:
        super().__init__(
            "Another statement of these days was accepted at this moment. Look at both again."
        )
