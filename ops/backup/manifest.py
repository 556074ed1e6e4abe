"""The manifest of a backup: its files, their hashes, and a seal that only the key can make."""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ops.errors import CannotStart

MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
KEY_FILE: Final = "secret_key"
RESTORES: Final = "restores.log"  # a line for each restore; not sealed, since it grows
FORMAT: Final = 2  # 1 had no photos


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file of a backup, as it was written."""

    sha256: str  # hex
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class PhotoCounts:
    """Photos that a backup's dump names. Those that are in it stand in a list, which is a file."""

    count: int  # in the backup
    size_bytes: int
    erased: int  # not in it: erased, file and row, while it was made
    lost: int  # not in it: the database names them still, and their folder has them not, or changed
    damaged: int = 0  # in it, from an earlier backup: the hub's folder has them changed


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    taken_at: datetime  # the database's clock, just before its snapshot
    revision: str  # of the migrations
    files: dict[str, StoredFile]  # photos are not named one by one
    photos: PhotoCounts | None  # None: made by a release that left them out


def write_manifest(folder: Path, manifest: Manifest, secret_key: str) -> None:
    """Write the manifest into a backup's folder, sealed with the installation's key."""
    facts = {
        "format": FORMAT,
        "taken_at": manifest.taken_at.isoformat(),
        "revision": manifest.revision,
        "key": _digest(secret_key, b"phopay-backup-key")[:16],
        "files": {name: asdict(file) for name, file in sorted(manifest.files.items())},
        "photos": manifest.photos and asdict(manifest.photos),
    }
    text = json.dumps({**facts, "seal": _seal(facts, secret_key)}, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path, secret_key: str) -> Manifest:
    """Read a backup's manifest, and check its seal and every file that it names.

    Photos are not read here.

    Raises:
        CannotStart: no backup, another installation's, a newer release's, incomplete, or changed
            since it was made.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise TypeError(facts)
        seal = str(facts.pop("seal"))
        key = str(facts["key"])
    except FileNotFoundError as problem:
        raise CannotStart(f"{folder} is no backup: it has no {MANIFEST}.") from problem
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise CannotStart(f"{folder / MANIFEST} cannot be read: it was changed.") from problem
    except OSError as problem:
        msg = f"{folder / MANIFEST} cannot be read: {problem.strerror}."
        raise CannotStart(msg) from problem
    if key != _digest(secret_key, b"phopay-backup-key")[:16]:
        msg = (
            f"{folder} was made with another secret key.\n"
            "Give the key of that installation: PHOPAY_SECRET_KEY_FILE, or secret_key in --data DIR"
        )
        raise CannotStart(msg)
    if not hmac.compare_digest(seal.encode("utf-8", "replace"), _seal(facts, secret_key).encode()):
        raise CannotStart(f"{folder / MANIFEST} was changed since the backup was made: refused.")
    if facts["format"] > FORMAT:
        raise CannotStart(f"{folder} was made by a newer PhoPay: restore it with that one.")
    files = {name: StoredFile(**file) for name, file in facts["files"].items()}
    for name, file in files.items():
        _check_file(folder / name, file)
    photos = facts.get("photos")
    return Manifest(
        taken_at=datetime.fromisoformat(facts["taken_at"]),
        revision=facts["revision"],
        files=files,
        photos=photos and PhotoCounts(**photos),
    )


def describe_file(path: Path) -> StoredFile:
    """Return a file's hash and size."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredFile(sha256=digest, size_bytes=path.stat().st_size)


def count_restores(folder: Path) -> int:
    """Return how often a backup was restored from this folder."""
    path = folder / RESTORES
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def note_restore(folder: Path, *, now: datetime) -> None:
    """Write down that a backup is being restored.

    Raises:
        CannotStart: the folder cannot be written.
    """
    try:
        with (folder / RESTORES).open("a", encoding="utf-8") as file:
            file.write(now.isoformat() + "\n")
    except OSError as problem:
        msg = (
            f"{folder} cannot be written ({problem.strerror}), and a backup counts its restores: "
            "else one that is restored twice would give references out twice.\n"
            "Copy it to a folder that can be written."
        )
        raise CannotStart(msg) from problem


def _check_file(path: Path, file: StoredFile) -> None:
    if not path.is_file():
        raise CannotStart(f"{path} is missing: the backup is not whole.")
    if describe_file(path) != file:
        raise CannotStart(f"{path} was changed or cut off since the backup was made: refused.")


def _seal(facts: dict[str, Any], secret_key: str) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return _digest(secret_key, b"phopay-backup-seal:" + text.encode())


def _digest(secret_key: str, text: bytes) -> str:
    return hmac.new(secret_key.encode(), text, hashlib.sha256).hexdigest()
