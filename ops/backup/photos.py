"""Photos of a backup: those that its dump names, each under the hash that is its name.

A file is on the disk before its row is committed, so the rows of a snapshot name what was there by
then. What is gone when its turn comes was erased meanwhile, or is lost: it is counted, never left
out in silence. A file is never changed, so a backup shares it with the one before by a hard link,
once both have been read. One that is damaged in the folder and whole in the backup before is taken
from there, and told: the hub serves the damaged one.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import psycopg

from ops.backup.manifest import PhotoCounts
from ops.environment import flush, write_private
from ops.errors import CannotStart
from parking.photos.store import FolderStore, name_file

PHOTOS: Final = "photos"
PHOTO_LIST: Final = "photos.sha256"  # as sha256sum writes and checks it
MISSING_LIST: Final = "photos_missing.txt"
DAMAGED_LIST: Final = "photos_damaged.txt"  # in the folder; the backup has them whole
ROWS: Final = 2_000  # of one round trip: there may be hundreds of thousands
NAMED_MAX: Final = 5  # in one error

COUNT_STILL_NAMED: Final = """
    SELECT count(*) FROM photos
    JOIN unnest(CAST(%s AS uuid[]), CAST(%s AS bytea[])) AS m (org_id, hash) USING (org_id, hash)
"""


class _Found(Enum):
    WHOLE = "whole"
    DAMAGED = "damaged"  # in the folder; an earlier backup has it whole
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Photos that a backup has."""

    count: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class PutBack:
    """What became of a backup's photos, and whether the database has the files that it names."""

    is_in_backup: bool  # False: an older release made it, without photos
    put_back: int = 0
    there_already: int = 0
    left_out: int = 0  # missing in the backup, or changed
    absent: int = 0  # named by the restored database, and not in the folder


