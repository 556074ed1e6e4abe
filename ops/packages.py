"""Locked Python packages that are brought when they are first wanted, by uv or else by pip."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ops.errors import CannotStart

ROOT = Path(__file__).parent.parent
OWN_UV = ROOT / ".phopay" / "tools" / "uv" / "bin" / "uv"
INSTALL_TIMEOUT_S = 900
UNREACHABLE = re.compile(
    r"temporary failure in name|name or service not known|failed to resolve|dns error|timed out"
    r"|connection refused|connect(?:ion)? error|error sending request|network is unreachable"
    r"|max retries|failed to fetch|no matching distribution",
    re.IGNORECASE,
)


def install_locked(lock: Path, *, into: Path | None = None, is_data_only: bool = False) -> None:
    """Install what a lock file names, by its hashes.

    Args:
        lock: the file of names, versions and hashes.
        into: a folder of its own; None is the environment that runs us.
        is_data_only: nobody imports it, so the Python that it is made for and what it would
            need besides do not matter.

    Raises:
        CannotStart: no network, a full disk, no rights, no pip, or whatever else was said.
    """
    target = ["--target", str(into)] if into else []
    wanted = ["--require-hashes", *target, "-r", str(lock)]
    found = shutil.which("uv") or (str(OWN_UV) if OWN_UV.exists() else None)
    if found:
        for_any_python = ["--no-deps", "--python-version", "3.12"] if is_data_only else []
        command = [found, "pip", "install", "--python", sys.executable, *for_any_python, *wanted]
    else:
        # Our own environment may have no pip: that of the Python it was made from installs.
        base = str(Path(sys.base_prefix) / "bin" / "python3")
        here = [] if into else ["--python", sys.executable]
        for_any_python = ["--no-deps", "--ignore-requires-python"] if is_data_only else []
        command = [base, "-m", "pip", *here, "install", "--disable-pip-version-check"]
        command += [*for_any_python, *wanted]
    _run(command)


def read_lock(lock: Path) -> dict[str, str]:
    """Return the packages of a lock file and their versions."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(encoding="ascii"), re.M))


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=INSTALL_TIMEOUT_S,
            env={**os.environ, "NO_COLOR": "1"},
        )
    except subprocess.TimeoutExpired as problem:
        raise CannotStart(_unreachable()) from problem
    except OSError as problem:
        raise CannotStart(f"{command[0]} cannot be run: {problem.strerror}") from problem
    if done.returncode == 0:
        return
    if re.search(r"no space left|disk quota", done.stdout, re.IGNORECASE):
        raise CannotStart(f"The disk is full at {ROOT}. Free at least 500 MB, then try again.")
    if UNREACHABLE.search(done.stdout):
        raise CannotStart(_unreachable())
    if re.search(r"read-only file system|permission denied", done.stdout, re.IGNORECASE):
        raise CannotStart(
            f"The packages cannot be written to {sys.prefix}.\n"
            "Make it writable, or run PhoPay from a folder of your own."
        )
    if "No module named pip" in done.stdout:
        raise CannotStart(
            f"This Python has no pip: {command[0]}\n"
            "Install it (on Debian or Ubuntu: apt install python3-pip), then try again."
        )
    last = "\n".join(done.stdout.strip().splitlines()[-15:])
    raise CannotStart(f"{Path(command[0]).name} failed:\n{last}")


def _unreachable() -> str:
    return (
        "The package registry could not be reached.\n"
        "Check the network (and HTTPS_PROXY, where you need one), then try again."
    )
