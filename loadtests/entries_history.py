"""Past stays of six months, written by SQL as the hub leaves them."""

from typing import Final

import psycopg

from core.clock import read_clock
from core.ids import first_id_at
from ops.console import say
from parking.sessions.partitions import KEPT_MONTHS, Month

MONTHS: Final = 6
STEP: Final = 250_000
# Ids rise with time over the month.
ID: Final = (
    "(lpad(to_hex(%(from_ms)s::bigint + n * %(span_ms)s::bigint / %(count)s::bigint), 12, '0')"
    " || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"
)
AT: Final = (
    "to_timestamp((%(from_ms)s::bigint + n * %(span_ms)s::bigint / %(count)s::bigint) / 1000.0)"
)
STAYS: Final = f"""
INSERT INTO parking_sessions (org_id, id, lot_id, vehicle_class, plate, ticket_key, status,
    entered_at, entry_by, entry_photo, request_hash, left_at, exit_by, exit_reason, price_vnd,
    paid_vnd)
SELECT l.org_id, {ID}, l.id, 'motorbike',
       'H' || mod(n * 7919, 400000), {ID}, 'left', {AT}, l.id,
       decode(lpad(to_hex(n), 64, '0'), 'hex'), decode(lpad(to_hex(n), 64, '1'), 'hex'),
       {AT} + interval '90 minutes', l.id, 'paid', 5000, 5000
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
JOIN bench_lots l ON l.place = mod(n, (SELECT count(*) FROM bench_lots))
"""
SIGHTINGS: Final = f"""
INSERT INTO observations (org_id, id, lot_id, session_id, direction, method, plate, read_text,
    read_score_bps, photo, seen_by, seen_at)
SELECT l.org_id, {ID}, l.id, {ID}, 'in', 'anpr', 'H' || mod(n * 7919, 400000),
       'H' || mod(n * 7919, 400000), 9700, decode(lpad(to_hex(n), 64, '0'), 'hex'), l.id, {AT}
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
JOIN bench_lots l ON l.place = mod(n, (SELECT count(*) FROM bench_lots))
"""


def write_history(superuser_url: str, stays: int) -> None:
    """Write so many stays that are over, spread over six month partitions.

    Args:
        superuser_url: of the server's own superuser, who may leave foreign keys unchecked.
    """
    running = Month.of(read_clock())
    with psycopg.connect(superuser_url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("SET synchronous_commit = off")
        owner.execute(
            "CREATE TEMPORARY TABLE bench_lots AS SELECT org_id, id,"
            " row_number() OVER (ORDER BY id) - 1 AS place FROM lots"
        )
        owner.execute("ANALYZE bench_lots")
        count = max(1, stays // MONTHS)
        for months in range(MONTHS):
            month = running.plus(-months)
            _make_partition(owner, month)
            end = read_clock() if not months else month.plus(1).starts_at
            from_ms = first_id_at(month.starts_at).int >> 80
            span_ms = (first_id_at(end).int >> 80) - from_ms - 1
            for first in range(0, count, STEP):
                values = {
                    "from_ms": from_ms,
                    "span_ms": span_ms,
                    "count": count,
                    "first": first,
                    "last": min(first + STEP, count) - 1,
                }
                owner.execute(STAYS, values)
                owner.execute(SIGHTINGS, values)
            say(f"Wrote {count:,} stays of {month.year}-{month.number:02d}")
        owner.execute("VACUUM (ANALYZE) parking_sessions, observations")


def _make_partition(owner: psycopg.Connection, month: Month) -> None:
    for table in KEPT_MONTHS:
        name = month.name(table)
        if owner.execute("SELECT to_regclass(%s)", [name]).fetchone() == (None,):
            bounds = f"FROM ('{month.first_id}') TO ('{month.plus(1).first_id}')"
            owner.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES {bounds}")
