"""Deciding what a credit is: which bill or payee, by which rule, and how much of it. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from core.clock import hanoi_day
from core.reasons import Reason
from payments.bills.payment_rules import (
    Applied,
    Effect,
    MoneySource,
    Payment,
    SourceKind,
    apply_payment,
)
from payments.bills.references import (
    NextSerials,
    find_references,
    is_given_out,
    read_reference,
)
from payments.bills.rules import SETTLEABLE, BillState
from payments.breaks.rules import BreakKind
from payments.credits.reasons import MatchReason


class MatchRule(StrEnum):
    """By which rule a credit was explained."""

    PROVIDER_ORDER = "provider_order"
    ORDER_REFERENCE = "order_reference"  # the provider's order is our reference (VietQR.vn)
    MEMO_EXACT = "memo_exact"
    MEMO_NORMALISED = "memo_normalised"
    VIRTUAL_ACCOUNT = "virtual_account"  # counter sale: the virtual account is one payee's
    SOLE_PAYEE = "sole_payee"  # counter sale: the account is one payee's
    ACCOUNT_TEST = "account_test"
    NONE = "none"  # nothing explains it: unapplied cash
    ASSIGNED = "assigned"  # a stall of a shared account said "mine"
    CONFIRMED = "confirmed"  # the vendor said which bill it pays
    NOT_TAKINGS = "not_takings"  # the vendor said "không phải tiền hàng"
    SAME_MONEY = "same_money"  # a person said that another credit is this transfer


class Verdict(StrEnum):
    """What one credit does."""

    SETTLE = "settle"  # the bill's amount is reached exactly
    PART = "part"  # short: the bill stays part-paid
    OVER = "over"  # the rest waits in unapplied cash
    SPLIT = "split"  # a person spread it over several bills
    CLOSED_BILL = "closed_bill"  # paid already, or cancelled: a refund is due
    COUNTER_SALE = "counter_sale"
    UNASSIGNED = "unassigned"  # a shared account: somebody must assign it
    WRONG_ACCOUNT = "wrong_account"
    SEVERAL_BILLS = "several_bills"
    NO_BILL = "no_bill"  # a well-formed reference that names nothing here
    AWAITING_SYNC = "awaiting_sync"  # a phone without network has the reference, and its bill
    ACCOUNT_TEST = "account_test"
    NOT_TAKINGS = "not_takings"
    SAME_MONEY = "same_money"  # a person said: another credit is this transfer; nothing is posted


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditFacts:
    """A stored incoming credit, as far as matching needs it."""

    id: UUID
    receiving_account_id: UUID
    virtual_account: str | None
    provider: str
    provider_order_id: str | None
    memo: str
    amount_vnd: int
    occurred_at: datetime
    is_date_only: bool
    payer_name: str | None = None
    is_doubtful: bool = False  # another provider reported this amount: perhaps the same money
    open_vnd: int | None = None  # as it is stored; None: it is being matched


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountRouting:
    """Who trades on one receiving account, for money that names no bill."""

    receiving_account_id: UUID
    test_references: Collection[str]  # of every link to it, whatever became of them
    approved_at: datetime | None  # money from before is not this organisation's to explain
    payee_ids: tuple[UUID, ...]  # every payee whose codes name it
    payee_by_virtual_account: Mapping[str, UUID] = field(default_factory=dict)  # upper case
    ended_virtual_accounts: Collection[str] = ()  # upper case; printed codes may still hang
    owner_by_payee: Mapping[UUID, tuple[str, UUID]] = field(default_factory=dict)  # of the code


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a credit is. `applied_vnd` goes to takings, the rest to unapplied cash."""

    verdict: Verdict
    rule: MatchRule
    reason: Reason
    applied_vnd: int = 0
    bill_id: UUID | None = None
    payee_id: UUID | None = None
    is_late: bool = False
    opens_break: BreakKind | None = None
    owner: tuple[str, UUID] | None = None  # of the static code that a sale came by: (kind, id)
    legs: tuple[Applied, ...] = ()  # what it did to each bill that it is for

    @property
    def payments(self) -> list[Payment]:
        """What it pays."""
        return [leg.payment for leg in self.legs if leg.payment is not None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What a credit says about what it is for."""

    order_id: str | None
    own: tuple[tuple[str, MatchRule], ...]  # references of this organisation, the order's first
    foreign: tuple[str, ...]  # references of other organisations of this hub

    @property
    def named(self) -> str | None:
        """The one name to remember a credit by, if what it names is not there yet.

        The query for credits that wait (FIND_WAITING_MATCHES) looks it up as `decide` does: as a
        reference, else as the order of the credit's own provider.
        """
        return self.own[0][0] if self.own else self.order_id


def read_names(credit: CreditFacts, org_codes: NextSerials, known_codes: NextSerials) -> Names:
    """Find what a credit names: a provider's order, references in its memo.

    Args:
        org_codes: this organisation's.
        known_codes: of any organisation here. What looks like a reference and was given out by none
            is a word: "CK QUA APP KHACH NGAN HANG" holds PPKHACHNGANHA, with the right check
            character.
    """
    found = [one for one in find_references(credit.memo) if is_given_out(one, known_codes)]
    own = [(one.reference, MatchRule(one.rule.value)) for one in found if one.org_code in org_codes]
    foreign = [one.reference for one in found if one.org_code not in org_codes]
    order = read_reference(credit.provider_order_id)
    if order is not None and is_given_out(order, org_codes):
        others = [one for one in own if one[0] != order.reference]
        own = [(order.reference, MatchRule.ORDER_REFERENCE), *others]
    return Names(order_id=credit.provider_order_id, own=tuple(own), foreign=tuple(foreign))


def decide(
    credit: CreditFacts,
    names: Names,
    routing: AccountRouting,
    bills: Sequence[BillState],
    *,
    awaited: str | None = None,
    now: datetime,
) -> Decision:
    """Decide what a credit is, and apply it to the bill it names.

    Args:
        bills: every bill of this organisation that `names` names, locked; changed in place.
        awaited: the reference that it names whose bill is to come from a phone; only without bills.

    Never by amount alone. First the provider's order, or the reference that it gives as its order,
    then references in the memo, then whose code was used.
    """
    by_order = [
        bill
        for bill in bills
        if names.order_id is not None
        and bill.provider_order_id == names.order_id
        and bill.rail == credit.provider
    ]
    if by_order:
        return decide_bill(credit, by_order[0], MatchRule.PROVIDER_ORDER, now=now)
    rule_of = dict(names.own)
    if not rule_of.keys().isdisjoint(routing.test_references):
        return _decide_test()
    named = [bill for bill in bills if bill.reference in rule_of]
    by_order = [b for b in named if rule_of[b.reference] is MatchRule.ORDER_REFERENCE]
    if by_order:  # the provider says what was paid; the memo may quote others
        named = by_order
    if len(named) > 1:  # "pays A, and B again": the open one is meant; two open ones are not clear
        named = [bill for bill in named if bill.status in SETTLEABLE] or named
    if len(named) > 1:
        return Decision(
            verdict=Verdict.SEVERAL_BILLS,
            rule=MatchRule.NONE,
            reason=Reason(MatchReason.SEVERAL_BILLS, {"count": len(named)}),
            opens_break=BreakKind.SEVERAL_REFERENCES,
        )
    if named:
        return decide_bill(credit, named[0], rule_of[named[0].reference], now=now)
    if awaited is not None:
        return Decision(
            verdict=Verdict.AWAITING_SYNC,
            rule=MatchRule.NONE,
            reason=Reason(MatchReason.AWAITS_PHONE, {"reference": awaited}),
        )
    if names.named is not None:
        return Decision(
            verdict=Verdict.NO_BILL,
            rule=MatchRule.NONE,
            reason=Reason(MatchReason.NO_SUCH_BILL, {"named": names.named}),
            opens_break=BreakKind.UNKNOWN_REFERENCE,
        )
    if names.foreign:
        return Decision(
            verdict=Verdict.WRONG_ACCOUNT,
            rule=MatchRule.NONE,
            reason=Reason(MatchReason.FOREIGN_REFERENCE, {"reference": names.foreign[0]}),
            opens_break=BreakKind.WRONG_ACCOUNT,
        )
    return _decide_counter_sale(credit, routing)


def is_other_account(credit: CreditFacts, bill: BillState) -> bool:
    """Tell whether money came by another account, or another virtual account, than a bill's own."""
    return bill.receiving_account_id != credit.receiving_account_id or (
        bill.virtual_account is not None
        and credit.virtual_account is not None
        and bill.virtual_account.upper() != credit.virtual_account.upper()
    )


def decide_bill(
    credit: CreditFacts,
    bill: BillState,
    rule: MatchRule,
    *,
    by: UUID | None = None,
    now: datetime,
) -> Decision:
    """Decide what a credit does to the bill that is meant, and apply it (changes `bill`)."""
    if is_other_account(credit, bill):
        return Decision(
            verdict=Verdict.WRONG_ACCOUNT,
            rule=rule,
            reason=Reason(MatchReason.OTHER_ACCOUNT, {"reference": bill.reference}),
            opens_break=BreakKind.WRONG_ACCOUNT,
        )
    leg = apply_payment(bill, as_source(credit, credit.amount_vnd, by=by), now=now)
    needs_refund = leg.effect in (Effect.CLOSED_BILL, Effect.OVER)
    return Decision(
        verdict=Verdict(leg.effect.value),
        rule=rule,
        reason=_reason_of_bill(bill, rule, leg.status_before),
        applied_vnd=leg.applied_vnd,
        bill_id=bill.id,
        payee_id=bill.payee_id,
        is_late=leg.is_late,
        opens_break=BreakKind.REFUND_DUE if needs_refund else None,
        legs=(leg,),
    )


def decide_split(
    credit: CreditFacts,
    shares: Sequence[tuple[BillState, int]],
    *,
    by: UUID | None,
    now: datetime,
) -> Decision:
    """Spread a credit over several locked bills of one payee, as a person says (changes them).

    Args:
        shares: (bill, đồng), no more than the bill needs; together no more than the credit.
    """
    legs = tuple(
        apply_payment(bill, as_source(credit, share_vnd, by=by), now=now)
        for bill, share_vnd in shares
    )
    applied_vnd = sum(leg.applied_vnd for leg in legs)
    assert applied_vnd <= credit.amount_vnd
    return Decision(
        verdict=Verdict.SPLIT,
        rule=MatchRule.CONFIRMED,
        reason=Reason(MatchReason.SPREAD, {"count": len(legs)}),
        applied_vnd=applied_vnd,
        payee_id=shares[0][0].payee_id,
        is_late=any(leg.is_late for leg in legs),
        opens_break=BreakKind.UNASSIGNED if applied_vnd < credit.amount_vnd else None,
        legs=legs,
    )


def as_source(credit: CreditFacts, amount_vnd: int, *, by: UUID | None) -> MoneySource:
    """Make a source of payments of a credit, or of a share of it."""
    return MoneySource(
        kind=SourceKind.CREDIT,
        id=credit.id,
        amount_vnd=amount_vnd,
        occurred_at=credit.occurred_at,
        is_date_only=credit.is_date_only,
        by=by,
    )


def _reason_of_bill(bill: BillState, rule: MatchRule, status_before: str) -> Reason:
    facts = {"reference": bill.reference, "bill_status": status_before}
    if rule is MatchRule.CONFIRMED:
        return Reason(MatchReason.BILL_CONFIRMED, facts)
    return Reason(MatchReason.BILL_FOUND, {**facts, "rule": rule.value})


def _reason_of_sharing(payees: int) -> Reason:
    if payees == 0:
        return Reason(MatchReason.NOBODYS_ACCOUNT)
    return Reason(MatchReason.SHARED_ACCOUNT, {"count": payees})


def _decide_test() -> Decision:
    return Decision(
        verdict=Verdict.ACCOUNT_TEST,
        rule=MatchRule.ACCOUNT_TEST,
        reason=Reason(MatchReason.TEST_REFERENCE),
    )


def _decide_counter_sale(credit: CreditFacts, routing: AccountRouting) -> Decision:
    if credit.is_doubtful:
        return Decision(
            verdict=Verdict.UNASSIGNED,
            rule=MatchRule.NONE,
            reason=Reason(MatchReason.PERHAPS_REPORTED_TWICE),
            opens_break=BreakKind.UNASSIGNED,
        )
    if routing.approved_at is None or hanoi_day(credit.occurred_at) < hanoi_day(
        routing.approved_at
    ):
        return Decision(
            verdict=Verdict.UNASSIGNED,
            rule=MatchRule.NONE,
            reason=Reason(MatchReason.BEFORE_APPROVAL),
            opens_break=BreakKind.UNASSIGNED,
        )
    if credit.virtual_account is not None:
        payee_id = routing.payee_by_virtual_account.get(credit.virtual_account.upper())
        if payee_id is not None:
            return Decision(
                verdict=Verdict.COUNTER_SALE,
                rule=MatchRule.VIRTUAL_ACCOUNT,
                reason=Reason(MatchReason.OWN_VIRTUAL_ACCOUNT),
                applied_vnd=credit.amount_vnd,
                payee_id=payee_id,
                owner=routing.owner_by_payee.get(payee_id),
            )
        if credit.virtual_account.upper() in routing.ended_virtual_accounts:
            return Decision(
                verdict=Verdict.UNASSIGNED,
                rule=MatchRule.NONE,
                reason=Reason(MatchReason.ENDED_VIRTUAL_ACCOUNT),
                opens_break=BreakKind.UNASSIGNED,
            )
    if len(routing.payee_ids) == 1:
        return Decision(
            verdict=Verdict.COUNTER_SALE,
            rule=MatchRule.SOLE_PAYEE,
            reason=Reason(MatchReason.SOLE_PAYEE),
            applied_vnd=credit.amount_vnd,
            payee_id=routing.payee_ids[0],
            owner=routing.owner_by_payee.get(routing.payee_ids[0]),
        )
    return Decision(
        verdict=Verdict.UNASSIGNED,
        rule=MatchRule.NONE,
        reason=_reason_of_sharing(len(routing.payee_ids)),
        opens_break=BreakKind.UNASSIGNED,
    )
