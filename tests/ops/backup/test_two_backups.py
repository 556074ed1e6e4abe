"""Folders of backups: their names are in UTC, and of two in one second the second waits."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from ops.backup.backup import make_backup
from ops.backup.manifest import read_manifest
from ops.errors import CannotStart
from tests.world.databases import TEST_SECRET_KEY, FreshDatabase

pytestmark = pytest.mark.database


def back_up(fresh_database: FreshDatabase, target: Path) -> Path:
    photo_dir = fresh_database.settings.data_dir / "photos"
    return make_backup(
        fresh_database.owner_url, TEST_SECRET_KEY, target, has_key=False, photo_dir=photo_dir
    ).folder


def test_a_backup_that_finds_another_under_way_leaves_it_alone(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    under_way = [
        tmp_path / f"phopay-{now + timedelta(seconds=n):%Y%m%dT%H%M%SZ}.part" for n in range(60)
    ]
    for folder in under_way:
        folder.mkdir()
        (folder / "database.dump").write_bytes(b"half")

    with pytest.raises(CannotStart, match="Another backup"):
        back_up(fresh_database, tmp_path)

    assert all((folder / "database.dump").exists() for folder in under_way)


def test_a_backup_is_named_in_utc_whatever_the_databases_time_zone(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {fresh_database.name} SET timezone = 'Asia/Ho_Chi_Minh'")

    folder = back_up(fresh_database, tmp_path)

    named = datetime.strptime(folder.name, "phopay-%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - named) < timedelta(minutes=5)
    assert read_manifest(folder, TEST_SECRET_KEY).taken_at.utcoffset() == timedelta(0)
