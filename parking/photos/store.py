"""The store of photos: a protocol of four calls, and the folder that answers it.

Another store (an object store of the city's) answers the same four; all are idempotent.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from core.settings import Settings


class PhotoStore(Protocol):
    """Keeps pictures by organisation and hash. Every call may block: run it in a thread."""

    def put(self, org_id: UUID, hash_: bytes, jpeg: bytes) -> None:
        """Keep a picture; it survives a power cut once this returns."""

    def get(self, org_id: UUID, hash_: bytes) -> bytes | None:
        """Return a picture, or None if there is none."""

    def delete(self, org_id: UUID, hash_: bytes) -> None:
        """Erase a picture; one that is not there is fine."""

    def list_hashes(self, org_id: UUID, *, before: datetime) -> Iterator[bytes]:
        """List what was put before an instant for an organisation."""


def find_folder(settings: Settings) -> Path:
    """Return the folder of an installation's pictures: of hub, worker and backups alike."""
    return settings.photo_dir or settings.data_dir / "photos"


def name_file(org_id: UUID, hash_: bytes) -> Path:
    """Return where a picture lies below the folder: `<org>/<first two digits>/<hash>.jpg`."""
    name = hash_.hex()
    return Path(org_id.hex, name[:2], f"{name}.jpg")


class FolderStore:
    """Keeps pictures in a folder, each under the name of `name_file`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, org_id: UUID, hash_: bytes, jpeg: bytes) -> None:
        """Write it whole or not at all; the same picture twice is one file."""
        path = self._path(org_id, hash_)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, half_done = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(jpeg)
                file.flush()
                os.fsync(file.fileno())
            os.replace(half_done, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(half_done)
            raise
        _flush(path.parent)

    def get(self, org_id: UUID, hash_: bytes) -> bytes | None:
        """Read it."""
        try:
            return self._path(org_id, hash_).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, org_id: UUID, hash_: bytes) -> None:
        """Erase it."""
        self._path(org_id, hash_).unlink(missing_ok=True)

    def list_hashes(self, org_id: UUID, *, before: datetime) -> Iterator[bytes]:
        """List what was written before an instant."""
        for path in self._folder.joinpath(org_id.hex).glob("??/*.jpg"):
            with suppress(ValueError, FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    yield bytes.fromhex(path.stem)

    def _path(self, org_id: UUID, hash_: bytes) -> Path:
        return self._folder.joinpath(name_file(org_id, hash_))


def _flush(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
