"""The floor of entries: how fast PostgreSQL takes them when a program sends it only the writes.

pgbench, from the same binaries as the server, runs what one entry reads and writes, one commit for
each: the occupancy row locked, a look whether the vehicle is inside, the stay, its credential, the
count, the sighting, the event; as the gate's own role, with prepared statements. It parses
nothing, decides nothing, looks for no pass or watched plate, and takes no HTTP.
"""

from typing import Final

import psycopg

from core.clock import read_clock
from core.ids import first_id_at
from loadtests.floor import ORGANISATIONS, Floor, _id

LOTS: Final = 200
ORG, OPERATOR, PAYEE, LOT = 1, 31, 32, 33
ROOM: Final = 2_000_000_000

PREPARE_LOTS: Final = f"""
INSERT INTO organisations (id, code, name, kind, is_live, created_at)
SELECT {_id(ORG, "o")}, 'F' || lpad(o::text, 3, '0'), 'Floor', 'parking_operator', true, now()
FROM generate_series(0, {ORGANISATIONS - 1}) o;
INSERT INTO parking_operators (org_id, id, name, address, tax_code, created_at)
SELECT {_id(ORG, "o")}, {_id(OPERATOR, "o")}, 'Floor', '', '0100108688', now()
FROM generate_series(0, {ORGANISATIONS - 1}) o;
INSERT INTO payees (org_id, id, name, place, created_at)
SELECT {_id(ORG, "o")}, {_id(PAYEE, "o")}, 'Floor', '', now()
FROM generate_series(0, {ORGANISATIONS - 1}) o;
INSERT INTO lots (org_id, id, operator_id, payee_id, name, address, kind, payment_timing,
    created_at)
SELECT {_id(ORG, f"mod(l, {ORGANISATIONS})")}, {_id(LOT, "l")},
       {_id(OPERATOR, f"mod(l, {ORGANISATIONS})")}, {_id(PAYEE, f"mod(l, {ORGANISATIONS})")},
       'Floor', '', 'off_street', 'payPriorToExit', now()
FROM generate_series(0, {LOTS - 1}) l;
INSERT INTO occupancy (org_id, lot_id, vehicle_class, capacity, licensed_capacity)
SELECT {_id(ORG, f"mod(l, {ORGANISATIONS})")}, {_id(LOT, "l")}, c, {ROOM}, {ROOM}
FROM generate_series(0, {LOTS - 1}) l, unnest('{{motorbike,car}}'::text[]) c;
"""

ORG_ID: Final = _id(ORG, ":o::int")
LOT_ID: Final = _id(LOT, ":l::int")
STAY: Final = "('{prefix}-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid"
PLATE: Final = "('F' || :n::text)"
HASH: Final = "decode(lpad(to_hex(:n::bigint), 64, '0'), 'hex')"
SCRIPT: Final = f"""\
\\set i :i + 1
\\set n :first + :client_id * :each + :i
\\set l mod(:n, {LOTS})
\\set o mod(:l, {ORGANISATIONS})
BEGIN;
SELECT inside_count, capacity FROM occupancy
WHERE org_id = {ORG_ID} AND lot_id = {LOT_ID} AND vehicle_class = 'motorbike' FOR NO KEY UPDATE;
SELECT session_id FROM inside
WHERE org_id = {ORG_ID} AND lot_id = {LOT_ID} AND kind = 'plate'
  AND credential = 'motorbike-' || {PLATE};
INSERT INTO parking_sessions (org_id, id, lot_id, vehicle_class, plate, ticket_key, status,
    entered_at, entry_by, entry_device_id, entry_photo, request_hash)
VALUES ({ORG_ID}, {STAY}, {LOT_ID}, 'motorbike', {PLATE}, {STAY}, 'inside', now(), {LOT_ID},
    {LOT_ID}, {HASH}, {HASH})
ON CONFLICT DO NOTHING;
INSERT INTO inside (org_id, lot_id, kind, credential, tail, session_id, vehicle_class, entered_at)
VALUES ({ORG_ID}, {LOT_ID}, 'plate', 'motorbike-' || {PLATE}, right(:n::text, 3), {STAY},
    'motorbike', now());
UPDATE occupancy SET inside_count = inside_count + 1
WHERE org_id = {ORG_ID} AND lot_id = {LOT_ID} AND vehicle_class = 'motorbike';
INSERT INTO observations (org_id, id, lot_id, session_id, direction, method, plate, read_text,
    read_score_bps, photo, device_id, seen_by, seen_at)
VALUES ({ORG_ID}, {STAY}, {LOT_ID}, {STAY}, 'in', 'anpr', {PLATE}, {PLATE}, 9700, {HASH},
    {LOT_ID}, {LOT_ID}, now());
INSERT INTO events (org_id, id, kind, data, recorded_at)
VALUES ({ORG_ID}, {STAY}, 'parking.entered', jsonb_build_object('lot_id', {LOT_ID},
    'session_id', {STAY}, 'vehicle_class', 'motorbike', 'plate', 'F***12', 'pass_id', null,
    'inside_count', 1), now());
COMMIT;
"""


class EntriesFloor(Floor):
    """Runs pgbench again and again, on new vehicles every time."""

    def prepare(self) -> None:
        """Make the floor's organisations and lots, and write the script."""
        milliseconds = first_id_at(read_clock()).hex[:12]
        prefix = f"{milliseconds[:8]}-{milliseconds[8:]}"
        script = SCRIPT.replace("{prefix}", prefix)
        self._script.write_text(script, encoding="utf-8")
        with psycopg.connect(self._owner_url, autocommit=True) as owner:
            owner.execute(PREPARE_LOTS)

    def _prepare_work(self, count: int) -> None:
        """Nothing: each vehicle is new."""
