"""Restoring a backup, and what a database that went back in time must not do again.

It has forgotten the references that it gave out since, who signed out, and which set-up tokens were
used. So, in the transaction that loads it, every code's next serial moves on past whatever was
lost, everybody is signed out, and open set-up tokens end. What only people can put right again is
in docs/production.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from core.ids import new_id
from identity.organisations.models import SERVER_AND_TIMELINE
from ops.backup.manifest import DUMP, Manifest, count_restores, note_restore, read_manifest
from ops.backup.photos import PutBack, check_photos, count_absent, put_photos_back
from ops.environment import SERVICE_ROLES
from ops.errors import CannotStart, MadeByOtherRelease
from ops.migrate import list_revisions, read_current, refuse_other_release, upgrade
from ops.postgres.tools import load_dump
from payments.bills.references import SERIAL_COUNT
from payments.bills.serials import serials_to_skip
from payments.invariants.queries import INVARIANTS

LOCK_TIMEOUT_S: Final = 10

# Nobody but the owner is changed here: the schema is made anew, so that nothing old is left in it.
EMPTY_SCHEMA: Final = """
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
"""
# `at_least` is what the database that is replaced had reached: (code, next serial). A code made in
# the lost time is made again by people, so new codes start further on as well: the column's default
# carries that from backup to backup.
ADVANCE_SERIALS: Final = """
    SET LOCAL search_path = public;
    UPDATE organisation_codes c
    SET next_serial = least({count}, greatest(
        c.next_serial + {skip},
        (SELECT max(k.next_serial) FROM {at_least} AS k (code, next_serial)
         WHERE k.code = c.code))), taken_on = {server}, taken_at = now();
    DO $advance$
    DECLARE
        start integer := (
            SELECT CAST(pg_get_expr(d.adbin, d.adrelid) AS integer)
            FROM pg_attrdef d
            JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum)
            WHERE d.adrelid = CAST('organisation_codes' AS regclass) AND a.attname = 'next_serial');
    BEGIN
        EXECUTE format(
            'ALTER TABLE organisation_codes ALTER COLUMN next_serial SET DEFAULT %s',
            least({count}, greatest(
                start + {skip},
                (SELECT max(k.next_serial) FROM {at_least} AS k (code, next_serial)
                 WHERE NOT EXISTS (SELECT 1 FROM organisation_codes c WHERE c.code = k.code)))));
    END $advance$;
    INSERT INTO audit_log (
        org_id, id, actor_kind, actor_id, actor_name, action, object_kind, object_id, before, after,
        reason, request_id, recorded_at)
    SELECT id, {audit_id}, 'system', NULL, 'hub', 'database.restored', 'organisation', id, NULL,
           jsonb_build_object('lost_since', {lost_since}), NULL, '', now()
    FROM organisations;
"""
END_SIGN_INS: Final = """
    UPDATE sign_ins SET revoked_at = now() WHERE revoked_at IS NULL;
    UPDATE setup_tokens SET used_at = now() WHERE used_at IS NULL;
"""
# The newest thing that happened in this copy of the database: all that was lost came after it.
READ_NEWEST: Final = """
    SELECT greatest(
        (SELECT max(created_at) FROM bills), (SELECT max(recorded_at) FROM audit_log),
        (SELECT max(recorded_at) FROM events), (SELECT max(received_at) FROM notices),
        (SELECT max(created_at) FROM organisations))
"""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came out of it."""

    lost_since: datetime
    skipped: int  # serials of each code
    used_up: list[str]  # codes that have no serials left: their organisations need another
    violations: list[str]  # invariants that do not hold
    photos: PutBack | None  # None: nothing was restored here


@dataclass(frozen=True, kw_only=True)
class Found:
    """The database that a backup goes into, as it was found."""

    now: datetime  # by its clock
    is_empty: bool
    reached: list[tuple[str, int]]  # (code, next serial)


