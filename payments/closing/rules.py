"""Proofs of an account's day, reasons that keep a day open, and what a close carries. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from core.reasons import Reason
from payments.breaks.rules import BreakKind
from payments.ledger.rules import (
    OPENING,
    OPENING_REVERSAL,
    AccountKey,
    NewPosting,
    bank,
    bank_clearing,
    opening_balance,
)

UNDER_WAY_MAX: Final = 1_000  # credits of one go-live
COUNTED_MAX: Final = 1_000  # notices that keep a day open; more say nothing new
# What keeps an account that callbacks alone prove from being closed: evidence that disagrees, or
# that was not read. Money without its reason is evidence, and stands in unapplied cash.
DISAGREEING: Final = (BreakKind.CONTRADICTION, BreakKind.POSSIBLE_DUPLICATE)
NOT_READ: Final = (BreakKind.UNREADABLE, BreakKind.STUCK)


class Proof(StrEnum):
    """What proves the days of an account."""

    STATEMENT = "statement"  # three ways: bills, callbacks, and the bank's statement
    CALLBACKS_ONLY = "callbacks_only"  # "hai chiều": its statement comes to nobody


class ClosedBy(StrEnum):
    """What a day of an account was closed by."""

    STATEMENT = "statement"
    CALLBACKS_ONLY = "callbacks_only"
    CLOSED_OVER = "closed_over"  # two people, by name


class DayStatus(StrEnum):
    """How far a day of the books is."""

    OPEN = "open"
    READY = "ready"  # nothing keeps it from being closed
    CLOSED = "closed"


class NotReady(StrEnum):
    """What keeps a day open, for the organisation or for one account, with its facts."""

    # The organisation
    DAY_NOT_OVER = "day_not_over"
    EARLIER_DAY_OPEN = "earlier_day_open"  # day: which comes first
    NOTICES_UNHANDLED = "notices_unhandled"  # count: to COUNTED_MAX
    OUTAGE_NOT_PLANNED = "outage_not_planned"  # count: nobody has written down yet what to poll
    # An account with statements
    STATEMENT_MISSING = "statement_missing"
    STATEMENT_BEING_WRITTEN = "statement_being_written"
    STATEMENT_ENDS_EARLY = "statement_ends_early"  # no file of it came after the day was over
    LINES_NOT_EXPLAINED = "lines_not_explained"  # count, amount_vnd
    BALANCE_DIFFERS = "balance_differs"  # closing_vnd, bank_vnd, late_vnd
    # An account with callbacks alone
    OUTAGE_OPEN = "outage_open"  # count: spans that are to be polled and are not read
    POLLS_BEHIND = "polls_behind"  # read_until
    BREAKS_OPEN = "breaks_open"  # count, kinds


class Told(StrEnum):
    """What is said before a close, and keeps nothing open."""

    SHIFTS_OPEN = "shifts_open"  # count: begun by then, and not closed
    NOTICES_WAIT_FOR_ACCOUNT = "notices_wait_for_account"  # count: of accounts that are not ours
    CLOSED_TWO_WAYS = "closed_two_ways"  # count: accounts that no statement proves


class OwnedDay(NamedTuple):
    """What the statement that owns an account's day says of it."""

    in_vnd: int
    out_vnd: int
    closing_vnd: int | None  # None: the statement has no balances
    line_count: int


class Over(NamedTuple):
    """Who said that a day of an account is to be closed over."""

    by_1: UUID
    by_2: UUID | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountFacts:
    """How an account stands at the end of a day. In đồng, debits minus credits."""

    id: UUID
    bin: str
    account_number: str
    holder_name: str
    proof: Proof
    statement: OwnedDay | None = None
    is_being_written: bool = False
    is_whole: bool = True  # a file that has the day came once it was over
    open_lines: int = 0  # of the day
    open_lines_vnd: int = 0
    late_lines_vnd: int = 0  # open lines up to the day, in minus out
    bank_vnd: int | None = None  # None: not known before the days before it are closed
    clearing_vnd: int | None = None
    outage_windows: int = 0
    polled_until: datetime | None = None  # of polls that have not reached the day's end
    breaks: Mapping[str, int] = field(default_factory=dict)
    over: Over | None = None

    @property
    def is_over(self) -> bool:
        """Whether two people said that it is to be closed over."""
        return self.over is not None and self.over.by_2 is not None


