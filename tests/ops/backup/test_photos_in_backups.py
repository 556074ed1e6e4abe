"""Photos in backups: all that the dump names, told where one is not, and put back whole."""

import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from core.db import Database
from ops.backup import photos as backup_photos
from ops.backup.backup import Backup, make_backup, word_backup
from ops.backup.manifest import DUMP, PhotoCounts, describe_file, read_manifest, write_manifest
from ops.backup.photos import (
    DAMAGED_LIST,
    MISSING_LIST,
    PHOTO_LIST,
    PutBack,
    put_photos_back,
)
from ops.backup.restore import Restored, restore_backup, word_restored
from ops.cli.__main__ import main
from ops.errors import CannotStart
from ops.postgres.supervisor import Cluster
from parking.photos.rules import Picture
from parking.photos.service import Photos
from parking.photos.store import name_file
from tests.world.databases import (
    TEST_SECRET_KEY,
    FreshDatabase,
    create_database,
    open_database_at,
)
from tests.world.lots import LotFacts, a_lot
from tests.world.photos import keep_photos, photos_in
from tests.world.waits import wait_until

pytestmark = pytest.mark.anyio

COUNT_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


@dataclass(frozen=True, kw_only=True)
class City:
    """An installation with a lot and photos; no hub is connected when a backup is restored."""

    database: FreshDatabase
    folder: Path  # of its photos
    hub: Database
    photos: Photos
    lot: LotFacts

    async def keep(self, count: int) -> list[Picture]:
        return await keep_photos(self.photos, self.lot, count)

    def file(self, picture: Picture, folder: Path | None = None) -> Path:
        return (folder or self.folder) / name_file(self.lot.org.id, picture.hash)

    def back_up(self, target: Path) -> Backup:
        return make_backup(
            self.database.owner_url,
            TEST_SECRET_KEY,
            target,
            has_key=False,
            photo_dir=self.folder,
        )


