"""Packages of npm that others wrote, installed once by their lock into the environment's folder."""

import fcntl
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from ops.errors import CannotStart
from ops.frontend import find_node

SOURCE = Path(__file__).parent / "npm"
PEERS = Path(__file__).parents[2] / ".phopay/peers/npm-contracts"
LOCKED = ("package.json", "package-lock.json")
INSTALL_TIMEOUT_S = 90


@dataclass(frozen=True)
class NpmPeers:
    """Node.js, and the folder with the packages and our scripts that drive them."""

    node: str
    folder: Path

    def command(self, script: str, *arguments: str) -> list[str]:
        """Return the command that runs one of our scripts."""
        return [self.node, str(self.folder / script), *arguments]


def install_npm_peers() -> NpmPeers:
    """Install what the lock names, by its hashes; again only when the lock changes.

    Without Node.js or a network the test is skipped, but not in CI.
    """
    PEERS.mkdir(parents=True, exist_ok=True)
    # Test files run side by side: one installs, the others wait for it.
    with (PEERS / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            node, npm = find_node()
        except CannotStart as problem:
            leave_out(str(problem))
        if not _is_installed():
            _install(node, npm)
        for script in SOURCE.glob("*.mjs"):
            (PEERS / script.name).write_bytes(script.read_bytes())
    return NpmPeers(node=node, folder=PEERS)


def leave_out(why: str) -> NoReturn:
    """Skip what needs the peers, with the reason; in CI that is a failure."""
    reason = f"{why}, so npm's packages cannot be run"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _is_installed() -> bool:
    # Written when npm has ended well: an installation that was cut off counts for nothing.
    stamp = PEERS / "node_modules" / ".installed-from"
    return stamp.is_file() and stamp.read_bytes() == _read_locked()


def _read_locked() -> bytes:
    return b"".join((SOURCE / name).read_bytes() for name in LOCKED)


def _install(node: str, npm: list[str]) -> None:
    for name in LOCKED:
        (PEERS / name).write_bytes((SOURCE / name).read_bytes())
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    ran = subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=PEERS,
        env={**os.environ, "PATH": path},
        check=False,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
    )
    if ran.returncode:
        leave_out(f"npm ci failed ({ran.stderr.strip()[-200:]})")
    (PEERS / "node_modules" / ".installed-from").write_bytes(_read_locked())
