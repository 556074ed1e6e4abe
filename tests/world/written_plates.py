"""Whole plates in a database: which tables hold one, in whatever column and spelling."""

import re

import psycopg
from psycopg import sql

LIST_PLATES = """
    SELECT plate FROM parking_sessions UNION SELECT plate FROM observations
    UNION SELECT plate FROM pass_plates UNION SELECT plate FROM watched_plates
"""
LIST_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND relkind IN ('r', 'p') AND NOT relispartition
"""
# Bytes of a column are shown as text where they are text.
BYTES = re.compile(r"\\\\x([0-9a-f]+)")


def list_plates(owner_url: str) -> set[str]:
    """Return the plates that stays, sightings, passes and the watch list have, compact."""
    with psycopg.connect(owner_url) as owner:
        return {row[0] for row in owner.execute(LIST_PLATES) if row[0] and len(row[0]) > 5}


def find_tables(owner_url: str, *plates: str) -> dict[str, list[str]]:
    """Return the tables in which one of these plates stands whole, each with some of its rows."""
    pattern = re.compile("|".join(map(spell, plates)), re.IGNORECASE)
    found: dict[str, list[str]] = {}
    with psycopg.connect(owner_url) as owner:
        tables = [row[0] for row in owner.execute(LIST_TABLES)]
        for table in tables:
            query = sql.SQL("SELECT row::text FROM {} AS row").format(sql.Identifier(table))
            for (row,) in owner.execute(query):
                if pattern.search(read_bytes(row)):
                    found.setdefault(table, []).append(row)
    return found


def spell(plate: str) -> str:
    """Return a pattern of all ways to write a compact plate: 29AA12345, 29-AA 123.45, …"""
    return r"[\s.·\-]{0,2}".join(map(re.escape, plate))


def read_bytes(row: str) -> str:
    """Add to a row's text what its bytes say."""
    said = [bytes.fromhex(one).decode(errors="replace") for one in BYTES.findall(row)]
    return "\n".join([row, *said])
