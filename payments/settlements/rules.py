"""Settlement statements: states, channels, and how a period's money is divided. Pure.

All amounts are whole đồng and all rates basis points. Each division says where its remainder goes:
`take_bps` leaves it with the payee, `split_shares` gives it to the largest remainders.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

DRAFT: Final = "settlements.draft"  # the kind of job
BPS: Final = 10_000  # basis points of the whole
PERIOD_DAYS_MAX: Final = 400  # a year and a little
BULK_MAX: Final = 200  # statements that are approved at once
SHARES_MAX: Final = 10
SHARE_NAME_CHARS_MAX: Final = 80
FIXED_CHARGE_VND_MAX: Final = 10_000_000_000
CARRIED_SHOWN_MAX: Final = 50  # open breaks that a statement lists; all of them are counted
CARRIED_READ_MAX: Final = 20_000  # open breaks of an organisation that a run looks at
EXCEL_ITEMS_MAX: Final = 20_000  # postings that a workbook lists


class SettlementStatus(StrEnum):
    """How far a statement has come."""

    DRAFTING = "drafting"  # being written, or written and not looked at yet
    REVIEWED = "reviewed"
    APPROVED = "approved"  # by another person; it has its number, and never changes
    SENT = "sent"
    DISCARDED = "discarded"  # its period is free again


LIVE: Final = frozenset(SettlementStatus) - {SettlementStatus.DISCARDED}
FINAL: Final = frozenset({SettlementStatus.APPROVED, SettlementStatus.SENT})


class Step(StrEnum):
    """What a person does to a statement."""

    REVIEW = "review"
    APPROVE = "approve"
    SEND = "send"
    DISCARD = "discard"


# Step → (from which states, to which).
STEPS: Final[Mapping[Step, tuple[frozenset[SettlementStatus], SettlementStatus]]] = (
    MappingProxyType(
        {
            Step.REVIEW: (frozenset({SettlementStatus.DRAFTING}), SettlementStatus.REVIEWED),
            Step.APPROVE: (frozenset({SettlementStatus.REVIEWED}), SettlementStatus.APPROVED),
            Step.SEND: (frozenset({SettlementStatus.APPROVED}), SettlementStatus.SENT),
            Step.DISCARD: (
                frozenset({SettlementStatus.DRAFTING, SettlementStatus.REVIEWED}),
                SettlementStatus.DISCARDED,
            ),
        }
    )
)


class Channel(StrEnum):
    """The way that a payee's takings came."""

    VIETQR = "vietqr"
    PAYOS = "payos"
    COUNTER_SALE = "counter_sale"  # a static code, without a bill
    TOLL = "toll"
    CARD = "card"
    CASH = "cash"  # for the rest of a bill, at a stall
    SHIFT_CASH = "shift_cash"  # tickets of a lot, counted at the shift's close or told after it
    OTHER = "other"


