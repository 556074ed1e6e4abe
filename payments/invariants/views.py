"""Read model of the checks: how each went last, and when one lately did not end well."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from payments.invariants.queries import CHECKS
from payments.invariants.queries_runs import list_failed, list_newest
from payments.invariants.rules import INVARIANTS_HELD, CheckRun

FAILED_MAX = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckView:
    """One check of the books."""

    name: str
    holds: tuple[str, ...]  # names of invariants, "I10"
    last: CheckRun | None  # None: it never ran, or not for two weeks


async def list_checks(session: AsyncSession) -> list[CheckView]:
    """List every check with its last run, in the order in which they run."""
    newest = await list_newest(session)
    return [
        CheckView(
            name=name,
            holds=tuple(one for one, held in INVARIANTS_HELD.items() if name in held.checks),
            last=newest.get(name),
        )
        for name in CHECKS
    ]


async def list_failed_runs(session: AsyncSession) -> list[CheckRun]:
    """List the last runs that found something or could not be run, the newest first."""
    return await list_failed(session, limit=FAILED_MAX)
