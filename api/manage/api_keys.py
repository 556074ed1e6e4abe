"""API keys: made for a purpose, shown once, changed with an overlap, ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import TheDirectory, requires
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.page_context import (
    CHOICES_MAX,
    PAGE_ROWS,
    Before,
    Errors,
    ManagerContext,
    Secret,
    TheManager,
    read_line,
)
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people import keys, queries
from identity.people.errors import ApiKeyClosed, KeyLotNeeded, ScopeNotGrantable
from identity.people.models import ApiKey
from identity.people.rules import API_SCOPES, Permission
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot, list_lots

router = APIRouter(prefix="/manage/keys", include_in_schema=False)

OVERLAP_HOURS: Final = (0, 24, 7 * 24, 30 * 24)
SCOPES: Final = tuple(scope for scope in Permission if scope in API_SCOPES)
USUAL_SCOPES: Final = (Permission.BILLS_OPEN, Permission.BILLS_READ)


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """One key, without what makes it work."""

    id: UUID
    name: str
    start: str  # "pp_live_DXA2_k3v9x0q2m7ab_…"
    scopes: str
    lot: str  # "" where it is of the whole organisation
    made: str
    used: str
    until: str
    tone: str
    icon: str
    word: str
    is_open: bool
    rotate_path: str
    revoke_path: str


@dataclass(frozen=True, kw_only=True)
class KeysPage:
    """Everything templates/manage_keys.html may use, already worded."""

    rows: tuple[KeyRow, ...]
    older: str  # the address of the next page, "" on the last
    scopes: tuple[tuple[str, str, str, bool], ...]
    overlaps: tuple[tuple[str, str], ...]
    lots: tuple[tuple[str, str], ...]
    name: str
    lot: str
    errors: Errors


@router.get("", dependencies=[requires(Permission.KEYS_MANAGE)])
async def show_keys(
    manager: TheManager, maker: UUID | None = None, before: Before = None
) -> Response:
    """List the keys, the ended ones too, newest first; perhaps only those that one person made."""
    return await _render(manager, maker=maker, before=before)


@router.post("", dependencies=[requires(Permission.KEYS_MANAGE)])
async def add(
    manager: TheManager,
    name: Annotated[str, Form(max_length=500)] = "",
    scopes: Annotated[list[str] | None, Form(max_length=len(Permission))] = None,
    lot: Annotated[str, Form(max_length=40)] = "",
    form_id: FormId = None,
) -> Response:
    """Make a key; its text is on the next page and nowhere else, ever."""
    wanted = [scope for scope in SCOPES if scope.value in (scopes or [])]
    line = read_line(name)
    errors = {}
    if not line:
        errors["name"] = manager.say("error.needed")
    if not wanted:
        errors["scopes"] = manager.say("error.scope_needed")
    if errors:
        return await _render(manager, line, wanted, errors, lot=lot)
    key_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            facts = (line, wanted, lot)
            if await take_form(tx, manager, "/manage/keys", form_id, *facts, makes=key_id):
                return manager.go("/keys", done="made_before")
            made = await keys.add_key(
                tx,
                manager.caller,
                id_=key_id,
                name=line,
                scopes=wanted,
                lot_id=(await get_lot(tx, manager.org_id, UUID(lot))).id if lot else None,
                now=manager.now,
            )
    except (ScopeNotGrantable, KeyLotNeeded, LotNotFound, ValueError) as error:
        field = "scopes" if isinstance(error, ScopeNotGrantable) else "lot"
        word = (
            manager.present_error(error)
            if isinstance(error, HubError)
            else manager.say("error.needed")
        )
        return await _render(manager, line, wanted, {field: word}, lot=lot)
    secret = Secret(kind="key", name=line, text=made.text)
    return manager.go("/keys", secret, done="key_added")


@router.post("/{key_id}/rotate", dependencies=[requires(Permission.KEYS_MANAGE)])
async def rotate(
    manager: TheManager,
    key_id: UUID,
    overlap_h: Annotated[int, Form(ge=0, le=720)] = 24,
    form_id: FormId = None,
) -> Response:
    """Replace a key by a new one; the old one holds for the overlap."""
    made_id, route = new_id(), "/manage/keys/{key_id}/rotate"
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            if await take_form(tx, manager, route, form_id, key_id, overlap_h, makes=made_id):
                return manager.go("/keys", done="made_before")
            made = await keys.rotate_key(
                tx,
                manager.caller,
                key_id,
                new_id_=made_id,
                overlap=timedelta(hours=overlap_h),
                now=manager.now,
            )
    except (ApiKeyClosed, ScopeNotGrantable) as error:
        return await _render(manager, errors={"": manager.present_error(error)})
    secret = Secret(kind="key", name=made.key.name, text=made.text)
    return manager.go("/keys", secret, done="key_rotated")


@router.post("/{key_id}/revoke", dependencies=[requires(Permission.KEYS_MANAGE)])
async def revoke(
    manager: TheManager,
    directory: TheDirectory,
    key_id: UUID,
    reason: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """End a key; other processes of the hub forget it within five seconds."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await keys.revoke_key(
            tx, manager.caller, key_id, reason=read_line(reason, 500) or None, now=manager.now
        )
    directory.keys.clear()
    return manager.go("/keys", done="key_revoked")


