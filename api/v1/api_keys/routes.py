"""API keys of an organisation."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import Now, TheDirectory, Tx, requires
from api.http.errors import may_answer
from api.http.fields import ReasonText
from api.http.idempotency import REPLAYED, IdempotencyKey, hash_body, mark_replayed, take_key
from api.http.middleware import no_store
from api.http.paging import Cursor, Limit, next_cursor, read_cursor
from api.v1.api_keys.schemas import KeyCreate, KeyMade, KeyPage, KeyRead, KeyRotate
from core.idempotency import IdempotencyKeyReused
from core.ids import new_id
from core.paging import BadCursor
from identity.people import keys, queries
from identity.people.callers import Caller
from identity.people.errors import (
    ApiKeyClosed,
    ApiKeyNotFound,
    KeyLotNeeded,
    KeyOverAlready,
    ScopeNotGrantable,
)
from identity.people.rules import Permission
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot

router = APIRouter(prefix="/v1/keys", tags=["identity"])
Manager = Annotated[Caller, requires(Permission.KEYS_MANAGE)]
ROTATE: Final = "POST /v1/keys/{key_id}/rotate"


@router.get("", responses=may_answer(BadCursor))
async def list_keys(
    caller: Manager,
    tx: Tx,
    created_by: Annotated[
        UUID | None, Query(description="Only keys that this person made.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> KeyPage:
    """List the organisation's keys, valid or not, newest first."""
    found = await queries.list_keys(
        tx, caller.org_id, created_by=created_by, before_id=read_cursor(cursor), limit=limit + 1
    )
    return KeyPage(
        keys=[KeyRead.model_validate(one) for one in found[:limit]],
        next_cursor=next_cursor(found, limit),
    )


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        **may_answer(
            ScopeNotGrantable, KeyLotNeeded, KeyOverAlready, LotNotFound, IdempotencyKeyReused
        ),
        201: REPLAYED,
    },
)
async def add_key(
    body: KeyCreate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> KeyMade:
    """Make a key. Its text is in this answer and nowhere else, ever: a repeat shows it as null."""
    no_store(response)
    key_id = new_id()
    asked = (caller.org_id, "POST /v1/keys", idempotency_key, hash_body(body))
    first = await take_key(tx, *asked, makes=key_id, now=now)
    if first is not None:
        return await _show_again(tx, caller, first, response)
    if body.lot_id is not None:
        await get_lot(tx, caller.org_id, body.lot_id)
    made = await keys.add_key(
        tx,
        caller,
        id_=key_id,
        name=body.name,
        scopes=body.scopes,
        lot_id=body.lot_id,
        expires_at=body.expires_at,
        now=now,
    )
    return _show_made(made)


@router.post(
    "/{key_id}/rotate",
    status_code=status.HTTP_201_CREATED,
    responses={
        **may_answer(ApiKeyNotFound, ApiKeyClosed, ScopeNotGrantable, IdempotencyKeyReused),
        201: REPLAYED,
    },
)
async def rotate_key(
    key_id: UUID,
    body: KeyRotate,
    response: Response,
    caller: Manager,
    tx: Tx,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> KeyMade:
    """Replace a key by a new one; the old one holds for the overlap. A repeat shows no text."""
    no_store(response)
    made_id = new_id()
    asked = (caller.org_id, ROTATE, idempotency_key, hash_body(body, key_id))
    first = await take_key(tx, *asked, makes=made_id, now=now)
    if first is not None:
        return await _show_again(tx, caller, first, response)
    made = await keys.rotate_key(tx, caller, key_id, new_id_=made_id, overlap=body.overlap, now=now)
    return _show_made(made)


@router.delete(
    "/{key_id}", status_code=status.HTTP_204_NO_CONTENT, responses=may_answer(ApiKeyNotFound)
)
async def revoke_key(
    key_id: UUID,
    caller: Manager,
    tx: Tx,
    directory: TheDirectory,
    now: Now,
    reason: Annotated[ReasonText | None, Query()] = None,
) -> None:
    """End a key. Other processes of the hub forget it within five seconds."""
    await keys.revoke_key(tx, caller, key_id, reason=reason, now=now)
    directory.keys.clear()


async def _show_again(
    tx: AsyncSession, caller: Caller, key_id: UUID, response: Response
) -> KeyMade:
    """Show what an earlier request made. Only a hash of the text is kept: rotate it, or revoke."""
    mark_replayed(response)
    known = await queries.lock_key(tx, caller.org_id, key_id)
    return KeyMade(**KeyRead.model_validate(known).model_dump(), key=None)


def _show_made(made: keys.NewKey) -> KeyMade:
    shown = KeyRead.model_validate(made.key)
    return KeyMade(**shown.model_dump(), key=made.text)
