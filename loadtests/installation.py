"""An installation of its own for a run: folder, PostgreSQL, hub processes, as in production."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from pydantic import SecretStr

from core.settings import Settings
from ops import migrate
from ops.environment import (
    SET_BY_HAND,
    build_environment,
    embedded_owner_url,
    read_or_make_secret_key,
    role_passwords,
)
from ops.errors import CannotStart
from ops.postgres.supervisor import Cluster, running_postgres
from ops.processes import Child, Family, family
from ops.roles import ensure_embedded_database
from ops.serving import bind, start_hub, wait_until_ready

HOST: Final = "127.0.0.1"
# Not a real installation's place, and not memory: /var/tmp outlives a restart, so it is a disk.
# Always the same folder, since a PostgreSQL that must not be root may need a copy of its binaries.
FOLDERS: Final = Path("/var/tmp")
# A bench measures its own PostgreSQL: whatever the environment names is left alone.
NOT_OURS: Final = (
    "DATABASE_URL", "DATABASE_URL_FILE", "DATABASE_PASSWORD", "DATABASE_PASSWORD_FILE",
    "PHOPAY_DATABASE_URL", "PHOPAY_DATABASE_URL_FILE", "PHOPAY_SECRET_KEY",
    "PHOPAY_SECRET_KEY_FILE", "PHOPAY_LOG_FORMAT", "PHOPAY_DATABASE_POOL_SIZE", *SET_BY_HAND,
)  # fmt: skip


@dataclass(kw_only=True)
class Installation:
    """A prepared database and the environment that its processes get."""

    folder: Path
    cluster: Cluster
    running: Family
    environment: dict[str, str]
    hubs: list[Child] = field(default_factory=list)
    port: int = 0
    _start_hub: Callable[[str], Child] | None = None  # while it is served

    @property
    def owner_url(self) -> str:
        """Address of the role that migrates; row-level security does not bind it."""
        return self.environment["PHOPAY_DATABASE_URL"]

    @property
    def app_url(self) -> str:
        """Address of the hub's own role."""
        return self.environment["PHOPAY_APP_DATABASE_URL"]

    @property
    def settings(self) -> Settings:
        """The settings that a process with this environment reads."""
        return Settings(
            database_url=SecretStr(self.owner_url),
            app_database_url=SecretStr(self.app_url),
            gate_database_url=SecretStr(self.environment["PHOPAY_GATE_DATABASE_URL"]),
            worker_database_url=SecretStr(self.environment["PHOPAY_WORKER_DATABASE_URL"]),
            secret_key=SecretStr(self.environment["PHOPAY_SECRET_KEY"]),
            data_dir=self.folder,
            process_name="bench",
        )

    @contextlib.contextmanager
    def serving_hub(self, processes: int, *, module: str = "ops.hub_process") -> Iterator[None]:
        """Serve the hub on a free port: JSON logs to a file, no other difference to `serve`."""
        with contextlib.ExitStack() as stack:
            listener = bind(HOST, 0, used_for="the bench's hub", option="none")
            stack.callback(listener.close)
            self.port = listener.getsockname()[1]
            url = f"http://{HOST}:{self.port}"
            environment = {
                **self.environment,
                "PHOPAY_PUBLIC_URL": url,
                "PHOPAY_LOG_FORMAT": "json",
                "PHOPAY_IS_PRODUCTION": "true",
            }

            def start(name: str) -> Child:
                return start_hub(self.running, listener, environment, name=name, module=module)

            self._start_hub = start
            self.hubs += [start(f"{module}-{number + 1}") for number in range(processes)]
            wait_until_ready(f"{url}/health/ready", self.running)
            for _ in range(20 * processes):  # every process imports and connects before it counts
                urlopen(f"{url}/health/ready", timeout=10).close()
            yield

    def replace_hub(self, ended: Child) -> None:
        """Start a process of the hub in the place of one that was killed, as `serve` does."""
        assert self._start_hub is not None
        self.running.children.remove(ended)
        self.hubs[self.hubs.index(ended)] = self._start_hub(ended.name)

    def read_peak_rss_mib(self) -> float:
        """Return the most memory that any hub process ever held, in MiB (VmHWM of Linux)."""
        return max(_read_peak_rss_mib(hub.process.pid) for hub in self.hubs)


@contextlib.contextmanager
def installed(
    kind: str = "bench", *, postgres: Mapping[str, str] | None = None
) -> Iterator[Installation]:
    """Make an installation for the length of a run, and remove it.

    Args:
        kind: of run; one of each kind at a time.
        postgres: settings of its server that differ from those in production.

    Raises:
        CannotStart: another run of this kind goes on, or PostgreSQL cannot be started.
    """
    folder = FOLDERS / f"phopay-{kind}-{os.getuid()}"
    for name in NOT_OURS:
        os.environ.pop(name, None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(kind, folder))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o711)
        folder.chmod(0o711)  # PostgreSQL's account passes through
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = stack.enter_context(running_postgres(folder, settings=postgres))
        secret_key = read_or_make_secret_key(folder)
        ensure_embedded_database(cluster, role_passwords(secret_key))
        owner_url = embedded_owner_url(cluster, secret_key)
        migrate.upgrade(owner_url)
        environment = build_environment(owner_url, secret_key, folder)
        running = stack.enter_context(family(folder / "logs"))
        yield Installation(folder=folder, cluster=cluster, running=running, environment=environment)


@contextlib.contextmanager
def _alone(kind: str, folder: Path) -> Iterator[None]:
    """One at a time: two would share the folder and spoil each other's figures."""
    with Path(tempfile.gettempdir(), f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(f"Another {kind} is running: wait for its end.") from None
        yield


def _read_peak_rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1_024
