"""People, what they are held to, their sign-ins, and API keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Base
from core.tenancy import OrgRow
from identity.people.rules import Scope, ScopeKind


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
        ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        Index(
            "ix_staff_lost_elsewhere",
            "lost_elsewhere_at",
            postgresql_where=text("lost_elsewhere_at IS NOT NULL"),
        ),
    )

    login: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str]
    password_hash: Mapped[str]  # argon2id
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    failed_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    # Set until every organisation has handled that this is no longer an administrator of the city.
    lost_elsewhere_at: Mapped[datetime | None]
    scope_rows: Mapped[list["StaffScope"]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", order_by="StaffScope.id"
    )

    @property
    def scopes(self) -> frozenset[Scope]:
        """What this person works for; nothing: the whole organisation."""
        return frozenset(Scope(ScopeKind(row.kind), row.id) for row in self.scope_rows)


class StaffScope(Base):
    """One thing that a person is held to, such as their stall. `id` is that thing's."""

    __tablename__ = "staff_scopes"
    __table_args__ = (ForeignKeyConstraint(["org_id", "staff_id"], ["staff.org_id", "staff.id"]),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)


class SignIn(OrgRow):
    """A signed-in browser. Renewed at each login, revocable, never longer than its limit."""

    __tablename__ = "sign_ins"
    __table_args__ = (
        UniqueConstraint("org_id", "token_hash"),
        ForeignKeyConstraint(["org_id", "staff_id"], ["staff.org_id", "staff.id"]),
        Index("ix_sign_ins_expires", "expires_at"),  # retention goes by it
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
    lot_id: Mapped[UUID | None]  # held to this lot; None: the whole organisation
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
