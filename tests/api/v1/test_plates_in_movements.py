"""The plate that a movement is found by again, and whether its words must be looked through."""

from datetime import timedelta
from typing import Any

import msgspec
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
    ({"plate": f"{WRITTEN}, 30F-123.45"}, "29AA1234530F12345", True),
    # A plate may have been typed where a number belongs.
    ({"plate": None, "ticket": COMPACT}, None, True),
    ({"plate": None, "ticket": "xe 29-b1 123.45"}, None, True),
    ({"plate": None, "ticket": "T29-123.45"}, None, True),
    ({"plate": None, "ticket": "T2912345"}, None, True),
    ({"plate": None, "token": "TM 12-34"}, None, True),
    ({"plate": COMPACT, "tag": "80-123-NG-45"}, COMPACT, True),
    ({"plate": None, "ticket": "A000123"}, None, False),
    ({"plate": None, "token": "0004711"}, None, False),
    ({"plate": None, "tag": "E28011700000020F1A2B3C4D"}, None, False),
]
OTHERS: list[tuple[str, dict[str, Any], str | None, bool]] = [
    ("exit", IDS, None, False),
    ("exit", IDS | {"plate": COMPACT}, COMPACT, False),
    ("exit", IDS | {"plate": COMPACT, "forced": "manual", "reason": "kẹt"}, COMPACT, True),
    ("exit", IDS | {"plate": 5}, None, True),
    ("collection", IDS | {"id": str(new_id()), "rail": "cash", "amount_vnd": 5}, None, False),
    ("collection", IDS | {"note": {"xe": WRITTEN}}, None, True),  # no phone of ours says so
    ("manual_open", {"staff_id": str(new_id()), "reason": WRITTEN}, None, True),
    ("exit", IDS | {"session_id": "xe 29B1 12345"}, None, True),
    ("exit", IDS | {"access_id": WRITTEN}, None, True),
    ("exit", IDS | {"shift_id": [WRITTEN]}, None, True),
    ("exit", IDS | {"forced": "unconfirmed", "method": WRITTEN}, None, True),
    ("exit", IDS | {"forced": "unconfirmed"}, None, False),
    ("exit", IDS | {WRITTEN: 1}, None, True),
    ("manual_open", IDS | {"photo": "0a" * 32}, None, False),
    ("manual_open", IDS | {"photo": WRITTEN}, None, True),
    ("bill", IDS | {"reference": "PPMARK2345679"}, None, False),
    ("bill", IDS | {"reference": "xe 29B1 12345"}, None, True),
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


async def test_what_the_hub_does_not_know_of_a_movement_has_words(gate: Gate) -> None:
    phone = await a_phone(gate)
    newer = phone.entry(plate=COMPACT) | {"note": f"xe {WRITTEN}"}
    exits = [phone.movement("exit", data=IDS, **more) for more in ({"seen": {"a": 1}}, {})]

    verdicts = await phone.send(newer, *exits)

    assert "unreadable" not in verdicts  # a phone of a newer release may say more
    assert await read_stored(gate) == [(COMPACT, True), (None, True), (None, False)]


async def test_a_name_that_is_said_twice_hides_no_words(gate: Gate) -> None:
    phone = await a_phone(gate)
    exit_ = msgspec.json.encode(phone.movement("exit", data=IDS))
    twice = exit_.replace(b'"data":{', b'"data":{"reason":"xe 29B1 12345"},"data":{')

    assert (await phone.post([phone.sign_body(twice)])).status_code == 200

    assert await read_stored(gate) == [(None, True)]


async def test_a_movement_that_cannot_be_read_whole_holds_up_no_other(gate: Gate) -> None:
    phone = await a_phone(gate)
    good = phone.sign(phone.movement("exit", data=IDS))
    body = msgspec.json.encode(phone.movement("exit", data=IDS, more="?"))
    values = (b"1e999", b"9" * 30, rb'"\ud800"')
    odd = [phone.sign_body(body.replace(b'"?"', value)) for value in values]

    for one in odd:
        answer = await phone.post([one, good])
        assert answer.status_code == 200, answer.text

    assert answer.json()["results"][1]["verdict"] in ("waiting", "unknown_session")
    assert [has_words for _, has_words in await read_stored(gate)].count(False) == 1
