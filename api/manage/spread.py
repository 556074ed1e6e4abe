"""Spread of one payment over several bills: which of them, and each with how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import requires
from api.manage.page_context import Errors, ManagerContext, TheManager
from api.pages.amounts import read_amount
from core.errors import HubError
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.bills.queries_lists import list_unpaid_of_payee
from payments.bills.references import find_references
from payments.bills.rules import BillFacts
from payments.breaks.errors import BreakNotDecidable
from payments.breaks.queries import get_break
from payments.callbacks.views import list_payees_of_credits
from payments.credits import admissions
from payments.credits.errors import CreditNotCorrectable
from payments.credits.views import CreditView, get_credit

router = APIRouter(prefix="/manage/breaks", include_in_schema=False)

BILLS_MAX = 50  # as many as one payment may pay


@dataclass(frozen=True, kw_only=True)
class SpreadRow:
    """One bill that the payment could pay, already worded."""

    bill_id: UUID
    reference: str
    purpose: str
    opened: str
    missing_vnd: int
    typed: str  # its share
    error: str


@dataclass(frozen=True, kw_only=True)
class SpreadPage:
    """Everything templates/manage_spread.html may use, already worded."""

    kind: str
    amount_vnd: int
    payer: str
    when: str
    memo: str
    bank_reference: str
    payees: tuple[tuple[str, str], ...]
    payee: str  # the chosen one's id, "" until one is chosen
    rows: tuple[SpreadRow, ...]
    choose_path: str
    path: str
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class _Matter:
    """A break with its payment, and the bills of one payee that the payment could pay."""

    break_id: UUID
    kind: str
    credit: CreditView
    payees: Sequence[tuple[UUID, str, str | None]]
    payee_id: UUID | None
    bills: Sequence[BillFacts]

    @property
    def open_vnd(self) -> int:
        """What no bill has taken of the payment."""
        return self.credit.amount_vnd - self.credit.applied_vnd


@router.get("/{break_id}/spread", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def show_spread(
    manager: TheManager,
    break_id: UUID,
    payee: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Show the bills that a payment could pay, and a proposal.

    Raises:
        BreakNotFound, BreakNotDecidable
    """
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        matter = await _read(tx, manager, break_id, payee)
    return _render(manager, matter, _propose(matter))


