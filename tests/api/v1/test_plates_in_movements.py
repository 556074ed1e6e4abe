"""The plate that a movement is found by again, and whether its words must be looked through."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.world.gates import Gate
from tests.world.offline import a_phone

pytestmark = pytest.mark.anyio

COMPACT, WRITTEN = "29AA12345", "29-AA 123.45"
IDS = {"session_id": str(new_id()), "staff_id": str(new_id())}
ENTRIES: list[tuple[dict[str, Any], str | None, bool]] = [
    ({"plate": WRITTEN}, COMPACT, False),
    ({"plate": COMPACT, "read_text": "29 AA-123.45"}, COMPACT, False),
    ({"plate": COMPACT, "read_text": "29AA 12346"}, COMPACT, True),  # another one may be meant
    ({"plate": None, "ticket": "V-1"}, None, False),
    ({"plate": None, "ticket": "V-2", "read_text": COMPACT}, None, True),
    ({"plate": COMPACT, "override_reason": "khách quen"}, COMPACT, True),
]
OTHERS: list[tuple[str, dict[str, Any], str | None, bool]] = [
    ("exit", IDS, None, False),
    ("exit", IDS | {"plate": COMPACT}, COMPACT, False),
    ("exit", IDS | {"plate": COMPACT, "forced": "manual", "reason": "kẹt"}, COMPACT, True),
    ("exit", IDS | {"plate": 5}, None, True),
    ("collection", IDS | {"id": str(new_id()), "rail": "cash", "amount_vnd": 5}, None, False),
    ("collection", IDS | {"note": {"xe": WRITTEN}}, None, True),  # no phone of ours says so
    ("manual_open", {"staff_id": str(new_id()), "reason": WRITTEN}, None, True),
]


async def read_stored(gate: Gate) -> list[tuple[str | None, bool]]:
    async with open_org_transaction(gate.hub.services.database, gate.lot.org.id) as tx:
        rows = await tx.execute(text("SELECT plate, has_words FROM movements ORDER BY seq"))
        return [(row[0], row[1]) for row in rows]


async def test_a_movement_is_stored_with_its_plate_and_whether_it_has_words(gate: Gate) -> None:
    phone = await a_phone(gate)
    sent = [phone.entry(**facts) for facts, *_ in ENTRIES]
    sent += [phone.movement(kind, data=data) for kind, data, *_ in OTHERS]

    await phone.send(*sent)

    wanted = [tuple(rest) for _, *rest in ENTRIES] + [tuple(rest) for _, _, *rest in OTHERS]
    assert await read_stored(gate) == wanted


async def test_an_entry_that_is_not_accepted_is_found_by_its_plate_too(gate: Gate) -> None:
    phone = await a_phone(gate)
    long_ago = read_clock() - timedelta(days=60)

    assert await phone.send(phone.entry(plate=WRITTEN, at=long_ago)) == ["too_old"]

    assert await read_stored(gate) == [(COMPACT, False)]
