"""API keys of machines: shown once, scoped, rotated with an overlap, revoked."""

import secrets
import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import record_change
from core.ids import hash_token, new_id
from core.text import check_lines
from identity.people import queries
from identity.people.callers import Caller
from identity.people.errors import (
    ApiKeyClosed,
    KeyLotNeeded,
    KeyOverAlready,
    ScopeNotGrantable,
)
from identity.people.models import ApiKey
from identity.people.rules import API_SCOPES, NARROWED, Permission

KEY_PREFIX_CHARS: Final = 12
KEY_SECRET_BYTES: Final = 32
KEY_OVERLAP_MAX: Final = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key and, this once, its whole text."""

    key: ApiKey
    text: str


async def add_key(
    session: AsyncSession,
    caller: Caller,
    *,
    id_: UUID | None = None,
    name: str,
    scopes: Collection[Permission],
    lot_id: UUID | None = None,
    expires_at: datetime | None = None,
    now: datetime,
) -> NewKey:
    """Make an API key of the organisation acted for.

    Args:
        lot_id: the lot that it is held to; the caller has seen that it exists.

    Raises:
        ScopeNotGrantable: a scope no key may have, that the caller lacks, or that no lot narrows.
        KeyLotNeeded: a lane's controller without its lot.
        KeyOverAlready: it would have ended before it was made.
    """
    check_lines(name=name)
    if expires_at is not None and expires_at <= now:
        raise KeyOverAlready
    _check_scopes(caller, scopes, lot_id)
    if Permission.LANES_SERVE in scopes and lot_id is None:
        raise KeyLotNeeded
    made = _make_key(caller, id_, name, [s.value for s in scopes], lot_id, expires_at, now)
    session.add(made.key)
    await session.flush()
    _record_key(session, made.key, caller, "api_key.added", after=_describe_key(made.key), now=now)
    return made


async def rotate_key(
    session: AsyncSession,
    caller: Caller,
    key_id: UUID,
    *,
    new_id_: UUID | None = None,
    overlap: timedelta,
    now: datetime,
) -> NewKey:
    """Replace a key; the old one holds for the overlap, so that machines can change over.

    Raises:
        ApiKeyNotFound, ScopeNotGrantable
        ApiKeyClosed: revoked or expired.
    """
    old = await queries.lock_key(session, caller.org_id, key_id)
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise ApiKeyClosed
    _check_scopes(caller, [Permission(scope) for scope in old.scopes], old.lot_id)
    before = _describe_key(old)
    made = _make_key(caller, new_id_, old.name, list(old.scopes), old.lot_id, old.expires_at, now)
    session.add(made.key)
    ends_at = now + min(overlap, KEY_OVERLAP_MAX)
    old.expires_at = min(old.expires_at or ends_at, ends_at)
    await session.flush()
    after = {**_describe_key(old), "replaced_by": str(made.key.id)}
    _record_key(session, old, caller, "api_key.rotated", before=before, after=after, now=now)
    return made


async def revoke_key(
    session: AsyncSession, caller: Caller, key_id: UUID, *, reason: str | None, now: datetime
) -> None:
    """End a key. Processes that remember it let it in for up to five seconds more."""
    key = await queries.lock_key(session, caller.org_id, key_id)
    if key.revoked_at is not None:
        return
    before = _describe_key(key)
    key.revoked_at = now
    await session.flush()
    _record_key(session, key, caller, "api_key.revoked", before=before, reason=reason, now=now)


def _check_scopes(caller: Caller, scopes: Collection[Permission], lot_id: UUID | None) -> None:
    grantable = API_SCOPES if lot_id is None else API_SCOPES & NARROWED
    lacking = [s.value for s in scopes if s not in grantable or not caller.may(s)]
    if lacking:
        raise ScopeNotGrantable(lacking)


def _make_key(
    caller: Caller,
    id_: UUID | None,
    name: str,
    scopes: Sequence[str],
    lot_id: UUID | None,
    expires_at: datetime | None,
    now: datetime,
) -> NewKey:
    letters = string.ascii_lowercase + string.digits
    prefix = "".join(secrets.choice(letters) for _ in range(KEY_PREFIX_CHARS))
    secret = secrets.token_urlsafe(KEY_SECRET_BYTES)
    mode = "live" if caller.org.is_live else "test"
    key = ApiKey(
        org_id=caller.org_id,
        id=id_ or new_id(),
        prefix=prefix,
        secret_hash=hash_token(secret),
        name=name,
        scopes=sorted(set(scopes)),
        lot_id=lot_id,
        created_by=caller.id,
        created_at=now,
        expires_at=expires_at,
    )
    return NewKey(key=key, text=f"pp_{mode}_{caller.org_code}_{prefix}_{secret}")


def _describe_key(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "lot_id": str(key.lot_id) if key.lot_id else None,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }


def _record_key(
    session: AsyncSession, key: ApiKey, caller: Caller, action: str, **facts: Any
) -> None:
    record_change(
        session,
        org_id=key.org_id,
        actor=caller.actor,
        action=action,
        object_kind="api_key",
        object_id=key.id,
        **facts,
    )
