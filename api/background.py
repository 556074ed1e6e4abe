"""What runs beside the requests of a process: gathering, settling. Started by api/app.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from core.clock import read_clock
from core.db import Database
from core.rate_limit import RateLimit
from payments.bills.owners import OwnersInbox
from payments.bills.writer import BillWriter
from payments.callbacks.receiver import NoticeReceiver
from payments.credits.processor import NoticeProcessor
from payments.polling.client import open_client

# A vendor may ask the provider again after this long; providers count questions too.
CHECK_EVERY_S: Final = 3.0


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Start what belongs to this process and stop it, finished, before the engines close."""
    database: Database = app.state.database
    settler = NoticeProcessor(database, read_clock=read_clock)
    timeout_s = app.state.settings.database_write_timeout_s
    intake = NoticeReceiver(database, app.state.sealer, wake=settler.wake, timeout_s=timeout_s)
    desk = BillWriter(database, read_clock=read_clock, timeout_s=timeout_s)
    app.state.settler, app.state.intake, app.state.bill_writer = settler, intake, desk
    owners = OwnersInbox(database, read_clock=read_clock)
    app.state.broadcaster.on_bill_changes = owners.wake
    app.state.check_limit = RateLimit(1, per_s=CHECK_EVERY_S)
    async with open_client() as client:
        app.state.http_client = client
        yield
        await desk.drain()
        await intake.drain()
        await settler.close()
        await owners.close()
