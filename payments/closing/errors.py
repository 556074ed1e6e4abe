"""Errors of closing by account, and of going live."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from core.errors import HubError, Kind, Violation
from core.reasons import Reason
from payments.closing.rules import UNDER_WAY_MAX, NotReady

_WORDS: Final[Mapping[NotReady, str]] = {
    NotReady.DAY_NOT_OVER: "The day is not over.",
    NotReady.EARLIER_DAY_OPEN: "{day} must be closed first.",
    NotReady.NOTICES_UNHANDLED: "{count} callbacks are not processed yet.",
    NotReady.OUTAGE_NOT_PLANNED: "After {count} outages nothing has been polled yet.",
    NotReady.STATEMENT_MISSING: "No statement has this day.",
    NotReady.STATEMENT_BEING_WRITTEN: "The lines of its statement are being written.",
    NotReady.STATEMENT_ENDS_EARLY: (
        "Its statement came before the day was over: send one that was made after midnight."
    ),
    NotReady.LINES_NOT_EXPLAINED: "{count} lines with {amount_vnd} ₫ are not explained.",
    NotReady.BALANCE_DIFFERS: (
        "The statement closes with {closing_vnd} ₫; the books have {bank_vnd} ₫, and {late_vnd} ₫"
        " on open lines."
    ),
    NotReady.OUTAGE_OPEN: "{count} spans without callbacks are not polled to their end.",
    NotReady.POLLS_BEHIND: "Its list is polled up to {read_until} only.",
    NotReady.BREAKS_OPEN: "{count} reports that disagree, or were not read, are open ({kinds}).",
}


def word_reason(reason: Reason) -> str:
    """Word what keeps a day open, in English: for programs, and for logs."""
    facts: dict[str, Any] = {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in reason.facts.items()
    }
    return _WORDS[NotReady(reason.code)].format(**facts)


class DayNotReady(HubError):
    """Something keeps the day open; each violation names the day, or an account, and why."""

    kind, code, title = Kind.CONFLICT, "day_not_ready", "The day is not ready"

    def __init__(
        self, day: date, reasons: Sequence[Reason], accounts: Mapping[UUID, Sequence[Reason]]
    ) -> None:
        said = [("day", one) for one in reasons]
        said += [(f"accounts.{id_}", one) for id_, found in accounts.items() for one in found]
        super().__init__(
            f"{day:%d/%m/%Y} cannot be closed yet: {word_reason(said[0][1])}"
            f" {len(accounts)} accounts are not ready.",
            violations=[
                Violation(field=field, code=one.code.value, detail=word_reason(one))
                for field, one in said
            ],
        )
        self.reasons = tuple(reasons)
        self.accounts = dict(accounts)


class StatementProofNeedsOpening(HubError):
    """An account goes over to statements with an opening balance of that day, by two people."""

    kind, code, title = Kind.CONFLICT, "opening_balance_needed", "An opening balance is needed"

    def __init__(self) -> None:
        super().__init__(
            "Its statements count from the day of a confirmed opening balance on: propose the one"
            " of that day, and have another person confirm it."
        )


class OpeningBalanceNotFound(HubError):
    """The account has no such opening balance."""

    kind, code, title = Kind.NOT_FOUND, "opening_balance_not_found", "No opening balance"

    def __init__(self) -> None:
        super().__init__("The account has no such opening balance.")


class OpeningBalanceKnown(HubError):
    """Another opening balance of the account and the day is proposed or in force."""

    kind, code, title = (
        Kind.CONFLICT,
        "opening_balance_known",
        "The day has an opening balance",
    )

    def __init__(self) -> None:
        super().__init__("Withdraw the one that is proposed, or reverse the one in force, first.")


class OpeningBalanceDecided(HubError):
    """It was confirmed, withdrawn or reversed before."""

    kind, code, title = Kind.CONFLICT, "opening_balance_decided", "Already decided"

    def __init__(self) -> None:
        super().__init__("This opening balance was confirmed, withdrawn or reversed before.")


class OpeningNeedsAnother(HubError):
    """Who proposed an opening balance does not confirm it."""

    kind, code, title = Kind.FORBIDDEN, "opening_needs_another", "A second person is needed"

    def __init__(self) -> None:
        super().__init__("You proposed it, so another person must confirm it.")


class StillCarried(HubError):
    """The account carries credits one by one, from an opening balance before."""

    kind, code, title = Kind.CONFLICT, "still_carried", "Credits are still carried"

    def __init__(self, last: date) -> None:
        super().__init__(
            f"At the end of {last:%d/%m/%Y} it carries credits one by one. Prove a day by callbacks"
            " only, close it, and open the day after it with a balance."
        )


class CreditNotUnderWay(HubError):
    """A credit that is said to be under way is not: another account's, or of another time."""

    kind, code, title = Kind.INVALID, "credit_not_under_way", "The credit is not under way"

    def __init__(self, credit_ids: Sequence[UUID]) -> None:
        named = ", ".join(str(one) for one in credit_ids[:5])
        super().__init__(
            f"{len(credit_ids)} credits have no clearing of this account up to that day ({named})."
            f" At most {UNDER_WAY_MAX} may be named."
        )


class DayNotOpen(HubError):
    """What proves an account is set from an open day on."""

    kind, code, title = Kind.CONFLICT, "day_not_open", "The day is closed"

    def __init__(self, first: date) -> None:
        super().__init__(f"The first open day is {first:%d/%m/%Y}.")
