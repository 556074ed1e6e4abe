"""Health of the process: whether it runs and can serve, for supervisors and load balancers."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from api.http.deps import TheDatabase, TheSettings, public
from api.http.errors import may_answer
from api.services import read_services
from core.clock import read_clock
from core.database_connections import answered_within
from core.db import Database, read_schema_version
from core.errors import Busy
from parking.sessions.partitions import PartitionWarning
from parking.sessions.views import list_warnings

MIGRATIONS = Path(__file__).parents[3] / "migrations"

Look = tuple[str | None, list[PartitionWarning]]

router = APIRouter(prefix="/health", tags=["health"], dependencies=[public])


class Health(BaseModel):
    """The answer of a healthy process."""

    status: Literal["ok"] = "ok"
    warnings: list[PartitionWarning] | None = Field(
        default=None, description="What an operator must do soon: `./phopay maintain`."
    )


@router.get("/live", response_model_exclude_none=True)
async def show_live() -> Health:
    """Say that the process runs; looks at nothing else."""
    return Health()


@router.get("/ready", responses=may_answer(Busy), response_model_exclude_none=True)
async def show_ready(request: Request, database: TheDatabase, settings: TheSettings) -> Health:
    """Say that requests can be served: the database answers in time and has every migration."""
    readiness = read_services(request).readiness
    if readiness.is_closing:
        raise Busy("The hub is stopping.", retry_after_s=5)
    # One look at a time, however many ask: a silent database must not use up the pool.
    look = readiness.look
    if look is None or look.done():
        look = asyncio.create_task(_look(database, within_s=settings.ready_timeout_s))
        look.add_done_callback(lambda task: task.cancelled() or task.exception())  # it is retrieved
        readiness.look = look
    await asyncio.wait({look}, timeout=settings.ready_timeout_s)
    if not look.done():
        raise Busy("The database does not answer.", retry_after_s=5)
    version, warnings = look.result()
    if version != find_newest_migration():
        raise Busy("The database waits for its migrations: ./phopay migrate", retry_after_s=5)
    return Health(warnings=warnings or None)


async def _look(database: Database, *, within_s: float) -> Look:
    with answered_within(within_s):
        version = await read_schema_version(database)
        if version != find_newest_migration():  # it may not have the tables
            return version, []
        async with database.begin() as session:
            return version, await list_warnings(session, now=read_clock())


@cache
def find_newest_migration() -> str:
    """Return the number of the last file in migrations/, which is its revision."""
    return max(path.name.partition("_")[0] for path in MIGRATIONS.glob("m[0-9]*_*.py"))
