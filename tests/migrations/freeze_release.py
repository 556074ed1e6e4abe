"""The command that freezes a release: its rows and the hashes of its migrations.

    python -m tests.migrations.freeze_release        # the newest release in releases.py
    python -m tests.migrations.freeze_release --check   # build the rows and write nothing

The rows come of the hub itself: people sign in, money comes by callbacks and from the sandbox, and
the worker's jobs run. Ids, keys and times are of the run; the text of a run is what is committed.
"""

import argparse
import asyncio
import logging
import sys

import structlog

from ops import migrate
from ops.backup.restore import advance_serials
from tests.migrations import frozen
from tests.migrations.release_city import build_city
from tests.migrations.releases import NEWEST_RELEASE, RELEASES, frozen_file, write_hashes
from tests.payments.invariants import find_violations
from tests.world.databases import FreshDatabase, create_database, session_cluster
from tests.world.hubs import running_hub
from tests.world.sandboxes import a_sandbox

# Rows of 83 tables and what audits and events say of them; a payment file alone, a workbook that is
# compressed and so written in escapes, takes 20 kB.
BYTES_MAX = 520_000


def freeze(release: str, *, is_check: bool) -> None:
    """Build a database, check it, and write it down."""
    newest = migrate.read_newest()
    assert is_check or RELEASES[release] == newest, f"name {newest} in releases.py first"
    with session_cluster() as cluster, create_database(cluster) as database:
        asyncio.run(_build(database))
        # As after a failover: the codes' serials have moved on.
        advance_serials(database.owner_url, lost_since=None, is_sign_out_wanted=False)
        tables, columns = frozen.find_empty(database.owner_url)
        assert tables == set(frozen.WITHOUT_ROWS), f"no row in {sorted(tables)}"
        assert columns == set(frozen.WITHOUT_VALUES), f"no value in {sorted(columns)}"
        assert find_violations(database.owner_url) == []
        rows = frozen.dump_rows(database.owner_url)
    assert len(rows.encode()) <= BYTES_MAX, len(rows.encode())
    if not is_check:
        frozen_file(release).write_text(rows)
        write_hashes(migrate.MIGRATIONS, until=newest)
    print(f"{release} at {newest}: {len(rows.encode())} bytes")


async def _build(database: FreshDatabase) -> None:
    with a_sandbox() as sandbox:
        origin = str(sandbox.base_url).rstrip("/")
        settings = database.settings.model_copy(update={"sandbox_origins": (origin,)})
        async with running_hub(settings) as hub:
            await build_city(hub, database, sandbox)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Freeze a release.")
    parser.add_argument("--check", action="store_true", help="build the rows and write nothing")
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)  # some things fail on purpose
    structlog.configure(wrapper_class=quiet)
    given = parser.parse_args(sys.argv[1:])
    freeze(NEWEST_RELEASE, is_check=given.check)


if __name__ == "__main__":
    main()
