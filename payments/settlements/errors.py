"""Errors of settlement statements."""

from datetime import date
from uuid import UUID

from core.errors import HubError, Kind


class SettlementNotFound(HubError):
    """No such settlement statement in this organisation, or none for this reader."""

    kind, code, title = Kind.NOT_FOUND, "settlement_not_found", "Settlement statement not found"

    def __init__(self, settlement_id: UUID) -> None:
        super().__init__(f"No settlement statement {settlement_id} was found.")


class SettlementRunNotFound(HubError):
    """No such run in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "settlement_run_not_found", "Run not found"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"No run {run_id} of settlement statements was found.")


class SettlementRunIdTaken(HubError):
    """A client-made id names a run of another period or payee already."""

    kind, code, title = Kind.CONFLICT, "settlement_run_id_taken", "Id in use"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"The id {run_id} names a run of another period. Make a new one.")


class SettlementDayOpen(HubError):
    """The books are not closed through the period's last day."""

    kind, code, title = Kind.CONFLICT, "settlement_day_open", "The period is not closed"

    def __init__(self, last_day: date, closed_through: date | None) -> None:
        until = "no day yet" if closed_through is None else closed_through.isoformat()
        super().__init__(
            f"Only closed days are settled, so that nothing comes to them later. The books are"
            f" closed through {until}: close them through {last_day.isoformat()}, or take an"
            " earlier last day."
        )
        self.closed_through = closed_through


class SettlementDayBeforeBooks(HubError):
    """The period ends before the first day that was closed by itself."""

    kind, code, title = Kind.CONFLICT, "settlement_day_before_books", "No such closed day"

    def __init__(self, last_day: date) -> None:
        super().__init__(
            f"{last_day.isoformat()} was closed together with later days, by the first close. A"
            " period ends on a day that was closed by itself."
        )


class SettlementStepNotPossible(HubError):
    """The step does not follow from the statement's state."""

    kind, code, title = Kind.CONFLICT, "settlement_step_not_possible", "Not possible now"

    def __init__(self, status: str, *, is_ready: bool = True) -> None:
        said = status if is_ready else "still being written"
        super().__init__(f"The settlement statement is {said}. Read it again.")
        self.status = status


class SettlementNeedsAnother(HubError):
    """Who drafted or reviewed a statement, or set its terms, does not approve it."""

    kind, code, title = Kind.FORBIDDEN, "settlement_needs_another", "Another person is needed"

    def __init__(self) -> None:
        super().__init__(
            "A settlement statement is approved by another person than who drafted it, reviewed it"
            " or set its terms."
        )


class SettlementFollowed(HubError):
    """A later statement of the payee begins where this one ends."""

    kind, code, title = Kind.CONFLICT, "settlement_followed", "A later one follows"

    def __init__(self) -> None:
        super().__init__(
            "A later settlement statement of this payee begins where this one ends. Discard that"
            " one first; what was approved stays, and corrections go to the next."
        )


class SettlementTermsChanged(HubError):
    """Somebody else set the terms since they were read."""

    kind, code, title = Kind.CONFLICT, "settlement_terms_changed", "The terms are newer"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"The terms are at version {version} by now. Read them again, then decide."
        )
        self.version = version
