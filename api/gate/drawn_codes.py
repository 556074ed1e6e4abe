"""Codes that phones drew without network, as the shift's screen shows them: paid by now, or not."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.gate.page_context import OwnLot
from api.http.deps import CurrentCaller, Tx, requires
from api.http.middleware import no_store
from api.http.responses import answer_json
from identity.devices.queries import list_devices
from identity.people.rules import Permission, Scope, ScopeKind
from parking.exits.queries import find_stays
from parking.exits.rules import OWNER_KIND
from payments.bills.queries import find_bills
from payments.bills.rules import BillStatus
from payments.credits.awaiting import list_awaiting_credits

router = APIRouter(
    prefix="/gate/lots/{lot_id}",
    include_in_schema=False,
    dependencies=[requires(Permission.PARKING_GATE)],
)

CODES_MAX: Final = 50
IS_PAID: Final = frozenset({BillStatus.PAID, BillStatus.OVER_PAID})


@router.get("/drawn-codes")
async def show_drawn_codes(
    lot: OwnLot,
    caller: CurrentCaller,
    tx: Tx,
    bill_ids: Annotated[list[UUID], Query(alias="id", max_length=CODES_MAX)] = [],  # noqa: B006
) -> Response:
    """Say which of these bills of the lot's stays are paid, and what waits for its phones."""
    bills = await find_bills(tx, caller.org_id, bill_ids) if bill_ids else {}
    owner_ids = {one.owner_id for one in bills.values() if one.owner_kind == OWNER_KIND}
    stays = await find_stays(tx, caller.org_id, [one for one in owner_ids if one is not None])
    here = {stay.id for stay in stays.values() if stay.lot_id == lot.id}
    waiting = await list_awaiting_credits(tx, caller.org_id)
    if waiting:
        place = Scope(ScopeKind.LOT, lot.id)
        devices = {one.id for one, _ in await list_devices(tx, caller.org_id, scope=place)}
        waiting = [one for one in waiting if one.device_id in devices]
    found = {
        "paid": [
            one.id for one in bills.values() if one.owner_id in here and one.status in IS_PAID
        ],
        "awaiting": {
            "count": len(waiting),
            "amount_vnd": sum(one.amount_vnd for one in waiting),
        },
    }
    return no_store(answer_json(found))
