"""The product's invariants, checked after every step of a test (docs/reliability.md)."""

import psycopg
from psycopg.rows import dict_row

from payments.invariants.queries import INVARIANTS

NOTHING_WAITS = "SELECT id, outcome, attempts FROM notices WHERE handled_at IS NULL"


def find_violations(owner_url: str) -> list[str]:
    """Return what does not hold in the whole database; [] when all is well."""
    with psycopg.connect(owner_url) as owner:
        return list_violations(owner)


def list_violations(owner: "psycopg.Connection[tuple[object, ...]]") -> list[str]:
    """Return what does not hold, as `find_violations`, on a connection that is open."""
    with owner.cursor(row_factory=dict_row) as cursor:
        found = [
            f"{name}: {row}" for name, query in INVARIANTS.items() for row in cursor.execute(query)
        ]
    owner.rollback()
    return found


def find_waiting(owner_url: str) -> list[str]:
    """Return the notices that are stored and not handled."""
    with psycopg.connect(owner_url) as owner:
        return [str(row) for row in owner.execute(NOTHING_WAITS)]
