"""The pure parts of backup and restore: the manifest, and how far serials move on."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.backup.manifest import (
    DUMP,
    MANIFEST,
    Manifest,
    PhotoCounts,
    count_restores,
    describe_file,
    note_restore,
    read_manifest,
    write_manifest,
)
from ops.errors import CannotStart
from payments.bills.serials import serials_to_skip
from payments.payees.rules import LOST_BURST_MAX, LOST_PER_SECOND_MAX

KEY, OTHER_KEY = "k" * 44, "o" * 44
NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
PHOTOS = PhotoCounts(count=12_000, size_bytes=900_000_000, erased=2, lost=1)
# As 0.2 wrote it.
BEFORE_PHOTOS = """\
{
  "format": 1,
  "taken_at": "2026-11-20T05:00:00+00:00",
  "revision": "m0006",
  "key": "efcda6e0266f382c",
  "files": {
    "database.dump": {
      "sha256": "b2c84de4cbb35ee2ca01d808633bf1129de3adb0d2b6fc5a8a64672ed7f02280",
      "size_bytes": 21
    }
  },
  "seal": "19c8e39fea8223b6a09785256dd66a5865efa5fbf17a6862f2c1503e9f6c71b4"
}
"""


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    (tmp_path / DUMP).write_bytes(b"PGDMP of a small town")
    files = {DUMP: describe_file(tmp_path / DUMP)}
    manifest = Manifest(taken_at=NOON, revision="m0006", files=files, photos=PHOTOS)
    write_manifest(tmp_path, manifest, KEY)
    return tmp_path


def test_a_manifest_is_read_as_it_was_written(backup: Path) -> None:
    manifest = read_manifest(backup, KEY)

    assert (manifest.taken_at, manifest.revision) == (NOON, "m0006")
    assert manifest.files == {DUMP: describe_file(backup / DUMP)}
    assert manifest.photos == PHOTOS
    assert KEY not in (backup / MANIFEST).read_text()


@pytest.mark.parametrize("changed", [b"PGDMP of a small towm", b"PGDMP of a small tow", b""])
def test_a_dump_that_was_changed_or_cut_off_is_refused(backup: Path, changed: bytes) -> None:
    (backup / DUMP).write_bytes(changed)
    with pytest.raises(CannotStart, match="changed or cut off"):
        read_manifest(backup, KEY)


def test_a_backup_without_its_dump_or_manifest_is_refused(backup: Path, tmp_path: Path) -> None:
    (backup / DUMP).unlink()
    with pytest.raises(CannotStart, match="missing"):
        read_manifest(backup, KEY)
    with pytest.raises(CannotStart, match="no backup"):
        read_manifest(tmp_path / "nothing", KEY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("taken_at", "2026-11-27T05:00:00+00:00"),
        ("revision", "m0001"),
        ("files", {}),
        ("photos", None),
        ("photos", {"count": 0, "size_bytes": 0, "erased": 0, "lost": 0}),
        ("format", 1),
        ("seal", "0" * 64),
        ("seal", "đ" * 64),
        ("seal", "\ud800"),
        ("seal", None),
    ],
)
def test_a_manifest_that_was_changed_is_refused(backup: Path, name: str, value: object) -> None:
    facts = json.loads((backup / MANIFEST).read_text())
    (backup / MANIFEST).write_text(json.dumps({**facts, name: value}))
    with pytest.raises(CannotStart, match="changed since"):
        read_manifest(backup, KEY)


def test_a_manifest_of_a_release_that_left_photos_out_is_read(tmp_path: Path) -> None:
    (tmp_path / DUMP).write_bytes(b"PGDMP of a small town")
    (tmp_path / MANIFEST).write_text(BEFORE_PHOTOS)

    manifest = read_manifest(tmp_path, KEY)

    assert (manifest.revision, manifest.photos) == ("m0006", None)


def test_a_backup_of_a_newer_release_is_left_to_that_one(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("ops.backup.manifest.FORMAT", 3)
        write_manifest(backup, read_manifest(backup, KEY), KEY)

    with pytest.raises(CannotStart, match="newer PhoPay"):
        read_manifest(backup, KEY)


def test_a_manifest_that_is_none_is_refused(backup: Path) -> None:
    for text in ("", "{", "[]", "{}", "null", '"x"', "7", "true", '[{"seal": 1}]', "[" * 10**5):
        (backup / MANIFEST).write_text(text)
        with pytest.raises(CannotStart, match="cannot be read"):
            read_manifest(backup, KEY)
    (backup / MANIFEST).unlink()
    (backup / MANIFEST).mkdir()
    with pytest.raises(CannotStart, match="cannot be read"):
        read_manifest(backup, KEY)


def test_a_dump_put_in_with_its_own_hash_needs_the_key(backup: Path) -> None:
    (backup / DUMP).write_bytes(b"another's")
    facts = json.loads((backup / MANIFEST).read_text())
    stored = describe_file(backup / DUMP)
    facts["files"][DUMP] = {"sha256": stored.sha256, "size_bytes": stored.size_bytes}
    (backup / MANIFEST).write_text(json.dumps(facts))
    with pytest.raises(CannotStart, match="changed since"):
        read_manifest(backup, KEY)


def test_another_installations_backup_is_refused_with_the_way_out(backup: Path) -> None:
    with pytest.raises(CannotStart, match="PHOPAY_SECRET_KEY_FILE"):
        read_manifest(backup, OTHER_KEY)


def test_a_backup_counts_its_restores(backup: Path) -> None:
    assert count_restores(backup) == 0
    note_restore(backup, now=NOON)
    note_restore(backup, now=NOON)
    assert count_restores(backup) == 2
    read_manifest(backup, KEY)  # the count is no part of what is sealed


def test_a_backup_of_last_night_skips_what_a_code_can_have_handed_out_since() -> None:
    day = timedelta(days=1)
    assert serials_to_skip(timedelta(0)) == LOST_BURST_MAX + LOST_PER_SECOND_MAX
    assert serials_to_skip(day) == LOST_BURST_MAX + LOST_PER_SECOND_MAX * 86_401 == 9_640_100
    assert serials_to_skip(day, restores_before=1) == 10_640_100


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(0, LOST_BURST_MAX)), min_size=1, max_size=9
    )
)
def test_a_backup_that_is_restored_again_and_again_never_returns_to_what_was_given_out(
    steps: list[tuple[int, int]],
) -> None:
    """Each step: so many seconds go by, a burst and 100 a second are given out, then a restore."""
    next_serial = given_out = passed_s = 0
    for restores_before, (seconds, burst) in enumerate(steps):
        passed_s += seconds
        given_out = next_serial + burst + LOST_PER_SECOND_MAX * seconds
        next_serial = serials_to_skip(timedelta(seconds=passed_s), restores_before=restores_before)
        assert next_serial >= given_out  # the first serial after what was given out