async def _render(
    manager: ManagerContext,
    name: str = "",
    ticked: list[Permission] | None = None,
    errors: Errors | None = None,
    *,
    lot: str = "",
    maker: UUID | None = None,
    before: str | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_keys(
            tx,
            manager.org_id,
            created_by=maker,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        lots = await list_lots(tx, manager.org_id, limit=CHOICES_MAX)
        held = {key.lot_id for key in found if key.lot_id} - {one.id for one in lots}
        closed = [await get_lot(tx, manager.org_id, lot_id) for lot_id in held]
    names = {one.id: one.name for one in (*lots, *closed)}
    cursor = next_cursor(found, PAGE_ROWS)
    chosen = USUAL_SCOPES if ticked is None else ticked
    page = KeysPage(
        rows=tuple(_present_row(manager, key, names) for key in found[:PAGE_ROWS]),
        older=manager.path("/keys", maker=maker, before=cursor) if cursor else "",
        scopes=tuple(
            (scope.value, manager.word("scope", scope.value), scope.value, scope in chosen)
            for scope in SCOPES
            if manager.may(scope)
        ),
        overlaps=tuple(
            (str(hours), manager.say(f"key.overlap.h{hours}")) for hours in OVERLAP_HOURS
        ),
        lots=(("", manager.say("key.lot.all")), *((str(one.id), one.name) for one in lots)),
        name=name,
        lot=lot,
        errors=errors or {},
    )
    return manager.render("manage_keys.html", page, here="keys", status=422 if errors else 200)


def _present_row(manager: ManagerContext, key: ApiKey, lots: Mapping[UUID, str]) -> KeyRow:
    mode = "live" if manager.caller.org.is_live else "test"
    is_over = key.expires_at is not None and key.expires_at <= manager.now
    if key.revoked_at is not None:
        tone, icon, word = "bad", "stop", "revoked"
    elif is_over:
        tone, icon, word = "plain", "clock", "expired"
    elif key.expires_at is not None:
        tone, icon, word = "attention", "clock", "ending"
    else:
        tone, icon, word = "good", "check", "open"
    return KeyRow(
        id=key.id,
        name=key.name,
        start=f"pp_{mode}_{manager.caller.org_code}_{key.prefix}_…",
        scopes=", ".join(manager.word("scope", scope) for scope in key.scopes),
        lot=manager.say("key.lot.of", lot=lots[key.lot_id]) if key.lot_id else "",
        made=manager.present_instant(key.created_at),
        used=manager.present_instant(key.last_used_at) or manager.say("key.never_used"),
        until=manager.present_instant(key.expires_at),
        tone=tone,
        icon=icon,
        word=manager.say(f"key.state.{word}"),
        is_open=word in ("open", "ending"),
        rotate_path=manager.path(f"/keys/{key.id}/rotate"),
        revoke_path=manager.path(f"/keys/{key.id}/revoke"),
    )
