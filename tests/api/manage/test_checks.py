"""The page of checks: the city sees how each went last, and nobody else does."""

from datetime import timedelta

import pytest

from core.clock import read_clock
from core.db import Database
from payments.invariants.queries import CHECKS
from payments.invariants.queries_runs import insert_run
from payments.invariants.rules import CheckRun, CheckStatus
from tests.world.markets import Market
from tests.world.pages import as_reader, let_in, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def keep_runs(database: Database, **unlike: CheckRun) -> None:
    """Keep a good run of each check a minute ago, and others of some."""
    async with database.begin() as session:
        for name in CHECKS:
            await insert_run(session, unlike.get(name) or a_run(name))


def a_run(
    name: str,
    status: CheckStatus = CheckStatus.OK,
    *,
    violations: int | None = 0,
    error: str | None = None,
    minutes_ago: int = 1,
) -> CheckRun:
    return CheckRun(
        name=name,
        started_at=read_clock() - timedelta(minutes=minutes_ago),
        took_ms=1_234,
        status=status,
        violations=violations,
        error=error,
    )


async def test_the_city_sees_how_each_check_went_in_both_languages(
    market: Market, worker_database: Database
) -> None:
    admin = as_reader(market.admin)
    assert "Chưa kiểm tra lần nào" in text_of(await admin.get("/manage/checks"))
    await keep_runs(worker_database)

    page = await admin.get("/manage/checks")
    assert page.status_code == 200
    words = text_of(page)
    assert "Mọi điều đều đúng" in words
    assert "1.234 ms" in words
    assert "Chưa kiểm tra lần nào" not in words
    for name in CHECKS:
        assert name in page.text
        assert f">{name}</strong>" not in page.text, "it has words of its own"
    assert "All checks hold" in text_of(await admin.get("/manage/checks?lang=en"))


async def test_what_does_not_hold_or_was_not_checked_stands_out(
    market: Market, worker_database: Database
) -> None:
    admin = as_reader(market.admin)
    violated = a_run("money_is_whole", CheckStatus.VIOLATED, violations=3)
    late = a_run(
        "a_credit_posts_once",
        CheckStatus.NOT_CHECKED,
        violations=None,
        error="took_too_long",
    )
    await keep_runs(worker_database, money_is_whole=violated, a_credit_posts_once=late)

    page = await admin.get("/manage/checks")
    words = text_of(page)

    assert page.text.index("a_credit_posts_once") < page.text.index("all_balances_are_zero")
    assert "Không ổn: 2" in words
    assert "Không đúng: 3 dòng" in words
    assert "Chưa kiểm tra được" in words
    assert "Những lần không ổn gần đây" in words


async def test_a_worker_that_checks_nothing_any_more_is_noticed(
    market: Market, worker_database: Database
) -> None:
    stale = {name: a_run(name, minutes_ago=50) for name in CHECKS}
    await keep_runs(worker_database, **stale)

    assert "Lâu chưa kiểm tra" in text_of(await as_reader(market.admin).get("/manage/checks"))


async def test_nobody_but_the_city_sees_the_checks_of_all(market: Market) -> None:
    for role in ("manager", "admin", "finance"):
        client = await let_in(market, role)
        assert (await client.get("/manage/checks")).status_code == 403, role
        assert "/manage/checks" not in (await client.get("/manage")).text
