"""`./phopay maintain`: partitions made ahead, rows that had none moved, and what is over erased.

As the owner, whose password neither hub nor worker has. Safe to repeat; once a day is enough.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import psycopg
from psycopg import sql

from core.clock import read_clock
from core.database_connections import KEEPALIVES
from core.ids import instant_of
from ops.console import say
from parking.sessions.partitions import (
    KEPT_MONTHS,
    Month,
    Partition,
    is_over,
    read_partition,
    wanted_months,
)
from parking.sessions.rules import ID_AHEAD_MAX

# Nobody at a gate waits longer for us; we come again.
LOCK_TIMEOUT_MS: Final = 2_000
TRIES_MAX: Final = 10
PAUSE_S: Final = 1.0
DAY_S: Final = 86_400.0
ONE_AT_A_TIME: Final = 0x50686F4D  # "PhoM", for pg_advisory_lock
STILL_NEEDED: Final = {
    # Who is inside, under review, or owes money is not forgotten.
    "parking_sessions": "status IN ('inside', 'review') OR arrears_vnd > 0",
    "movements": "handled_at IS NULL",
}


def maintain(owner_url: str, *, now: datetime) -> list[str]:
    """Bring the partitions to where they must be; return a line for each thing that was done.

    Args:
        owner_url: postgresql:// address of the role that migrates.
    """
    done: list[str] = []
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=10, **KEEPALIVES) as owner:
        # Waited for without a limit, before the limit is set: nobody queues behind it but us.
        owner.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
        owner.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        for table in KEPT_MONTHS:
            done += _take_in_default(owner, table, now=now)
            done += _make_ahead(owner, table, now=now)
            done += _erase_old(owner, table, now=now)
    return done


def run_maintenance(owner_url: str, *, now: datetime) -> None:
    """Maintain and say what was done."""
    for line in maintain(owner_url, now=now):
        say(line)


def _make_ahead(owner: psycopg.Connection, table: str, *, now: datetime) -> Iterator[str]:
    there = _list_partitions(owner, table)
    for month in wanted_months(now):
        first_id, end_id = month.first_id, month.plus(1).first_id
        if any(one.first_id < end_id and first_id < one.end_id for one in there):
            continue
        name = month.name(table)

        def attach(name: str = name, first_id: UUID = first_id, end_id: UUID = end_id) -> None:
            with owner.transaction():
                _make_like(owner, table, name)
                _attach(owner, table, name, first_id, end_id)

        _try_until_free(attach)
        yield f"Made the partition {name}"


def _take_in_default(owner: psycopg.Connection, table: str, *, now: datetime) -> Iterator[str]:
    """Turn a default partition that has rows into a partition of their months.

    No row is copied and no lock outlives a change of the catalogue: the rows are checked while
    vehicles come in, and then two names change places.
    """
    default = f"{table}_default"
    ends = "(SELECT id FROM {table} ORDER BY id {way} LIMIT 1)"
    query = f"SELECT {ends.replace('{way}', 'ASC')}, {ends.replace('{way}', 'DESC')}"
    row = owner.execute(sql.SQL(query).format(table=sql.Identifier(default))).fetchone()
    if row is None or row[0] is None:
        return
    lowest, highest = Month.of(instant_of(row[0])), Month.of(instant_of(row[1]))
    highest = max(highest, Month.of(now + ID_AHEAD_MAX + timedelta(days=1)))
    first_id, end_id = _widen(_list_partitions(owner, table), lowest, highest, row)
    check = sql.Identifier(f"{table}_in_range")
    name = lowest.name(table)
    names = {"default": sql.Identifier(default), "check": check, "table": sql.Identifier(table)}

    def bound() -> None:
        owner.execute(
            sql.SQL(
                "ALTER TABLE {default} ADD CONSTRAINT {check}"
                " CHECK (id >= {first} AND id < {end}) NOT VALID"
            ).format(**names, first=sql.Literal(first_id), end=sql.Literal(end_id))
        )

    def swap() -> None:
        with owner.transaction():
            for statement in (
                "ALTER TABLE {table} DETACH PARTITION {default}",
                "ALTER TABLE {default} RENAME TO {name}",
            ):
                owner.execute(sql.SQL(statement).format(**names, name=sql.Identifier(name)))
            _make_like(owner, table, default)
            owner.execute(
                sql.SQL("ALTER TABLE {table} ATTACH PARTITION {default} DEFAULT").format(**names)
            )
            _attach(owner, table, name, first_id, end_id)
            owner.execute(
                sql.SQL("ALTER TABLE {name} DROP CONSTRAINT {check}").format(
                    name=sql.Identifier(name), check=check
                )
            )

    owner.execute(
        sql.SQL("ALTER TABLE {default} DROP CONSTRAINT IF EXISTS {check}").format(**names)
    )
    _try_until_free(bound)
    owner.execute(sql.SQL("ALTER TABLE {default} VALIDATE CONSTRAINT {check}").format(**names))
    _try_until_free(swap)
    yield f"Made the partition {name} of rows that had none"


def _widen(
    there: list[Partition], lowest: Month, highest: Month, ids: tuple[UUID, UUID]
) -> tuple[UUID, UUID]:
    """Return the months of the rows, cut where other partitions begin and end."""
    first_id, end_id = lowest.first_id, highest.plus(1).first_id
    for one in there:
        if one.end_id <= ids[0]:
            first_id = max(first_id, one.end_id)
        elif one.first_id > ids[1]:
            end_id = min(end_id, one.first_id)
        else:  # rows on both sides of a partition: each side must be looked at by itself
            end_id = min(end_id, one.first_id)
    return first_id, end_id


def _erase_old(owner: psycopg.Connection, table: str, *, now: datetime) -> Iterator[str]:
    for partition in _list_partitions(owner, table):
        if not is_over(partition, now=now):
            continue
        name = sql.Identifier(partition.name)
        if table in STILL_NEEDED:
            needed = sql.SQL("SELECT count(*) FROM {} WHERE ").format(name)
            row = owner.execute(needed + sql.SQL(STILL_NEEDED[table])).fetchone()
            if row is not None and row[0]:
                yield f"Kept the partition {partition.name}: {row[0]} rows are still needed"
                continue

        def detach(name: sql.Identifier = name) -> None:
            names = {"table": sql.Identifier(table), "name": name}
            with owner.transaction():
                owner.execute(
                    sql.SQL("ALTER TABLE {table} DETACH PARTITION {name}").format(**names)
                )
                owner.execute(sql.SQL("DROP TABLE {name}").format(**names))

        _try_until_free(detach)
        yield f"Erased the partition {partition.name}"


def _list_partitions(owner: psycopg.Connection, table: str) -> list[Partition]:
    rows = owner.execute(
        "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid)"
        " FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
        " WHERE inhparent = %s::regclass",
        [table],
    ).fetchall()
    found = (read_partition(table, str(name), str(bounds)) for name, bounds in rows)
    return sorted((one for one in found if one), key=lambda one: one.first_id)


def _make_like(owner: psycopg.Connection, table: str, name: str) -> None:
    statement = (
        "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
        " INCLUDING GENERATED)"
    )
    names = {"name": sql.Identifier(name), "table": sql.Identifier(table)}
    owner.execute(sql.SQL(statement).format(**names))


def _attach(owner: psycopg.Connection, table: str, name: str, first_id: UUID, end_id: UUID) -> None:
    """Attach a table; it gets the indexes of the whole that it has not."""
    statement = "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})"
    owner.execute(
        sql.SQL(statement).format(
            table=sql.Identifier(table),
            name=sql.Identifier(name),
            first=sql.Literal(str(first_id)),
            end=sql.Literal(str(end_id)),
        )
    )


def _try_until_free(change: Callable[[], None]) -> None:
    """Change the catalogue as soon as nobody is in the way, without letting a queue build up."""
    for left in reversed(range(TRIES_MAX)):
        try:
            change()
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise
            time.sleep(PAUSE_S)
        else:
            return


@contextmanager
def maintaining_daily(owner_url: str) -> Iterator[None]:
    """Maintain once a day while the block runs: for our own server, which has no timer."""
    stopped = threading.Event()

    def repeat() -> None:
        while not stopped.wait(DAY_S):
            try:
                run_maintenance(owner_url, now=read_clock())
            except psycopg.Error as problem:  # tomorrow again; /health/ready warns meanwhile
                say(f"Maintenance failed: {type(problem).__name__}")

    thread = threading.Thread(target=repeat, name="maintenance", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(timeout=LOCK_TIMEOUT_MS / 1_000)
