"""Stays under review: what nobody saw end, with the photos, and what a person says of each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.manage.page_context import Before, Errors, ManagerContext, TheManager, read_line
from api.manage.parking.stays import StayLine, link_photo, present_stay
from core.clock import HANOI
from core.errors import HubError
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.exits.reviewing import decide_review
from parking.exits.rules import ReviewDecision
from parking.overview.stays import StayEntry, list_reviews
from parking.places.queries import list_lots

router = APIRouter(prefix="/manage/reviews", include_in_schema=False)

ROWS: Final = 20  # each with its photo


@dataclass(frozen=True, kw_only=True)
class ReviewRow:
    """One stay that a person is to decide about."""

    id: UUID
    line: StayLine
    age: str
    by: str
    photo: str  # a link of five minutes, "" where there is none
    path: str  # where the form goes


@dataclass(frozen=True, kw_only=True)
class ReviewsPage:
    """Everything templates/reviews.html may use, already worded."""

    rows: tuple[ReviewRow, ...]
    decisions: tuple[tuple[str, str], ...]
    lots: tuple[tuple[str, str], ...]
    lot: str
    more: str
    failed: str  # the stay whose form was not accepted
    form: dict[str, str]
    errors: Errors


@router.get("", dependencies=[requires(Permission.PARKING_OVERRIDE)])
async def show_reviews(
    manager: TheManager, lot: UUID | None = None, before: Before = None
) -> Response:
    """List the stays under review, oldest first, of one lot or of all."""
    return await _render(manager, lot=lot, after=before)


@router.post("/{session_id:uuid}", dependencies=[requires(Permission.PARKING_OVERRIDE)])
async def decide(
    manager: TheManager,
    session_id: UUID,
    decision: Annotated[str, Form(max_length=20)] = "",
    left_at: Annotated[str, Form(max_length=40)] = "",
    reason: Annotated[str, Form(max_length=1_000)] = "",
    lot: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Write what became of one vehicle. The same again changes nothing."""
    form = {"decision": decision, "left_at": left_at, "reason": read_line(reason, 500)}
    instant = read_local(left_at)
    errors = {}
    if decision not in {one.value for one in ReviewDecision}:
        errors["decision"] = translate(manager.lang, "reviews.choose")
    if not form["reason"]:
        errors["reason"] = manager.say("error.needed")
    if decision == ReviewDecision.OWING and instant is None:
        errors["left_at"] = translate(manager.lang, "reviews.left_at_needed")
    if not errors:
        try:
            async with open_org_transaction(manager.database, manager.org_id) as tx:
                await decide_review(
                    tx,
                    manager.org_id,
                    session_id,
                    decision=ReviewDecision(decision),
                    left_at=instant if decision == ReviewDecision.OWING else None,
                    reason=form["reason"],
                    actor=manager.caller.actor,
                    now=manager.now,
                )
        except HubError as error:
            errors[""] = manager.present_error(error)
    if errors:
        return await _render(manager, lot=lot, failed=session_id, form=form, errors=errors)
    return manager.go("/reviews", lot=lot, done="review_decided")


def read_local(text: str) -> datetime | None:
    """Read what a datetime-local field holds, as the time in Hà Nội."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=HANOI)
    except ValueError:
        return None


async def _render(
    manager: ManagerContext,
    *,
    lot: UUID | None = None,
    after: str | None = None,
    failed: UUID | None = None,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await list_reviews(
            tx, manager.org_id, lot_id=lot, after_id=read_cursor(after), limit=ROWS + 1
        )
        lots = await list_lots(tx, manager.org_id, with_closed=True)
    cursor = next_cursor(found, ROWS)
    lang = manager.lang
    page = ReviewsPage(
        rows=tuple(_present(manager, one) for one in found[:ROWS]),
        decisions=tuple(
            (one.value, translate(lang, f"reviews.decision.{one.value}")) for one in ReviewDecision
        ),
        lots=(
            ("", translate(lang, "reviews.all_lots")),
            *((str(one.id), one.name) for one in lots),
        ),
        lot=str(lot or ""),
        more=manager.path("/reviews", lot=lot, before=cursor) if cursor else "",
        failed=str(failed or ""),
        form=form or {},
        errors=errors or {},
    )
    return manager.render("reviews.html", page, here="reviews", status=422 if errors else 200)


def _present(manager: ManagerContext, one: StayEntry) -> ReviewRow:
    return ReviewRow(
        id=one.id,
        line=present_stay(manager, one),
        age=manager.present_age(one.entered_at),
        by=one.entered_by or "",
        photo=link_photo(manager, one.entry_photo) if one.entry_photo else "",
        path=manager.path(f"/reviews/{one.id}"),
    )
