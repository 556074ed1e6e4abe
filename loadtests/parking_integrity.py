"""Counting after a load test: what was acknowledged at gates, held against the database.

Read as the owner, past row-level security. What counts is the load generator's own log: an entry
that was acknowledged and is not there is lost, whatever the hub believes.
"""

import time
from collections.abc import Sequence
from typing import Final

import psycopg

from loadtests.noted import WENT_WRONG, Noted
from payments.invariants.queries import INVARIANTS

ROWS_SHOWN_MAX: Final = 3

MAKE_NOTED: Final = """
CREATE TEMPORARY TABLE noted (
    what text, org_id uuid, lot_id uuid, id uuid, vehicle_class text, plate text,
    amount_vnd bigint) ON COMMIT DROP
"""

# Each returns a row per thing that is wrong.
CHECKS: Final[dict[str, str]] = {
    # Acknowledged, and no stay or no sighting at the way in; or neither inside nor gone.
    "lost_entries": """
        SELECT n.id, n.plate FROM (SELECT DISTINCT org_id, lot_id, id, vehicle_class, plate
                                   FROM noted WHERE what = 'entered') n
        LEFT JOIN parking_sessions s ON s.org_id = n.org_id AND s.id = n.id
             AND s.lot_id = n.lot_id AND s.plate = n.plate AND s.vehicle_class = n.vehicle_class
        WHERE s.id IS NULL
           OR NOT EXISTS (SELECT FROM observations o WHERE o.org_id = n.org_id
                          AND o.session_id = n.id AND o.direction = 'in')
           OR (s.status = 'inside' AND NOT EXISTS (
               SELECT FROM inside i WHERE i.org_id = n.org_id AND i.lot_id = n.lot_id
               AND i.session_id = n.id))
    """,
    # Each vehicle of a run comes once: it has one stay, seen once at the way in.
    "doubled_entries": """
        SELECT n.plate, n.vehicle_class FROM (
            SELECT DISTINCT org_id, lot_id, vehicle_class, plate
            FROM noted WHERE what = 'entered') n
        JOIN parking_sessions s ON s.org_id = n.org_id AND s.lot_id = n.lot_id
             AND s.plate = n.plate AND s.vehicle_class = n.vehicle_class
        LEFT JOIN observations o ON o.org_id = s.org_id AND o.session_id = s.id
             AND o.direction = 'in'
        GROUP BY n.org_id, n.lot_id, n.plate, n.vehicle_class HAVING count(*) > 1
    """,
    "credentials_twice_inside": """
        SELECT kind, credential FROM inside
        GROUP BY org_id, lot_id, kind, credential HAVING count(*) > 1
        UNION ALL
        SELECT vehicle_class, plate FROM parking_sessions
        WHERE status = 'inside' AND plate IS NOT NULL
        GROUP BY org_id, lot_id, vehicle_class, plate HAVING count(*) > 1
        UNION ALL
        SELECT i.kind, i.credential FROM inside i
        LEFT JOIN parking_sessions s ON s.org_id = i.org_id AND s.id = i.session_id
        WHERE s.status IS DISTINCT FROM 'inside'
    """,
    "wrong_occupancy": """
        SELECT lot_id, vehicle_class, sum(counted) AS counted, sum(stays) AS stays,
               sum(present) AS present FROM (
            SELECT org_id, lot_id, vehicle_class, inside_count AS counted, 0 AS stays,
                   0 AS present
            FROM occupancy
            UNION ALL
            SELECT org_id, lot_id, vehicle_class, 0, 1, 0 FROM parking_sessions
            WHERE status = 'inside'
            UNION ALL
            SELECT org_id, lot_id, vehicle_class, 0, 0, count(DISTINCT session_id) FROM inside
            GROUP BY org_id, lot_id, vehicle_class) AS three_ways
        GROUP BY org_id, lot_id, vehicle_class
        HAVING sum(counted) <> sum(stays) OR sum(stays) <> sum(present)
    """,
    # Acknowledged as gone, and still there; or not seen at the way out.
    "lost_exits": """
        SELECT n.id FROM (SELECT DISTINCT org_id, id FROM noted WHERE what = 'left') n
        LEFT JOIN parking_sessions s ON s.org_id = n.org_id AND s.id = n.id
        WHERE s.status IS DISTINCT FROM 'left'
           OR (SELECT count(*) FROM observations o WHERE o.org_id = n.org_id
               AND o.session_id = n.id AND o.direction = 'out') <> 1
    """,
    # The bank took the money: it is on its bill, once.
    "lost_payments": """
        SELECT n.id, n.amount_vnd, b.received_vnd
        FROM (SELECT org_id, id, sum(amount_vnd) AS amount_vnd FROM noted WHERE what = 'paid'
              GROUP BY org_id, id) n
        LEFT JOIN bills b ON b.org_id = n.org_id AND b.id = n.id
        WHERE b.received_vnd IS DISTINCT FROM n.amount_vnd
           OR (b.status <> 'cancelled' AND b.paid_vnd IS DISTINCT FROM n.amount_vnd)
    """,
    "lost_collections": """
        SELECT n.id, n.amount_vnd
        FROM (SELECT DISTINCT org_id, id, amount_vnd FROM noted WHERE what = 'cash') n
        LEFT JOIN collections c ON c.org_id = n.org_id AND c.id = n.id
             AND c.rail = 'cash' AND c.reversed_at IS NULL
        WHERE c.amount_vnd IS DISTINCT FROM n.amount_vnd
    """,
    "lost_movements": """
        SELECT n.id FROM (SELECT DISTINCT org_id, id FROM noted WHERE what = 'moved') n
        LEFT JOIN movements m ON m.org_id = n.org_id AND m.id = n.id
        WHERE m.handled_at IS NULL
    """,
}

# What the worker and the hubs still have to do.
WAITING: Final = """
SELECT (SELECT count(*) FROM notices WHERE handled_at IS NULL)
     + (SELECT count(*) FROM bill_changes WHERE handled_at IS NULL)
     + (SELECT count(*) FROM movements WHERE handled_at IS NULL)
"""


def wait_until_quiet(owner_url: str, *, within_s: float) -> int:
    """Wait until everything that was stored is handled; return how much is not."""
    end = time.monotonic() + within_s
    with psycopg.connect(owner_url, autocommit=True) as owner:
        while True:
            row = owner.execute(WAITING).fetchone()
            assert row is not None
            if not row[0] or time.monotonic() > end:
                return int(row[0])
            time.sleep(0.2)


def check_integrity(owner: psycopg.Connection, notes: Sequence[Noted]) -> dict[str, list[str]]:
    """Hold what was acknowledged against the database, and the books against one another.

    Args:
        owner: a connection as the owner; what this makes in its transaction goes with that.

    Returns:
        What is wrong by the name of the check, one text for each; [] where nothing is.
    """
    owner.execute(MAKE_NOTED)
    with owner.cursor().copy("COPY noted FROM STDIN") as copy:
        for note in notes:
            if note.what not in WENT_WRONG:
                copy.write_row(
                    (
                        note.what.value,
                        note.org_id,
                        note.lot_id,
                        note.id,
                        note.vehicle_class,
                        note.plate,
                        note.amount_vnd,
                    )
                )
    owner.execute("ANALYZE noted")
    owner.execute("SET LOCAL work_mem = '64MB'")
    wrong = {}
    for name, query in {**CHECKS, **INVARIANTS}.items():
        wrong[name] = [" ".join(map(str, row)) for row in owner.execute(query).fetchall()]
    owner.execute("DROP TABLE noted")
    return wrong
