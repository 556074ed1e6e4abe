"""Errors of readers of statements: a file of which nothing may be kept."""

from collections.abc import Mapping
from enum import StrEnum

from core.errors import HubError, Kind


class Refusal(StrEnum):
    """Why a file cannot be read as a statement; the facts beside each are in StatementError."""

    EMPTY = "empty"  # no bytes, or nothing but spaces
    TOO_LARGE = "too_large"  # bytes, bytes_max
    TOO_MANY_ROWS = "too_many_rows"  # rows_max
    TOO_MANY_COLUMNS = "too_many_columns"  # row, columns_max
    TOO_MANY_ERRORS = "too_many_errors"  # errors_max: it is read by the wrong columns
    EXPANDS_TOO_FAR = "expands_too_far"  # a zip or XML bomb
    UNKNOWN_FORMAT = "unknown_format"  # nothing that any reader knows
    FORMAT_NOT_READ = "format_not_read"  # format: known, and no reader of it is here
    ENCRYPTED = "encrypted"  # a password is needed
    DAMAGED = "damaged"  # format: it breaks off, or its parts do not fit
    BAD_ENCODING = "bad_encoding"  # encoding, where: bytes that are no text in it
    NO_TEXT = "no_text"  # a scanned PDF: pictures only
    NO_HEADER = "no_header"  # no row names a date and an amount: map the columns by hand
    BAD_MAPPING = "bad_mapping"  # the mapping given by hand has no date, no amount or two of one


class StatementError(HubError):
    """A file cannot be read as a statement. Raised mid-stream it unsays every line before it."""

    kind, code, title = Kind.INVALID, "statement_unreadable", "The statement cannot be read"

    def __init__(self, reason: Refusal, **facts: str | int) -> None:
        described = "".join(f"; {name}: {value}" for name, value in facts.items())
        super().__init__(f"The statement cannot be read: {reason}{described}.")
        self.reason = reason
        self.facts: Mapping[str, str | int] = facts
