"""Collections: what was taken for a parking session outside a bill of its own."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped

from core.db import Vnd
from core.tenancy import OrgRow


class Collection(OrgRow):
    """Cash, a pass, an exemption, the float, a poster's credit. Reversed, never edited."""

    __tablename__ = "collections"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "lot_id"], ["lots.org_id", "lots.id"]),
        ForeignKeyConstraint(["org_id", "shift_id"], ["shifts.org_id", "shifts.id"]),
        CheckConstraint("rail IN ('cash', 'pass', 'exempt', 'float', 'poster')", name="rail_known"),
        CheckConstraint("amount_vnd >= 0", name="amount_not_negative"),
        # A poster's credit, and cash for a pass that is sold, are of no session.
        CheckConstraint(
            "(session_id IS NULL) = (rail = 'poster' OR (rail = 'cash' AND pass_id IS NOT NULL))",
            name="session_named",
        ),
        CheckConstraint("rail <> 'exempt' OR reason IS NOT NULL", name="exemption_has_a_reason"),
        CheckConstraint("bill_id IS NULL OR rail = 'float'", name="deposit_of_the_float"),
        CheckConstraint("(receipt_number IS NULL) = (rail <> 'cash')", name="cash_has_a_receipt"),
        Index("ix_collections_session", "org_id", "session_id"),
        Index("ix_collections_shift", "org_id", "shift_id", "id"),
        Index("ix_collections_lot", "org_id", "lot_id", "collected_at"),
        Index(
            "uq_collections_credit",
            "org_id",
            "credit_id",
            unique=True,
            postgresql_where=text("credit_id IS NOT NULL AND reversed_at IS NULL"),
        ),
    )

    lot_id: Mapped[UUID]
    session_id: Mapped[UUID | None]
    shift_id: Mapped[UUID | None]  # None: a poster's credit while no shift ran
    rail: Mapped[str]
    amount_vnd: Mapped[Vnd]  # of a pass or exemption: what it would have cost
    receipt_number: Mapped[str | None]  # of the cash receipt ("phiếu thu")
    reason: Mapped[str | None]
    credit_id: Mapped[UUID | None]  # of a poster: the bank transaction
    bill_id: Mapped[UUID | None]  # of the float: the deposit bill that clears it
    pass_id: Mapped[UUID | None]
    device_id: Mapped[UUID | None]
    collected_by: Mapped[UUID | None]
    collected_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    reversed_at: Mapped[datetime | None]
    reversed_by: Mapped[UUID | None]
