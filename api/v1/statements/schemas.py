"""Requests and answers about statements."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, JsonValue

from api.http.fields import Body, Read, ReasonText
from payments.providers.types import Direction
from payments.statements.mappings import read_mapping
from payments.statements.reading.cells import index_of, name_column
from payments.statements.reading.types import (
    COLUMNS_MAX,
    ROWS_MAX,
    ColumnMapping,
    ColumnMeaning,
    StatementFormat,
)
from payments.statements.rules import (
    HEADINGS_MAX,
    MappingFacts,
    StatementFacts,
    StatementStatus,
)

ColumnName = Annotated[str, Field(pattern="^[A-Z]{1,2}$")]


class StatementPlace(Read):
    """Where in the file, as a person counts: from 1."""

    row: int
    sheet: str | None = None
    page: int | None = None


class StatementProblem(Read):
    """One thing wrong with the statement as a whole."""

    code: str
    facts: dict[str, JsonValue]
    place: StatementPlace | None


class StatementRowError(Read):
    """One thing wrong with one row."""

    place: StatementPlace
    column: str | None = Field(description="`D`, or a tag of the format; null: the whole row.")
    meaning: str | None
    fault: str
    facts: dict[str, JsonValue]


class FileMappingRead(Read):
    """Columns of one file by letters, and where its lines begin."""

    columns: dict[str, ColumnMeaning]
    first_row: int
    thousands_separator: str | None


class StatementRead(Read):
    """What a bank says of one account and some days, as one file has it."""

    id: UUID
    receiving_account_id: UUID | None = Field(description="null until the file has said it.")
    status: StatementStatus
    job_id: UUID | None = Field(description="`GET /v1/jobs/{id}` says how far it has come.")
    file_name: str
    file_bytes: int
    sha256: str = Field(description="Of the file. The same file again is the same statement.")
    format: StatementFormat | None
    period_from: date | None
    period_to: date | None
    opening_vnd: int | None
    closing_vnd: int | None
    in_vnd: int
    out_vnd: int
    line_count: int
    repeat_count: int = Field(description="Lines that an earlier statement has: counted once.")
    error_count: int
    problems: list[StatementProblem]
    row_errors: list[StatementRowError] = Field(description="The first 200.")
    created_at: datetime
    read_at: datetime | None
    decided_at: datetime | None
    mapping: FileMappingRead | None = Field(
        description="Columns by which it was read, given by hand or saved; null: its headings."
    )
    is_mapping_saved: bool = Field(description="The mapping was found by the file's headings.")


class StatementPage(Read):
    """A page of statements, newest first."""

    statements: list[StatementRead]
    next_cursor: str | None


class StatementLineRead(Read):
    """Money that moved, as the bank says."""

    id: UUID
    line_no: int
    booked_on: date
    transacted_at: datetime | None
    direction: Direction
    amount_vnd: int
    balance_after_vnd: int | None
    bank_reference: str
    memo: str
    counterparty_account: str | None
    counterparty_name: str | None
    counterparty_bank: str | None
    is_reversal: bool


class StatementLinePage(Read):
    """Lines in the order of the file."""

    lines: list[StatementLineRead]
    next_line_no: int | None = Field(description="Give it as `after` for the next page.")


class ColumnMappingBody(Body):
    """What each column of a table is."""

    columns: dict[ColumnName, ColumnMeaning] = Field(
        min_length=2,
        max_length=COLUMNS_MAX,
        examples=[{"A": "transacted_at", "C": "amount", "D": "memo"}],
        description="By the letters that a spreadsheet names columns by.",
    )
    thousands_separator: Literal[",", "."] | None = Field(
        default=None, description="null: the file says what 1.234 is."
    )


class FileMapping(ColumnMappingBody):
    """What each column of one file is, and where its lines begin."""

    first_row: int = Field(ge=1, le=ROWS_MAX, description="The first row of lines, from 1.")


class StatementReadAgain(Body):
    """How a kept file is to be read instead."""

    id: UUID = Field(description="Of the new statement, made by the client.")
    receiving_account_id: UUID | None = Field(default=None, description="null: the file says it.")
    mapping: FileMapping | None = None
    is_saved: bool = Field(
        default=False,
        description="Keep the mapping for files of the account with the headings in the row above"
        " the lines. Needs the account.",
    )


class StatementMappingWrite(ColumnMappingBody):
    """Columns of an account's files with certain headings."""

    receiving_account_id: UUID
    headings: list[Annotated[str, Field(max_length=200)]] = Field(
        min_length=1, max_length=HEADINGS_MAX, description="The row above the lines, cell by cell."
    )


