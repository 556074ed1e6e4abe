"""Columns by hand: the top of a file, what each column of it is, and where its lines begin."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from api.finance.page_context import FinanceContext, TheFinance
from api.finance.statement_words import list_meanings
from api.finance.statements import ACCOUNTS_OFFERED
from api.http.deps import requires
from api.http.i18n import translate
from api.pages.staff_context import Errors
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.payees.views import list_accounts
from payments.statements import queries, rereading
from payments.statements.errors import StatementHeadingsMissing
from payments.statements.mappings import read_mapping
from payments.statements.reading.cells import Row, name_column
from payments.statements.reading.errors import StatementError
from payments.statements.reading.header import is_heading
from payments.statements.reading.sample import SAMPLE_COLUMNS
from payments.statements.reading.types import ColumnMapping, ColumnMeaning
from payments.statements.rules import StatementFacts

router = APIRouter(prefix="/finance/statements", include_in_schema=False)

MEANINGS: Final = {one.value for one in ColumnMeaning}


@dataclass(frozen=True, kw_only=True)
class SampleRowWords:
    """A row of the file's top."""

    number: int
    sheet: str
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ColumnsPage:
    """Everything templates/statement_columns.html may use, already worded."""

    statement_id: UUID
    name: str
    new_statement_id: UUID  # of the statement that the form makes: pressed twice, it is one
    letters: tuple[str, ...]
    chosen: tuple[str, ...]  # the meaning of each column; "" for none
    meanings: tuple[tuple[str, str], ...]
    rows: tuple[SampleRowWords, ...]
    first_row: int
    separators: tuple[tuple[str, str], ...]
    separator: str
    accounts: tuple[tuple[str, str], ...]
    account_id: str
    is_saved: bool
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """What somebody chose in the form."""

    mapping: ColumnMapping
    account_id: str
    is_saved: bool


@router.get("/{statement_id}/columns", dependencies=[requires(Permission.STATEMENTS_IMPORT)])
async def show_columns(finance: TheFinance, statement_id: UUID) -> Response:
    """Show the top of a file, with what its columns are taken for."""
    return await _render(finance, statement_id)


@router.post("/{statement_id}/columns", dependencies=[requires(Permission.STATEMENTS_IMPORT)])
async def map_columns(finance: TheFinance, statement_id: UUID) -> Response:
    """Have the file read by these columns."""
    sent = await finance.request.form()
    choice = _read_choice(sent)
    if choice.is_saved and not choice.account_id:
        errors = {"account_id": finance.say("error.account_needed")}
        return await _render(finance, statement_id, choice, errors)
    try:
        account_id = UUID(choice.account_id) if choice.account_id else None
        new_statement_id = UUID(str(sent.get("new_statement_id", "")))
        async with open_org_transaction(finance.database, finance.org_id) as tx:
            made, _ = await rereading.read_again(
                tx,
                finance.org_id,
                statement_id,
                new_statement_id,
                receiving_account_id=account_id,
                mapping=choice.mapping,
                is_saved=choice.is_saved,
                may_discard=finance.may(Permission.STATEMENTS_ACCEPT),
                actor=finance.caller.actor,
                now=finance.now,
            )
    except ValueError:
        return await _render(finance, statement_id, choice, {"": finance.say("error.needed")})
    except StatementError:
        errors = {"columns": finance.say("error.bad_mapping")}
        return await _render(finance, statement_id, choice, errors)
    except StatementHeadingsMissing as error:
        errors = {"first_row": finance.present_error(error)}
        return await _render(finance, statement_id, choice, errors)
    except HubError as error:
        return await _render(finance, statement_id, choice, {"": finance.present_error(error)})
    return finance.redirect(f"/statements/{made.id}")


async def _render(
    finance: FinanceContext,
    statement_id: UUID,
    choice: _Choice | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(finance.database, finance.org_id) as tx:
        found = await queries.get_statement(tx, finance.org_id, statement_id)
        sample = await queries.read_sample(tx, finance.org_id, statement_id)
        offered = await list_accounts(tx, finance.org_id, limit=ACCOUNTS_OFFERED)
    rows = tuple(
        SampleRowWords(
            number=one["number"], sheet=one.get("sheet") or "", cells=tuple(one["cells"])
        )
        for one in sample
    )
    shown = choice or _suggest(found, rows)
    width = min(SAMPLE_COLUMNS, max((len(one.cells) for one in rows), default=0))
    page = ColumnsPage(
        statement_id=statement_id,
        name=found.file_name or translate(finance.lang, "statements.unnamed"),
        new_statement_id=new_id(),
        letters=tuple(name_column(index) for index in range(width)),
        chosen=tuple(str(shown.mapping.columns.get(index, "")) for index in range(width)),
        meanings=tuple(list_meanings(finance)),
        rows=rows,
        first_row=shown.mapping.first_row,
        separators=tuple(
            (sign, translate(finance.lang, f"statements.separator.{name}"))
            for sign, name in (("", "by_itself"), (".", "point"), (",", "comma"))
        ),
        separator=shown.mapping.thousands_separator or "",
        accounts=tuple((str(one.id), finance.name_account(one)) for one in offered),
        account_id=shown.account_id,
        is_saved=shown.is_saved,
        errors=errors or {},
    )
    return finance.render(
        "statement_columns.html", page, here="statements", status=422 if errors else 200
    )


def _read_choice(sent: FormData) -> _Choice:
    columns = {}
    for index in range(SAMPLE_COLUMNS):
        meaning = sent.get(f"column_{name_column(index)}")
        if isinstance(meaning, str) and meaning in MEANINGS:
            columns[index] = ColumnMeaning(meaning)
    first_row = str(sent.get("first_row", ""))
    separator = str(sent.get("separator", ""))
    is_number = first_row.isascii() and first_row.isdigit() and len(first_row) < 8
    return _Choice(
        mapping=ColumnMapping(
            columns=columns,
            first_row=max(1, int(first_row)) if is_number else 1,
            thousands_separator=separator if separator in (".", ",") else None,
        ),
        account_id=str(sent.get("account_id", ""))[:40],
        is_saved="is_saved" in sent,
    )


def _suggest(found: StatementFacts, rows: tuple[SampleRowWords, ...]) -> _Choice:
    """Return what the form begins with: how the file was read, or what may be its heading."""
    account_id = str(found.receiving_account_id or "")
    mapping = read_mapping(found.applied_mapping or found.mapping)
    if mapping is None:
        columns = {}
        for one in (found.summary or {}).get("columns", ()):
            if one["meaning"] is not None:
                columns[int(one["index"])] = ColumnMeaning(one["meaning"])
        mapping = ColumnMapping(columns=columns, first_row=_find_first_row(rows))
    return _Choice(mapping=mapping, account_id=account_id, is_saved=True)


def _find_first_row(rows: tuple[SampleRowWords, ...]) -> int:
    """Return the row below the heading, or below the first row that is as wide as any."""
    for row in rows:
        if is_heading(Row(row.number, list(row.cells))):
            return row.number + 1
    filled = [(row.number, sum(1 for cell in row.cells if cell.strip())) for row in rows]
    widest = max((count for _, count in filled), default=0)
    # A line may have an empty cell or two; a heading names them all.
    return next((number + 1 for number, count in filled if count == widest), 1)