class Carried(NamedTuple):
    """A row of carried_items as a close adds it."""

    credit_id: UUID
    since_day: date
    receiving_account_id: UUID
    amount_vnd: int


class Cleared(NamedTuple):
    """A row of carried_items that a close clears."""

    credit_id: UUID
    first_day: date
    receiving_account_id: UUID


class OpenItem(NamedTuple):
    """A row of carried_items that no close has cleared."""

    credit_id: UUID
    first_day: date
    since_day: date
    receiving_account_id: UUID
    amount_vnd: int


class DayAccount(NamedTuple):
    """A row of ledger_day_accounts, in the order in which the day's hash has it."""

    receiving_account_id: UUID
    proof: str
    opening_vnd: int | None
    in_vnd: int | None
    out_vnd: int | None
    closing_vnd: int | None
    bank_vnd: int
    late_lines_vnd: int
    clearing_vnd: int
    carried_count: int | None
    carried_vnd: int
    over_by_1: UUID | None
    over_by_2: UUID | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Carrying:
    """What a close changes of the carried items, and what it leaves."""

    added: Sequence[Carried]
    cleared: Sequence[Cleared]
    left: Mapping[UUID, tuple[int, int]]  # account → (how many, their sum)


def list_reasons(facts: AccountFacts) -> list[Reason]:
    """List what keeps an account's day open; nothing: it is ready."""
    return _of_statement(facts) if facts.proof is Proof.STATEMENT else _of_callbacks(facts)


def _of_statement(facts: AccountFacts) -> list[Reason]:
    owned = facts.statement
    if owned is None:
        return [Reason(NotReady.STATEMENT_MISSING)]
    if facts.is_being_written:
        return [Reason(NotReady.STATEMENT_BEING_WRITTEN)]
    if not facts.is_whole:
        return [Reason(NotReady.STATEMENT_ENDS_EARLY)]
    if facts.open_lines:
        said = {"count": facts.open_lines, "amount_vnd": facts.open_lines_vnd}
        return [Reason(NotReady.LINES_NOT_EXPLAINED, said)]
    if owned.closing_vnd is None or facts.bank_vnd is None:
        return []
    if facts.bank_vnd + facts.late_lines_vnd != owned.closing_vnd:
        return [
            Reason(
                NotReady.BALANCE_DIFFERS,
                {
                    "closing_vnd": owned.closing_vnd,
                    "bank_vnd": facts.bank_vnd,
                    "late_vnd": facts.late_lines_vnd,
                },
            )
        ]
    return []


def _of_callbacks(facts: AccountFacts) -> list[Reason]:
    reasons = []
    if facts.outage_windows:
        reasons.append(Reason(NotReady.OUTAGE_OPEN, {"count": facts.outage_windows}))
    if facts.polled_until is not None:
        said = {"read_until": facts.polled_until.isoformat()}
        reasons.append(Reason(NotReady.POLLS_BEHIND, said))
    if facts.breaks:
        count, kinds = sum(facts.breaks.values()), sorted(facts.breaks)
        reasons.append(Reason(NotReady.BREAKS_OPEN, {"count": count, "kinds": kinds}))
    return reasons


