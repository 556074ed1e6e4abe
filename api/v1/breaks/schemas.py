"""Schemas of breaks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, JsonValue, SecretStr, model_validator

from api.http.fields import REASON_FACTS, AmountVnd, Body, Line, Read, ReasonText
from core.audit import AuditRow
from core.errors import HubError
from payments.breaks.models import BreakFile, BreakNote
from payments.breaks.rules import (
    NOTE_CHARS_MAX,
    BreakKind,
    BreakReason,
    BreakType,
    Outcome,
)
from payments.breaks.service import Answer
from payments.credits.reasons import MatchReason
from payments.decisions.models import BreakDecision
from payments.decisions.rules import Action, DecisionStatus, Target, needs_payee
from payments.decisions.views import BreakRow, BreakStory
from payments.ledger.rules import AccountCode

BULK_MAX = 200
NoteText = Annotated[Line, Field(min_length=1, max_length=NOTE_CHARS_MAX)]
SAME_AGAIN = "Made by you, a UUIDv7: the same again answers the first."


class BreakRead(Read):
    """Something unexplained, or to be done by a person."""

    id: UUID
    type: BreakType = Field(
        description="The family of its kind; what is `expected` and past its deadline is `missing`."
    )
    kind: BreakKind
    subject_id: UUID = Field(description="The payment, message or bill that it is about.")
    credit_id: UUID | None
    bill_id: UUID | None
    owner_id: UUID | None = Field(description="Who takes care of it.")
    amount_vnd: int | None
    reason: BreakReason | MatchReason = Field(
        description="Why it was opened: by itself, or by the match of its payment."
    )
    reason_facts: dict[str, JsonValue] = Field(description=REASON_FACTS)
    opened_at: datetime
    deadline_at: datetime | None = Field(description="Until when somebody should have seen to it.")
    is_overdue: bool
    held_at: datetime | None = Field(
        description="Since when its money is on its way, or a decision about it waits; until that"
        " is over no words close it."
    )
    closed_at: datetime | None
    closed_by: UUID | None
    resolution: str | None
    outcome: Outcome | None = Field(description="How a person ended it; null: it ended by itself.")
    may_decide: list[Action] = Field(description="What may be proposed of its money.")


class BreakPage(Read):
    """A page of breaks, newest first."""

    breaks: list[BreakRead]
    next_cursor: str | None

    @classmethod
    def of(cls, found: Sequence[BreakRow], cursor: str | None, *, now: datetime) -> "BreakPage":
        """Make the answer."""
        return cls(breaks=[present_break(one, now=now) for one in found], next_cursor=cursor)


class BreakClose(Body):
    """How it ended, in words: no money moves."""

    resolution: ReasonText
    outcome: Outcome = Field(
        default=Outcome.EXPLAINED,
        description="`received`: its money came or went outside the hub and is in order; `void`: it"
        " was opened by mistake.",
    )

    @model_validator(mode="after")
    def _say(self) -> Self:
        if self.outcome is Outcome.DECIDED:
            raise ValueError("propose a decision about its money")
        return self


class BreakReport(Body):
    """A bill whose rest nobody will pay."""

    bill_id: UUID


class BreakOwner(Body):
    """Who takes care of it."""

    owner_id: UUID | None = Field(description="A person who may resolve breaks; null: nobody.")
    is_taken_free: bool = Field(
        default=False, description="Only from nobody: `break_owned`, if somebody has it by now."
    )


class BreakNoteCreate(Body):
    """A note beside a break; plates in it are masked."""

    id: UUID = Field(description=SAME_AGAIN)
    words: NoteText


class BreakNoteRead(Read):
    """A note."""

    id: UUID
    words: str
    written_by: UUID
    written_at: datetime


class BreakFileRead(Read):
    """A file beside a break, without its content."""

    id: UUID
    file_name: str
    content_type: str = Field(description="By its first bytes.")
    content_bytes: int
    sha256: str
    added_by: UUID
    added_at: datetime


class BreakBulk(Body):
    """One thing to be done to many breaks; none that moves money."""

    break_ids: Annotated[list[UUID], Field(min_length=1, max_length=BULK_MAX)]
    close: BreakClose | None = None
    owner: BreakOwner | None = None

    @model_validator(mode="after")
    def _name_one(self) -> Self:
        if (self.close is None) == (self.owner is None):
            raise ValueError("name close or owner, and not both")
        if self.owner is not None and self.owner.is_taken_free:
            raise ValueError("many are given to somebody, whoever has them")
        if len(set(self.break_ids)) < len(self.break_ids):
            raise ValueError("name each break once")
        return self


class BreakBulkAnswer(Read):
    """What became of one of them."""

    break_id: UUID
    is_done: bool
    code: str | None = Field(description="Why not: a code of the list of errors.")
    detail: str | None


class BreakBulkRead(Read):
    """What became of each, in the order of the request."""

    done: int
    answers: list[BreakBulkAnswer]


class DecisionCreate(Body):
    """What is to become of the money of a break; a second person approves it."""

    id: UUID = Field(description=SAME_AGAIN)
    action: Action
    amount_vnd: AmountVnd = Field(description="As you read it: all that is to be decided about.")
    reason: ReasonText
    target: Target | None = Field(
        default=None, description="Of `correct`: the account of the books that it goes to."
    )
    payee_id: UUID | None = Field(default=None, description="Of `not_takings`: whose.")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.action is Action.UNDO:
            raise ValueError("undo a decision at its own address")
        if (self.target is None) == (self.action is Action.CORRECT):
            raise ValueError("a correction, and nothing else, names its target")
        if (self.payee_id is None) == (self.target is not None and needs_payee(self.target)):
            raise ValueError("a payee is named where the target is a payee's")
        return self


class DecisionApprove(Body):
    """Agreement of a second person."""

    words: ReasonText | None = None
    password: SecretStr | None = Field(
        default=None,
        max_length=1_000,
        description="One's own again: only where nobody else is in the organisation.",
    )


class DecisionWords(Body):
    """Why not."""

    reason: ReasonText


class DecisionUndo(Body):
    """Why what was decided is to be undone."""

    id: UUID = Field(description=SAME_AGAIN)
    reason: ReasonText


class DecisionRead(Read):
    """A decision about the money of a break, with who took which part in it."""

    id: UUID
    break_id: UUID
    action: Action
    amount_vnd: int
    reason: str
    credit_id: UUID | None
    bill_id: UUID | None
    debit_code: AccountCode = Field(description="Of the posting: debit …")
    debit_subject_id: UUID
    credit_code: AccountCode = Field(description="… and credit.")
    credit_subject_id: UUID
    undoes_id: UUID | None
    status: DecisionStatus
    proposed_by: UUID
    proposed_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    decided_words: str | None
    is_decided_alone: bool
    reviewed_at: datetime | None
    undone_at: datetime | None


class DecisionPage(Read):
    """A page of decisions, newest first."""

    decisions: list[DecisionRead]
    next_cursor: str | None

    @classmethod
    def of(cls, found: Sequence[BreakDecision], cursor: str | None) -> "DecisionPage":
        """Make the answer."""
        return cls(
            decisions=[DecisionRead.model_validate(one) for one in found], next_cursor=cursor
        )


class BreakChange(Read):
    """Something that somebody did to a break."""

    at: datetime
    by: str
    action: str
    after: dict[str, JsonValue] | None
    reason: str | None


class BreakStoryRead(BreakRead):
    """A break with all that people put beside it and did about it."""

    notes: list[BreakNoteRead]
    files: list[BreakFileRead]
    decisions: list[DecisionRead]
    history: list[BreakChange] = Field(description="Newest first, at most 100.")
    people: dict[UUID, str] = Field(description="Names of those that are named by an id.")

    @classmethod
    def of(cls, story: BreakStory, *, now: datetime) -> "BreakStoryRead":
        """Make the answer."""
        return cls(
            **present_break(story.row, now=now).model_dump(),
            notes=[present_note(one) for one in story.notes],
            files=[present_file(one) for one in story.files],
            decisions=[DecisionRead.model_validate(one) for one in story.decisions],
            history=[_present_change(one) for one in story.history],
            people=story.people,
        )


def present_break(row: BreakRow, *, now: datetime) -> BreakRead:
    """Make the answer of one break."""
    return BreakRead.model_validate(
        row._asdict()
        | {
            "type": row.find_type(now=now),
            "is_overdue": row.is_overdue(now=now),
            "may_decide": sorted(row.actions) if row.closed_at is None else [],
        }
    )


def present_note(note: BreakNote) -> BreakNoteRead:
    """Make the answer of one note."""
    return BreakNoteRead.model_validate(note)


def present_file(file: BreakFile) -> BreakFileRead:
    """Make the answer of one file."""
    return BreakFileRead(
        id=file.id,
        file_name=file.file_name,
        content_type=file.content_type,
        content_bytes=file.content_bytes,
        sha256=file.content_hash.hex(),
        added_by=file.added_by,
        added_at=file.added_at,
    )


def present_answers(answers: Sequence[Answer]) -> BreakBulkRead:
    """Make the answer of many."""
    return BreakBulkRead(
        done=sum(one.problem is None for one in answers),
        answers=[_present_answer(one.break_id, one.problem) for one in answers],
    )


def _present_answer(break_id: UUID, problem: HubError | None) -> BreakBulkAnswer:
    return BreakBulkAnswer(
        break_id=break_id,
        is_done=problem is None,
        code=None if problem is None else problem.code,
        detail=None if problem is None else str(problem),
    )


def _present_change(row: AuditRow) -> BreakChange:
    return BreakChange(
        at=row.recorded_at,
        by=row.actor_name,
        action=row.action,
        after=row.after,
        reason=row.reason,
    )