@pytest.fixture
async def city(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[City]:
    """A city whose photos lie in a folder of the test's."""
    folder = tmp_path / "photos of the city"
    async with open_database_at(fresh_database.app_url, fresh_database.settings) as hub:
        lot, photos = await a_lot(hub), photos_in(folder, hub)
        yield City(database=fresh_database, folder=folder, hub=hub, photos=photos, lot=lot)


@pytest.fixture
def target(cluster: Cluster) -> Iterator[FreshDatabase]:
    """An empty database, as on a new machine."""
    with create_database(cluster, template="template0") as empty:
        yield empty


@pytest.fixture
def command(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that backs the city up, with the photos' folder told as to the hub."""
    for name, value in city.database.environment.items():  # main() writes them, too
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHOPAY_PROCESS_NAME", "backup")
    monkeypatch.setenv("PHOPAY_PHOTO_DIR", str(city.folder))
    return ["backup", str(tmp_path / "backups"), "--data", str(tmp_path / "data")]


def restore(
    target: FreshDatabase, folder: Path, photo_dir: Path, *, may_skip_photos: bool = False
) -> Restored:
    return restore_backup(
        target.owner_url,
        TEST_SECRET_KEY,
        folder,
        photo_dir=photo_dir,
        may_replace=False,
        may_skip_photos=may_skip_photos,
    )


def backdate(folder: Path) -> Path:
    """Give a backup an earlier second, so that the next need not wait for another one."""
    return folder.rename(folder.with_name("phopay-20200101T000000Z"))


@contextmanager
def dump_held_up(city: City, back_up: Callable[[], None]) -> Iterator[None]:
    """Run a backup whose snapshot is taken at the beginning of the block, its dump at the end."""
    backing_up = threading.Thread(target=back_up)
    with psycopg.connect(city.database.owner_url) as holds_up:
        holds_up.execute("LOCK TABLE bills")  # pg_dump waits for it, with its snapshot taken
        backing_up.start()
        with psycopg.connect(city.database.owner_url, autocommit=True) as looks:
            wait_until(lambda: _is_dump_waiting(looks))
        yield
    backing_up.join()


def count_tables(target: FreshDatabase) -> int:
    with psycopg.connect(target.owner_url) as owner:
        row = owner.execute(COUNT_TABLES).fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.slow
async def test_every_photo_that_the_dump_names_is_in_the_backup_and_comes_back(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    kept = await city.keep(5)
    made = city.back_up(tmp_path / "backups")

    restored = restore(target, made.folder, new := tmp_path / "new")

    size = sum(len(one.jpeg) for one in kept)
    counts = PhotoCounts(count=5, size_bytes=size, erased=0, lost=0)
    assert read_manifest(made.folder, TEST_SECRET_KEY).photos == made.photos == counts
    assert restored.photos == PutBack(is_in_backup=True, put_back=5)
    for one in kept:
        assert sha256(city.file(one, new).read_bytes()).digest() == one.hash
    assert [path.name for path in new.glob("**/.*")] == []


@pytest.mark.slow
async def test_nobody_else_reads_a_backup_or_a_restored_photo(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    kept = await city.keep(1)
    before = os.umask(0)
    try:
        folder = city.back_up(tmp_path / "backups").folder
        restore(target, folder, new := tmp_path / "new")
    finally:
        os.umask(before)

    (folder / "restores.log").unlink()  # says when, and no more
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))}
    assert modes == {(True, 0o700), (False, 0o600)}
    assert city.file(kept[0], new).stat().st_mode & 0o777 == 0o600


async def test_the_list_can_be_checked_by_sha256sum_and_is_sealed(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    first, second = await city.keep(2)
    folder = city.back_up(tmp_path / "backups").folder
    lines = (folder / PHOTO_LIST).read_text().splitlines()

    listed = {line.split("  ")[0]: folder / line.split("  ")[1] for line in lines}
    assert {name: sha256(path.read_bytes()).hexdigest() for name, path in listed.items()} == {
        one.hash.hex(): one.hash.hex() for one in (first, second)
    }
    (folder / PHOTO_LIST).write_text(lines[0] + "\n")  # as if there had been one
    with pytest.raises(CannotStart, match=r"photos\.sha256 was changed"):
        restore(target, folder, tmp_path / "new")


async def test_a_second_backup_shares_the_photos_of_the_first_and_needs_it_no_more(
    city: City, tmp_path: Path
) -> None:
    old, damaged = await city.keep(2)
    first = backdate(city.back_up(tmp_path / "backups").folder)
    (new,) = await city.keep(1)
    city.file(damaged, first / "photos").write_bytes(b"what a bad disk made of it")

    second = city.back_up(tmp_path / "backups")

    there = second.folder / "photos"
    assert second.photos.count == 3
    assert city.file(old, there).samefile(city.file(old, first / "photos"))
    assert not city.file(old, there).samefile(city.file(old))  # the hub's own is another
    for one in (old, damaged, new):
        assert city.file(one, there).read_bytes() == one.jpeg


async def test_a_photo_that_is_erased_while_a_backup_is_made_is_counted_and_a_new_one_left(
    city: City, tmp_path: Path
) -> None:
    erased, stays = await city.keep(2)
    made: list[Backup] = []
    with dump_held_up(city, lambda: made.append(city.back_up(tmp_path / "backups"))):
        await city.photos.erase(city.lot.org.id, erased.hash)
        (later,) = await city.keep(1)

    (backup,) = made
    assert backup.photos == PhotoCounts(count=1, size_bytes=len(stays.jpeg), erased=1, lost=0)
    assert erased.hash.hex() in (backup.folder / MISSING_LIST).read_text()
    assert later.hash.hex() not in (backup.folder / PHOTO_LIST).read_text()
    assert "erased meanwhile: 1" in "".join(word_backup(backup, city.folder))


@pytest.mark.slow
async def test_photos_that_their_folder_has_not_or_not_whole_are_told_and_no_failure(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    whole, gone, cut_off, unreadable = await city.keep(4)
    city.file(gone).unlink()
    city.file(cut_off).write_bytes(cut_off.jpeg[:-1])
    city.file(unreadable).unlink()
    city.file(unreadable).mkdir()

    backup = city.back_up(tmp_path / "backups")

    assert backup.photos == PhotoCounts(count=1, size_bytes=len(whole.jpeg), erased=0, lost=3)
    assert "PHOTOS ARE LOST: 3" in "".join(word_backup(backup, city.folder))
    missing = (backup.folder / MISSING_LIST).read_text()
    assert [one.hash.hex() in missing for one in (whole, gone, cut_off, unreadable)] == [
        *(False, True, True, True)
    ]
    restored = restore(target, backup.folder, tmp_path / "new")
    assert restored.photos == PutBack(is_in_backup=True, put_back=1, absent=3)
    assert "PHOTOS ARE ABSENT: the database names 3" in "".join(word_restored(restored))


@pytest.mark.slow
async def test_a_photo_that_is_damaged_here_and_whole_in_an_earlier_backup_is_taken_and_told(
    city: City, command: list[str], target: FreshDatabase, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    whole, cut_off, changed, unreadable, bad_twice = kept = await city.keep(5)
    first = backdate(city.back_up(tmp_path / "backups").folder)
    city.file(cut_off).write_bytes(cut_off.jpeg[:-1])
    city.file(changed).write_bytes(whole.jpeg)
    city.file(unreadable).unlink()
    city.file(unreadable).mkdir()
    for folder in (None, first / "photos"):
        city.file(bad_twice, folder).write_bytes(b"what a bad disk made of it")

    assert main(command) == 1

    said = capsys.readouterr()
    assert "PHOTOS ARE DAMAGED: 3" in said.err
    assert "PHOTOS ARE LOST: 1" in said.err
    backup = Path(said.out.strip())
    counts = read_manifest(backup, TEST_SECRET_KEY).photos
    assert counts is not None
    assert (counts.count, counts.damaged, counts.lost) == (4, 3, 1)
    damaged = (backup / DAMAGED_LIST).read_text()
    assert [one.hash.hex() in damaged for one in kept] == [False, True, True, True, False]
    assert bad_twice.hash.hex() in (backup / MISSING_LIST).read_text()
    restored = restore(target, backup, new := tmp_path / "new")
    assert restored.photos == PutBack(is_in_backup=True, put_back=4, absent=1)
    for one in (whole, cut_off, changed, unreadable):
        assert city.file(one, new).read_bytes() == one.jpeg


async def test_a_photo_that_is_damaged_in_the_earlier_backup_alone_is_taken_and_no_damage(
    city: City, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = await city.keep(1)
    first = backdate(city.back_up(tmp_path / "backups").folder)
    city.file(one, first / "photos").write_bytes(b"what a bad disk made of it")

    assert main(command) == 0

    said = capsys.readouterr()
    assert "DAMAGED" not in said.err
    assert (Path(said.out.strip()) / DAMAGED_LIST).read_text() == ""


async def test_a_damaged_photo_is_taken_from_an_earlier_backup_where_a_disk_has_no_links(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = await city.keep(1)
    backdate(city.back_up(tmp_path / "backups").folder)
    city.file(one).write_bytes(b"what a bad disk made of it")
    monkeypatch.setattr(Path, "hardlink_to", _refuse_link)

    backup = city.back_up(tmp_path / "backups")

    assert (backup.photos.count, backup.photos.damaged, backup.photos.lost) == (1, 1, 0)
    assert city.file(one, backup.folder / "photos").read_bytes() == one.jpeg


async def test_a_photo_that_was_erased_does_not_come_back_from_an_earlier_backup(
    city: City, tmp_path: Path
) -> None:
    """Its row is there for a moment longer than its file."""
    (one,) = await city.keep(1)
    backdate(city.back_up(tmp_path / "backups").folder)
    city.file(one).unlink()

    assert city.back_up(tmp_path / "backups").photos.count == 0


async def test_a_command_that_does_not_find_the_photos_makes_the_backup_and_ends_with_one(
    city: City, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    await city.keep(2)
    monkeypatch.delenv("PHOPAY_PHOTO_DIR")

    assert main(command) == 1
    said = capsys.readouterr()
    assert f"NO FOLDER {tmp_path / 'data' / 'photos'}" in said.err
    assert "names 2 photos" in said.err
    backdate(Path(said.out.strip()))

    monkeypatch.setenv("PHOPAY_PHOTO_DIR", str(city.folder))
    assert main(command) == 0
    assert "Photos in it: 2" in capsys.readouterr().err


async def test_a_command_that_finds_an_empty_folder_makes_the_backup_and_ends_with_one(
    city: City, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A volume that was not mounted, or another path than the hub's."""
    await city.keep(2)
    monkeypatch.delenv("PHOPAY_PHOTO_DIR")
    (tmp_path / "data" / "photos").mkdir(parents=True)

    assert main(command) == 1
    said = capsys.readouterr()
    assert "Photos in it: 0" in said.err
    assert "PHOTOS ARE LOST: 2" in said.err
    assert (Path(said.out.strip()) / DUMP).is_file()


async def test_a_command_that_loses_one_photo_of_many_ends_with_one(
    city: City, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    gone, *_ = await city.keep(3)
    city.file(gone).unlink()

    assert main(command) == 1
    assert "PHOTOS ARE LOST: 1" in capsys.readouterr().err


async def test_a_command_during_which_a_photo_is_erased_ends_with_zero(
    city: City, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    erased, _ = await city.keep(2)
    ended: list[int] = []
    with dump_held_up(city, lambda: ended.append(main(command))):
        await city.photos.erase(city.lot.org.id, erased.hash)

    assert ended == [0]
    assert "erased meanwhile: 1" in capsys.readouterr().err


@pytest.mark.slow
async def test_the_command_restores_photos_into_the_data_folder_that_it_is_given(
    city: City,
    target: FreshDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, damaged = await city.keep(2)
    folder = city.back_up(tmp_path / "backups").folder
    city.file(damaged, folder / "photos").unlink()
    for name, value in target.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHOPAY_PROCESS_NAME", "restore")
    command = ["restore", str(folder), "--data", str(new := tmp_path / "new")]

    assert main(command) == 1
    assert "1 are missing or were changed" in capsys.readouterr().err
    assert main([*command, "--skip-bad-photos"]) == 0
    assert "Photos put back: 1." in capsys.readouterr().err
    assert city.file(one, new / "photos").read_bytes() == one.jpeg


@pytest.mark.slow
async def test_a_backup_with_missing_or_changed_photos_is_refused_before_anything_is_written(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    kept = await city.keep(8)
    folder = city.back_up(tmp_path / "backups").folder
    paths = [city.file(one, folder / "photos") for one in kept]
    paths[0].write_bytes(kept[1].jpeg)
    for path in paths[1:7]:
        path.unlink()

    with pytest.raises(CannotStart) as refused:
        restore(target, folder, new := tmp_path / "new")

    said = str(refused.value)
    assert "Of the backup's 8 photos, 7 are missing or were changed" in said
    named = [path for path in paths if str(path) in said]
    assert len(named) == backup_photos.NAMED_MAX
    assert "and 2 more" in said
    assert "--skip-bad-photos" in said
    assert not new.exists()
    assert count_tables(target) == 0
    assert not (folder / "restores.log").exists()

    restored = restore(target, folder, new, may_skip_photos=True)
    assert restored.photos == PutBack(is_in_backup=True, put_back=1, left_out=7, absent=7)
    assert [path.stem for path in new.glob("*/*/*.jpg")] == [kept[7].hash.hex()]
    assert "PHOTOS WERE LEFT OUT: 7" in "".join(word_restored(restored))


@pytest.mark.slow
async def test_a_folder_that_has_photos_keeps_them_and_only_changed_ones_are_replaced(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    same, changed, gone = await city.keep(3)
    folder = city.back_up(tmp_path / "backups").folder
    (later,) = await city.keep(1)
    untouched = city.file(same).stat()
    city.file(changed).write_bytes(b"what a bad disk made of it")
    city.file(gone).unlink()

    restored = restore(target, folder, city.folder)

    assert restored.photos == PutBack(is_in_backup=True, put_back=2, there_already=1)
    for one in (same, changed, gone, later):
        assert city.file(one).read_bytes() == one.jpeg
    assert city.file(same).stat().st_ino == untouched.st_ino


@pytest.mark.slow
async def test_a_backup_of_a_release_that_left_photos_out_is_restored_and_says_so(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    await city.keep(2)
    folder = city.back_up(tmp_path / "backups").folder
    manifest = read_manifest(folder, TEST_SECRET_KEY)
    for name in (PHOTO_LIST, MISSING_LIST, DAMAGED_LIST):
        (folder / name).unlink()
    old = type(manifest)(
        taken_at=manifest.taken_at,
        revision=manifest.revision,
        files={DUMP: describe_file(folder / DUMP)},
        photos=None,
    )
    write_manifest(folder, old, TEST_SECRET_KEY)

    restored = restore(target, folder, tmp_path / "new")

    assert restored.photos == PutBack(is_in_backup=False, absent=2)
    said = "\n".join(word_restored(restored))
    assert "has no photos" in said
    assert "PHOTOS ARE ABSENT: the database names 2" in said


async def test_a_folder_that_cannot_be_written_leaves_the_database_as_it_is(
    city: City, target: FreshDatabase, tmp_path: Path
) -> None:
    await city.keep(1)
    folder = city.back_up(tmp_path / "backups").folder
    (new := tmp_path / "new").write_text("a file where a folder should be")

    with pytest.raises(CannotStart, match="new cannot be written"):
        restore(target, folder, new)

    assert count_tables(target) == 0
    with pytest.raises(CannotStart, match="cannot be written"):
        put_photos_back(folder, new)


def _refuse_link(path: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "as FAT answers", str(path), None, str(target))


def _is_dump_waiting(looks: psycopg.Connection) -> bool:
    query = """
        SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'pg_dump' AND wait_event_type = 'Lock'
    """
    return looks.execute(query).fetchone() is not None
