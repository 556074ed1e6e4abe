"""Outages of the hub: what was missed, what was recovered, and what is still open."""

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate, words_in
from api.http.paging import next_cursor, read_cursor
from api.manage.page_context import Before, ManagerContext, TheManager
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.outages.views import OpenAccount, OutageRead, OutageState, list_outages
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/manage/outages", include_in_schema=False)

ROWS: Final = 10  # each is counted anew
SHOWN_ACCOUNTS: Final = 30
# Tone and icon; the words are in [state] of words/*/outages.toml.
LOOKS: Final = {
    OutageState.POLLING: ("attention", "clock"),
    OutageState.WAITING_FOR_STATEMENT: ("attention", "warning"),
    OutageState.CAUGHT_UP: ("good", "check"),
}


@dataclass(frozen=True, kw_only=True)
class OutageCard:
    """One outage."""

    start: str
    end: str
    minutes: int
    reason: str
    tone: str
    icon: str
    word: str
    missed: int
    recovered_words: str  # "64 (62 by asking, 2 by late callbacks)"
    oldest_minutes: int | None
    polled: int
    being_polled: tuple[str, ...]  # "Vietcombank …6789: why not yet"
    waiting: tuple[str, ...]
    unlisted: int  # more of those


@dataclass(frozen=True, kw_only=True)
class OutagesPage:
    """Everything templates/outages.html may use, already worded."""

    rows: tuple[OutageCard, ...]
    older: str
    endpoints_path: str


@router.get("", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_READ)])
async def show_outages(manager: TheManager, before: Before = None) -> Response:
    """List the outages, newest first."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await list_outages(
            tx, manager.org_id, before_id=read_cursor(before), limit=ROWS + 1
        )
    cursor = next_cursor(found, ROWS)
    page = OutagesPage(
        rows=tuple(_present(manager, one) for one in found[:ROWS]),
        older=manager.path("/outages", before=cursor) if cursor else "",
        endpoints_path=manager.path("/endpoints"),
    )
    return manager.render("outages.html", page, here="endpoints")


def _present(manager: ManagerContext, outage: OutageRead) -> OutageCard:
    tone, icon = LOOKS[outage.state]
    oldest = outage.oldest_age_s
    waiting = outage.waiting_for_statement
    return OutageCard(
        start=manager.present_instant(outage.from_at),
        end=manager.present_instant(outage.until_at),
        minutes=max(1, round((outage.until_at - outage.from_at).total_seconds() / 60)),
        reason=translate(manager.lang, f"outages.reason.{outage.reason}"),
        tone=tone,
        icon=icon,
        word=translate(manager.lang, f"outages.state.{outage.state.value}"),
        missed=outage.missed,
        recovered_words=_count_recovered(manager, outage),
        oldest_minutes=None if oldest is None else max(1, -(-oldest // 60)),
        polled=outage.accounts_polled,
        being_polled=tuple(
            _name_account(manager, one) for one in outage.being_polled[:SHOWN_ACCOUNTS]
        ),
        waiting=tuple(_name_account(manager, one) for one in waiting[:SHOWN_ACCOUNTS]),
        unlisted=max(0, len(waiting) - SHOWN_ACCOUNTS),
    )


def _count_recovered(manager: ManagerContext, outage: OutageRead) -> str:
    if not outage.recovered:
        return "0"
    counts = {"by_polling": outage.recovered_by_polling, "late": outage.called_back_late}
    ways = [
        translate(manager.lang, f"outages.{name}", count=count)
        for name, count in counts.items()
        if count
    ]
    return f"{outage.recovered} ({', '.join(ways)})"


def _name_account(manager: ManagerContext, account: OpenAccount) -> str:
    name = f"{name_bank(account.bin)} {account.number}"
    key = f"outages.problem.{account.problem}"
    if account.problem and key in words_in("vi").texts:
        return f"{name}: {translate(manager.lang, key)}"
    return name
