"""Words of the refunds page: a refund with the steps that this person may take."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from api.http.i18n import translate
from api.manage.page_context import ManagerContext
from core.masking import mask_tail
from identity.people.rules import Permission
from payments.payees.rules import HeldBy
from payments.refunds.models import RefundFile
from payments.refunds.rules import (
    DestinationKind,
    RefundStatus,
    Step,
    Way,
    hash_destination,
    list_steps,
)
from payments.refunds.steps import acts_for
from payments.refunds.types import RefundView, WaitingAccount
from payments.vietqr.banks import find_bank, list_banks, name_bank

# Which permission a step takes; a refund that was requested by this person can be taken back.
NEEDS: Final = {
    Step.APPROVE: Permission.REFUNDS_APPROVE,
    Step.REJECT: Permission.REFUNDS_APPROVE,
    Step.CANCEL: Permission.REFUNDS_REQUEST,
    Step.INSTRUCT: Permission.REFUNDS_INSTRUCT,
    Step.CONFIRM: Permission.REFUNDS_INSTRUCT,
    Step.FAIL: Permission.REFUNDS_INSTRUCT,
    Step.DOUBT: Permission.REFUNDS_INSTRUCT,
}
TONES: Final = {
    RefundStatus.REQUESTED: ("attention", "clock"),
    RefundStatus.APPROVED: ("attention", "check"),
    RefundStatus.INSTRUCTED: ("plain", "bank"),
    RefundStatus.UNKNOWN: ("bad", "warning"),
    RefundStatus.RETURNED: ("good", "check"),
    RefundStatus.NOT_DONE: ("bad", "cross"),
    RefundStatus.REJECTED: ("plain", "stop"),
    RefundStatus.CANCELLED: ("plain", "stop"),
}


@dataclass(frozen=True, kw_only=True)
class RefundRow:
    """One refund, already worded."""

    id: UUID
    title: str
    amount_vnd: int
    tone: str
    icon: str
    status: str
    age: str  # "" once it has ended
    requested: str
    payee: str
    reference: str
    reason: str
    holder: str
    destination: str  # "" where none is known
    destination_hash: str  # sent with the approval: it is for the account that was shown
    is_proven: bool
    is_by_link: bool  # typed by whoever has the link of the bill
    needs_destination: bool
    bank_reference: str
    outcome: str  # what was said when it was decided or ended
    is_alone: bool
    steps: frozenset[str]  # what this person may do
    is_cash: bool


@dataclass(frozen=True, kw_only=True)
class ToInstruct:
    """An account with approved refunds that wait for a payment file."""

    account_id: UUID
    account: str
    count: int
    amount_vnd: int


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """A payment file."""

    made: str
    count: int
    amount_vnd: int
    sha256: str
    path: str


def present_refund(manager: ManagerContext, one: RefundView) -> RefundRow:
    """Word a refund, with the steps that this person may take."""
    status, way, held_by = RefundStatus(one.status), Way(one.way), HeldBy(one.held_by)
    tone, sign = TONES[status]
    sees_whole = manager.may(Permission.REFUNDS_APPROVE) or manager.may(Permission.REFUNDS_INSTRUCT)
    steps = {
        step.value
        for step in list_steps(status, held_by=held_by, way=way)
        if manager.may(NEEDS[step]) and _is_theirs(manager, one, step)
    }
    if one.is_decided_alone and one.reviewed_at is None and _may_review(manager, one):
        steps.add("review")
    is_open = status in (RefundStatus.REQUESTED, RefundStatus.APPROVED, RefundStatus.INSTRUCTED)
    return RefundRow(
        id=one.id,
        title=one.reference or _say(manager, "of_credit"),
        amount_vnd=one.amount_vnd,
        tone=tone,
        icon=sign,
        status=_say(manager, f"status.{status.value}"),
        age=manager.present_age(one.requested_at)
        if is_open or status is RefundStatus.UNKNOWN
        else "",
        requested=manager.present_instant(one.requested_at),
        payee=one.payee_name or "",
        reference=one.reference or "",
        reason=one.reason,
        holder=_say(manager, f"holder.{held_by.value}"),
        destination=_present_destination(one, sees_whole=sees_whole),
        destination_hash=hash_destination(
            one.destination_bank, one.destination_account, one.destination_name
        )
        if sees_whole
        else "",
        is_proven=one.destination_kind == DestinationKind.PAYER,
        is_by_link=one.destination_kind == DestinationKind.ENTERED and one.destination_by is None,
        needs_destination=status is RefundStatus.REQUESTED
        and way is Way.TRANSFER
        and one.destination_kind != DestinationKind.PAYER
        and (
            one.destination_kind is None
            or manager.caller.id in (one.requested_by, one.destination_by)
        )
        and manager.may(Permission.REFUNDS_REQUEST),
        bank_reference=one.bank_reference or "",
        outcome=one.ended_words or one.decided_words or "",
        is_alone=one.is_decided_alone,
        steps=frozenset(steps),
        is_cash=way is Way.CASH,
    )


def present_to_instruct(one: WaitingAccount) -> ToInstruct:
    """Word an account with refunds that wait for a payment file."""
    return ToInstruct(
        account_id=one.account_id,
        account=f"{name_bank(one.bin)} {mask_tail(one.account_number)}",
        count=one.refunds,
        amount_vnd=one.amount_vnd,
    )


def present_file(manager: ManagerContext, one: RefundFile) -> FileRow:
    """Word a payment file."""
    return FileRow(
        made=manager.present_instant(one.created_at),
        count=one.refunds,
        amount_vnd=one.amount_vnd,
        sha256=one.content_hash.hex()[:12],
        path=manager.path(f"/refunds/files/{one.id}"),
    )


def list_banks_to_choose() -> tuple[tuple[str, str], ...]:
    """List (BIN, short name) of the banks that money can be sent to."""
    return tuple((bank.bin, bank.short_name) for bank in list_banks())


def _present_destination(one: RefundView, *, sees_whole: bool) -> str:
    if one.destination_account is None or one.destination_bank is None:
        return ""
    known = find_bank(one.destination_bank)
    bank = one.destination_bank if known is None else known.short_name
    account = one.destination_account if sees_whole else mask_tail(one.destination_account)
    return f"{bank} · {account} · {one.destination_name}"


def _is_theirs(manager: ManagerContext, one: RefundView, step: Step) -> bool:
    if step is Step.CANCEL:
        return manager.caller.id == one.requested_by
    return acts_for(manager.caller) in (None, one.held_by)


def _may_review(manager: ManagerContext, one: RefundView) -> bool:
    return manager.may(Permission.REFUNDS_APPROVE) and manager.caller.id != one.decided_by


def _say(manager: ManagerContext, key: str) -> str:
    return translate(manager.lang, f"refunds.{key}")
