"""Two backups of one second: the second leaves the first alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.backup.backup import make_backup
from ops.errors import CannotStart
from tests.world.databases import TEST_SECRET_KEY, FreshDatabase

pytestmark = pytest.mark.database


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
        make_backup(fresh_database.owner_url, TEST_SECRET_KEY, tmp_path, has_key=False)

    assert all((folder / "database.dump").exists() for folder in under_way)
