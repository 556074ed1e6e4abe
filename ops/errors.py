"""Reasons why a command cannot go on, worded for the person at the terminal."""

from collections.abc import Mapping


class CannotStart(Exception):
    """A command stops before or while it starts; the message says what to do about it.

    Not a HubError: it is printed by the CLI and never becomes an HTTP answer, so it has no public
    code and no place in docs/errors.md.
    """


class PortBusy(CannotStart):
    """Somebody else listens on a port that is wanted."""

    def __init__(self, port: int, *, used_for: str, option: str) -> None:
        super().__init__(
            f"Port {port} for {used_for} is in use by another program.\n"
            f"Stop that program, or choose another port: {option} {port + 1}"
        )
        self.port = port


class DiskFull(CannotStart):
    """There is no room left where the data lie."""

    def __init__(self, place: object) -> None:
        super().__init__(
            f"The disk is full at {place}.\n"
            "Free some space (at least 500 MB), or choose another folder: --data DIR"
        )


class OtherPostgresVersion(CannotStart):
    """The data folder was written by another major version of PostgreSQL."""

    def __init__(self, folder: object, *, found: str, expected: int) -> None:
        super().__init__(
            f"{folder} holds a database of PostgreSQL {found}; this PhoPay brings {expected}, "
            "which cannot read it.\n"
            f"Keep the data: dump them with the PhoPay that wrote them or with PostgreSQL {found} "
            "(pg_dump -Fc phopay), start here with a new folder (--data DIR), and load them with "
            "pg_restore.\n"
            f"Without need for the data: move {folder} away and start again."
        )


class MadeByOtherRelease(CannotStart):
    """A database or a backup stands at a migration that this release does not have."""

    def __init__(self, subject: object, revision: str, *, newest: str) -> None:
        is_newer = revision[:1] == newest[:1] and revision > newest
        # Before 0.2 there were no releases, and migrations were numbered anew more than once.
        maker = "a newer PhoPay" if is_newer else "an older, unreleased PhoPay"
        super().__init__(
            f"{subject} was made by {maker}: it is at migration {revision!r}, and this release "
            f"knows none later than {newest!r}"
            + (".\n" if is_newer else ", and not this one.\n")
            + "Nothing was changed. Keep the data: go on with the PhoPay that made them.\n"
            "Without need for the data: start anew with another folder (--data DIR), or with an "
            "empty database (DATABASE_URL).\n"
            "A backup that this release can read goes into an empty database: "
            "./phopay restore FOLDER"
        )


class WouldDropData(CannotStart):
    """An older revision was asked for, without the word that what newer ones made may go."""

    def __init__(self, current: str, revision: str, dropped: Mapping[str, int]) -> None:
        rows = [
            f"  {name}: {count:,} row{'' if count == 1 else 's'}"
            + (" with a value" if "." in name else "")
            for name, count in dropped.items()
        ]
        super().__init__(
            f"Going back from {current} to {revision} undoes later migrations. "
            "Nothing was changed. It would drop:\n"
            + "\n".join(rows or ["  no table and no column"])
            + "\nBack up first: ./phopay backup DIR. To undo a release, rather restore the backup "
            "that was made before it.\n"
            f"To drop all of this: ./phopay migrate --to {revision} --drop-data"
        )
        self.dropped = dropped
