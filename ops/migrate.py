"""Alembic, configured in code: the folder of migrations and the owner's address, nothing else."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from core.database_connections import KEEPALIVES
from ops.errors import CannotStart

MIGRATIONS = Path(__file__).parent.parent / "migrations"
# Apart from the numbered files, since Alembic takes every .py beside them for a revision.
ENVIRONMENT = MIGRATIONS / "environment"


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


def move_to(owner_url: str, revision: str) -> None:
    """Bring a database to a revision, whichever way it lies; "base" is before the first."""
    script = ScriptDirectory.from_config(build_config(owner_url))
    known = [step.revision for step in script.walk_revisions()]  # newest first
    if revision not in ("base", "head", *known):
        raise CannotStart(f"There is no revision {revision!r}; known are {', '.join(known)}")
    current = read_current(owner_url)
    is_back = revision == "base" or (
        current is not None and revision in known[known.index(current) :]
    )
    if is_back:
        downgrade(owner_url, revision)
    else:
        upgrade(owner_url, revision)


def read_current(owner_url: str) -> str | None:
    """Return the revision a database is at, or None before the first."""
    engine = create_engine(
        as_psycopg_url(owner_url), poolclass=NullPool, connect_args=dict(KEEPALIVES)
    )
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def read_newest() -> str | None:
    """Return the newest revision that the project knows."""
    return ScriptDirectory.from_config(build_config("postgresql://")).get_current_head()


def is_known(revision: str) -> bool:
    """Whether the project knows a revision."""
    script = ScriptDirectory.from_config(build_config("postgresql://"))
    return revision in {step.revision for step in script.walk_revisions()}


def as_psycopg_url(url: str) -> str:
    """Name the driver in an address, as SQLAlchemy wants it."""
    driver = make_url(url).set(drivername="postgresql+psycopg")
    return driver.render_as_string(hide_password=False)
