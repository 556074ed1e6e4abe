"""The first start of an empty hub: a one-time token with which somebody becomes administrator."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from core.clock import read_clock
from core.db import open_database, open_engine
from core.settings import Settings
from identity.people.service import SETUP_TOKEN_VALID_FOR, issue_setup_token

PREFIX = "PHOPAY_"


def word_invitation(environment: Mapping[str, str]) -> list[str]:
    """Make the token of a hub where nobody can sign in yet, and word it for the terminal.

    Every start makes a new one, and the older stop working. Address and token stay apart, so that
    no proxy's log has the token.

    Args:
        environment: the PHOPAY_… variables of the hub's processes.

    Returns:
        No lines when somebody can sign in; what to do when the database is away.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    settings = Settings(**given)  # type: ignore[arg-type]  # pydantic reads each from its text
    try:
        # In a thread: in the main one asyncio takes Ctrl-C for itself, and where the database goes
        # away at the same moment, its error hides that somebody wanted the hub to stop.
        with ThreadPoolExecutor(1) as thread:
            token = thread.submit(lambda: asyncio.run(_issue(settings))).result()
    except SQLAlchemyError:  # away, or not migrated: the hub serves as soon as it is there
        return ["The database is away, so it is unknown who is administrator: see /health/ready"]
    if token is None:
        return []
    hours = round(SETUP_TOKEN_VALID_FOR.total_seconds() / 3_600)
    return [
        f"Nobody can sign in yet. Within {hours} hours open {settings.public_url}/setup",
        f"and become the first administrator with this one-time token: {token}",
    ]


async def _issue(settings: Settings) -> str | None:
    engine = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=1)
    try:
        async with open_database(engine).begin() as session:
            return await issue_setup_token(session, now=read_clock())
    finally:
        await engine.dispose()
