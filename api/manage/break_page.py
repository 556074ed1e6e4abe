"""The page of one break: evidence, notes, files, and what two people decide of its money."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.i18n import translate
from api.manage.break_words import (
    BreakWords,
    list_outcomes,
    present_break,
    present_person,
    say,
)
from api.manage.history import Change, list_changes_of
from api.manage.page_context import Errors, ManagerContext
from core.ids import new_id
from core.masking import mask_tail
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.queries import list_who_may
from identity.people.rules import Permission
from payments.bills.queries import find_bills
from payments.bills.queries_payments import sum_written_off
from payments.bills.rules import BillFacts
from payments.breaks.rules import BreakKind
from payments.callbacks.views import list_payees_of_credits
from payments.credits.views import get_credit
from payments.decisions.models import BreakDecision
from payments.decisions.rules import Action, DecisionStatus
from payments.decisions.views import BreakRow, BreakStory, read_story

OWNERS_MAX: Final = 50


@dataclass(frozen=True, kw_only=True)
class NoteWords:
    """A note, already worded."""

    words: str
    who: str
    when: str


@dataclass(frozen=True, kw_only=True)
class FileWords:
    """A file, already worded."""

    name: str
    path: str
    size: str
    who: str
    when: str


@dataclass(frozen=True, kw_only=True)
class DecisionWords:
    """A decision about the money, already worded, with what this person may do about it."""

    id: UUID
    what: str
    amount_vnd: int
    reason: str
    proposed: str
    decided: str
    words: str
    status: str
    tone: str
    undone: str
    is_alone: bool
    can_approve: bool
    can_refuse: bool
    can_withdraw: bool
    can_undo: bool
    can_review: bool


@dataclass(frozen=True, kw_only=True)
class BreakPage:
    """Everything templates/manage_break.html may use, already worded."""

    row: BreakWords
    amount_vnd: int | None  # that is proposed about: of a short bill, what it is short of now
    facts: tuple[tuple[str, str], ...]  # evidence: (name, words)
    notes: tuple[NoteWords, ...]
    files: tuple[FileWords, ...]
    decisions: tuple[DecisionWords, ...]
    changes: tuple[Change, ...]
    people: tuple[tuple[str, str], ...]
    owner_id: str
    outcomes: tuple[tuple[str, str], ...]
    can_resolve: bool
    new_id: UUID  # of what a form makes: pressed twice, it is one
    list_path: str
    errors: Errors


async def render_page(
    manager: ManagerContext, break_id: UUID, *, errors: Errors | None = None
) -> Response:
    """Draw the page of one break.

    Raises:
        BreakNotFound
    """
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        story = await read_story(tx, manager.org_id, break_id)
        row = story.row
        payees = await list_payees_of_credits(
            tx, manager.org_id, [] if row.credit_id is None else [row.credit_id]
        )
        bill = None
        if row.bill_id is not None:
            bill = (await find_bills(tx, manager.org_id, [row.bill_id])).get(row.bill_id)
        facts = await _gather_facts(tx, manager, story, bill)
        changes = await list_changes_of(tx, manager, "break", break_id)
        people = await list_who_may(tx, manager.org_id, Permission.BREAKS_RESOLVE, limit=OWNERS_MAX)
    page = BreakPage(
        row=present_break(manager, row, payees, story.people, is_page=True),
        amount_vnd=_amount_of(row, bill),
        facts=facts,
        notes=tuple(
            NoteWords(
                words=one.words,
                who=present_person(manager, story.people, one.written_by),
                when=manager.present_instant(one.written_at),
            )
            for one in story.notes
        ),
        files=tuple(
            FileWords(
                name=one.file_name,
                path=manager.path(f"/breaks/{break_id}/files/{one.id}"),
                size=f"{max(1, one.content_bytes // 1024)} KiB",
                who=present_person(manager, story.people, one.added_by),
                when=manager.present_instant(one.added_at),
            )
            for one in story.files
        ),
        decisions=tuple(_present_decision(manager, story, one) for one in story.decisions),
        changes=changes,
        people=tuple((str(id_), name) for id_, name in people.items()),
        owner_id="" if row.owner_id is None else str(row.owner_id),
        outcomes=list_outcomes(manager),
        can_resolve=manager.may(Permission.BREAKS_RESOLVE),
        new_id=new_id(),
        list_path=manager.path("/breaks"),
        errors=errors or {},
    )
    return manager.render("manage_break.html", page, here="breaks", status=422 if errors else 200)


async def _gather_facts(
    tx: AsyncSession, manager: ManagerContext, story: BreakStory, bill: BillFacts | None
) -> tuple[tuple[str, str], ...]:
    """Say what is known of the money and the bill that a break is about."""
    facts: list[tuple[str, str]] = []
    row = story.row
    if row.credit_id is not None:
        credit = await get_credit(tx, manager.org_id, row.credit_id)
        account = "" if credit.payer_account is None else mask_tail(credit.payer_account)
        sender = " · ".join(filter(None, [credit.payer_name, account]))
        facts += [
            (say(manager, "payer"), sender),
            (say(manager, "memo"), credit.memo),
            (say(manager, "bank_reference"), mask_tail(credit.bank_reference)),
            (say(manager, "came"), manager.present_instant(credit.occurred_at)),
        ]
    if bill is not None:
        facts += _present_bill(manager, bill)
        given_up_vnd = await sum_written_off(tx, manager.org_id, [bill.id])
        if given_up_vnd:
            amount = format_vnd(given_up_vnd)
            facts.append((say(manager, "bill_written_off"), amount))
            if row.kind == BreakKind.REFUND_DUE and row.closed_at is None:
                facts.append((say(manager, "undo_first"), say(manager, "undo_first_next")))
    return tuple((name, words) for name, words in facts if words)


def _amount_of(row: BreakRow, bill: BillFacts | None) -> int | None:
    """Return what is proposed about: a bill may have been paid in part since its break opened."""
    if row.kind == BreakKind.SHORT and bill is not None and bill.amount_vnd is not None:
        return bill.amount_vnd - bill.paid_vnd
    return row.amount_vnd


def _present_bill(manager: ManagerContext, bill: BillFacts) -> list[tuple[str, str]]:
    amount = "" if bill.amount_vnd is None else format_vnd(bill.amount_vnd)
    return [
        (say(manager, "bill"), f"{bill.reference} · {bill.purpose}"),
        (say(manager, "bill_status"), translate(manager.lang, f"parts.state.{bill.status}")),
        (say(manager, "bill_amount"), amount),
        (say(manager, "bill_paid"), format_vnd(bill.paid_vnd)),
    ]


def _present_decision(
    manager: ManagerContext, story: BreakStory, one: BreakDecision
) -> DecisionWords:
    waits = one.status == DecisionStatus.PROPOSED
    is_own = one.proposed_by == manager.caller.id
    proposer = present_person(manager, story.people, one.proposed_by)
    decider = present_person(manager, story.people, one.decided_by)
    may_approve = manager.may(Permission.BREAKS_APPROVE)
    is_in_force = (
        one.status == DecisionStatus.APPROVED
        and one.undone_at is None
        and one.action != Action.UNDO
    )
    is_to_review = one.is_decided_alone and one.reviewed_at is None and not is_own
    what = manager.word("break_action", one.action)
    if one.action == Action.CORRECT:
        what = f"{what}: {manager.word('ledger_account', one.credit_code)}"
    tones = {DecisionStatus.PROPOSED: "attention", DecisionStatus.APPROVED: "good"}
    return DecisionWords(
        id=one.id,
        what=what,
        amount_vnd=one.amount_vnd,
        reason=one.reason,
        proposed=say(
            manager,
            "proposed_by",
            name=proposer,
            when=manager.present_instant(one.proposed_at),
        ),
        decided=""
        if waits
        else say(manager, "decided_by", name=decider, when=manager.present_instant(one.decided_at)),
        words=one.decided_words or "",
        status=say(manager, f"status.{one.status}"),
        tone=tones.get(DecisionStatus(one.status), "plain"),
        undone=""
        if one.undone_at is None
        else say(manager, "undone_at", when=manager.present_instant(one.undone_at)),
        is_alone=one.is_decided_alone,
        can_approve=waits and may_approve,
        can_refuse=waits and may_approve and not is_own,
        can_withdraw=waits and is_own,
        can_undo=is_in_force and manager.may(Permission.BREAKS_RESOLVE),
        can_review=is_to_review and may_approve,
    )
