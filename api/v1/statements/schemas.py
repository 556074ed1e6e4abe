"""Requests and answers about statements."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import Field, JsonValue

from api.http.fields import Body, Read, ReasonText
from payments.providers.types import Direction
from payments.statements.reading.types import StatementFormat
from payments.statements.rules import StatementFacts, StatementStatus


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
    )


def present_lines(found: Sequence[Mapping[str, Any]], limit: int) -> StatementLinePage:
    """Make a page of at most `limit` of the lines that were found."""
    shown = [StatementLineRead.model_validate(dict(one)) for one in found[:limit]]
    more = len(found) > limit
    return StatementLinePage(lines=shown, next_line_no=shown[-1].line_no if more else None)
