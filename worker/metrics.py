"""Measures of the worker for Prometheus: what waits, and how the checks of the books went.

It asks the database every 15 seconds, whoever reads the metrics and however often.
"""

from datetime import datetime
from typing import Final

from prometheus_client import Gauge

from core.jobs.periodic import JobDatabases
from core.jobs.rules import JobStatus
from core.metrics import METRICS
from parking.sessions.partitions import ready_until
from parking.sessions.queries_partitions import list_partitions
from payments.invariants.queries import CHECKS
from payments.invariants.queries_runs import list_newest
from payments.invariants.rules import CheckStatus
from worker.queries import count_breaks, count_failed_jobs, count_jobs, measure_waiting

MEASURE_EVERY_S: Final = 15.0

WAITING: Final = Gauge(
    "phopay_waiting",
    "Rows that wait for somebody, counted to 100000: notices, bill_changes, movements",
    ["what"],
    registry=METRICS,
)
OVERDUE_SECONDS: Final = Gauge(
    "phopay_waiting_overdue_seconds",
    "How long the one that has been due longest is due; 0: nothing is",
    ["what"],
    registry=METRICS,
)
JOBS: Final = Gauge(
    "phopay_jobs",
    "Queued jobs by status; failed ones of the last day",
    ["status"],
    registry=METRICS,
)
BREAKS: Final = Gauge(
    "phopay_breaks",
    "Breaks that are open, and those of them that are past their deadline, counted to 100000",
    ["what"],
    registry=METRICS,
)
PARTITIONS_AHEAD: Final = Gauge(
    "phopay_partitions_ahead_seconds",
    "For how long new rows have partitions (./phopay maintain)",
    registry=METRICS,
)
JOB_RUN_AT: Final = Gauge(
    "phopay_periodic_job_run_timestamp_seconds",
    "When the worker last ran a job by the clock to its end",
    ["job"],
    registry=METRICS,
)
CHECK_RUN_AT: Final = Gauge(
    "phopay_check_run_timestamp_seconds", "When a check last ran", ["check"], registry=METRICS
)
CHECK_SECONDS: Final = Gauge(
    "phopay_check_seconds", "How long a check's last run took", ["check"], registry=METRICS
)
CHECK_VIOLATIONS: Final = Gauge(
    "phopay_check_violations", "Rows that a check found, to 100", ["check"], registry=METRICS
)
CHECK_FAILED: Final = Gauge(
    "phopay_check_failed",
    "1: a check's last run could not be finished",
    ["check"],
    registry=METRICS,
)


async def measure(databases: JobDatabases, *, now: datetime) -> int:
    """Read what waits and how the checks went; return how many rows wait."""
    async with databases.worker.begin() as session:
        waiting = await measure_waiting(session, now=now)
        jobs = await count_jobs(session)
        open_breaks, overdue_breaks = await count_breaks(session, now=now)
        failed = await count_failed_jobs(session)
        partitions, _ = await list_partitions(session)
        runs = await list_newest(session)
    for one in waiting:
        WAITING.labels(one.what).set(one.rows)
        late_s = 0.0 if one.due_at is None else (now - one.due_at).total_seconds()
        OVERDUE_SECONDS.labels(one.what).set(max(0.0, late_s))
    BREAKS.labels("open").set(open_breaks)
    BREAKS.labels("overdue").set(overdue_breaks)
    for status in (JobStatus.QUEUED, JobStatus.RUNNING):
        JOBS.labels(status.value).set(jobs.get(status.value, 0))
    JOBS.labels(JobStatus.FAILED.value).set(failed)
    ends_at = min(ready_until(of_table, now=now) for of_table in partitions.values())
    PARTITIONS_AHEAD.set((ends_at - now).total_seconds())
    for name, run in runs.items():
        if name in CHECKS:  # of another release there may be others
            CHECK_RUN_AT.labels(name).set(run.started_at.timestamp())
            CHECK_SECONDS.labels(name).set(run.took_ms / 1_000)
            CHECK_VIOLATIONS.labels(name).set(run.violations or 0)
            CHECK_FAILED.labels(name).set(run.status is CheckStatus.NOT_CHECKED)
    return sum(one.rows for one in waiting)
