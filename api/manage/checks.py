"""Checks of the books, for the city: how each went last, and what lately went wrong."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api.http.deps import requires
from api.manage.page_context import ManagerContext, TheManager
from core.errors import Forbidden
from identity.people.rules import Permission
from payments.invariants.rules import CheckRun, CheckStatus
from payments.invariants.views import CheckView, list_checks, list_failed_runs

router = APIRouter(prefix="/manage/checks", include_in_schema=False)

# Three rounds of the worker's were missed.
STALE_AFTER: Final = timedelta(minutes=45)
LOOKS: Final = {
    CheckStatus.OK: ("good", "check"),
    CheckStatus.VIOLATED: ("bad", "warning"),
    CheckStatus.NOT_CHECKED: ("attention", "clock"),
}


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of a check, worded."""

    word: str  # what the check is about
    name: str  # its name, as in the log
    holds: str  # "I7, I10"
    tone: str
    icon: str
    status: str
    when: str
    took: str


@dataclass(frozen=True, kw_only=True)
class ChecksPage:
    """Everything templates/manage_checks.html may use, already worded."""

    summary: str
    tone: str
    icon: str
    rows: tuple[RunRow, ...]
    failed: tuple[RunRow, ...]


@router.get("", dependencies=[requires(Permission.ORGANISATIONS_MANAGE)])
async def show_checks(manager: TheManager) -> Response:
    """List the checks of all organisations' books; nobody's rows are on it."""
    if not manager.is_city:
        raise Forbidden("Only the city sees the checks of all organisations.")
    async with manager.database.begin() as tx:
        checks = await list_checks(tx)
        failed = await list_failed_runs(tx)
    return manager.render("manage_checks.html", _present(manager, checks, failed), here="checks")


def _present(
    manager: ManagerContext, checks: list[CheckView], failed: list[CheckRun]
) -> ChecksPage:
    last = [check.last for check in checks]
    bad = sum(run is not None and run.status is not CheckStatus.OK for run in last)
    is_stale = any(run is None or manager.now - run.started_at > STALE_AFTER for run in last)
    summary = "bad" if bad else "stale" if is_stale else "good"
    tone, icon = {
        "bad": ("bad", "warning"),
        "stale": ("attention", "clock"),
        "good": ("good", "check"),
    }[summary]
    return ChecksPage(
        summary=manager.say(f"checks.summary.{summary}", count=bad),
        tone=tone,
        icon=icon,
        rows=tuple(
            _present_run(manager, check.name, check.last, ", ".join(check.holds))
            for check in sorted(checks, key=_is_good)  # what needs somebody first
        ),
        failed=tuple(_present_run(manager, run.name, run) for run in failed),
    )


def _is_good(check: CheckView) -> bool:
    return check.last is None or check.last.status is CheckStatus.OK


def _present_run(
    manager: ManagerContext, name: str, run: CheckRun | None, holds: str = ""
) -> RunRow:
    tone, icon = ("plain", "clock") if run is None else LOOKS[run.status]
    status = manager.say(
        f"checks.status.{'never' if run is None else run.status.value}",
        count=(run and run.violations) or 0,
    )
    took_ms = "" if run is None else f"{run.took_ms:,}"
    if manager.lang == "vi":
        took_ms = took_ms.replace(",", ".")
    return RunRow(
        word=manager.word("checks.name", name),
        name=name,
        holds=holds,
        tone=tone,
        icon=icon,
        status=status,
        when="" if run is None else manager.present_instant(run.started_at),
        took="" if run is None else manager.say("checks.took", ms=took_ms),
    )
