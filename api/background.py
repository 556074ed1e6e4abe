"""What runs beside the requests of a process: gathering, settling. Started by api/main.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from api.auth.rate_limit import RateLimit
from core.clock import read_clock
from core.db import Sessions
from payments.bills.desk import BillDesk
from payments.callbacks.intake import Intake
from payments.callbacks.questions import open_client
from payments.callbacks.settler import Settler

# A vendor may ask the provider again after this long; providers count questions too.
CHECK_EVERY_S: Final = 3.0


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Start what belongs to this process and stop it, finished, before the engines close."""
    sessions: Sessions = app.state.sessions
    settler = Settler(sessions, read_clock=read_clock)
    timeout_s = app.state.settings.database_write_timeout_s
    intake = Intake(sessions, app.state.sealer, settler, timeout_s=timeout_s)
    desk = BillDesk(sessions, read_clock=read_clock, timeout_s=timeout_s)
    app.state.settler, app.state.intake, app.state.bill_desk = settler, intake, desk
    app.state.check_limit = RateLimit(1, per_s=CHECK_EVERY_S)
    async with open_client() as client:
        app.state.http_client = client
        yield
        await desk.drain()
        await intake.drain()
        await settler.close()
