"""API keys of an organisation."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, status

from api.http.deps import Now, TheDirectory, Tx, requires
from api.http.errors import may_answer
from api.http.fields import ReasonText
from api.http.middleware import no_store
from api.v1.api_keys.schemas import KeyCreate, KeyMade, KeyRead, KeyRotate
from identity.people import keys, queries
from identity.people.callers import Caller
from identity.people.errors import ApiKeyClosed, ApiKeyNotFound, KeyOverAlready, ScopeNotGrantable
from identity.people.models import ApiKey
from identity.people.rules import Permission

router = APIRouter(prefix="/v1/keys", tags=["identity"])
Manager = Annotated[Caller, requires(Permission.KEYS_MANAGE)]


@router.get("", response_model=list[KeyRead])
async def list_keys(caller: Manager, tx: Tx) -> list[ApiKey]:
    """List the organisation's keys, valid or not (at most 500)."""
    return list(await queries.list_keys(tx, caller.org_id))


@router.post(
    "", status_code=status.HTTP_201_CREATED, responses=may_answer(ScopeNotGrantable, KeyOverAlready)
)
async def add_key(
    body: KeyCreate, response: Response, caller: Manager, tx: Tx, now: Now
) -> KeyMade:
    """Make a key. Its text is in this answer and nowhere else, ever."""
    made = await keys.add_key(
        tx, caller, name=body.name, scopes=body.scopes, expires_at=body.expires_at, now=now
    )
    no_store(response)
    return _show_made(made)


@router.post(
    "/{key_id}/rotate",
    status_code=status.HTTP_201_CREATED,
    responses=may_answer(ApiKeyNotFound, ApiKeyClosed, ScopeNotGrantable),
)
async def rotate_key(
    key_id: UUID, body: KeyRotate, response: Response, caller: Manager, tx: Tx, now: Now
) -> KeyMade:
    """Replace a key by a new one; the old one holds for the overlap."""
    made = await keys.rotate_key(tx, caller, key_id, overlap=body.overlap, now=now)
    no_store(response)
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


def _show_made(made: keys.NewKey) -> KeyMade:
    shown = KeyRead.model_validate(made.key)
    return KeyMade(**shown.model_dump(), key=made.text)
