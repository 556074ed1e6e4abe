"""SQL that looks at partitions, for whoever warns before they end."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from parking.sessions.partitions import KEPT_MONTHS, Partition, read_partition

# The default partition's size says whether a row ever fell there: rows themselves are not the
# hub's to see, past the tables' row-level security.
LIST_PARTITIONS: Final = text("""
    SELECT parent.relname, child.relname, pg_get_expr(child.relpartbound, child.oid),
           pg_relation_size(child.oid) > 0
    FROM pg_inherits
    JOIN pg_class parent ON parent.oid = inhparent
    JOIN pg_class child ON child.oid = inhrelid
    WHERE parent.relname = ANY(CAST(:tables AS text[])) AND parent.relkind = 'p'
""")


async def list_partitions(
    session: AsyncSession,
) -> tuple[dict[str, list[Partition]], set[str]]:
    """Return each table's partitions, and the tables whose default partition has been written."""
    rows = await session.execute(LIST_PARTITIONS, {"tables": list(KEPT_MONTHS)})
    partitions: dict[str, list[Partition]] = {table: [] for table in KEPT_MONTHS}
    written = set()
    for table, name, bounds, is_written in rows:
        partition = read_partition(table, name, bounds)
        if partition is not None:
            partitions[table].append(partition)
        elif is_written:
            written.add(table)
    return partitions, written
