"""Runs of checks, the twenty invariants that they hold, and the breaks that alarm. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from payments.breaks.rules import BreakKind, BreakReason


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    VIOLATED = "violated"
    NOT_CHECKED = "not_checked"  # it took too long, or the database was away


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckRun:
    """One run of one check."""

    name: str
    started_at: datetime
    took_ms: int
    status: CheckStatus
    violations: int | None  # counted to a limit; None: it was not checked
    error: str | None


class Proof(StrEnum):
    """How an invariant is held."""

    LIVE = "live"  # by checks of the running hub
    TEST = "test"
    DRILL = "drill"
    COMMAND = "command"  # by one that the operator runs
    COMING = "coming"  # with what it is about


@dataclass(frozen=True, kw_only=True, slots=True)
class Invariant:
    """One of the twenty invariants, and what holds it."""

    says: str
    proof: Proof
    checks: tuple[str, ...] = ()  # names of checks, of one that is live
    where: str = ""  # the tests, the drill or the command; of one that is coming, with what


INVARIANTS_HELD: Final[dict[str, Invariant]] = {
    "I1": Invariant(
        says="every journal entry sums to zero",
        proof=Proof.LIVE,
        checks=("all_balances_are_zero",),
    ),
    "I2": Invariant(
        says="all balances of an organisation together are zero",
        proof=Proof.LIVE,
        checks=("all_balances_are_zero",),
    ),
    "I3": Invariant(
        says="each balance is what its postings say, and these are what was explained",
        proof=Proof.LIVE,
        checks=("bank_clearing_equals_unproved_credits", "balances_follow_from_explanations"),
    ),
    "I4": Invariant(
        says="no payee's takings are below zero",
        proof=Proof.LIVE,
        checks=("takings_are_not_negative",),
    ),
    "I5": Invariant(
        says="no reference block, device token or job lease outlives its end",
        proof=Proof.LIVE,
        checks=("nothing_outlives_its_end",),
    ),
    "I6": Invariant(
        says="a rejected operation leaves every row as it was",
        proof=Proof.TEST,
        where="tests/api/v1/test_refused_requests.py",
    ),
    "I7": Invariant(
        says="one transaction of a bank posts at most once",
        proof=Proof.LIVE,
        checks=(
            "a_credit_posts_once",
            "a_payment_posts_once",
            "a_transaction_is_one_credit",
            "late_cash_posts_once",
            "decisions_post_once",
        ),
    ),
    "I8": Invariant(
        says="what a statement's line is matched with is at most its amount, each pair once",
        proof=Proof.LIVE,
        checks=(
            "lines_agree_with_their_proofs",
            "a_proof_posts_once",
            "proofs_are_of_one_account",
        ),
    ),
    "I9": Invariant(
        says="what is refunded is at most what was paid",
        proof=Proof.LIVE,
        checks=(
            "refunds_are_no_more_than_paid",
            "refunds_due_agree",
            "refunds_are_within_their_payments",
            "bills_agree_with_their_refunds",
            "toll_charges_are_kept_or_go_back",
        ),
    ),
    "I10": Invariant(
        says="a paid bill was paid by its payments, and what is too much is in unapplied cash",
        proof=Proof.LIVE,
        checks=(
            "bills_agree_with_their_payments",
            "legs_agree_with_payments",
            "one_explanation_in_force",
            "what_is_open_is_not_taken",
            "what_is_unapplied_is_on_a_list",
            "a_handled_notice_has_its_credit",
            "stays_agree_with_what_was_paid",
            "posters_agree_with_their_sales",
        ),
    ),
    "I11": Invariant(
        says="a statement's opening and its lines make its closing, the next one's opening",
        proof=Proof.LIVE,
        checks=("statements_chain",),
    ),
    "I12": Invariant(
        says="bank clearing is what no line has matched, and of the last closed day what its"
        " accounts carry, item by item",
        proof=Proof.LIVE,
        checks=(
            "clearing_is_what_no_line_proves",
            "closed_clearing_is_carried",
            "carried_items_follow_from_their_day",
            "books_are_closed_through_their_last_day",
        ),
    ),
    "I13": Invariant(
        says="each settled posting is in exactly one settlement, whose total is payout and charges",
        proof=Proof.LIVE,
        checks=(
            "settlements_own_their_days",
            "settlements_follow_from_postings",
            "settlements_are_divided_whole",
            "shifts_agree_with_their_cash",
        ),
    ),
    "I14": Invariant(
        says="the chain of the days' hashes is whole from the first day on",
        proof=Proof.COMMAND,
        where="./phopay ledger verify",
    ),
    "I15": Invariant(
        says="nothing is stuck past its deadline",
        proof=Proof.LIVE,
        checks=("nothing_is_overdue", "changes_are_counted"),
    ),
    "I16": Invariant(
        says="what a person did to money is in the log of changes, with who did it",
        proof=Proof.LIVE,
        checks=(
            "money_changes_are_audited",
            "cash_has_its_receipt",
            "documents_have_no_gaps",
            "shifts_agree_with_their_cash",
        ),
    ),
    "I17": Invariant(
        says="a connection that usually reports payments is not silent in its hours",
        proof=Proof.LIVE,
        checks=("earning_endpoints_are_not_silent",),
    ),
    "I18": Invariant(
        says="outgoing webhooks: one event id for each change, delivered at least once",
        proof=Proof.COMING,
        where="outgoing webhooks",
    ),
    "I19": Invariant(
        says="a restored backup and what came again make the same balances",
        proof=Proof.DRILL,
        where="tests/ops/backup/test_restore_drill.py",
    ),
    "I20": Invariant(
        says="money is whole đồng; no column of the database holds fractions",
        proof=Proof.LIVE,
        checks=("money_is_whole",),
    ),
}

# The break that tells an organisation's people that a check found something of theirs; others open
# BOOKS_DISAGREE.
ALARMS: Final[dict[str, tuple[BreakKind, BreakReason]]] = {
    "nothing_is_overdue": (BreakKind.WORK_OVERDUE, BreakReason.WORK_OVERDUE),
    "nothing_outlives_its_end": (BreakKind.WORK_OVERDUE, BreakReason.WORK_OVERDUE),
    "earning_endpoints_are_not_silent": (BreakKind.ENDPOINT_SILENT, BreakReason.ENDPOINT_SILENT),
}
BOOKS_ALARM: Final = (BreakKind.BOOKS_DISAGREE, BreakReason.INVARIANT_BROKEN)
ALARM_KINDS: Final = frozenset({BOOKS_ALARM[0], *(kind for kind, _ in ALARMS.values())})
