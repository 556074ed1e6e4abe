"""People, their sessions, and API keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ForeignKeyConstraint,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base
from core.tenancy import OrgRow


class Login(Base):
    """Which organisation a login name belongs to. Not tenant data: read before one is known."""

    __tablename__ = "logins"
    __table_args__ = (ForeignKeyConstraint(["org_id"], ["organisations.id"]),)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)  # lower case
    org_id: Mapped[UUID]
    staff_id: Mapped[UUID]


class Staff(OrgRow):
    """A person who signs in."""

    __tablename__ = "staff"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "payee_id"], ["payees.org_id", "payees.id"]),
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
    )

    login: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str]
    password_hash: Mapped[str]  # argon2id
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    payee_id: Mapped[UUID | None]  # vendors and cashiers see this payee only
    failed_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class SignIn(OrgRow):
    """A signed-in browser. Renewed at each login, revocable, never longer than its limit."""

    __tablename__ = "sign_ins"
    __table_args__ = (
        UniqueConstraint("org_id", "token_hash"),
        ForeignKeyConstraint(["org_id", "staff_id"], ["staff.org_id", "staff.id"]),
    )

    staff_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    user_agent: Mapped[str]


class ApiKey(OrgRow):
    """A machine's key: shown once, stored as a hash, found by its prefix."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("org_id", "prefix"),
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
    )

    prefix: Mapped[str] = mapped_column(String(12))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # rotation: the old key holds until then
    revoked_at: Mapped[datetime | None]


class SetupToken(Base):
    """The one-time token that makes the first administrator. Not tenant data: there is none yet."""

    __tablename__ = "setup_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
