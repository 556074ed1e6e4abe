"""The list of passes that a lot's phones keep for when they have no network.

Every phone asks every few minutes, and the answer is nearly always that nothing has changed. The
database tells by a hash of the rows; a list that did change is hashed and written in a thread, so
that no vehicle at a gate waits for it.
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Request, Response

from api.http.deps import Now, TheSettings, Tx, requires
from api.http.errors import may_answer
from api.http.responses import JSON_TYPE
from api.v1.lots.routes import check_own_lot
from api.v1.passes.schemas import PhoneList
from core.clock import hanoi_day
from identity.people.callers import Caller
from identity.people.rules import Permission
from parking.passes.queries import PHONE_PLATES_MAX, find_phone_plates
from parking.passes.rules import hash_plate, phone_key
from parking.places.errors import LotNotFound
from parking.places.queries import get_lot

router = APIRouter(prefix="/v1/lots", tags=["parking"])

Gate = Annotated[Caller, requires(Permission.PARKING_GATE)]
KEEP: Final = timedelta(days=3)  # the days until a phone is next online
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    **may_answer(LotNotFound),
    304: {"description": "The phone has this list already (If-None-Match)."},
}
FORMAT: Final = b"1"  # another one whenever the same rows are written otherwise than before
KNOWN_MAX: Final = 10  # lists that one request may name
_read_rows = msgspec.json.Decoder(list[tuple[str, str, str, str, str, str]]).decode
_write_json = msgspec.json.Encoder().encode


@router.get("/{lot_id}/passes", response_model=PhoneList, responses=ANSWERS)
async def list_for_phones(
    lot_id: UUID, caller: Gate, request: Request, tx: Tx, settings: TheSettings, now: Now
) -> Response:
    """List who has a pass here, for phones that lose their network: hashes, and no plates.

    Passes that hold within the next three days; at most 5,000 vehicles. A phone asks every few
    minutes and says by If-None-Match which list it has.
    """
    check_own_lot(caller, lot_id)
    await get_lot(tx, caller.org_id, lot_id)
    today = hanoi_day(now)
    key = phone_key(settings.secret_key.get_secret_value(), caller.org_id, lot_id)
    digest, rows = await find_phone_plates(
        tx,
        caller.org_id,
        lot_id,
        from_on=today,
        until_on=today + KEEP,
        salt=FORMAT + key,
        known=_read_known(request.headers.get("if-none-match") or ""),
    )
    headers = {"ETag": f'"{digest}"', "Cache-Control": "no-store"}
    if rows is None:
        return Response(status_code=304, headers=headers)
    body = await to_thread.run_sync(_write_list, key, rows)
    return Response(body, headers=headers, media_type=JSON_TYPE)


def _read_known(header: str) -> list[str]:
    """Read which lists a phone has; what is no ETag of ours is of another list."""
    return re.findall(r'"([0-9a-f]{32})"', header)[:KNOWN_MAX]


def _write_list(key: bytes, listed: str) -> bytes:
    """Write a PhoneList: for 5,000 vehicles it takes tens of milliseconds."""
    rows = _read_rows(listed)
    plates = [
        {
            "plate_hash": hash_plate(key, vehicle_class, plate),
            "pass_id": pass_id,
            "kind": kind,
            "valid_from": valid_from,
            "valid_until": valid_until,
        }
        for pass_id, vehicle_class, plate, kind, valid_from, valid_until in rows[:PHONE_PLATES_MAX]
    ]
    is_complete = len(rows) <= PHONE_PLATES_MAX
    return _write_json({"key": key.hex(), "is_complete": is_complete, "plates": plates})
