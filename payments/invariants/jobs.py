"""The job that checks the invariants, and the alarm of each organisation whose books disagree."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day
from core.db import has_timed_out, is_database_away
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.reasons import Reason
from core.tenancy import open_org_transaction
from payments.breaks.queries import close_breaks, insert_breaks_once
from payments.breaks.types import NewBreak
from payments.invariants.parking import BY_DAY
from payments.invariants.queries import (
    CHECKS,
    VIOLATIONS_MAX,
    Violation,
    find_alarms,
    find_violations,
    find_violations_of_days,
    list_alarmed_days,
)
from payments.invariants.queries_runs import insert_run
from payments.invariants.rules import ALARMS, BOOKS_ALARM, CheckRun, CheckStatus

log = structlog.get_logger()

INVARIANTS_EVERY_S: Final = 900.0
NEWEST_DAYS: Final = 2
DAYS_AHEAD: Final = 2  # an id may lie so far ahead
OLDER_DAYS: Final = 670  # 96 a day; 22 months, and stays are kept for 24


def list_jobs(databases: JobDatabases) -> tuple[PeriodicJob, ...]:
    """List what the worker runs for the invariants."""
    return (
        PeriodicJob("check_invariants", INVARIANTS_EVERY_S, partial(check_invariants, databases)),
    )


async def check_invariants(databases: JobDatabases, *, now: datetime) -> int:
    """Check whether the books agree; return how many rows do not."""
    runs = [run async for run in run_checks(databases, now=now)]
    return sum(run.violations or 0 for run in runs)


async def run_checks(
    databases: JobDatabases, *, is_whole: bool = False, now: datetime
) -> AsyncIterator[CheckRun]:
    """Run each check, and say how it went as soon as it is known.

    What does not hold is an error in the log and one alarm for each organisation and invariant; an
    alarm closes when its invariant holds again. What could not be checked changes nothing. An alarm
    that fails hides no violation and no other alarm: the next run tries it again.

    Args:
        is_whole: check all stays, and not those of some days: minutes where there are millions.
    """
    async with databases.worker.begin() as session:
        alarms = await find_alarms(session)
    for name in CHECKS:
        began = time.monotonic()
        violations: list[Violation] | None = None
        error = None
        try:
            async with databases.worker.begin() as session:
                violations = await _check(session, name, is_whole=is_whole, now=now)
        except Exception as problem:  # the others are checked all the same
            log.error("invariant.not_checked", invariant=name, error=repr(problem))
            error = describe_failure(problem)
        else:
            await _alarm(databases, name, violations, alarms, now=now)
        run = CheckRun(
            name=name,
            started_at=now,
            took_ms=round((time.monotonic() - began) * 1_000),
            status=judge(violations),
            violations=None if violations is None else len(violations),
            error=error,
        )
        await _keep(databases, run)
        yield run


def judge(violations: Sequence[Violation] | None) -> CheckStatus:
    """Say how a check ended that found these; None: it could not be run."""
    if violations is None:
        return CheckStatus.NOT_CHECKED
    return CheckStatus.VIOLATED if violations else CheckStatus.OK


def describe_failure(problem: Exception) -> str:
    """Name why a check could not be run; the error's text, with values of rows, is in the log."""
    if has_timed_out(problem):
        return "took_too_long"
    return "database_away" if is_database_away(problem) else type(problem).__name__[:100]


async def _keep(databases: JobDatabases, run: CheckRun) -> None:
    try:
        async with databases.worker.begin() as session:
            await insert_run(session, run)
    except Exception as problem:  # the alarms stand; the next run is kept again
        log.warning("invariant.run_not_kept", invariant=run.name, error=repr(problem))


def days_to_check(now: datetime) -> set[date]:
    """Return the days of which stays are checked now: the newest, and an older one each time.

    So what was changed long after is found within eight days, however many stays there are.
    """
    today = hanoi_day(now)
    newest = {today + timedelta(days=days) for days in range(-NEWEST_DAYS, DAYS_AHEAD + 1)}
    round_number = int(now.timestamp() // INVARIANTS_EVERY_S)
    return newest | {today - timedelta(days=NEWEST_DAYS + 1 + round_number % OLDER_DAYS)}


async def _check(
    session: AsyncSession, name: str, *, is_whole: bool, now: datetime
) -> list[Violation]:
    if name not in BY_DAY or is_whole:
        return await find_violations(session, name, now=now)
    days = days_to_check(now) | await list_alarmed_days(session, alarm_subject(name))
    return await find_violations_of_days(session, name, sorted(days, reverse=True))


async def open_alarm(
    session: AsyncSession, org_id: UUID, violations: Sequence[Violation], *, now: datetime
) -> None:
    """Open one alarm of an organisation for an invariant, unless it is open: a break.

    Its people see it and call the operator, who sees it in the log as well.
    """
    name = violations[0].name
    kind, reason = ALARMS.get(name, BOOKS_ALARM)
    alarm = NewBreak(
        kind=kind,
        subject_id=alarm_subject(name),
        reason=Reason(
            reason,
            {
                "invariant": name,
                "evidence": {key: str(value) for key, value in violations[0].evidence.items()},
            },
        ),
    )
    await insert_breaks_once(session, org_id, [alarm], now=now)


async def close_alarm(session: AsyncSession, org_id: UUID, name: str, *, now: datetime) -> None:
    """Close an organisation's alarm for an invariant that holds again."""
    await close_breaks(
        session,
        org_id,
        subject_id=alarm_subject(name),
        kinds=[ALARMS.get(name, BOOKS_ALARM)[0]],
        by=None,
        resolution="holds_again",
        now=now,
    )


def alarm_subject(name: str) -> UUID:
    """Return what an alarm is about: the invariant itself, so that there is one alarm for each."""
    return uuid5(NAMESPACE_OID, f"phopay:invariant:{name}")


async def _alarm(
    databases: JobDatabases,
    name: str,
    violations: list[Violation],
    alarms: set[tuple[UUID, UUID]],
    *,
    now: datetime,
) -> None:
    by_org: dict[UUID | None, list[Violation]] = {}
    for violation in violations:
        by_org.setdefault(violation.org_id, []).append(violation)
    for org_id, found in by_org.items():
        log.error("invariant.violated", invariant=name, rows=len(found), first=str(found[0]))
        if org_id is not None:
            await _alarm_one(databases, org_id, name, partial(open_alarm, violations=found), now)
    if len(violations) == VIOLATIONS_MAX:
        return  # more organisations may be behind the last row
    for org_id, subject_id in alarms:
        if subject_id == alarm_subject(name) and org_id not in by_org:
            await _alarm_one(databases, org_id, name, partial(close_alarm, name=name), now)


async def _alarm_one(
    databases: JobDatabases,
    org_id: UUID,
    name: str,
    change: Callable[..., Awaitable[None]],
    now: datetime,
) -> None:
    try:
        async with open_org_transaction(databases.app, org_id) as session:
            await change(session, org_id, now=now)
    except Exception as problem:  # the others are alarmed all the same
        log.error("invariant.not_alarmed", invariant=name, org_id=str(org_id), error=repr(problem))
