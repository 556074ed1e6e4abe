"""Matching of statement lines with credits: how fast beside what PostgreSQL must do at least, how
right, and whether a line costs the same among a million as among ten thousand.

A process that runs the worker's jobs writes the lines of an accepted statement and matches them.
The floor is COPY of the lines and of the rows that the run leaves behind, with their keys, and one
hash join in SQL.
"""

import asyncio
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg

from core.clock import read_clock
from core.db import Database, close_engine, open_database, open_engine
from core.jobs.service import queue_job
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from loadtests import figures
from loadtests.city import Market, found_market
from loadtests.figures import Figure
from loadtests.installation import Installation, installed
from loadtests.reconcile_world import Account, write_world
from ops.console import say
from ops.environment import DATABASE
from payments.invariants.queries import INVARIANTS
from payments.statements.rules import WRITE

# The bars of the issue.
TIMES_THE_FLOOR: Final = 4.0
RSS_MIB: Final = 1_024.0
PRECISION_PERCENT: Final = 100.0
RECALL_PERCENT: Final = 99.0
SLOWER_TIMES: Final = 1.5

SEED: Final = 20_261_120
DONE_WITHIN_S: Final = 3_000.0
CHECKED: Final = (
    "bank_clearing_equals_unproved_credits",
    "lines_agree_with_their_proofs",
    "a_proof_posts_once",
    "proofs_are_of_one_account",
    "statements_chain",
    "clearing_is_what_no_line_proves",
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many lines are matched."""

    lines: int
    small: int = 10_000


FULL: Final = Plan(lines=1_000_000)
QUICK: Final = Plan(lines=100_000)

# Suffixes of ids say which credit a line is (reconcile_world.py).
COUNT_RIGHT: Final = """
    SELECT count(*), count(*) FILTER (
        WHERE right(CAST(p.line_id AS text), 12) = right(CAST(p.credit_id AS text), 12))
    FROM proofs p JOIN statement_lines l ON l.org_id = p.org_id AND l.id = p.line_id
    WHERE l.statement_id = %s AND p.reversed_at IS NULL
"""
FIND_JOBS: Final = """
    SELECT kind, status, extract(epoch FROM started_at), extract(epoch FROM finished_at),
           error_detail
    FROM jobs WHERE kind = %s AND arguments->>%s = %s
"""
# Rows of one account's run, with the table whose shape and keys they have.
LEFT_BEHIND: Final = {
    "statement_lines": "SELECT * FROM statement_lines WHERE statement_id = '{statement_id}'",
    "proofs": (
        "SELECT p.* FROM proofs p JOIN statement_lines l ON l.org_id = p.org_id"
        " AND l.id = p.line_id WHERE l.statement_id = '{statement_id}'"
    ),
    "postings": (
        "SELECT t.* FROM postings t JOIN proofs p ON p.org_id = t.org_id AND p.id = t.cause_id"
        " JOIN statement_lines l ON l.org_id = p.org_id AND l.id = p.line_id"
        " WHERE t.cause_kind = 'proof' AND l.statement_id = '{statement_id}'"
    ),
}
LIST_FOREIGN_KEYS: Final = """
    SELECT pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = CAST(%s AS regclass) AND contype = 'f'
"""
HASH_JOIN: Final = """
    SELECT count(*) FROM floor_statement_lines l
    JOIN bank_transactions c ON c.org_id = l.org_id AND c.bank_reference = l.bank_reference
     AND c.amount_vnd = l.amount_vnd AND c.receiving_account_id = l.receiving_account_id
    WHERE l.bank_reference <> ''
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """How long the stages took, and what came of them."""

    lines: int
    write_s: float
    match_s: float
    proofs: int
    right: int
    wanted: int

    @property
    def whole_s(self) -> float:
        """Lines written and matched."""
        return self.write_s + self.match_s

    @property
    def lines_per_s(self) -> float:
        """Matched, once they are there."""
        return self.lines / self.match_s


def measure(quick: bool, plan: Plan | None = None, *, history: int = 0) -> list[Figure]:
    """Measure everything in one run on one PostgreSQL.

    Args:
        history: lines of an earlier statement of another account, matched before.
    """
    plan = plan or (QUICK if quick else FULL)
    with installed("bench-reconcile") as installation:
        return asyncio.run(_measure(installation, plan, history))


async def _measure(installation: Installation, plan: Plan, history: int) -> list[Figure]:
    engine = open_engine(installation.app_url, installation.settings)
    database = open_database(engine)
    try:
        sealer = Sealer.from_settings(installation.settings)
        market = await found_market(database, sealer, 1, now=read_clock())
        whole = plan.small + plan.lines + history
        _prepare(installation, market, serials=whole + 1_000)
        matcher = installation.running.start(
            "matcher", [sys.executable, "-m", "loadtests.line_matcher"], installation.environment
        )
        first = 500
        if history:
            await _match(installation, database, market, 2, history, first=first)
            first += history
        small = await _match(installation, database, market, 0, plan.small, first=first)
        first += plan.small
        large = await _match(installation, database, market, 1, plan.lines, first=first)
        rss_mib = _read_peak_rss_mib(matcher.process.pid)
        floor_s = _measure_floor(installation, _account(installation, market, 1))
        violations = _count_violations(installation)
    finally:
        await close_engine(engine)
    slower = small.lines_per_s / large.lines_per_s
    precision = 100.0 * large.right / max(1, large.proofs)
    return [
        figures.at_most("reconcile_s", large.whole_s, "s", TIMES_THE_FLOOR * floor_s),
        figures.measured("write_s", large.write_s, "s"),
        figures.measured("match_s", large.match_s, "s"),
        figures.measured("floor_s", floor_s, "s"),
        figures.at_most("times_the_floor", large.whole_s / floor_s, "", TIMES_THE_FLOOR),
        figures.at_most("peak_rss_mib", rss_mib, "MiB", RSS_MIB),
        figures.at_least("precision_pct", precision, "%", PRECISION_PERCENT),
        figures.at_least("recall_pct", 100.0 * large.right / large.wanted, "%", RECALL_PERCENT),
        figures.measured("lines_per_s_small", small.lines_per_s, "1/s"),
        figures.measured("lines_per_s_large", large.lines_per_s, "1/s"),
        figures.at_most("slower_per_line", slower, "times", SLOWER_TIMES),
        figures.measured("wrong", large.proofs - large.right, ""),
        figures.at_most("violations", violations, "", 0),
    ]


def _prepare(installation: Installation, market: Market, *, serials: int) -> None:
    with psycopg.connect(installation.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE organisation_codes SET next_serial = %s", [serials])


async def _match(
    installation: Installation,
    database: Database,
    market: Market,
    stall: int,
    lines: int,
    *,
    first: int,
) -> Run:
    """Write a world for one account, let the jobs write and match its lines, and look."""
    account = _account(installation, market, stall)
    say(f"Writing {lines:,} bills, credits and lines")
    statement_id, wanted = write_world(
        installation.cluster.dsn(dbname=DATABASE), account, lines, first=first, seed=SEED
    )
    say("Writing and matching the lines")
    async with open_org_transaction(database, account.org_id) as session:
        await queue_job(session, account.org_id, WRITE, {"statement_id": str(statement_id)})
    write_s = await _wait(installation, "statements.write", "statement_id", statement_id)
    match_s = await _wait(installation, "reconciliation.match", "account_id", account.account_id)
    with psycopg.connect(installation.owner_url) as owner:
        found = owner.execute(COUNT_RIGHT, [statement_id]).fetchone()
    assert found is not None
    return Run(
        lines=lines,
        write_s=write_s,
        match_s=match_s,
        proofs=int(found[0]),
        right=int(found[1]),
        wanted=wanted,
    )


async def _wait(installation: Installation, kind: str, name: str, id_: UUID) -> float:
    """Wait until a job is done; return how long it ran, in seconds."""
    end_s = time.monotonic() + DONE_WITHIN_S
    with psycopg.connect(installation.owner_url, autocommit=True) as owner:
        while time.monotonic() < end_s:
            row = owner.execute(FIND_JOBS, [kind, name, str(id_)]).fetchone()
            if row is not None and row[1] in ("done", "failed"):
                assert row[1] == "done", row
                return float(row[3] - row[2])
            await asyncio.sleep(0.2)
    raise TimeoutError(kind)


def _account(installation: Installation, market: Market, number: int) -> Account:
    stall = market.stalls[number]
    with psycopg.connect(installation.owner_url) as owner:
        row = owner.execute(
            "SELECT id FROM payee_accounts WHERE receiving_account_id = %s", [stall.account_id]
        ).fetchone()
    assert row is not None
    return Account(
        org_id=market.org.id,
        org_code=market.org.code,
        account_id=stall.account_id,
        payee_id=stall.payee_id,
        link_id=row[0],
        number=stall.account_number,
    )


def _measure_floor(installation: Installation, account: Account) -> float:
    """Return what writing the same rows takes by COPY, and one hash join, in seconds."""
    say("The floor: COPY of the same rows with their keys, and a hash join")
    took_s = 0.0
    with (
        psycopg.connect(installation.owner_url, autocommit=True) as owner,
        tempfile.TemporaryDirectory(dir=installation.folder) as folder,
    ):
        row = owner.execute(
            "SELECT id FROM statements WHERE receiving_account_id = %s", [account.account_id]
        ).fetchone()
        assert row is not None
        for table, query in LEFT_BEHIND.items():
            path = Path(folder) / table
            _copy_out(owner, query.format(statement_id=row[0]), path)
            owner.execute(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)".encode())
            for (key,) in owner.execute(LIST_FOREIGN_KEYS, [table]).fetchall():
                owner.execute(f"ALTER TABLE floor_{table} ADD {key}".encode())
            began_s = time.monotonic()
            _copy_in(owner, f"floor_{table}", path)
            took_s += time.monotonic() - began_s
            path.unlink()
        owner.execute("ANALYZE floor_statement_lines")
        owner.execute("SET enable_nestloop = off")
        owner.execute("SET enable_mergejoin = off")
        began_s = time.monotonic()
        owner.execute(HASH_JOIN)
        took_s += time.monotonic() - began_s
    return took_s


def _copy_out(owner: "psycopg.Connection[Any]", query: str, path: Path) -> None:
    command = f"COPY ({query}) TO STDOUT (FORMAT binary)".encode()
    with path.open("wb") as file, owner.cursor() as cursor, cursor.copy(command) as copy:
        for part in copy:
            file.write(part)


def _copy_in(owner: "psycopg.Connection[Any]", table: str, path: Path) -> None:
    command = f"COPY {table} FROM STDIN (FORMAT binary)".encode()
    with path.open("rb") as file, owner.cursor() as cursor, cursor.copy(command) as copy:
        while part := file.read(1 << 20):
            copy.write(part)


def _count_violations(installation: Installation) -> int:
    """Return how many rows the checks of statements find; the bench writes no other books."""
    found = 0
    with psycopg.connect(installation.owner_url) as owner:
        for name in CHECKED:
            rows = owner.execute(f"{INVARIANTS[name]} LIMIT 100".encode()).fetchall()
            found += len(rows)
            for row in rows[:3]:
                say(f"{name}: {row}")
    return found


def _read_peak_rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1_024
