"""Complaints for managers: the queue by deadline, and each one beside what the hub knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.manage.complaint_evidence import ShownEvidence, present_evidence
from api.manage.history import Change, list_changes_of
from api.manage.page_context import PAGE_ROWS, Errors, ManagerContext, TheManager, read_line
from api.pages.amounts import read_amount
from city.complaints import queries
from city.complaints.evidence import gather_evidence
from city.complaints.models import Complaint
from city.complaints.refunds import ComplaintRefund, read_refunds
from city.complaints.rules import ANSWER_CHARS_MAX, Outcome, RefundState
from city.complaints.service import resolve_complaint
from core.clock import hanoi_day
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people.rules import Permission

router = APIRouter(prefix="/manage/complaints", include_in_schema=False)

LISTS: Final = {
    "open": queries.list_open,
    "refunds": queries.list_to_give_back,
    "resolved": queries.list_resolved,
}
SHOWN: Final = ("open", "refunds", "resolved")
REFUND_TONES: Final = {
    RefundState.WAITING: "attention",
    RefundState.UNDER_WAY: "attention",
    RefundState.RETURNED: "good",
    RefundState.CLOSED: "plain",
}


@dataclass(frozen=True, kw_only=True)
class ShownRefund:
    """What a complainant gets back, and how far it is."""

    amount_vnd: int
    returned_vnd: int
    word: str
    tone: str
    due: str  # "" once nothing is to be done
    is_overdue: bool


@dataclass(frozen=True, kw_only=True)
class ComplaintRow:
    """One complaint in the queue, already worded."""

    path: str
    category: str
    about: str
    words: str
    received: str
    due: str
    is_open: bool
    is_overdue: bool
    is_due_today: bool
    outcome: str
    refund: ShownRefund | None


@dataclass(frozen=True, kw_only=True)
class ComplaintsPage:
    """Everything templates/manage_complaints.html may use, already worded."""

    rows: tuple[ComplaintRow, ...]
    show: str
    shows: tuple[tuple[str, str], ...]
    older: str


@dataclass(frozen=True, kw_only=True)
class TypedAnswer:
    """What somebody typed as the answer."""

    outcome: str = ""
    answer: str = ""
    refund: str = ""


@dataclass(frozen=True, kw_only=True)
class ComplaintOfManager:
    """Everything templates/manage_complaint.html may use, already worded."""

    row: ComplaintRow
    taken_vnd: int | None
    contact: str
    photo: str  # a link of five minutes, "" where there is none
    answer: str
    resolved: str
    evidence: ShownEvidence
    outcomes: tuple[tuple[str, str], ...]
    can_resolve: bool
    resolve_path: str
    typed: TypedAnswer
    errors: Errors
    changes: tuple[Change, ...]


@router.get("", dependencies=[requires(Permission.COMPLAINTS_READ)])
async def show_complaints(
    manager: TheManager,
    show: Annotated[str, Query(max_length=10)] = "open",
    before: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """List what waits for an answer, or to be given back, by its deadline; or what was resolved."""
    show = show if show in SHOWN else "open"
    read = LISTS[show]
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await read(tx, manager.org_id, after_id=read_cursor(before), limit=PAGE_ROWS + 1)
        refunds = await read_refunds(
            tx, manager.org_id, found[:PAGE_ROWS], today=hanoi_day(manager.now)
        )
    cursor = next_cursor(found, PAGE_ROWS)
    page = ComplaintsPage(
        rows=tuple(_present_row(manager, one, refunds) for one in found[:PAGE_ROWS]),
        show=show,
        shows=tuple((one, manager.say(f"complaint.show.{one}")) for one in SHOWN),
        older=manager.path("/complaints", show=show, before=cursor) if cursor else "",
    )
    return manager.render("manage_complaints.html", page, here="complaints")


@router.get("/{complaint_id}", dependencies=[requires(Permission.COMPLAINTS_READ)])
async def show_complaint(manager: TheManager, complaint_id: UUID) -> Response:
    """Show a complaint, and the evidence beside it."""
    return await _render(manager, complaint_id)


@router.post("/{complaint_id}/resolve", dependencies=[requires(Permission.COMPLAINTS_RESOLVE)])
async def resolve(
    manager: TheManager,
    complaint_id: UUID,
    outcome: Annotated[str, Form(max_length=20)] = "",
    answer: Annotated[str, Form(max_length=4_000)] = "",
    refund: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Write down what became of a complaint."""
    typed = TypedAnswer(outcome=outcome, answer=answer, refund=refund)
    words, refund_vnd = read_line(answer, ANSWER_CHARS_MAX), read_amount(refund)
    errors = {}
    if outcome not in set(Outcome):
        errors["outcome"] = manager.say("error.needed")
    if not words:
        errors["answer"] = manager.say("error.needed")
    if refund.strip() and refund_vnd is None:
        errors["refund"] = manager.say("error.bad_amount")
    if errors:
        return await _render(manager, complaint_id, typed=typed, errors=errors)
    problem: HubError | None = None
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await resolve_complaint(
                tx,
                manager.org_id,
                complaint_id,
                outcome=Outcome(outcome),
                answer=words,
                refund_vnd=refund_vnd,
                refund_working_days=manager.services.settings.complaint_working_days,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        problem = error
    if problem is not None:
        wrong = {"": manager.present_error(problem)}
        return await _render(manager, complaint_id, typed=typed, errors=wrong)
    return manager.go("/complaints", done="complaint_resolved")


async def _render(
    manager: ManagerContext,
    complaint_id: UUID,
    *,
    typed: TypedAnswer | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        complaint = await queries.get_complaint(tx, manager.org_id, complaint_id)
        refunds = await read_refunds(tx, manager.org_id, [complaint], today=hanoi_day(manager.now))
        evidence = await gather_evidence(tx, manager.org_id, complaint, now=manager.now)
        changes = await list_changes_of(tx, manager, "complaint", complaint_id)

    def link(photo: bytes) -> str:
        caller = manager.caller
        return manager.services.photos.link(caller.org_code, caller.org_id, photo, now=manager.now)

    page = ComplaintOfManager(
        row=_present_row(manager, complaint, refunds),
        taken_vnd=complaint.taken_vnd,
        contact=complaint.contact or "",
        photo="" if complaint.photo is None else link(complaint.photo),
        answer=complaint.answer or "",
        resolved=manager.present_instant(complaint.resolved_at),
        evidence=present_evidence(evidence, link, manager.lang),
        outcomes=(
            ("", manager.say("complaint.choose")),
            *((one.value, manager.say(f"complaint.decide.{one.value}")) for one in Outcome),
        ),
        can_resolve=complaint.status == "open" and manager.may(Permission.COMPLAINTS_RESOLVE),
        resolve_path=manager.path(f"/complaints/{complaint_id}/resolve"),
        typed=typed or TypedAnswer(),
        errors=errors or {},
        changes=changes,
    )
    status = 422 if errors else 200
    return manager.render("manage_complaint.html", page, here="complaints", status=status)


def _present_row(
    manager: ManagerContext, one: Complaint, refunds: Mapping[UUID, ComplaintRefund]
) -> ComplaintRow:
    today, is_open = hanoi_day(manager.now), one.status == "open"
    return ComplaintRow(
        path=manager.path(f"/complaints/{one.id}"),
        category=translate(manager.lang, f"complaints.category.{one.category}"),
        about=translate(manager.lang, f"complaints.subject.{one.subject_kind}"),
        words=one.words or "",
        received=manager.present_instant(one.received_at),
        due=f"{one.due_on:%d/%m/%Y}",
        is_open=is_open,
        is_overdue=is_open and one.due_on < today,
        is_due_today=is_open and one.due_on == today,
        outcome=translate(manager.lang, f"complaints.outcome.{one.outcome}") if one.outcome else "",
        refund=None if one.id not in refunds else _present_refund(manager, refunds[one.id]),
    )


def _present_refund(manager: ManagerContext, one: ComplaintRefund) -> ShownRefund:
    is_open = one.state in (RefundState.WAITING, RefundState.UNDER_WAY)
    return ShownRefund(
        amount_vnd=one.agreed_vnd,
        returned_vnd=one.returned_vnd,
        word=translate(manager.lang, f"complaints.refund.{one.state.value}"),
        tone="bad" if one.is_overdue else REFUND_TONES[one.state],
        due=f"{one.due_on:%d/%m/%Y}" if is_open and one.due_on is not None else "",
        is_overdue=one.is_overdue,
    )
