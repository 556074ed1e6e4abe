"""Page context of the attendant's phone: who holds it, at which lots they work, and their shift."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.deps import CurrentCaller, Tx
from api.http.i18n import words_in
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from parking.places.errors import LotNotFound
from parking.places.models import Lot
from parking.places.queries import get_lot, list_accesses, list_lots, list_occupancy
from parking.places.rules import Occupied
from parking.shifts.queries import find_open_shift
from parking.shifts.rules import ShiftFacts

LOTS_MAX: Final = 200  # to choose from
SCRIPT_WORDS: Final = "gate_app."  # what the scripts say: api/gate/words/*/gate_app.toml


@dataclass(frozen=True, kw_only=True)
class GatePage:
    """What templates/gate.html may use."""

    person_name: str
    is_live: bool  # False: an organisation whose money is pretend
    suffix: str  # "?org=…" for who acts for another organisation
    state: str  # JSON, for the scripts: see `read_page`
    words: str  # JSON: what the scripts say


async def find_own_lot(lot_id: UUID, caller: CurrentCaller, tx: Tx) -> Lot:
    """Return the lot of an address.

    Raises:
        LotNotFound: there is none, or the caller works at another.
    """
    if not caller.sees(ScopeKind.LOT, lot_id):
        raise LotNotFound(lot_id)
    return await get_lot(tx, caller.org_id, lot_id)


OwnLot = Annotated[Lot, Depends(find_own_lot)]


async def read_page(session: AsyncSession, caller: Caller, *, lang: str, now: datetime) -> GatePage:
    """Read what the phone needs to work on, also after its network has gone."""
    suffix = _suffix_of(caller)
    state = await read_state(session, caller, now=now)
    return GatePage(
        person_name=caller.name,
        is_live=caller.org.is_live,
        suffix=suffix,
        state=msgspec.json.encode(state).decode(),
        words=msgspec.json.encode(_script_words(lang)).decode(),
    )


async def read_state(session: AsyncSession, caller: Caller, *, now: datetime) -> dict[str, Any]:
    """Read who holds the phone, the lots where they work, and their shift."""
    choices = caller.choices(ScopeKind.LOT)
    lots = await list_lots(session, caller.org_id, only=choices, limit=LOTS_MAX)
    occupied = await list_occupancy(session, caller.org_id, [lot.id for lot in lots])
    shift = await find_open_shift(session, caller.org_id, caller.id)
    return {
        "person": {
            "id": caller.id,
            "name": caller.name,
            "may_override": caller.may(Permission.PARKING_OVERRIDE),
        },
        "suffix": _suffix_of(caller),
        "lots": [await _write_lot(session, lot, occupied[lot.id]) for lot in lots],
        "shift": None if shift is None else _write_shift(shift),
        "written_at": now,
    }


async def _write_lot(session: AsyncSession, lot: Lot, occupied: list[Occupied]) -> dict[str, Any]:
    accesses = await list_accesses(session, lot.org_id, lot.id)
    return {
        "id": lot.id,
        "name": lot.name,
        "address": lot.address,
        "payment_timing": lot.payment_timing,
        "is_crowd_mode": lot.is_crowd_mode,
        "photo_required": lot.photo_required,
        "offline_cash_max_vnd": lot.offline_cash_max_vnd,
        "unconfirmed_exits_max": lot.unconfirmed_exits_max,
        "classes": [
            {"name": one.vehicle_class, "inside": one.inside_count, "capacity": one.capacity}
            for one in occupied
        ],
        "accesses": [
            {
                "id": one.id,
                "name": one.name,
                "direction": one.direction,
                "has_controller": one.has_controller,
            }
            for one in accesses
            if one.closed_at is None
        ],
    }


def _suffix_of(caller: Caller) -> str:
    return "" if caller.org_id == caller.home.id else f"?org={caller.org_code}"


def _write_shift(shift: ShiftFacts) -> dict[str, Any]:
    return {"id": shift.id, "lot_id": shift.lot_id, "opened_at": shift.opened_at}


def _script_words(lang: str) -> dict[str, str]:
    texts = words_in("en" if lang == "en" else "vi").texts
    return {
        key.removeprefix(SCRIPT_WORDS): text
        for key, text in texts.items()
        if key.startswith(SCRIPT_WORDS)
    }
