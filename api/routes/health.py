"""Is the process up, and can it serve? For supervisors, load balancers and `./phopay`."""

from functools import cache
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import text

from api.deps import TheSessions, public
from api.errors import may_answer
from core.errors import Busy

MIGRATIONS = Path(__file__).parents[2] / "migrations"

router = APIRouter(prefix="/health", tags=["health"], dependencies=[public])


class Health(BaseModel):
    """The answer of a healthy process."""

    status: Literal["ok"] = "ok"


@router.get("/live")
async def show_live() -> Health:
    """Say that the process runs; looks at nothing else."""
    return Health()


@router.get("/ready", responses=may_answer(Busy))
async def show_ready(request: Request, sessions: TheSessions) -> Health:
    """Say that requests can be served: the database answers and has every migration."""
    if request.app.state.is_closing:
        raise Busy("The hub is stopping.", retry_after_s=5)
    async with sessions.begin() as session:
        current = await session.scalar(text("SELECT version_num FROM alembic_version"))
    if current != find_newest_migration():
        raise Busy("The database waits for its migrations: ./phopay migrate", retry_after_s=5)
    return Health()


@cache
def find_newest_migration() -> str:
    """Return the number of the last file in migrations/, which is its revision."""
    return max(path.name.partition("_")[0] for path in MIGRATIONS.glob("[0-9]*_*.py"))