class StatementMappingRead(Read):
    """A saved mapping: files of the account with these headings are read by it."""

    id: UUID
    receiving_account_id: UUID
    headings: list[str]
    columns: dict[str, ColumnMeaning]
    thousands_separator: str | None
    changed_at: datetime


class StatementMappingPage(Read):
    """A page of saved mappings, newest first."""

    mappings: list[StatementMappingRead]
    next_cursor: str | None


class StatementDiscard(Body):
    """Why a statement is not used."""

    reason: ReasonText


def present_statement(found: StatementFacts) -> StatementRead:
    """Make the answer."""
    return StatementRead(
        id=found.id,
        receiving_account_id=found.receiving_account_id,
        status=found.status,
        job_id=found.job_id,
        file_name=found.file_name,
        file_bytes=found.file_bytes,
        sha256=found.file_sha256.hex(),
        format=None if found.format is None else StatementFormat(found.format),
        period_from=found.period_from,
        period_to=found.period_to,
        opening_vnd=found.opening_vnd,
        closing_vnd=found.closing_vnd,
        in_vnd=found.in_vnd,
        out_vnd=found.out_vnd,
        line_count=found.line_count,
        repeat_count=found.repeat_count,
        error_count=found.error_count,
        problems=[StatementProblem.model_validate(dict(one)) for one in found.problems],
        row_errors=[StatementRowError.model_validate(dict(one)) for one in found.row_errors],
        created_at=found.created_at,
        read_at=found.read_at,
        decided_at=found.decided_at,
        mapping=_present_file_mapping(found),
        is_mapping_saved=found.applied_mapping is not None,
    )


def read_columns(
    body: ColumnMappingBody | None, *, first_row: int | None = None
) -> ColumnMapping | None:
    """Return the mapping that a request gives, by index."""
    if body is None:
        return None
    columns = {index_of(name): meaning for name, meaning in body.columns.items()}
    return ColumnMapping(
        columns={index: meaning for index, meaning in columns.items() if index is not None},
        first_row=first_row or 1,
        thousands_separator=body.thousands_separator,
    )


def present_mapping(found: MappingFacts) -> StatementMappingRead:
    """Make the answer."""
    return StatementMappingRead(
        id=found.id,
        receiving_account_id=found.receiving_account_id,
        headings=list(found.headings),
        columns=_name_columns(found.columns),
        thousands_separator=found.thousands_separator,
        changed_at=found.changed_at,
    )


def _present_file_mapping(found: StatementFacts) -> FileMappingRead | None:
    mapping = read_mapping(found.applied_mapping or found.mapping)
    if mapping is None:
        return None
    return FileMappingRead(
        columns={name_column(index): one for index, one in sorted(mapping.columns.items())},
        first_row=mapping.first_row,
        thousands_separator=mapping.thousands_separator,
    )


def _name_columns(columns: Mapping[str, str]) -> dict[str, ColumnMeaning]:
    by_index = sorted((int(index), meaning) for index, meaning in columns.items())
    return {name_column(index): ColumnMeaning(meaning) for index, meaning in by_index}


def present_lines(found: Sequence[Mapping[str, Any]], limit: int) -> StatementLinePage:
    """Make a page of at most `limit` of the lines that were found."""
    shown = [StatementLineRead.model_validate(dict(one)) for one in found[:limit]]
    more = len(found) > limit
    return StatementLinePage(lines=shown, next_line_no=shown[-1].line_no if more else None)