@router.post("/{break_id}/spread", dependencies=[requires(Permission.BREAKS_RESOLVE)])
async def spread(
    manager: TheManager,
    break_id: UUID,
    payee: Annotated[UUID, Form()],
    bill: Annotated[list[UUID], Form(max_length=BILLS_MAX)],
    amount: Annotated[list[str], Form(max_length=BILLS_MAX)],
) -> Response:
    """Spread the payment; what the shares leave of it stays unassigned. Twice is once.

    Raises:
        BreakNotFound, BreakNotDecidable
    """
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        matter = await _read(tx, manager, break_id, payee)
    typed = dict(zip(bill, (one.strip()[:40] for one in amount), strict=False))
    shares, errors = _read_shares(manager, matter.credit.amount_vnd, typed)
    if errors:
        return _render(manager, matter, typed, errors)
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await admissions.assign(
                tx,
                manager.org_id,
                break_id,
                shares=shares,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            matter = await _read(tx, manager, break_id, payee)  # as the bills stand now
        return _render(manager, matter, typed, _explain(manager, matter, shares, error))
    return manager.go("/breaks", done="break_closed")


async def _read(
    tx: AsyncSession, manager: ManagerContext, break_id: UUID, payee_id: UUID | None
) -> _Matter:
    found = await get_break(tx, manager.org_id, break_id)
    if found.kind not in admissions.ASSIGNABLE or found.credit_id is None:
        raise BreakNotDecidable
    credit = await get_credit(tx, manager.org_id, found.credit_id)
    payees = (await list_payees_of_credits(tx, manager.org_id, [credit.id])).get(credit.id, [])
    if payee_id not in {id_ for id_, *_ in payees}:
        payee_id = payees[0][0] if len(payees) == 1 else None
    bills: Sequence[BillFacts] = ()
    if payee_id is not None:
        bills = await list_unpaid_of_payee(
            tx,
            manager.org_id,
            payee_id,
            account_id=credit.receiving_account_id,
            paid_at=credit.occurred_at,
            limit=BILLS_MAX,
        )
    return _Matter(
        break_id=break_id,
        kind=found.kind,
        credit=credit,
        payees=payees,
        payee_id=payee_id,
        bills=bills,
    )


def _propose(matter: _Matter) -> dict[UUID, str]:
    """Propose the shares: the bills that the memo names, else those open then; oldest first."""
    named = {found.reference for found in find_references(matter.credit.memo)}
    chosen = [bill for bill in matter.bills if bill.reference in named]
    if not chosen:
        chosen = [bill for bill in matter.bills if bill.expires_at >= matter.credit.occurred_at]
    left_vnd = matter.open_vnd
    shares: dict[UUID, str] = {}
    for bill in chosen:
        share_vnd = min(left_vnd, _missing_vnd(bill))
        if share_vnd > 0:
            shares[bill.id] = format_vnd(share_vnd)[:-2]
            left_vnd -= share_vnd
    return shares


def _read_shares(
    manager: ManagerContext, amount_vnd: int, typed: dict[UUID, str]
) -> tuple[list[tuple[UUID, int]], dict[str, str]]:
    """Read the shares, and say beside each what is wrong with it; an empty one is no share."""
    shares: list[tuple[UUID, int]] = []
    errors: dict[str, str] = {}
    for bill_id, text in typed.items():
        if not text or set(text) <= {"0", ".", " "}:
            continue
        share_vnd = read_amount(text, is_plain=True)
        if share_vnd is None:
            errors[str(bill_id)] = manager.say("error.bad_amount")
        else:
            shares.append((bill_id, share_vnd))
    total_vnd = sum(share_vnd for _, share_vnd in shares)
    if not errors and not shares:
        errors[""] = manager.say("error.share_needed")
    if not errors and total_vnd > amount_vnd:
        total, amount = format_vnd(total_vnd), format_vnd(amount_vnd)
        errors[""] = manager.say("error.shares_too_big", total=total, amount=amount)
    return shares, errors


def _explain(
    manager: ManagerContext,
    matter: _Matter,
    shares: list[tuple[UUID, int]],
    error: HubError,
) -> dict[str, str]:
    """Say beside which share the domain has refused, as far as the bills of now tell."""
    missing_vnd = {bill.id: _missing_vnd(bill) for bill in matter.bills}
    errors = {
        str(bill_id): manager.say("error.share_too_big", amount=format_vnd(missing_vnd[bill_id]))
        for bill_id, share_vnd in shares
        if bill_id in missing_vnd and share_vnd > missing_vnd[bill_id]
    }
    if any(bill_id not in missing_vnd for bill_id, _ in shares):
        errors[""] = manager.say("error.bill_settled")
    total_vnd = sum(share_vnd for _, share_vnd in shares)
    if not errors and isinstance(error, CreditNotCorrectable) and total_vnd > matter.open_vnd:
        total, amount = format_vnd(total_vnd), format_vnd(matter.open_vnd)
        errors[""] = manager.say("error.shares_too_big", total=total, amount=amount)
    return errors or {"": manager.present_error(error)}


def _missing_vnd(bill: BillFacts) -> int:
    """What a bill still needs; where the payer chooses, whatever a transfer may be."""
    return bill.amount_vnd - bill.paid_vnd if bill.amount_vnd is not None else 0


def _render(
    manager: ManagerContext,
    matter: _Matter,
    typed: dict[UUID, str],
    errors: Errors | None = None,
) -> Response:
    credit, errors = matter.credit, errors or {}
    path = f"/breaks/{matter.break_id}/spread"
    page = SpreadPage(
        kind=manager.word("break.kind", matter.kind),
        amount_vnd=matter.open_vnd,
        payer=credit.payer_name or manager.say("spread.no_name"),
        when=manager.present_instant(credit.occurred_at),
        memo=credit.memo,
        bank_reference=credit.bank_reference,
        payees=tuple(
            (str(id_), f"{name} · {place}" if place else name) for id_, name, place in matter.payees
        ),
        payee="" if matter.payee_id is None else str(matter.payee_id),
        rows=tuple(
            SpreadRow(
                bill_id=bill.id,
                reference=bill.reference,
                purpose=bill.purpose,
                opened=manager.present_instant(bill.created_at),
                missing_vnd=_missing_vnd(bill),
                typed=typed.get(bill.id, ""),
                error=errors.get(str(bill.id), ""),
            )
            for bill in matter.bills
        ),
        choose_path=manager.path(path),
        path=manager.path(path),
        errors=errors,
    )
    return manager.render("manage_spread.html", page, here="breaks", status=422 if errors else 200)
