"""Breaks in words, as the list and the page of one show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from api.http.i18n import translate
from api.manage.page_context import ManagerContext
from api.pages.reasons import present_reason, present_resolution
from identity.people.rules import Permission
from payments.breaks.rules import SAID, BreakKind, Outcome
from payments.credits import admissions
from payments.decisions.rules import Action, Target
from payments.decisions.views import BreakRow

Payees = Mapping[UUID, Sequence[tuple[UUID, str, str | None]]]
OUTCOMES: Final = (Outcome.EXPLAINED, Outcome.RECEIVED, Outcome.VOID)
assert frozenset(OUTCOMES) == SAID


@dataclass(frozen=True, kw_only=True)
class BreakWords:
    """One break, already worded."""

    id: UUID
    path: str  # of its page
    kind: str
    type: str
    next_step: str
    reason: str
    amount_vnd: int | None
    age: str
    opened: str
    deadline: str
    is_overdue: bool
    owner: str  # "" while nobody has it
    is_mine: bool
    is_open: bool
    closed: str
    resolution: str
    outcome: str
    close_path: str  # "" while its money is on its way
    admit_path: str  # with same_path: "" where there is nothing to decide
    same_path: str
    assign_path: str  # "" where the money has its explanation, or there is none
    spread_path: str  # the same for several bills
    refund_path: str  # where it is requested, "" unless it is a proposal of one
    payees: tuple[tuple[str, str], ...]  # who may have it: (id, name and place)
    choices: tuple[tuple[str, str], ...]  # what may be proposed of its money


def say(manager: ManagerContext, key: str, **values: object) -> str:
    """Say a text of api/manage/words/*/breaks.toml."""
    return translate(manager.lang, f"breaks.{key}", **values)


def present_break(
    manager: ManagerContext,
    one: BreakRow,
    payees: Payees,
    names: Mapping[UUID, str],
    *,
    is_page: bool = False,
) -> BreakWords:
    """Say what a break is, and what this person may do about it.

    Args:
        is_page: its own page shows it, and is where its forms come back to.
    """
    back = {"page": "1"} if is_page else {}
    may_be_twice = one.kind in admissions.MAYBE_TWICE
    is_assignable = one.kind in admissions.ASSIGNABLE and one.credit_id is not None
    # What a toll charge has left goes back by its operator (payments/rails/toll/).
    is_proposal = one.kind == BreakKind.REFUND_AGREED or (
        one.kind == BreakKind.REFUND_DUE and one.subject_id in (one.bill_id, one.credit_id)
    )
    listed = payees.get(one.credit_id, ()) if one.credit_id is not None else ()

    def path(action: str, *, is_there: bool = True) -> str:
        return manager.path(f"/breaks/{one.id}/{action}", **back) if is_there else ""

    return BreakWords(
        id=one.id,
        path=manager.path(f"/breaks/{one.id}"),
        kind=manager.word("break.kind", one.kind),
        type=say(manager, f"type.{one.find_type(now=manager.now)}"),
        next_step=_say_next(manager, one),
        reason=present_reason(manager.lang, one.reason, one.reason_facts),
        amount_vnd=one.amount_vnd,
        age=manager.present_age(one.opened_at),
        opened=manager.present_instant(one.opened_at),
        deadline=manager.present_instant(one.deadline_at),
        is_overdue=one.is_overdue(now=manager.now),
        owner=present_person(manager, names, one.owner_id),
        is_mine=one.owner_id == manager.caller.id,
        is_open=one.closed_at is None,
        closed=manager.present_instant(one.closed_at),
        resolution=present_resolution(manager.lang, one.resolution or ""),
        outcome="" if one.outcome is None else say(manager, f"outcomes.{one.outcome}"),
        close_path=path("close", is_there=one.held_at is None),
        admit_path=path("admit", is_there=may_be_twice),
        same_path=path("same-money", is_there=may_be_twice),
        assign_path=path("assign", is_there=is_assignable),
        spread_path=manager.path(f"/breaks/{one.id}/spread") if is_assignable else "",
        refund_path=manager.path("/refunds/new", **{"break": one.id})
        if is_proposal and manager.may(Permission.REFUNDS_REQUEST)
        else "",
        payees=tuple(
            (str(id_), f"{name} · {place}" if place else name) for id_, name, place in listed
        ),
        choices=_list_choices(manager, one),
    )


def present_person(manager: ManagerContext, names: Mapping[UUID, str], id_: UUID | None) -> str:
    """Say who somebody is; "" is nobody."""
    return "" if id_ is None else names.get(id_, say(manager, "somebody"))


def list_outcomes(manager: ManagerContext) -> tuple[tuple[str, str], ...]:
    """List how a person may say that a break ended."""
    return tuple((one.value, say(manager, f"outcomes.{one}")) for one in OUTCOMES)


def _say_next(manager: ManagerContext, one: BreakRow) -> str:
    if one.awaits_approval:
        return say(manager, "next_waiting")
    if one.held_at is not None:
        return manager.say("break.next_held")
    return manager.word("break.next", one.kind)


def _list_choices(manager: ManagerContext, one: BreakRow) -> tuple[tuple[str, str], ...]:
    if one.closed_at is not None or one.held_at is not None:
        return ()
    names = ["write_off"] if Action.WRITE_OFF in one.actions else []
    if Action.CORRECT in one.actions:
        names += [target.value for target in Target]
    return tuple((name, say(manager, f"choice.{name}")) for name in names)
