"""Read models of the work on breaks: the list with its filters, and one break with all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import AuditRow, list_changes
from core.clock import day_bounds
from core.errors import InvalidRequest, Violation
from identity.people.queries import find_names
from payments.breaks.errors import BreakNotFound
from payments.breaks.models import BreakFile, BreakNote
from payments.breaks.queries_evidence import list_files, list_notes
from payments.breaks.rules import BreakType, kinds_of, type_of
from payments.decisions import queries, queries_list
from payments.decisions.models import BreakDecision
from payments.decisions.rules import Action, list_actions

DAYS_MAX: Final = 31
HISTORY_MAX: Final = 100
FIND_CHARS_MAX: Final = 100


class BreakRow(NamedTuple):
    """Something unexplained, or how it was resolved."""

    id: UUID
    kind: str
    subject_id: UUID
    credit_id: UUID | None
    bill_id: UUID | None
    owner_id: UUID | None
    amount_vnd: int | None
    reason: str
    reason_facts: dict[str, Any]
    opened_at: datetime
    deadline_at: datetime | None
    held_at: datetime | None
    closed_at: datetime | None
    closed_by: UUID | None
    resolution: str | None
    outcome: str | None
    awaits_approval: bool  # of a decision about its money

    def is_overdue(self, *, now: datetime) -> bool:
        """Whether it is, or was when it closed, past its deadline."""
        return self.deadline_at is not None and self.deadline_at < (self.closed_at or now)

    def find_type(self, *, now: datetime) -> BreakType:
        """Return its family, by its age."""
        return type_of(self.kind, is_overdue=self.is_overdue(now=now))

    @property
    def actions(self) -> frozenset[Action]:
        """What may be decided of its money while it is open."""
        return list_actions(
            self.kind,
            subject_id=self.subject_id,
            credit_id=self.credit_id,
            bill_id=self.bill_id,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakFilter:
    """What a list of breaks is held to; what is None, or false, holds it to nothing."""

    is_open: bool | None = None
    type: BreakType | None = None
    kind: str | None = None
    owner_id: UUID | None = None
    is_unowned: bool = False
    is_overdue: bool = False
    account_id: UUID | None = None
    opened_from: date | None = None  # in Hà Nội, with opened_to: both or none
    opened_to: date | None = None
    find: str = ""
    awaits: Literal["approval", "review"] | None = None  # of a decision about its money


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakStory:
    """A break with all that people put beside it and did about it."""

    row: BreakRow
    notes: Sequence[BreakNote]
    files: Sequence[BreakFile]
    decisions: Sequence[BreakDecision]
    history: Sequence[AuditRow]  # newest first
    people: dict[UUID, str]  # names of everybody named


class OpenCounts(NamedTuple):
    """How many breaks are open."""

    open: int
    overdue: int
    unowned: int
    mine: int


def check_filter(wanted: BreakFilter) -> None:
    """Refuse filters that would read a whole history: they need what is open, or some days.

    Raises:
        InvalidRequest
    """
    days = (wanted.opened_from, wanted.opened_to)
    if (days[0] is None) != (days[1] is None):
        _refuse("opened_to", "days_needed", "Name both the first and the last day, or none.")
    if days[0] is not None and days[1] is not None:
        length = (days[1] - days[0]).days
        if not 0 <= length < DAYS_MAX:
            _refuse("opened_to", "too_many_days", f"Ask for at most {DAYS_MAX} days at once.")
    needs_bounds = bool(wanted.find) or wanted.account_id is not None
    if needs_bounds and wanted.is_open is not True and days[0] is None:
        detail = f"Look among what is open, or in at most {DAYS_MAX} days."
        _refuse("find" if wanted.find else "account_id", "days_needed", detail)


async def list_worklist(
    session: AsyncSession,
    org_id: UUID,
    wanted: BreakFilter,
    *,
    before_id: UUID | None = None,
    limit: int,
    now: datetime,
) -> list[BreakRow]:
    """List breaks, newest first.

    Raises:
        InvalidRequest: the filters would read a whole history.
    """
    check_filter(wanted)
    values: dict[str, Any] = {"org_id": org_id, "limit": limit, "now": now}
    given: set[str] = set()
    for name in ("owner_id", "account_id"):
        if (value := getattr(wanted, name)) is not None:
            values[name] = value
    if before_id is not None:
        values["before_id"] = before_id
    if wanted.is_open is not None:
        given.add("is_open" if wanted.is_open else "is_closed")
    if wanted.awaits is not None:
        given.add(wanted.awaits)
    if wanted.is_unowned:
        given.add("is_unowned")
    if wanted.is_overdue:
        values["overdue_at"] = now
    if wanted.opened_from is not None and wanted.opened_to is not None:
        values["since"] = day_bounds(wanted.opened_from)[0]
        values["until"] = day_bounds(wanted.opened_to + timedelta(days=1))[0]
    if wanted.find:
        values["find"] = f"%{_escape(wanted.find)}%"
    _narrow_kinds(wanted, values, given)
    statement = queries_list.write_list(frozenset(given | values.keys()))
    return [BreakRow(*row) for row in await session.execute(statement, values)]


async def read_row(session: AsyncSession, org_id: UUID, break_id: UUID) -> BreakRow:
    """Return one break.

    Raises:
        BreakNotFound
    """
    statement = queries_list.write_list(frozenset({"break_id"}))
    values = {"org_id": org_id, "break_id": break_id, "limit": 1}
    row = (await session.execute(statement, values)).one_or_none()
    if row is None:
        raise BreakNotFound(break_id)
    return BreakRow(*row)


async def read_story(session: AsyncSession, org_id: UUID, break_id: UUID) -> BreakStory:
    """Return a break with its notes, files, decisions and history.

    Raises:
        BreakNotFound
    """
    row = await read_row(session, org_id, break_id)
    notes = await list_notes(session, org_id, break_id)
    files = await list_files(session, org_id, break_id)
    decisions = await queries.list_of_break(session, org_id, break_id)
    history = await list_changes(
        session, org_id, object_kind="break", object_id=break_id, limit=HISTORY_MAX
    )
    named = {row.owner_id, row.closed_by}
    named |= {note.written_by for note in notes} | {file.added_by for file in files}
    for one in decisions:
        named |= {one.proposed_by, one.decided_by, one.reviewed_by}
    people = await find_names(session, org_id, {id_ for id_ in named if id_ is not None})
    return BreakStory(
        row=row, notes=notes, files=files, decisions=decisions, history=history, people=people
    )


async def count_open(
    session: AsyncSession, org_id: UUID, *, me: UUID | None, now: datetime
) -> OpenCounts:
    """Count what is open, overdue, nobody's and one's own."""
    values = {"org_id": org_id, "me": me, "now": now}
    return OpenCounts(*(await session.execute(queries_list.COUNT_OPEN, values)).one())


def _narrow_kinds(wanted: BreakFilter, values: dict[str, Any], given: set[str]) -> None:
    """Write a type as kinds: what is expected, and over its time, is missing."""
    if wanted.type is not None:
        kinds = kinds_of(wanted.type)
        if wanted.type is BreakType.MISSING:
            values["aged"] = sorted(kinds_of(BreakType.EXPECTED))
        elif wanted.type is BreakType.EXPECTED:
            given.add("young")
        values["kinds"] = sorted(kinds)
    if wanted.kind is not None:
        values["kind"] = wanted.kind


def _escape(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _refuse(field: str, code: str, detail: str) -> None:
    raise InvalidRequest(detail, violations=[Violation(field=field, code=code, detail=detail)])
