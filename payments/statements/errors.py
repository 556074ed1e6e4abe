"""Errors of statements."""

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

from core.errors import HubError, Kind

NAMED_DAYS_MAX: Final = 10  # in the words of one error


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
            " refused one is in its problems and row errors: mend the file and send it again."
        )


class StatementNotDiscardable(HubError):
    """The statement was accepted: its lines are evidence."""

    kind, code, title = Kind.CONFLICT, "statement_not_discardable", "It was accepted"

    def __init__(self) -> None:
        super().__init__("An accepted statement is evidence and stays. Post corrections instead.")


class StatementOverlaps(HubError):
    """Another statement owns some of its days, and the two do not say the same of them."""

    kind, code, title = Kind.CONFLICT, "statement_overlaps", "Another statement has these days"

    def __init__(
        self, *, days: int, repeats: int, extra: int, missing: int, days_apart: Sequence[date] = ()
    ) -> None:
        named = ", ".join(f"{day:%d/%m/%Y}" for day in days_apart[:NAMED_DAYS_MAX])
        super().__init__(
            f"Of {days} days another statement was accepted before. {repeats} lines are the same,"
            f" {extra} are only in this file, {missing} only in the earlier one"
            f"{f' (days that differ: {named})' if named else ''}. Look at both; a file of the days"
            " that no statement has yet can be accepted."
        )
        self.days, self.repeats, self.extra, self.missing = days, repeats, extra, missing
        self.days_apart = days_apart


class StatementsTooLong(HubError):
    """Too many lines stand in both files to be compared while somebody waits."""

    kind, code, title = Kind.CONFLICT, "statements_too_long", "Too many lines to compare"

    def __init__(self, lines: int, lines_max: int) -> None:
        super().__init__(
            f"{lines:,} lines are of days that another statement has; {lines_max:,} can be"
            " compared. Send a file of the days that no statement has yet."
        )


class StatementNotChained(HubError):
    """Its balances do not go on where the days beside it end or begin."""

    kind, code, title = Kind.CONFLICT, "statement_not_chained", "The balances do not chain"

    def __init__(self, own: tuple[date, int], other: tuple[date, int]) -> None:
        (day, vnd), (other_day, other_vnd) = own, other
        super().__init__(
            f"The statement has {vnd:,} đồng at {day:%d/%m/%Y}, and what was accepted for"
            f" {other_day:%d/%m/%Y} has {other_vnd:,}. A file of the days between is missing, or"
            " one of the two was changed."
        )
        self.own, self.other = own, other


class StatementBeforeOpening(HubError):
    """It has days from before its account's go-live, whose money is in the opening balance."""

    kind, code, title = Kind.CONFLICT, "statement_before_opening", "It begins before the go-live"

    def __init__(self, first: date, opening_day: date) -> None:
        super().__init__(
            f"The statement begins on {first:%d/%m/%Y}, and the account went live on"
            f" {opening_day:%d/%m/%Y}: what was booked before is in its opening balance. Send a"
            " file of the days from then on."
        )
        self.first, self.opening_day = first, opening_day


class StatementBeingWritten(HubError):
    """Another statement of the account is accepted, and its lines are not all written yet."""

    kind, code, title = Kind.CONFLICT, "statement_being_written", "Another is being written"

    def __init__(self) -> None:
        super().__init__(
            "Another statement of this account is being written. Try again once its job is done;"
            " where it failed, accept that statement again."
        )


class StatementFileKnown(HubError):
    """The file is a statement already, with other facts."""

    kind, code, title = Kind.CONFLICT, "statement_file_known", "The file is known"

    def __init__(self, statement_id: UUID) -> None:
        super().__init__(
            f"This file is the statement {statement_id}, of another account or read in another"
            " way. Discard that one first."
        )
        self.statement_id = statement_id


class StatementsADayReached(HubError):
    """The organisation sent as many files today as it may."""

    kind, code, title = Kind.TOO_MANY, "statements_a_day_reached", "Too many files today"

    def __init__(self, files_max: int) -> None:
        super().__init__(
            f"An organisation may send {files_max:,} statements a day. Put the lines of one account"
            " and one month into one file, or go on tomorrow."
        )


class StatementReadingsReached(HubError):
    """The organisation had kept files read again as often today as it may."""

    kind, code, title = Kind.TOO_MANY, "statement_readings_reached", "Read again too often today"

    def __init__(self, readings_max: int) -> None:
        super().__init__(
            f"An organisation may have files that it sent before read {readings_max:,} times a day."
            " Save the columns for the account, or go on tomorrow."
        )


class StatementSpaceReached(HubError):
    """The organisation's kept files are as large as they may be together."""

    kind, code, title = Kind.CONFLICT, "statement_space_reached", "No room for more files"

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            f"An organisation's statements may have {bytes_max // 1024**3} GiB together, and none"
            " is deleted: they are evidence. Ask who runs the hub for more room."
        )


class StatementMappingNotFound(HubError):
    """No such saved mapping in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "statement_mapping_not_found", "Mapping not found"

    def __init__(self, mapping_id: UUID) -> None:
        super().__init__(f"No saved mapping {mapping_id} was found.")


class StatementMappingsFull(HubError):
    """The account has as many saved mappings as it may."""

    kind, code, title = Kind.CONFLICT, "statement_mappings_full", "Too many saved mappings"

    def __init__(self, mappings_max: int) -> None:
        super().__init__(f"An account may have {mappings_max} saved mappings. Remove one first.")


class StatementHeadingsMissing(HubError):
    """No row of headings stands above the lines: a mapping could not be found again by it."""

    kind, code, title = Kind.INVALID, "statement_headings_missing", "Nothing to find it by"

    def __init__(self) -> None:
        super().__init__(
            "A mapping is kept by the headings in the row above the first line, and there are none."
            " Map the file without saving, or name the first row of lines below its headings."
        )
