"""A process that runs the queued jobs of statements, as the worker does; nothing by the clock."""

import asyncio
import signal
from typing import Final

from core.db import open_database, open_engine
from core.jobs.runner import JobRunner
from core.settings import read_settings
from payments.statements.rules import MATCH, WRITE
from registry import REGISTRY

KINDS: Final = (WRITE, MATCH)


async def run() -> None:
    """Run jobs until SIGTERM."""
    settings = read_settings()
    app = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=4)
    worker = open_engine(settings.worker_database_url.get_secret_value(), settings, pool_size=4)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = open_database(app)
    handlers = {kind: REGISTRY.job_handlers[kind](database) for kind in KINDS}
    try:
        await JobRunner(open_database(worker), handlers, name="bench").run(stop)
    finally:
        await app.dispose()
        await worker.dispose()


if __name__ == "__main__":
    asyncio.run(run())
