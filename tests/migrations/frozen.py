"""Frozen rows of a release: written to a text file and loaded again, by PostgreSQL's COPY."""

from typing import Any, Final

import psycopg
from psycopg import sql

from core.db import Base
from ops import migrate

# The next release is not named before these have rows, made as people make them.
NOT_YET: Final = "its feature is newer than the last release, and the city does not use it yet"
# Table → why the frozen data has no row of it.
WITHOUT_ROWS: Final[dict[str, str]] = {
    "account_proofs": NOT_YET,
    "break_decisions": NOT_YET,
    "break_files": NOT_YET,
    "break_notes": NOT_YET,
    "carried_items": NOT_YET,
    "closed_over_days": NOT_YET,
    "ledger_day_accounts": NOT_YET,
    "opening_balances": NOT_YET,
    "proofs": NOT_YET,
    "settlement_lines": NOT_YET,
    "settlement_periods": NOT_YET,
    "settlement_runs": NOT_YET,
    "settlement_terms": NOT_YET,
    "settlements": NOT_YET,
    "tax_export_layouts": NOT_YET,
    "tax_export_parts": NOT_YET,
    "tax_exports": NOT_YET,
}
# Column → why no frozen row has a value in it.
WITHOUT_VALUES: Final[dict[str, str]] = {
    "breaks.owner_id": "no screen lets a person take a break over yet",
    "movements.request": "an entry has it only while it waits for an exit that is not applied",
    "movements.try_at": "nothing had to give way to another transaction",
    "parking_areas.closed_at": "no route closes an area yet",
    "outages.closed_at": "its outage is caught up with by all but one account",
    "reference_blocks.virtual_account": "its lot is paid into an account of its own",
    "statement_days.listed_at": NOT_YET,
    "statement_lines.explanation": NOT_YET,
    "staff.lost_elsewhere_at": "it is emptied when all organisations have handled the loss",
    "tariffs.retired_at": "no route retires a tariff yet",
}
# Column → the releases whose frozen rows have no value in it yet: nothing gave one.
EMPTY_IN: Final[dict[str, tuple[str, ...]]] = {"bills.refunded_at": ("0.2", "0.3")}
# Alembic's own, and nothing to copy.
NO_TABLE: Final = frozenset({"alembic_version"})
END: Final = "\\."
# A partition is its table's: its rows are read, and loaded, by the table. What PostgreSQL generates
# it generates again.
LIST_COLUMNS: Final = """
    SELECT c.table_name, c.column_name FROM information_schema.columns c
    JOIN information_schema.tables t USING (table_schema, table_name)
    JOIN pg_class k ON k.oid = format('%I.%I', c.table_schema, c.table_name)::regclass
    WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND NOT k.relispartition
      AND c.is_generated = 'NEVER'
    ORDER BY 1, c.ordinal_position
"""

Stock = dict[str, int]


def list_columns(owner: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """Return the columns of each of the hub's tables."""
    columns: dict[str, list[str]] = {}
    for table, column in owner.execute(LIST_COLUMNS).fetchall():
        if table not in NO_TABLE:
            columns.setdefault(table, []).append(column)
    return columns


def dump_rows(owner_url: str) -> str:
    """Return every row as COPY writes it, in the order in which foreign keys allow to load them.

    Rows are ordered by their primary key: the same database gives the same text.
    """
    migrate.load_models()
    blocks = []
    with psycopg.connect(owner_url) as owner:
        owner.execute("SET bytea_output = 'escape'")  # what a bank said can be read, and is short
        columns = list_columns(owner)
        order = [table.name for table in Base.metadata.sorted_tables if table.name in columns]
        assert set(order) == set(columns), set(order) ^ set(columns)
        for table in order:
            key = [column.name for column in Base.metadata.tables[table].primary_key]
            query = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT").format(
                _names(columns[table]), sql.Identifier(table), _names(key)
            )
            with owner.cursor().copy(query) as copy:
                rows = b"".join(bytes(data) for data in copy).decode()
            blocks.append(f"COPY {table} ({', '.join(columns[table])}) FROM stdin;\n{rows}{END}\n")
    return "\n".join(blocks)


def without_values(release: str) -> set[str]:
    """Return the columns that have no value in a release's frozen rows."""
    return set(WITHOUT_VALUES) | {name for name, empty in EMPTY_IN.items() if release in empty}


def load_rows(owner_url: str, frozen: str) -> None:
    """Load what `dump_rows` wrote into a database that stands at its migration and is empty."""
    with psycopg.connect(owner_url) as owner:
        for block in frozen.split(f"\n{END}\n"):
            head, _, rows = block.strip("\n").partition("\n")
            if head:
                with owner.cursor().copy(head.encode()) as copy:
                    copy.write(f"{rows}\n" if rows else "")


def take_stock(owner_url: str) -> Stock:
    """Count each organisation's rows in each table, and add up its money in each column.

    A table or column that a later migration adds is more, not less.
    """
    stock: Stock = {}
    with psycopg.connect(owner_url) as owner:
        for table, columns in list_columns(owner).items():
            org = sql.Identifier("org_id") if "org_id" in columns else sql.SQL("'all'")
            money = [column for column in columns if column.endswith("_vnd")]
            query = sql.SQL("SELECT {}::text, count(*), {} FROM {} GROUP BY 1").format(
                org,
                sql.SQL(", ").join(
                    [sql.SQL("0")]
                    + [
                        sql.SQL("coalesce(sum({}), 0)").format(sql.Identifier(column))
                        for column in money
                    ]
                ),
                sql.Identifier(table),
            )
            for org_id, count, _, *sums in owner.execute(query).fetchall():
                stock[f"{table} of {org_id}: rows"] = count
                for column, total in zip(money, sums, strict=True):
                    stock[f"{table} of {org_id}: {column}"] = int(total)
    return stock


def compare_stock(before: Stock, after: Stock) -> list[str]:
    """Return what an upgrade lost, made or changed; [] is as it must be."""
    return [
        f"{what}: {amount} before, {after.get(what, 0)} after"
        for what, amount in before.items()
        if after.get(what, 0) != amount
    ]


def find_empty(owner_url: str) -> tuple[set[str], set[str]]:
    """Return the tables without a row, and the columns (table.column) without a value."""
    tables: set[str] = set()
    empty: set[str] = set()
    with psycopg.connect(owner_url) as owner:
        for table, columns in list_columns(owner).items():
            query = sql.SQL("SELECT count(*), {} FROM {}").format(
                sql.SQL(", ").join(
                    sql.SQL("count({})").format(sql.Identifier(name)) for name in columns
                ),
                sql.Identifier(table),
            )
            count, *values = owner.execute(query).fetchone() or (0,)
            if not count:
                tables.add(table)
            else:
                empty |= {
                    f"{table}.{name}"
                    for name, filled in zip(columns, values, strict=True)
                    if not filled
                }
    return tables, empty


def _names(names: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
