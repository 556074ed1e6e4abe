"""PostgreSQL's own client programs, run on a database: pg_dump, and pg_restore into psql."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ops.errors import CannotStart
from ops.postgres.place import find_embedded_binaries, read_major

# pg_restore of 17 and newer writes this for every server; older servers do not know the setting.
UNKNOWN_BEFORE_17: Final = b"SET transaction_timeout"
HEAD_LINES: Final = 60  # the settings stand among the first lines of its script


def dump_database(owner_url: str, path: Path, *, snapshot: str) -> None:
    """Write a database to a file in pg_dump's custom format, compressed.

    Args:
        snapshot: what pg_export_snapshot() returned in a transaction that is still open.

    Raises:
        CannotStart: with pg_dump's own words.
    """
    program = _find_program("pg_dump", owner_url)
    database, environment = _address(owner_url)
    done = subprocess.run(
        [program, "--format=custom", f"--snapshot={snapshot}", f"--file={path}", database],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotStart(f"pg_dump failed:\n{done.stderr.strip()}")


def load_dump(owner_url: str, path: Path, *, before: str, after: str) -> None:
    """Load a dump between two pieces of SQL, all in one transaction: everything or nothing.

    Nobody sees the database as it was dumped, without what `after` changes in it.

    Raises:
        CannotStart: with the words of pg_restore or psql; the database is as it was.
    """
    restore = [_find_program("pg_restore", owner_url), "--no-owner", "--file=-", str(path)]
    database, environment = _address(owner_url)
    psql = _find_program("psql", owner_url)
    load = [psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", database]
    with (
        tempfile.TemporaryFile() as restore_said,
        tempfile.TemporaryFile() as load_said,
        subprocess.Popen(restore, stdout=subprocess.PIPE, stderr=restore_said) as reading,
        subprocess.Popen(
            load, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=load_said,
        ) as loading,
    ):  # fmt: skip
        assert reading.stdout is not None
        assert loading.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # psql says why
            loading.stdin.write(f"BEGIN;\n{before}\n".encode())
            _copy(reading.stdout, loading.stdin, is_old=_read_server_major(owner_url) < 17)
            if reading.wait() == 0:
                loading.stdin.write(f"\n{after}\nCOMMIT;\n".encode())
            loading.stdin.close()  # without COMMIT all of it is taken back
        reading.stdout.close()
        if loading.wait() != 0:
            raise CannotStart(f"psql failed, nothing was changed:\n{_read(load_said)}")
        if reading.wait() != 0:
            raise CannotStart(f"pg_restore failed, nothing was changed:\n{_read(restore_said)}")


def _copy(source: IO[bytes], target: IO[bytes], *, is_old: bool) -> None:
    for _ in range(HEAD_LINES):
        line = source.readline()
        if not (is_old and line.startswith(UNKNOWN_BEFORE_17)):
            target.write(line)
    shutil.copyfileobj(source, target)


def _read(said: IO[bytes]) -> str:
    said.seek(0)
    return "\n".join(said.read().decode(errors="replace").strip().splitlines()[-5:])


def _find_program(name: str, owner_url: str) -> str:
    """Return the wheel's program, or for a newer server one that is on the path."""
    embedded = find_embedded_binaries()
    if read_major(embedded) >= (major := _read_server_major(owner_url)):
        return str(embedded / name)
    if found := shutil.which(name):
        return found
    raise CannotStart(f"The server is PostgreSQL {major}: install its client programs ({name}).")


def _read_server_major(owner_url: str) -> int:
    with psycopg.connect(owner_url, connect_timeout=10) as connection:
        return connection.info.server_version // 10_000


def _address(owner_url: str) -> tuple[str, Mapping[str, str]]:
    """Return the option that names the database, and an environment with its password."""
    parts = conninfo_to_dict(owner_url)
    password = parts.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    # Without the password: every user of the machine reads the arguments of programs.
    return f"--dbname={make_conninfo('', **parts)}", environment
