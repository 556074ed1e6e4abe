"""Answers about outages."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.http.fields import Read
from payments.outages.rules import OutageReason
from payments.outages.views import OutageState


class OpenAccountRead(Read):
    """An account whose missed callbacks are not all known yet."""

    id: UUID
    number: str = Field(description="Its last four characters.")
    problem: str | None = Field(
        description="Why its last poll failed, if it did.",
        examples=["provider_did_not_respond"],
    )


class OutageRead(Read):
    """A span of time in which no hub received, and what became of the callbacks of one tenant."""

    id: UUID
    from_at: datetime
    until_at: datetime
    reason: OutageReason
    state: OutageState
    missed: int = Field(
        description="Credits of this time that were learned of afterwards, as far as is known."
    )
    recovered: int = Field(description="Those that are booked by now.")
    recovered_by_polling: int
    called_back_late: int = Field(description="Their callback came after all.")
    oldest_age_s: int | None = Field(
        description="The longest time from a transfer until the hub knew of it."
    )
    accounts_polled: int
    being_polled: list[OpenAccountRead]
    waiting_for_statement: list[OpenAccountRead] = Field(
        description="Accounts that no provider could be polled for, or not wholly."
    )
    reported_at: datetime | None = Field(description="When everything polled was booked.")


class OutagesRead(Read):
    """A page of outages, newest first."""

    outages: list[OutageRead]
    next_cursor: str | None
