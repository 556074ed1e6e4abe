"""Tables of callback endpoints, and of the receiving accounts that each may speak for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.tenancy import OrgRow


class CallbackEndpoint(OrgRow):
    """An address that one provider calls, with the keys that sign what it says."""

    __tablename__ = "callback_endpoints"
    __table_args__ = (
        UniqueConstraint("org_id", "address"),
        ForeignKeyConstraint(
            ["org_id", "org_is_live"], ["organisations.id", "organisations.is_live"]
        ),
        CheckConstraint("NOT (org_is_live AND is_sandbox)", name="no_sandbox_in_live"),
    )

    org_is_live: Mapped[bool]
    address: Mapped[str] = mapped_column(String(64))  # the random part of its URL
    provider: Mapped[str]
    name: Mapped[str]  # for people
    is_sandbox: Mapped[bool]
    # Encrypted with PHOPAY_SECRET_KEY; {"keys": [current, previous], "username": …}
    sealed_secrets: Mapped[bytes] = mapped_column(LargeBinary)
    previous_key_until: Mapped[datetime | None]  # rotation: both keys hold until then
    # For polls ("kiểm tra giao dịch"): address and sealed API keys (credentials.py).
    pull_url: Mapped[str | None]
    sealed_pull_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Who set the key, if that is a person who may approve accounts, and from when on no other key
    # can have signed a message: only then does a test transfer count. So for the token.
    key_vouched_by: Mapped[UUID | None]
    key_vouched_from: Mapped[datetime | None]
    pull_vouched_by: Mapped[UUID | None]
    pull_vouched_from: Mapped[datetime | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class CallbackEndpointAccount(Base):
    """An endpoint may speak only for the receiving accounts listed here."""

    __tablename__ = "callback_endpoint_accounts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["org_id", "endpoint_id"], ["callback_endpoints.org_id", "callback_endpoints.id"]
        ),
        ForeignKeyConstraint(
            ["org_id", "receiving_account_id"],
            ["receiving_accounts.org_id", "receiving_accounts.id"],
        ),
        # Providers send no BIN: one number may mean one account only, per endpoint.
        Index(
            "uq_callback_endpoint_accounts_number",
            "org_id",
            "endpoint_id",
            text("upper(account_number)"),
            unique=True,
        ),
    )

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    receiving_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_number: Mapped[str] = mapped_column(String(19))
    vouched_by: Mapped[UUID | None]  # who listed it, if that is a person who may approve accounts