def restore_backup(
    owner_url: str,
    secret_key: str,
    folder: Path,
    *,
    photo_dir: Path,
    may_replace: bool,
    may_skip_photos: bool = False,
) -> Restored:
    """Put a backup's photos back and load it into a database, all or nothing.

    See the module for what changes with it. One of an older release is brought up to this one's
    revision afterwards.

    Args:
        photo_dir: the installation's photos; what else is in it stays.
        may_replace: the database need not be empty.
        may_skip_photos: go on without photos that are missing in the backup, or changed.

    Raises:
        CannotStart: the backup or one of its photos is changed or missing, it is another's, the
            database is in use, or it is not empty and may not be replaced.
    """
    manifest = read_manifest(folder, secret_key)
    if manifest.revision not in (known := list_revisions()):
        raise MadeByOtherRelease(folder, manifest.revision, newest=known[-1])
    found = _look_before(owner_url, manifest, may_replace=may_replace)
    if manifest.photos is not None and not may_skip_photos:
        check_photos(folder)
    restores_before = count_restores(folder)
    note_restore(folder, now=found.now)
    photos = PutBack(is_in_backup=manifest.photos is not None)
    if photos.is_in_backup:
        photos = put_photos_back(folder, photo_dir)
        # That may have taken an hour.
        found = _look_before(owner_url, manifest, may_replace=may_replace)
    skip = serials_to_skip(found.now - manifest.taken_at, restores_before=restores_before)
    emptied = "" if found.is_empty else EMPTY_SCHEMA
    before = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s';" + emptied
    after = _advance(skip, lost_since=manifest.taken_at, reached=found.reached) + END_SIGN_INS
    load_dump(owner_url, folder / DUMP, before=before, after=after)
    upgrade(owner_url)  # what is looked at next is this release's
    photos = replace(photos, absent=count_absent(owner_url, photo_dir))
    return _look_at(owner_url, lost_since=manifest.taken_at, skipped=skip, photos=photos)


def advance_serials(
    owner_url: str, *, lost_since: datetime | None, is_sign_out_wanted: bool
) -> Restored:
    """Do what a restore does, in a database that came back by other means: a promoted standby, a
    copy of the volume, point-in-time recovery.

    Args:
        owner_url: postgresql:// address of the database's owner.
        lost_since: from when on changes are missing; None: since the newest one that is there.
        is_sign_out_wanted: end all sign-ins as well.
    """
    refuse_other_release(read_current(owner_url))
    with psycopg.connect(owner_url) as owner:
        if _is_empty(owner):
            raise CannotStart("The database is empty: there are no serials.")
        _refuse_if_used(owner)
        now = _read_clock(owner)
        if lost_since is None:
            row = owner.execute(READ_NEWEST).fetchone()
            lost_since = row[0] if row and row[0] else now
        assert lost_since is not None
        if now < lost_since:
            raise CannotStart(f"The database's clock is behind: it says {now}. Set it first.")
        skip = serials_to_skip(now - lost_since)
        owner.execute(_advance(skip, lost_since=lost_since, reached=[]).encode())
        if is_sign_out_wanted:
            owner.execute(END_SIGN_INS.encode())
    upgrade(owner_url)
    return _look_at(owner_url, lost_since=lost_since, skipped=skip, photos=None)


def word_restored(restored: Restored) -> list[str]:
    """Say what was done, and what is left for people to do."""
    lines = [
        f"The books stand as of {restored.lost_since:%Y-%m-%d %H:%M:%S %Z}.",
        f"Every organisation code skipped {restored.skipped:,} serials: no reference comes twice.",
    ]
    lines += _word_photos(restored.photos) if restored.photos else []
    if restored.used_up:
        lines.append(
            f"No serials are left for {', '.join(restored.used_up)}"
            " give each another with ./phopay add-code."
        )
    if restored.violations:
        lines.append(f"THE BOOKS DO NOT AGREE: {', '.join(restored.violations)}")
    return [*lines, "What people have to look at now: docs/production.md, 'After a restore'"]


