"""Commands on the database: migrations, backups, codes, the demo city's rows."""

from pathlib import Path
from typing import TYPE_CHECKING

from ops.cli.options import (
    add_command,
    add_data,
    add_port,
    add_sandbox_port,
    read_instant,
    read_settings_as,
)
from ops.console import say
from ops.errors import CannotStart

if TYPE_CHECKING:
    from ops.cli.options import Options, Parsers


def add_database(commands: "Parsers") -> None:
    migrate = add_command(commands, "migrate", _migrate, "make the roles and migrate the database")
    migrate.add_argument(
        "--to",
        metavar="REVISION",
        help="a newer revision or, with --drop-data, an older one, or base",
    )
    migrate.add_argument(
        "--drop-data",
        action="store_true",
        help="with --to an older revision: drop what newer ones made, with all that is in it",
    )
    migrate.add_argument("--show", action="store_true", help="print the revision, change nothing")
    add_data(migrate)

    maintain = add_command(
        commands, "maintain", _maintain, "make partitions ahead, erase what is over: once a day"
    )
    add_data(maintain)

    books = add_command(
        commands, "check-books", _check_books, "check now whether the books agree; 1: they do not"
    )
    books.add_argument(
        "--whole", action="store_true", help="all stays of all years: minutes where they are many"
    )
    add_data(books)

    _add_backups(commands)
    code = add_command(commands, "add-code", _add_code, "give an organisation one more code")
    code.add_argument("organisation", metavar="CODE", help="a code that it has")
    code.add_argument("code", metavar="NEWCODE", help="four letters and digits of a reference")
    add_data(code)
    seed = add_command(commands, "seed", _seed, "fill a database with the demo city")
    add_data(seed)
    add_port(seed)
    add_sandbox_port(seed)
    seed.add_argument(
        "--new-passwords", action="store_true", help="give everybody of the city a new one"
    )


def _add_backups(commands: "Parsers") -> None:
    backup = add_command(
        commands, "backup", _backup, "back up database and photos into a new folder"
    )
    backup.add_argument("folder", metavar="DIR", type=Path, help="where backups are collected")
    backup.add_argument(
        "--with-key", action="store_true", help="put the secret key into it: keep it like the key"
    )
    add_data(backup)

    restore = add_command(
        commands, "restore", _restore, "restore a backup; no reference comes twice"
    )
    restore.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="one backup")
    restore.add_argument(
        "--replace", action="store_true", help="even if the database is not empty: all of it goes"
    )
    restore.add_argument(
        "--skip-bad-photos", action="store_true",
        help="go on without photos that are missing in the backup, or changed",
    )  # fmt: skip
    restore.add_argument(
        "--advance-serials", action="store_true",
        help="restore nothing: the database came back by other means (standby, volume, WAL)",
    )  # fmt: skip
    restore.add_argument(
        "--lost-since", metavar="INSTANT", type=read_instant,
        help="with --advance-serials: from when on changes are missing (the newest that is there)",
    )  # fmt: skip
    restore.add_argument(
        "--sign-out", action="store_true", help="with --advance-serials: end all sign-ins too"
    )
    add_data(restore)


def _migrate(options: "Options") -> int:
    from ops import migrate
    from ops.database import keep_trying, open_database

    if options.drop_data and options.to is None:
        raise CannotStart("--drop-data goes with --to and an older revision.")
    is_change_wanted = not options.show and options.to is None
    with open_database(
        options.data,
        may_prepare=is_change_wanted,
        is_migration_wanted=is_change_wanted,
        postgres_port=options.postgres_port,
    ) as environment:
        owner_url = environment["PHOPAY_DATABASE_URL"]
        if options.to is not None:
            revision, may_drop = options.to, options.drop_data
            keep_trying(lambda: migrate.move_to(owner_url, revision, may_drop=may_drop))
        print(keep_trying(lambda: migrate.read_current(owner_url)) or "empty")
    return 0


def _maintain(options: "Options") -> int:
    from core.clock import read_clock
    from ops.database import keep_trying, open_database
    from ops.maintenance import run_maintenance

    with open_database(
        options.data,
        may_prepare=False,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        owner_url = environment["PHOPAY_DATABASE_URL"]
        keep_trying(lambda: run_maintenance(owner_url, now=read_clock()))
    say("Maintained")
    return 0


def _check_books(options: "Options") -> int:
    import asyncio

    from ops.books import check_books
    from ops.database import open_database

    with open_database(
        options.data, may_prepare=False, postgres_port=options.postgres_port
    ) as environment:
        settings = read_settings_as("check-books", environment)
        wrong = asyncio.run(check_books(settings, is_whole=options.whole))
    say("The books agree" if not wrong else f"{wrong} checks did not end well: see above")
    return 1 if wrong else 0


def _add_code(options: "Options") -> int:
    import asyncio

    from ops.database import open_database
    from ops.organisation_codes import add_organisation_code

    with open_database(
        options.data,
        may_prepare=False,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        settings = read_settings_as("add-code", environment)
        name = asyncio.run(add_organisation_code(settings, options.organisation, options.code))
        say(f"{options.code} is one more code of {name} now: bills can be opened with it.")
    return 0


def _backup(options: "Options") -> int:
    from ops.backup.backup import make_backup, word_backup
    from ops.database import open_database
    from parking.photos.store import find_folder

    with open_database(
        options.data,
        may_prepare=False,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        owner_url, key = environment["PHOPAY_DATABASE_URL"], environment["PHOPAY_SECRET_KEY"]
        photo_dir = find_folder(read_settings_as("backup", environment))
        backup = make_backup(
            owner_url, key, options.folder, has_key=options.with_key, photo_dir=photo_dir
        )
        print(backup.folder)
        for line in word_backup(backup, photo_dir):
            say(line)
    # The backup is good otherwise, but whoever starts this every night must learn of each photo
    # that the hub has no longer, or not whole. Those that were erased meanwhile are counted apart.
    return 1 if backup.photos.lost or backup.photos.damaged else 0


def _restore(options: "Options") -> int:
    from ops.backup.restore import advance_serials, restore_backup, word_restored
    from ops.database import open_database, restore_key
    from parking.photos.store import find_folder

    if (options.folder is None) != options.advance_serials:
        raise CannotStart("Name one backup to restore, or give --advance-serials.")
    if options.folder is not None:
        restore_key(options.folder, options.data)
    with open_database(
        options.data,
        may_prepare=True,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        owner_url, key = environment["PHOPAY_DATABASE_URL"], environment["PHOPAY_SECRET_KEY"]
        if options.folder is None:
            restored = advance_serials(
                owner_url, lost_since=options.lost_since, is_sign_out_wanted=options.sign_out
            )
        else:
            restored = restore_backup(
                owner_url,
                key,
                options.folder,
                photo_dir=find_folder(read_settings_as("restore", environment)),
                may_replace=options.replace,
                may_skip_photos=options.skip_bad_photos,
            )
        for line in word_restored(restored):
            say(line)
    return 1 if restored.violations else 0


def _seed(options: "Options") -> int:
    from ops.database import open_database
    from ops.demo.run import seed_city

    with open_database(
        options.data, may_prepare=True, postgres_port=options.postgres_port
    ) as environment:
        hub_url = f"http://127.0.0.1:{options.port}"
        sandbox_url = f"http://127.0.0.1:{options.sandbox_port}"
        lines = seed_city(
            environment,
            hub_url=hub_url,
            sandbox_url=sandbox_url,
            has_new_passwords=options.new_passwords,
        )
        print("\n".join(lines))
    return 0
