"""The product's invariants, checked after every step of a test (docs/reliability.md)."""

import psycopg
from psycopg.rows import dict_row

from payments.invariants.queries import INVARIANTS

NOTHING_WAITS = "SELECT id, outcome, attempts FROM notices WHERE handled_at IS NULL"


def find_violations(owner_url: str, *, is_earlier_release: bool = False) -> list[str]:
    """Return what does not hold in the whole database; [] when all is well.

    Args:
        is_earlier_release: what is about tables that came later is left out.
    """
    with psycopg.connect(owner_url) as owner:
        return list_violations(owner, is_earlier_release=is_earlier_release)


def list_violations(
    owner: "psycopg.Connection[tuple[object, ...]]", *, is_earlier_release: bool = False
) -> list[str]:
    """Return what does not hold, as `find_violations`, on a connection that is open."""
    found = []
    with owner.cursor(row_factory=dict_row) as cursor:
        for name, query in INVARIANTS.items():
            try:
                found += [f"{name}: {row}" for row in cursor.execute(query)]
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                if not is_earlier_release:
                    raise
                owner.rollback()
    owner.rollback()
    return found


def find_waiting(owner_url: str) -> list[str]:
    """Return the notices that are stored and not handled."""
    with psycopg.connect(owner_url) as owner:
        return [str(row) for row in owner.execute(NOTHING_WAITS)]