REFUND_LINE: Final = "refund"  # beside the channels: what was given back
# What was short of a bill and given up by two people: a payment that brought nothing. It is told
# apart, and no part of any amount.
WRITTEN_OFF_LINE: Final = "written_off"
LINES: Final = (*(channel.value for channel in Channel), WRITTEN_OFF_LINE, REFUND_LINE)
NOT_TAKEN: Final = frozenset({WRITTEN_OFF_LINE, REFUND_LINE})  # lines that are no part of gross
_WRITTEN_OFF_RAIL: Final = "write_off"
OF_PAYMENTS: Final = frozenset({"payment", "payment_reversal"})
_OF_CAUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "match": Channel.COUNTER_SALE.value,
        "match_reversal": Channel.COUNTER_SALE.value,
        "shift_close": Channel.SHIFT_CASH.value,
        "late_collection": Channel.SHIFT_CASH.value,
        "refund": REFUND_LINE,
        "refund_reversal": REFUND_LINE,
    }
)
_CHANNEL_NAMES: Final = frozenset(channel.value for channel in Channel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """Who has which part of what is left after charges and commission."""

    name: str
    bps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What is agreed with a payee from a day on. Nothing is deducted where there are none."""

    commission_bps: int = 0
    fixed_charge_vnd: int = 0  # of each statement
    charge_bps: Mapping[str, int] = field(default_factory=dict)  # by channel
    shares: Sequence[Share] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LineTotal:
    """What one channel, or the refunds, moved on a payee's takings."""

    credited_vnd: int = 0
    debited_vnd: int = 0
    postings: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChargeAmount:
    """What is charged on one channel."""

    channel: str
    bps: int
    amount_vnd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareAmount:
    """What of the net amount is whose, besides the payee."""

    name: str
    bps: int
    amount_vnd: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """A statement's amounts, in đồng.

    gross - refunds - charges - fixed charge - commission = net = shares + the payee's part.
    """

    gross_vnd: int
    refunds_vnd: int
    charges: tuple[ChargeAmount, ...]
    charges_vnd: int  # of the channels, together
    fixed_charge_vnd: int
    commission_vnd: int
    net_vnd: int
    shares: tuple[ShareAmount, ...]
    payee_vnd: int


def line_of(cause_kind: str, rail: str | None) -> str:
    """Return the line of a statement to which a posting on takings belongs.

    Args:
        rail: of the payment, where that is the cause.
    """
    if cause_kind in OF_PAYMENTS:
        if rail == _WRITTEN_OFF_RAIL:
            return WRITTEN_OFF_LINE
        return rail if rail in _CHANNEL_NAMES else Channel.OTHER.value
    return _OF_CAUSES.get(cause_kind, Channel.OTHER.value)


def take_bps(amount_vnd: int, bps: int) -> int:
    """Return a rate of an amount, rounded towards zero: the remainder stays with the payee.

    Of an amount below zero it is below zero, too: what was taken of sales that were refunded later
    is given back by the same rate.
    """
    part_vnd = abs(amount_vnd) * bps // BPS
    return part_vnd if amount_vnd >= 0 else -part_vnd


def split_shares(net_vnd: int, bps: Sequence[int]) -> list[int]:
    """Divide an amount by basis points; return the part of each, and the payee's as the last.

    The payee has what the shares leave of 10,000. Each part is rounded towards zero; the đồng that
    remain go one by one to the parts with the largest remainders, of equal ones to the earlier.
    They always sum to the amount.
    """
    assert all(one >= 0 for one in bps)
    assert sum(bps) <= BPS
    weights = [*bps, BPS - sum(bps)]
    whole_vnd = abs(net_vnd)
    parts_vnd = [whole_vnd * weight // BPS for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(whole_vnd * weights[i] % BPS), i))
    for i in by_remainder[: whole_vnd - sum(parts_vnd)]:
        parts_vnd[i] += 1
    return parts_vnd if net_vnd >= 0 else [-part for part in parts_vnd]


def work_out(totals: Mapping[str, LineTotal], terms: Terms) -> Figures:
    """Work a statement's amounts out of what its lines moved.

    Commission is taken of gross minus refunds, charges of what their channel brought. What was
    written off came from nobody and is in none of them.
    """
    gross_by_channel = {
        line: total.credited_vnd - total.debited_vnd
        for line, total in totals.items()
        if line not in NOT_TAKEN
    }
    gross_vnd = sum(gross_by_channel.values())
    refunded = totals.get(REFUND_LINE, LineTotal())
    refunds_vnd = refunded.debited_vnd - refunded.credited_vnd
    charges = tuple(
        ChargeAmount(channel=channel, bps=bps, amount_vnd=take_bps(amount_vnd, bps))
        for channel, bps in sorted(terms.charge_bps.items())
        if bps and (amount_vnd := gross_by_channel.get(channel, 0))
    )
    charges_vnd = sum(one.amount_vnd for one in charges)
    commission_vnd = take_bps(gross_vnd - refunds_vnd, terms.commission_bps)
    net_vnd = gross_vnd - refunds_vnd - charges_vnd - terms.fixed_charge_vnd - commission_vnd
    *parts_vnd, payee_vnd = split_shares(net_vnd, [share.bps for share in terms.shares])
    return Figures(
        gross_vnd=gross_vnd,
        refunds_vnd=refunds_vnd,
        charges=charges,
        charges_vnd=charges_vnd,
        fixed_charge_vnd=terms.fixed_charge_vnd,
        commission_vnd=commission_vnd,
        net_vnd=net_vnd,
        shares=tuple(
            ShareAmount(name=share.name, bps=share.bps, amount_vnd=part_vnd)
            for share, part_vnd in zip(terms.shares, parts_vnd, strict=True)
        ),
        payee_vnd=payee_vnd,
    )


def charge_while_open(terms: Terms, *, closed_on: date | None, first_day: date) -> Terms:
    """Leave the fixed charge out of terms where a payee was closed before a period began."""
    if closed_on is None or closed_on >= first_day:
        return terms
    return replace(terms, fixed_charge_vnd=0)


def find_terms_fault(terms: Terms) -> tuple[str, str] | None:
    """Say what is wrong with terms as (field, words), or None."""
    if not 0 <= terms.commission_bps <= BPS:
        return "commission_bps", "The commission lies between 0 and 10,000 basis points."
    if not 0 <= terms.fixed_charge_vnd <= FIXED_CHARGE_VND_MAX:
        return "fixed_charge_vnd", f"A fixed charge is at most {FIXED_CHARGE_VND_MAX:,} đồng."
    if unknown := sorted(set(terms.charge_bps) - _CHANNEL_NAMES):
        return "charge_bps", f"There is no channel {unknown[0]!r}."
    if any(not 0 <= bps <= BPS for bps in terms.charge_bps.values()):
        return "charge_bps", "A charge lies between 0 and 10,000 basis points."
    return _find_shares_fault(terms.shares)


def _find_shares_fault(shares: Sequence[Share]) -> tuple[str, str] | None:
    if len(shares) > SHARES_MAX:
        return "shares", f"There are at most {SHARES_MAX} shares beside the payee's."
    if any(not share.name.strip() or len(share.name) > SHARE_NAME_CHARS_MAX for share in shares):
        return "shares", f"A share has a name of at most {SHARE_NAME_CHARS_MAX} characters."
    if len({share.name for share in shares}) != len(shares):
        return "shares", "Two shares have the same name."
    if any(not 1 <= share.bps <= BPS for share in shares):
        return "shares", "A share lies between 1 and 10,000 basis points."
    if sum(share.bps for share in shares) > BPS:
        return "shares", "All shares together are at most 10,000 basis points."
    return None


def find_period_fault(first_day: date, last_day: date) -> str | None:
    """Say what is wrong with the period of a run, or None."""
    if last_day < first_day:
        return "The last day lies before the first."
    if (last_day - first_day).days >= PERIOD_DAYS_MAX:
        return f"A period has at most {PERIOD_DAYS_MAX} days."
    return None


def may_approve(person: UUID | None, *, involved: Iterable[UUID | None]) -> bool:
    """Whether a person may approve what these have drafted, reviewed or agreed the terms of."""
    return person is not None and person not in set(involved)


def leads_to(step: Step, before: SettlementStatus) -> SettlementStatus | None:
    """Return the state after a step; None: it does not follow from this one."""
    froms, to = STEPS[step]
    return to if before in froms else None


def steps_from(status: SettlementStatus, *, is_ready: bool) -> Collection[Step]:
    """Return the steps that follow from a state; what is still being written is only discarded."""
    return [
        step
        for step in Step
        if leads_to(step, status) is not None and (is_ready or step is Step.DISCARD)
    ]
