"""Commands on the ledger: its books verified."""

from typing import TYPE_CHECKING

from ops.cli.options import add_command, add_data, add_group, read_settings_as

if TYPE_CHECKING:
    from core.settings import Settings
    from ops.cli.options import Options, Parsers


def add_ledger(commands: "Parsers") -> None:
    ledger = add_group(commands, "ledger", "the books")
    verify = add_command(
        ledger, "verify", _verify, "compute hashes and checkpoints again; changes nothing"
    )
    verify.add_argument("--org", metavar="CODE", help="one organisation's books (all)")
    verify.add_argument("--json", action="store_true", help="one JSON object for each")
    add_data(verify)


def _verify(options: "Options") -> int:
    import asyncio

    from ops.database import open_database

    with open_database(
        options.data,
        may_prepare=False,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        settings = read_settings_as("ledger-verify", environment)
        return asyncio.run(_verify_all(settings, options))


async def _verify_all(settings: "Settings", options: "Options") -> int:
    from ops.ledger import verify_ledger, word_verified, write_verified

    is_wrong = False
    async for org, found in verify_ledger(settings, options.org):
        is_wrong = is_wrong or found.fault is not None
        lines = [write_verified(org, found)] if options.json else word_verified(org, found)
        print("\n".join(lines), flush=True)
    return 1 if is_wrong else 0