def _word_photos(photos: PutBack) -> list[str]:
    if photos.is_in_backup:
        lines = [f"Photos put back: {photos.put_back:,}. There already: {photos.there_already:,}."]
    else:
        lines = ["This backup has no photos: an older release made it."]
    if photos.left_out:
        lines.append(
            f"PHOTOS WERE LEFT OUT: {photos.left_out:,}, missing in the backup or changed."
        )
    if photos.absent:
        lines.append(
            f"PHOTOS ARE ABSENT: the database names {photos.absent:,} that their folder lacks."
        )
    return lines


def _look_before(owner_url: str, manifest: Manifest, *, may_replace: bool) -> Found:
    """Look at the database that a backup is to go into, and change nothing.

    Raises:
        CannotStart: it may not go there, or not now.
    """
    with psycopg.connect(owner_url) as owner:
        is_empty = _is_empty(owner)
        if not is_empty and not may_replace:
            msg = (
                "The database is not empty: nothing was changed.\n"
                "Restore into an empty one, or replace all that is in this one: --replace"
            )
            raise CannotStart(msg)
        _refuse_if_used(owner)
        now = _read_clock(owner)
        if now < manifest.taken_at:
            raise CannotStart(f"The database's clock is behind: it says {now}. Set it first.")
        return Found(now=now, is_empty=is_empty, reached=[] if is_empty else _read_serials(owner))


def _advance(skip: int, *, lost_since: datetime, reached: list[tuple[str, int]]) -> str:
    rows = [sql.SQL("({}, {})").format(code, serial) for code, serial in reached]
    no_rows = sql.SQL("(SELECT CAST(NULL AS text), CAST(NULL AS integer) WHERE false)")
    at_least = sql.SQL("(VALUES {})").format(sql.SQL(", ").join(rows)) if rows else no_rows
    written = sql.SQL(ADVANCE_SERIALS).format(
        count=sql.Literal(SERIAL_COUNT),
        server=sql.SQL(SERVER_AND_TIMELINE),
        skip=sql.Literal(skip),
        at_least=at_least,
        audit_id=sql.Literal(new_id()),
        lost_since=sql.Literal(lost_since.isoformat()),
    )
    return written.as_string(None)


def _is_empty(owner: psycopg.Connection) -> bool:
    query = "SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1"
    return owner.execute(query).fetchone() is None


def _refuse_if_used(owner: psycopg.Connection) -> None:
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND usename = ANY(%s)
    """
    row = owner.execute(query, [list(SERVICE_ROLES)]).fetchone()
    if row is not None and row[0]:
        raise CannotStart("Hub or worker are connected to the database: stop them first.")


def _read_clock(owner: psycopg.Connection) -> datetime:
    row = owner.execute("SELECT now()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def _read_serials(owner: psycopg.Connection) -> list[tuple[str, int]]:
    # One that an older, unreleased PhoPay made may lack the table or the column.
    known = owner.execute("""
        SELECT 1 FROM information_schema.columns
        WHERE (table_schema, table_name, column_name)
              = ('public', 'organisation_codes', 'next_serial')
    """)
    if known.fetchone() is None:
        return []
    return owner.execute("SELECT code, next_serial FROM public.organisation_codes").fetchall()


def _look_at(
    owner_url: str, *, lost_since: datetime, skipped: int, photos: PutBack | None
) -> Restored:
    used_up = "SELECT code FROM organisation_codes WHERE next_serial >= %s ORDER BY code"
    with psycopg.connect(owner_url) as owner:
        owner.execute("ANALYZE")  # a dump has no statistics, and plans without them take for ever
        codes = [row[0] for row in owner.execute(used_up, [SERIAL_COUNT])]
        wrong = [
            name
            for name, query in INVARIANTS.items()
            if owner.execute(f"{query} LIMIT 1".encode()).fetchone() is not None
        ]
    return Restored(
        lost_since=lost_since, skipped=skipped, used_up=codes, violations=wrong, photos=photos
    )
