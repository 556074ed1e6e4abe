"""Alembic, configured in code: the folder of migrations and the owner's address, nothing else."""

import importlib
import io
import pkgutil
import re
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, column, create_engine, func, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

import city
import core
import identity
import parking
import payments
from core.database_connections import KEEPALIVES
from ops.errors import CannotStart, MadeByOtherRelease, WouldDropData

MIGRATIONS = Path(__file__).parent.parent / "migrations"
# Apart from the numbered files, since Alembic takes every .py beside them for a revision.
ENVIRONMENT = MIGRATIONS / "environment"
CONNECT_TIMEOUT_S = 10  # to ask where a database stands
# In the statements that Alembic writes: a table that goes, or a column of one that stays.
DROPPED_TABLE = re.compile(r"^\s*DROP TABLE (?:IF EXISTS )?(\w+)", re.MULTILINE)
DROPPED_COLUMN = re.compile(r"^\s*ALTER TABLE (\w+) DROP COLUMN (?:IF EXISTS )?(\w+)", re.MULTILINE)
OURS = "alembic_version"  # where a database stands; no data of a city


def build_config(owner_url: str) -> Config:
    """Return Alembic's configuration for one database.

    env.py reads `sqlalchemy.url`, a postgresql+psycopg:// address.
    """
    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", as_psycopg_url(owner_url).replace("%", "%%"))
    return config


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Bring a database up to a revision, the newest by default."""
    command.upgrade(build_config(owner_url), revision)


def downgrade(owner_url: str, revision: str) -> None:
    """Take a database back to a revision; "base" takes everything away."""
    command.downgrade(build_config(owner_url), revision)


def move_to(owner_url: str, revision: str, *, may_drop: bool = False) -> None:
    """Bring a database to a revision, whichever way it lies; "base" is before the first.

    Raises:
        CannotStart: there is no such revision.
        MadeByOtherRelease: the database stands at a revision that is not of this release.
        WouldDropData: the revision is an older one, and not `may_drop`.
    """
    known = list_revisions()
    if revision not in ("base", "head", *known):
        raise CannotStart(f"There is no revision {revision!r}; known are {', '.join(known)}")
    current = read_current(owner_url)
    refuse_other_release(current)
    wanted = known[-1] if revision == "head" else revision
    order = ["base", *known]
    if current is None or order.index(wanted) >= order.index(current):
        if wanted != "base":
            upgrade(owner_url, wanted)
        return
    if not may_drop:
        raise WouldDropData(current, wanted, count_dropped(owner_url, current, wanted))
    downgrade(owner_url, wanted)


def count_dropped(owner_url: str, current: str, revision: str) -> dict[str, int]:
    """Return the tables and columns that going back drops, with their rows; locks nothing.

    The statements come from the migrations themselves, in Alembic's offline mode, which runs none.

    Returns:
        How many rows a table has, or have a value in a column ("staff.phone") of one that stays.
    """
    config = build_config(owner_url)
    config.output_buffer = written = io.StringIO()
    command.downgrade(config, f"{current}:{revision}", sql=True)
    statements = written.getvalue()
    tables = [name for name in DROPPED_TABLE.findall(statements) if name != OURS]
    columns = [pair for pair in DROPPED_COLUMN.findall(statements) if pair[0] not in tables]
    with _open_engine(owner_url).connect() as connection:
        dropped = {
            name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
            for name in tables
        }
        for name, one in columns:
            values = select(func.count(column(one))).select_from(table(name))
            dropped[f"{name}.{one}"] = connection.execute(values).scalar_one()
    return dropped


def read_current(owner_url: str) -> str | None:
    """Return the revision a database is at, or None before the first."""
    with _open_engine(owner_url).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def list_revisions() -> list[str]:
    """Return the revisions that the project knows, the oldest first."""
    script = ScriptDirectory.from_config(build_config("postgresql://"))
    return [step.revision for step in script.walk_revisions()][::-1]


def read_newest() -> str:
    """Return the newest revision that the project knows."""
    return list_revisions()[-1]


def refuse_other_release(revision: str | None) -> None:
    """Refuse a database that stands at a revision which the project does not know.

    Raises:
        MadeByOtherRelease: it is of another PhoPay; nothing may be changed in it.
    """
    known = list_revisions()
    if revision is not None and revision not in known:
        raise MadeByOtherRelease("The database", revision, newest=known[-1])


def load_models() -> None:
    """Import every module that has tables, so that Base.metadata knows all of them."""
    for package in (core, identity, payments, parking, city):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".models"):
                importlib.import_module(module.name)
    for name in ("core.audit", "core.idempotency"):
        importlib.import_module(name)


def as_psycopg_url(url: str) -> str:
    """Name the driver in an address, as SQLAlchemy wants it."""
    driver = make_url(url).set(drivername="postgresql+psycopg")
    return driver.render_as_string(hide_password=False)


def _open_engine(owner_url: str) -> Engine:
    return create_engine(
        as_psycopg_url(owner_url),
        poolclass=NullPool,
        connect_args={**KEEPALIVES, "connect_timeout": CONNECT_TIMEOUT_S},
    )
