"""Tables of toll accounts: contracts with an operator, and charges."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Vnd
from core.tenancy import OrgRow


class TollContract(OrgRow):
    """Where an operator's requests go, and the key that signs them. One is in force at a time."""

    __tablename__ = "toll_contracts"
    __table_args__ = (
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        Index(
            "uq_toll_contracts_in_force",
            "org_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    name: Mapped[str]  # for people
    url: Mapped[str]  # scheme, host and port
    client_id: Mapped[str] = mapped_column(String(80))  # how the operator calls the organisation
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]  # takes no new charges; old ones are still looked up


class TollRequest(OrgRow):
    """A charge to a driver's toll account. Its id is what the operator knows it by."""

    __tablename__ = "toll_requests"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "bill_id"], ["bills.org_id", "bills.id"], name="fk_toll_requests_bill"
        ),
        ForeignKeyConstraint(
            ["org_id", "contract_id"],
            ["toll_contracts.org_id", "toll_contracts.id"],
            name="fk_toll_requests_contract",
        ),
        CheckConstraint(
            "status IN ('pending', 'unknown', 'charged', 'declined')", name="status_known"
        ),
        CheckConstraint(
            "refund_status IN ('pending', 'refunded', 'refused')", name="refund_status_known"
        ),
        CheckConstraint("amount_vnd > 0", name="amount_positive"),
        CheckConstraint(
            "kept_vnd >= 0 AND refunded_vnd >= 0 AND kept_vnd + refunded_vnd <= amount_vnd",
            name="no_more_than_charged",
        ),
        CheckConstraint(
            "(status = 'charged') = (charged_at IS NOT NULL)", name="charged_at_a_time"
        ),
        # Two that are not decided could both charge the driver.
        Index(
            "uq_toll_requests_unresolved",
            "org_id",
            "owner_id",
            unique=True,
            postgresql_where=text("status IN ('pending', 'unknown')"),
        ),
        # Read by the worker across all organisations.
        Index(
            "ix_toll_requests_due",
            "next_attempt_at",
            postgresql_where=text("status IN ('pending', 'unknown') OR refund_status = 'pending'"),
        ),
    )

    contract_id: Mapped[UUID]
    bill_id: Mapped[UUID]
    owner_id: Mapped[UUID]  # the bill's: a parking session
    account_kind: Mapped[str] = mapped_column(String(10))  # plate or tag
    account_label: Mapped[str] = mapped_column(String(40))  # masked
    amount_vnd: Mapped[Vnd]
    kept_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))  # what the bill took
    refunded_vnd: Mapped[Vnd] = mapped_column(server_default=text("0"))
    status: Mapped[str]
    problem: Mapped[str | None]
    charge_id: Mapped[str | None] = mapped_column(String(80))  # the operator's own number
    refund_status: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    charged_at: Mapped[datetime | None]  # by the operator's clock
    resolved_at: Mapped[datetime | None]  # by ours: when it was certain
