"""Events: what happened, for screens now and for outgoing webhooks later."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy import OrgRow


class Event(OrgRow):
    """One thing that happened, written in the transaction that made it happen.

    Ids rise with time but commit in any order: a reader replays an overlap and drops the ids that
    it has seen.
    """

    __tablename__ = "events"
    # For the purge alone. Events lie on disk in the order of time: a summary of each 128 pages is
    # enough, and each payment has one index less to write.
    __table_args__ = (
        Index(
            "ix_events_recorded",
            "recorded_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": True},
        ),
    )

    kind: Mapped[str]  # "bill.paid", "counter_sale.received", …
    payee_id: Mapped[UUID | None]
    receiving_account_id: Mapped[UUID | None]  # with no payee: all who share the account receive it
    bill_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recorded_at: Mapped[datetime]
