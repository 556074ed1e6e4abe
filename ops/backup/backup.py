"""Backups of an installation: the database in one snapshot, with a sealed manifest beside it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from ops.backup.manifest import DUMP, KEY_FILE, Manifest, describe_file, write_manifest
from ops.environment import flush
from ops.errors import CannotStart
from ops.migrate import read_current
from ops.postgres.tools import dump_database


def make_backup(owner_url: str, secret_key: str, target: Path, *, has_key: bool) -> Path:
    """Back an installation up into a new folder below `target`; return that folder.

    Args:
        owner_url: postgresql:// address of the database's owner.
        secret_key: seals the manifest.
        target: an existing folder, or one to make; another disk, better another machine's.
        has_key: put the secret key into the backup. Whoever has the backup then has the secrets.

    Raises:
        CannotStart: the database is empty or does not answer, or the folder cannot be written.
    """
    revision = read_current(owner_url)
    if revision is None:
        raise CannotStart("The database is empty: there is nothing to back up.")
    with psycopg.connect(owner_url) as owner:
        row = owner.execute("SELECT now()").fetchone()
        assert row is not None
        taken_at: datetime = row[0].astimezone(UTC)  # in the zone of the database, or the role
    folder = target / f"phopay-{taken_at:%Y%m%dT%H%M%SZ}"
    half_done = folder.with_name(folder.name + ".part")
    if folder.exists():
        raise CannotStart(f"{folder} is there already: wait a second, then try again.")
    try:
        half_done.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise CannotStart(f"Another backup writes {half_done}: wait, then try again.") from None
    except OSError as problem:
        raise CannotStart(f"{target} cannot be written: {problem.strerror}") from problem
    try:
        dump_database(owner_url, half_done / DUMP)
        files = [half_done / DUMP]
        if has_key:
            files.append(half_done / KEY_FILE)
            files[-1].write_text(secret_key + "\n", encoding="ascii")
        for path in files:
            path.chmod(0o600)
        manifest = Manifest(
            taken_at=taken_at,
            revision=revision,
            files={path.name: describe_file(path) for path in files},
        )
        write_manifest(half_done, manifest, secret_key)
        for path in half_done.iterdir():
            flush(path)
        flush(half_done)
        half_done.rename(folder)  # a folder that has its name is whole
    except OSError as problem:
        raise CannotStart(f"{target} cannot be written: {problem.strerror}") from problem
    finally:
        shutil.rmtree(half_done, ignore_errors=True)
    return folder