def carry(
    before: Iterable[OpenItem],
    moved_vnd: Mapping[tuple[UUID, UUID], int],
    *,
    itemised: Collection[UUID],
    day: date,
) -> Carrying:
    """Return what is carried at the end of a day: what was, and what moved in it, by item.

    Args:
        before: the items that are carried up to the day.
        moved_vnd: (account, credit) → debits minus credits of clearing, of the day.
        itemised: the accounts whose items are carried one by one; another one's are let go, since
            its clearing is carried as one sum.
    """
    moved = dict(moved_vnd)
    added: list[Carried] = []
    cleared: list[Cleared] = []
    left = dict.fromkeys(itemised, (0, 0))

    def leave(account_id: UUID, vnd: int) -> None:
        count, sum_vnd = left[account_id]
        left[account_id] = (count + 1, sum_vnd + vnd)

    for one in before:
        account_id = one.receiving_account_id
        change_vnd = moved.pop((account_id, one.credit_id), 0)
        now_vnd = one.amount_vnd + change_vnd
        if account_id in left and now_vnd:
            leave(account_id, now_vnd)
            if not change_vnd:
                continue
            added.append(Carried(one.credit_id, one.since_day, account_id, now_vnd))
        cleared.append(Cleared(one.credit_id, one.first_day, account_id))
    for (account_id, credit_id), vnd in moved.items():
        if vnd and account_id in left:
            leave(account_id, vnd)
            added.append(Carried(credit_id, day, account_id, vnd))
    return Carrying(added=sorted(added), cleared=sorted(cleared), left=left)


def close_account(facts: AccountFacts, left: tuple[int, int] | None) -> DayAccount:
    """Return the row of an account whose day is closed.

    Args:
        left: how many items are carried, and their sum; None: clearing is carried as one sum.
    """
    assert facts.bank_vnd is not None
    assert facts.clearing_vnd is not None
    is_over = bool(list_reasons(facts))
    assert not is_over or facts.is_over
    owned = facts.statement if facts.proof is Proof.STATEMENT else None
    has_balance = owned is not None and owned.closing_vnd is not None
    return DayAccount(
        receiving_account_id=facts.id,
        proof=(ClosedBy.CLOSED_OVER if is_over else ClosedBy(facts.proof.value)).value,
        opening_vnd=(
            owned.closing_vnd - owned.in_vnd + owned.out_vnd
            if owned is not None and owned.closing_vnd is not None
            else None
        ),
        in_vnd=None if owned is None else owned.in_vnd,
        out_vnd=None if owned is None else owned.out_vnd,
        closing_vnd=owned.closing_vnd if has_balance and owned is not None else None,
        bank_vnd=facts.bank_vnd,
        late_lines_vnd=0 if facts.proof is Proof.CALLBACKS_ONLY else facts.late_lines_vnd,
        clearing_vnd=facts.clearing_vnd,
        carried_count=None if left is None else left[0],
        carried_vnd=facts.clearing_vnd if left is None else left[1],
        over_by_1=facts.over.by_1 if is_over and facts.over is not None else None,
        over_by_2=facts.over.by_2 if is_over and facts.over is not None else None,
    )


def open_account(
    opening_id: UUID,
    account_id: UUID,
    *,
    bank_vnd: int,
    clearing_vnd: int,
    under_way_vnd: Mapping[UUID, int],
    is_reversal: bool = False,
    effective_at: datetime,
) -> list[NewPosting]:
    """Return the postings of a go-live, or those that take it back.

    Args:
        bank_vnd: what the opening balance adds to the books' bank balance; of either sign.
        clearing_vnd: all that was reported until then.
        under_way_vnd: credit → what of it is put back.
    """
    at_bank, opened, clearing = (
        make(account_id) for make in (bank, opening_balance, bank_clearing)
    )
    moves: list[tuple[AccountKey, AccountKey, int, UUID | None]] = [
        (at_bank, opened, bank_vnd, None),
        (opened, clearing, clearing_vnd, opening_id),
        *((clearing, opened, vnd, credit_id) for credit_id, vnd in under_way_vnd.items()),
    ]
    postings = []
    for step, (debit, credit, vnd, item_id) in enumerate(moves):
        if not vnd:
            continue
        if (vnd < 0) is not is_reversal:
            debit, credit = credit, debit
        postings.append(
            NewPosting(
                debit=debit,
                credit=credit,
                amount_vnd=abs(vnd),
                cause_kind=OPENING_REVERSAL if is_reversal else OPENING,
                cause_id=opening_id,
                step=step,
                effective_at=effective_at,
                item_id=item_id,
            )
        )
    return postings
