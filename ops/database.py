"""The database that a command works on: the one of DATABASE_URL, or our own."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psycopg
from sqlalchemy.exc import DBAPIError

from core.clock import read_clock
from ops.backup.manifest import KEY_FILE
from ops.console import say
from ops.environment import (
    build_environment,
    embedded_owner_url,
    has_secret_key,
    read_database_url,
    read_key_file,
    read_or_make_secret_key,
    role_passwords,
    store_secret_key,
)
from ops.errors import CannotStart
from ops.maintenance import maintaining_daily, run_maintenance
from ops.postgres.supervisor import Cluster, running_postgres

CHANGES_HANDS_S = 60.0  # to stop one server and start the next, on a slow machine

Found = TypeVar("Found")


@contextmanager
def open_database(
    data_dir: Path,
    *,
    may_prepare: bool,
    is_migration_wanted: bool = True,
    postgres_port: int | None = None,
    public_url: str | None = None,
) -> Iterator[dict[str, str]]:
    """Give the PHOPAY_… variables of a database that is up, for the length of a with block.

    Our own PostgreSQL is started (or shared) and always prepared. One that DATABASE_URL names is
    prepared only where `may_prepare`: the hub and the worker of a city do without the owner's
    password, so that `migrate` alone has it.

    Args:
        data_dir: PhoPay's folder.
        may_prepare: make roles and migrate in an external database.
        is_migration_wanted: bring a database that is prepared up to the newest revision, and refuse
            any that another release made.
        postgres_port: for our own server; a free one by default.
        public_url: how phones reach the hub.

    Raises:
        CannotStart: with what to do about it.
    """
    secret_key = read_or_make_secret_key(data_dir)
    external = read_database_url()
    if external is not None:
        with _told_plainly(external):
            if may_prepare:
                _prepare_external(external, secret_key, is_migration_wanted)
            environment = build_environment(external, secret_key, data_dir, public_url=public_url)
            if is_migration_wanted and not may_prepare:
                _refuse_other_release(environment["PHOPAY_APP_DATABASE_URL"])
            yield environment
        return
    with running_postgres(data_dir, port=postgres_port) as cluster, ExitStack() as stack:
        stack.enter_context(_told_plainly(embedded_owner_url(cluster, secret_key)))
        keep_trying(lambda: _prepare_embedded(cluster, secret_key, is_migration_wanted))
        owner_url = embedded_owner_url(cluster, secret_key)
        if is_migration_wanted:
            stack.enter_context(maintaining_daily(owner_url))
        yield build_environment(owner_url, secret_key, data_dir, public_url=public_url)


def keep_trying(work: Callable[[], Found]) -> Found:
    """Do what can be repeated safely, again where our own PostgreSQL changes hands meanwhile.

    The process that started it stops it at its end, and the next one starts it again at once.
    """
    away_since = None  # counted from when it went: the work before may have taken longer
    while True:
        try:
            return work()
        except (psycopg.Error, DBAPIError) as problem:
            now = time.monotonic()
            away_since = away_since or now
            is_ours = read_database_url() is None
            if not is_ours or not _is_away(problem) or now - away_since > CHANGES_HANDS_S:
                raise
        time.sleep(0.2)


@contextmanager
def _told_plainly(url: str) -> Iterator[None]:
    """Turn the absence of the database into words for the terminal."""
    try:
        yield
    except (psycopg.Error, DBAPIError) as problem:
        if not _is_away(problem):
            raise
        place = urlsplit(url)
        cause = problem.orig if isinstance(problem, DBAPIError) else problem
        msg = (
            f"The database on {place.hostname} port {place.port or 5432} does not answer:\n{cause}"
        )
        raise CannotStart(msg) from problem


def _is_away(problem: psycopg.Error | DBAPIError) -> bool:
    """Whether an error says that there is no database to talk to, and not what it thinks of us."""
    cause = problem.orig if isinstance(problem, DBAPIError) else problem
    if not isinstance(cause, psycopg.OperationalError):
        return False
    # No state: nobody answered. 08: the connection was lost. 57P: shutting down, or not yet up.
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))


def _prepare_external(owner_url: str, secret_key: str, is_migration_wanted: bool) -> None:
    from ops import migrate
    from ops.roles import ensure_roles

    ensure_roles(owner_url, role_passwords(secret_key))
    if is_migration_wanted:
        _migrate(migrate.read_current(owner_url), owner_url)
        run_maintenance(owner_url, now=read_clock())


def _prepare_embedded(cluster: Cluster, secret_key: str, is_migration_wanted: bool) -> None:
    from ops import migrate
    from ops.roles import ensure_embedded_database

    ensure_embedded_database(cluster, role_passwords(secret_key))
    owner_url = embedded_owner_url(cluster, secret_key)
    if is_migration_wanted:
        _migrate(migrate.read_current(owner_url), owner_url)
        run_maintenance(owner_url, now=read_clock())


def restore_key(backup: Path, data_dir: Path) -> None:
    """Take the secret key out of a backup that has it, where the installation has none yet.

    Raises:
        CannotStart: there is no key anywhere; a new one could not open what the old one sealed.
    """
    if has_secret_key(data_dir):
        return
    kept = backup / KEY_FILE
    if not kept.is_file():
        msg = (
            "The secret key of the installation is needed, and it is not in this backup.\n"
            "Give it: PHOPAY_SECRET_KEY_FILE, or secret_key in --data DIR"
        )
        raise CannotStart(msg)
    store_secret_key(data_dir, read_key_file(kept))


def _refuse_other_release(app_url: str) -> None:
    """Refuse another release's database; one that does not answer is waited for by the hub."""
    from sqlalchemy.exc import OperationalError

    from ops import migrate

    with suppress(OperationalError):
        migrate.refuse_other_release(migrate.read_current(app_url))


def _migrate(current: str | None, owner_url: str) -> None:
    from ops import migrate

    migrate.refuse_other_release(current)
    newest = migrate.read_newest()
    if current != newest:
        say(f"Migrating the database from {current or 'empty'} to {newest}")
        migrate.upgrade(owner_url)
