"""PostgreSQL for tests: one cluster a session, one database a test, cloned from a migrated one.

Everything here is plain functions, so that tests which start real processes can use it as well.
"""

import asyncio
import base64
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, LiteralString, TypeVar

import psycopg
from psycopg import sql
from pydantic import SecretStr

from core.db import Database, open_database, open_engine
from core.settings import Settings
from ops import migrate
from ops.environment import OWNER, build_environment, embedded_owner_url, role_passwords
from ops.postgres.supervisor import Cluster, running_postgres
from ops.roles import ensure_embedded_database

# Not a secret: it guards nothing but databases that live for one test.
TEST_SECRET_KEY = base64.urlsafe_b64encode(b"phopay tests phopay tests phopay").decode("ascii")
TEMPLATE = "phopay_template"
# A password's hash is slow on purpose, and tests sign somebody in a thousand times.
PASSWORD_MEMORY_KIB = 64
DEBIAN_BINARIES = "/usr/lib/postgresql/{major}/bin"
MEMORY_FREE_BYTES_MIN = 2 * 2**30
_serial = itertools.count(1)
_superusers: dict[int, psycopg.Connection] = {}  # of session clusters, by the server's port
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class FreshDatabase:
    """One test's own database and how each role reaches it (postgresql:// addresses)."""

    name: str
    owner_url: str
    app_url: str
    gate_url: str
    worker_url: str
    environment: dict[str, str]  # PHOPAY_… variables for child processes

    @property
    def settings(self) -> Settings:
        """The settings that a process with this environment would read."""
        return Settings(
            database_url=SecretStr(self.owner_url),
            app_database_url=SecretStr(self.app_url),
            gate_database_url=SecretStr(self.gate_url),
            worker_database_url=SecretStr(self.worker_url),
            secret_key=SecretStr(TEST_SECRET_KEY),
            data_dir=Path(self.environment["PHOPAY_DATA_DIR"]),
            database_pool_size=8,
            password_memory_kib=PASSWORD_MEMORY_KIB,
        )


@dataclass(frozen=True, kw_only=True)
class Template(Generic[T]):
    """A database that others are cloned from, and what is in each of them."""

    name: str
    holds: T


def chosen_binaries() -> Path | None:
    """Return Debian's binaries when PHOPAY_TEST_POSTGRES names a version, else None."""
    major = os.environ.get("PHOPAY_TEST_POSTGRES")
    return Path(DEBIAN_BINARIES.format(major=major)) if major else None


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder that PostgreSQL's account can pass through (pytest's own is closed to it)."""
    folder = Path(tempfile.mkdtemp(prefix="phopay-test-", dir=_quick_root()))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def session_cluster() -> Iterator[Cluster]:
    """Run a cluster for a whole test session, with a migrated template database in it."""
    # Tests kill processes, never the machine: fsync would only slow them down.
    # Its minutes are too few for autovacuum, which would come by at every database that is cloned;
    # and a client that is gone before it has said who it is must not hold up whoever drops one.
    settings = {
        "fsync": "off",
        "max_wal_size": "512MB",
        "autovacuum_naptime": "10min",
        "authentication_timeout": "5s",
    }
    if chosen_binaries() is None:  # version 15 does not know it
        settings["scram_iterations"] = "1"  # slow on purpose, and tests connect ten thousand times
    with (
        reachable_folder() as folder,
        running_postgres(folder, bin_dir=chosen_binaries(), settings=settings) as cluster,
    ):
        ensure_embedded_database(cluster, role_passwords(TEST_SECRET_KEY), database=TEMPLATE)
        migrate.upgrade(embedded_owner_url(cluster, TEST_SECRET_KEY, database=TEMPLATE))
        # Two thousand databases are made and dropped: a connection for each takes half of that.
        with psycopg.connect(cluster.dsn(), autocommit=True) as superuser:
            _superusers[cluster.port] = superuser
            try:
                yield cluster
            finally:
                del _superusers[cluster.port]


@contextmanager
def create_database(cluster: Cluster, *, template: str = TEMPLATE) -> Iterator[FreshDatabase]:
    """Clone the template (or "template0", an empty database) and drop the clone at the end."""
    name = f"phopay_{os.getpid()}_{next(_serial)}"
    names = {
        "name": sql.Identifier(name),
        "template": sql.Identifier(template),
        "owner": sql.Identifier(OWNER),
    }
    _tell(
        cluster,
        "CREATE DATABASE {name} OWNER {owner} TEMPLATE {template} STRATEGY FILE_COPY",
        names,
    )
    owner_url = embedded_owner_url(cluster, TEST_SECRET_KEY, database=name)
    environment = build_environment(owner_url, TEST_SECRET_KEY, cluster.place.home / name)
    environment["PHOPAY_PASSWORD_MEMORY_KIB"] = str(PASSWORD_MEMORY_KIB)
    try:
        yield FreshDatabase(
            name=name,
            owner_url=owner_url,
            app_url=environment["PHOPAY_APP_DATABASE_URL"],
            gate_url=environment["PHOPAY_GATE_DATABASE_URL"],
            worker_url=environment["PHOPAY_WORKER_DATABASE_URL"],
            environment=environment,
        )
    finally:
        _tell(cluster, "DROP DATABASE {name} WITH (FORCE)", names)


@contextmanager
def a_template(
    cluster: Cluster, make: Callable[[Database], Coroutine[Any, Any, T]]
) -> Iterator[Template[T]]:
    """Make a database with what `make` puts in it as the hub's role, once for many tests.

    Whatever takes longer to make than a clone does, some 30 ms, is worth one.
    """

    async def fill(fresh: FreshDatabase) -> T:
        async with open_database_at(fresh.app_url, fresh.settings) as database:
            return await make(database)

    with create_database(cluster) as fresh:
        yield Template(name=fresh.name, holds=asyncio.run(fill(fresh)))


def forget_hubs(fresh: FreshDatabase) -> None:
    """Let a template's hub never have been: since when it is gone would be an outage in a clone."""
    with psycopg.connect(fresh.owner_url) as owner:
        owner.execute("UPDATE hub_heartbeats SET beat_at = NULL, stopped_at = NULL")


@asynccontextmanager
async def open_database_at(
    url: str, settings: Settings, *, planning: str = ""
) -> AsyncIterator[Database]:
    """Open sessions of a role for the length of a with block."""
    engine = open_engine(url, settings, planning=planning)
    try:
        yield open_database(engine)
    finally:
        await engine.dispose()


def _tell(cluster: Cluster, command: LiteralString, names: dict[str, sql.Identifier]) -> None:
    """Let the superuser do something; a session's cluster has one that stays connected."""
    written = sql.SQL(command).format(**names)
    kept = _superusers.get(cluster.port)
    if kept is not None and cluster.is_alive():
        kept.execute(written)
        return
    with psycopg.connect(cluster.dsn(), autocommit=True) as superuser:
        superuser.execute(written)


def _quick_root() -> str | None:
    """Prefer memory: a clone makes 400 files, which took 0.4 s on a disk and 0.03 s there."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_FREE_BYTES_MIN:
        return str(memory)
    return None
