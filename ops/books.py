"""The checks of the books on demand: ./phopay check-books."""

from core.clock import read_clock
from core.db import open_database, open_engine
from core.jobs.periodic import JobDatabases
from core.settings import Settings
from payments.invariants.jobs import run_checks
from payments.invariants.rules import CheckRun, CheckStatus

WORDS = {
    CheckStatus.OK: "ok",
    CheckStatus.VIOLATED: "VIOLATED",
    CheckStatus.NOT_CHECKED: "NOT CHECKED",
}


async def check_books(settings: Settings, *, is_whole: bool) -> int:
    """Run every check and print how it went; return how many did not end well.

    As the worker does it: each is kept, and what does not hold is on its organisation's list. Rows
    that show it are in the log.
    """
    urls = settings.app_database_url, settings.worker_database_url
    app, worker = [open_engine(url.get_secret_value(), settings, pool_size=2) for url in urls]
    databases = JobDatabases(app=open_database(app), worker=open_database(worker))
    wrong = 0
    try:
        async for run in run_checks(databases, is_whole=is_whole, now=read_clock()):
            print(word_run(run), flush=True)
            wrong += run.status is not CheckStatus.OK
    finally:
        await app.dispose()
        await worker.dispose()
    return wrong


def word_run(run: CheckRun) -> str:
    """Say one run in a line of columns."""
    what = f"rows: {run.violations}" if run.violations else run.error or ""
    return f"{run.name:42}{run.took_ms:>9} ms  {WORDS[run.status]:12} {what}".rstrip()