def list_named(owner: psycopg.Connection, named: IO[str]) -> None:
    """Write down which photos the database names, as the transaction of `owner` sees it."""
    row = owner.execute("SELECT to_regclass('public.photos') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return  # at a migration from before photos
    for org_id, hash_ in _read_named(owner):
        named.write(_write_line(org_id, hash_))


def take_photos(named: Iterable[str], source: Path, folder: Path, *, earlier: Path | None) -> Taken:
    """Copy photos into a backup that is being made, and list those in it, missing and damaged.

    Args:
        named: lines of `list_named`.
        source: the installation's folder of photos.
        folder: the backup's.
        earlier: a backup on the same disk, perhaps, that has most of them.
    """
    count = size_bytes = 0
    (folder / PHOTOS).mkdir(mode=0o700)
    with (
        (folder / PHOTO_LIST).open("w", encoding="ascii") as taken,
        (folder / MISSING_LIST).open("w", encoding="ascii") as missing,
        (folder / DAMAGED_LIST).open("w", encoding="ascii") as damaged,
    ):
        for line in named:
            org_id, hash_ = _read_line(line)
            place = name_file(org_id, hash_)
            target = folder / PHOTOS / place
            for above in (target.parent.parent, target.parent):
                above.mkdir(mode=0o700, exist_ok=True)
            kept = earlier and earlier / PHOTOS / place
            found = _take(source / place, target, hash_, kept=kept)
            if found is _Found.MISSING:
                missing.write(line)
                continue
            count, size_bytes = count + 1, size_bytes + target.stat().st_size
            taken.write(line)
            if found is _Found.DAMAGED:
                damaged.write(line)
    for place_made, _, _ in os.walk(folder / PHOTOS):
        flush(Path(place_made))
    return Taken(count=count, size_bytes=size_bytes)


def count_photos(owner_url: str, folder: Path, taken: Taken) -> PhotoCounts:
    """Tell apart what is missing in a backup: lost is what the database names still."""
    with psycopg.connect(owner_url) as owner:
        missing, lost = _count_still_named(owner, folder / MISSING_LIST)
        _, damaged = _count_still_named(owner, folder / DAMAGED_LIST)
    return PhotoCounts(
        count=taken.count,
        size_bytes=taken.size_bytes,
        erased=missing - lost,
        lost=lost,
        damaged=damaged,
    )


def find_earlier(target: Path) -> Path | None:
    """Return the newest backup with photos among those that are collected in a folder, or None."""
    backups = sorted(target.glob("phopay-*Z"), reverse=True)
    return next((one for one in backups if (one / PHOTOS).is_dir()), None)


def check_photos(backup: Path) -> None:
    """Read every photo of a backup, before anything is restored.

    Raises:
        CannotStart: some are missing or were changed; it says which and how many.
    """
    count = bad = 0
    first: list[str] = []
    for line in _read_lines(backup / PHOTO_LIST):
        org_id, hash_ = _read_line(line)
        path = backup / PHOTOS / name_file(org_id, hash_)
        count += 1
        if not _has_hash(path, hash_):
            bad += 1
            if bad <= NAMED_MAX:
                first.append(f"  {path} {'was changed' if path.is_file() else 'is missing'}")
    if not bad:
        return
    head = (
        f"Of the backup's {count:,} photos, {bad:,} are missing or were changed since it was made."
    )
    lines = [head, "Nothing was restored.", *first]
    if bad > NAMED_MAX:
        lines.append(f"  and {bad - NAMED_MAX:,} more")
    lines.append("Take another copy of the backup, or restore it without these: --skip-bad-photos")
    raise CannotStart("\n".join(lines))


def put_photos_back(backup: Path, photo_dir: Path) -> PutBack:
    """Put a backup's photos into the installation's folder, where they do not lie there whole.

    The folder keeps what else is in it. Photos go before rows, as ever: what a restore that then
    fails has put there are files without a row, or the very photos that are there.

    Raises:
        CannotStart: the folder cannot be written.
    """
    store = FolderStore(photo_dir)
    put_back = there_already = left_out = 0
    for line in _read_lines(backup / PHOTO_LIST):
        org_id, hash_ = _read_line(line)
        place = name_file(org_id, hash_)
        if _has_hash(photo_dir / place, hash_):
            there_already += 1
            continue
        jpeg = _read(backup / PHOTOS / place, hash_)
        if jpeg is None:
            left_out += 1
            continue
        try:
            store.delete(org_id, hash_)  # one that is not what its name says
            store.put(org_id, hash_, jpeg)
        except OSError as problem:
            msg = (
                f"{photo_dir} cannot be written: {problem.strerror}.\n"
                "The database was left as it is. Photos that were put back stay."
            )
            raise CannotStart(msg) from problem
        put_back += 1
    return PutBack(
        is_in_backup=True, put_back=put_back, there_already=there_already, left_out=left_out
    )


def count_absent(owner_url: str, photo_dir: Path) -> int:
    """Return how many photos the database names that are not in the folder."""
    with psycopg.connect(owner_url) as owner:
        return sum(
            not os.path.isfile(photo_dir / name_file(org_id, hash_))
            for org_id, hash_ in _read_named(owner)
        )


def _read_named(owner: psycopg.Connection) -> Iterator[tuple[UUID, bytes]]:
    with owner.cursor("named_photos") as cursor:
        cursor.itersize = ROWS
        cursor.execute("SELECT org_id, hash FROM public.photos ORDER BY org_id, hash")
        yield from cursor


def _count_still_named(owner: psycopg.Connection, path: Path) -> tuple[int, int]:
    """Return how many photos a list has, and how many of them the database names by now."""
    count = named = 0
    lines = _read_lines(path)
    while batch := [_read_line(line) for line in islice(lines, ROWS)]:
        org_ids, hashes = [one[0] for one in batch], [one[1] for one in batch]
        row = owner.execute(COUNT_STILL_NAMED, [org_ids, hashes]).fetchone()
        assert row is not None
        count, named = count + len(batch), named + row[0]
    return count, named


def _take(path: Path, target: Path, hash_: bytes, *, kept: Path | None) -> _Found:
    """Link or copy one photo into a backup, from an earlier one where the folder's is damaged."""
    jpeg = _read(path, hash_)
    if jpeg is None and not os.path.lexists(path):
        return _Found.MISSING  # also where an earlier backup has it: it may have been erased
    kept_jpeg = _read(kept, hash_) if kept is not None else None
    if kept is None or kept_jpeg is None or not _link(kept, target):
        content = jpeg if jpeg is not None else kept_jpeg
        if content is None:
            return _Found.MISSING
        write_private(target, content)
    return _Found.WHOLE if jpeg is not None else _Found.DAMAGED


def _link(kept: Path, target: Path) -> bool:
    try:
        target.hardlink_to(kept)
    except OSError:  # a disk that has no links, or no more of them
        return False
    return True


def _read(path: Path, hash_: bytes) -> bytes | None:
    """Read a photo, or return None where it is not there, cannot be read or is another."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if sha256(content).digest() == hash_ else None


def _has_hash(path: Path, hash_: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").digest() == hash_
    except OSError:
        return False


def _write_line(org_id: UUID, hash_: bytes) -> str:
    return f"{hash_.hex()}  {PHOTOS}/{name_file(org_id, hash_).as_posix()}\n"


def _read_line(line: str) -> tuple[UUID, bytes]:
    # The list is ours, or sealed. A name is made anew from what the line says, never followed.
    hash_, path = line.split()
    return UUID(path.split("/")[1]), bytes.fromhex(hash_)


def _read_lines(path: Path) -> Iterator[str]:
    with path.open(encoding="ascii") as lines:
        yield from lines
