"""Backups of an installation: the database in one snapshot, the photos that it names, and a sealed
manifest beside them.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from ops.backup.manifest import (
    DUMP,
    KEY_FILE,
    Manifest,
    PhotoCounts,
    StoredFile,
    describe_file,
    write_manifest,
)
from ops.backup.photos import (
    DAMAGED_LIST,
    MISSING_LIST,
    PHOTO_LIST,
    count_photos,
    find_earlier,
    list_named,
    take_photos,
)
from ops.environment import flush
from ops.errors import CannotStart
from ops.migrate import read_current
from ops.postgres.tools import dump_database


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A backup that was made."""

    folder: Path
    photos: PhotoCounts
    has_photo_folder: bool  # False: nothing was found where the photos should lie


def make_backup(
    owner_url: str, secret_key: str, target: Path, *, has_key: bool, photo_dir: Path
) -> Backup:
    """Back an installation up into a new folder below `target`.

    Args:
        owner_url: postgresql:// address of the database's owner.
        secret_key: seals the manifest.
        target: an existing folder, or one to make; another disk, better another machine's. Photos
            that an earlier backup in it has are shared with that one.
        has_key: put the secret key into the backup. Whoever has the backup then has the secrets.
        photo_dir: the installation's photos.

    Raises:
        CannotStart: the database is empty or does not answer, or the folder cannot be written.
    """
    revision = read_current(owner_url)
    if revision is None:
        raise CannotStart("The database is empty: there is nothing to back up.")
    with psycopg.connect(owner_url) as owner:
        # Dump and photos are of one snapshot; pg_dump joins the one that is exported here.
        owner.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        owner.read_only = True
        row = owner.execute("SELECT now(), pg_export_snapshot()").fetchone()
        assert row is not None
        taken_at: datetime = row[0].astimezone(UTC)  # in the zone of the database, or the role
        folder = target / f"phopay-{taken_at:%Y%m%dT%H%M%SZ}"
        half_done = folder.with_name(folder.name + ".part")
        _begin(folder, half_done)
        try:
            with tempfile.TemporaryFile("w+", encoding="ascii", dir=half_done) as named:
                list_named(owner, named)
                dump_database(owner_url, half_done / DUMP, snapshot=row[1])
                owner.close()  # photos take long, and an open snapshot holds vacuum back
                named.seek(0)
                taken = take_photos(named, photo_dir, half_done, earlier=find_earlier(target))
            photos = count_photos(owner_url, half_done, taken)
            key = secret_key if has_key else None
            files = _list_files(half_done, key)
            manifest = Manifest(taken_at=taken_at, revision=revision, files=files, photos=photos)
            write_manifest(half_done, manifest, secret_key)
            _finish(half_done, folder)
        except OSError as problem:
            raise CannotStart(f"{target} cannot be written: {problem.strerror}") from problem
        finally:
            shutil.rmtree(half_done, ignore_errors=True)
    return Backup(folder=folder, photos=photos, has_photo_folder=os.path.isdir(photo_dir))


def word_backup(backup: Backup, photo_dir: Path) -> list[str]:
    """Say which photos are in a backup, and which are not."""
    photos = backup.photos
    lines = [f"Photos in it: {photos.count:,} ({photos.size_bytes / 10**6:,.1f} MB)."]
    if photos.erased:
        lines.append(f"Photos that were erased meanwhile: {photos.erased:,}.")
    if photos.lost and not backup.has_photo_folder:
        lines.append(
            f"THERE IS NO FOLDER {photo_dir}, and the database names {photos.lost:,} photos.\n"
            "Say where they lie, as to the hub: PHOPAY_PHOTO_DIR or --data DIR"
        )
    elif photos.lost:
        lines.append(
            f"PHOTOS ARE LOST: {photos.lost:,} that the database names are not in {photo_dir}, or "
            f"were changed there; see {backup.folder / MISSING_LIST}"
        )
    if photos.damaged:
        lines.append(
            f"PHOTOS ARE DAMAGED: {photos.damaged:,} in {photo_dir}, and the hub cannot show them "
            "as they were. This backup has them whole, from an earlier one: copy them back. "
            f"See {backup.folder / DAMAGED_LIST}"
        )
    return lines


def _begin(folder: Path, half_done: Path) -> None:
    """Make the folder that a backup is written into until it is whole."""
    if folder.exists():
        raise CannotStart(f"{folder} is there already: wait a second, then try again.")
    try:
        half_done.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise CannotStart(f"Another backup writes {half_done}: wait, then try again.") from None
    except OSError as problem:
        msg = f"{half_done.parent} cannot be written: {problem.strerror}"
        raise CannotStart(msg) from problem


def _list_files(half_done: Path, key: str | None) -> dict[str, StoredFile]:
    """Describe the files that the manifest names, the key among them where one is given."""
    names = [DUMP, PHOTO_LIST, MISSING_LIST, DAMAGED_LIST]
    if key is not None:
        names.append(KEY_FILE)
        (half_done / KEY_FILE).write_text(key + "\n", encoding="ascii")
    return {name: describe_file(half_done / name) for name in names}


def _finish(half_done: Path, folder: Path) -> None:
    """Give a backup its name, once all of it is on the disk: a folder that has one is whole."""
    for path in half_done.iterdir():
        if path.is_file():
            path.chmod(0o600)
        flush(path)
    flush(half_done)
    half_done.rename(folder)
    flush(folder.parent)
