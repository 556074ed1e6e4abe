"""Hooks: functions of packages above identity, since identity imports none of them.

The registry fills them (registry/).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from identity.people.rules import Permission, ScopeKind


class FindScopes(Protocol):
    """Finds which of these ids the organisation has."""

    async def __call__(
        self, session: AsyncSession, org_id: UUID, ids: Collection[UUID], /
    ) -> Collection[UUID]: ...


@dataclass(frozen=True, kw_only=True)
class PermissionLoss:
    """What a person may no longer do in one organisation, and who took it from them."""

    org_id: UUID
    person_id: UUID
    permissions: frozenset[Permission]
    actor: Actor
    reason: str | None


class HandleLoss(Protocol):
    """Handles a loss, in a transaction bound to its organisation. Idempotent: a loss may come
    again after a crash."""

    async def __call__(
        self, session: AsyncSession, loss: PermissionLoss, *, now: datetime
    ) -> None: ...


class HandleSignOut(Protocol):
    """Ends what else lets a person in, in the transaction that ends their sign-ins."""

    async def __call__(
        self, session: AsyncSession, org_id: UUID, staff_id: UUID, *, now: datetime
    ) -> None: ...


class FindShift(Protocol):
    """Finds the shift that a person has open at a place."""

    async def __call__(
        self, session: AsyncSession, org_id: UUID, place_id: UUID, staff_id: UUID, /
    ) -> UUID | None: ...


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The answering functions and the subscribers."""

    scope_kinds: Mapping[ScopeKind, FindScopes] = field(default_factory=dict)
    on_permission_lost: Sequence[HandleLoss] = ()
    # Their roles or places were changed, or they were disabled.
    on_signed_out: Sequence[HandleSignOut] = ()
    find_shift: FindShift | None = None  # None while no package has shifts
