"""Damage to what two people decided is seen: in the books, and in the log of changes."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from payments.invariants.queries import CHECKS
from tests.world.breaks import (
    a_decision,
    a_paid_twice_break,
    a_short_bill,
    approve_it,
    find_break,
    undo_it,
)
from tests.world.constants import NOON
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# What is done to sound books → what sees it.
DAMAGES = {
    "its posting is lost": (
        "DELETE FROM postings WHERE cause_kind = 'break_decision'",
        {"decisions_post_once", "balances_follow_from_explanations"},
    ),
    "its posting is one dong too high": (
        "UPDATE postings SET amount_vnd = amount_vnd + 1 WHERE cause_kind = 'break_decision'",
        {"balances_follow_from_explanations"},
    ),
    "its reversal is lost": (
        "DELETE FROM postings WHERE cause_kind = 'break_decision_reversal'",
        {"decisions_post_once", "balances_follow_from_explanations"},
    ),
    "it was never approved": (
        "UPDATE break_decisions SET status = 'refused' WHERE action <> 'undo'",
        {"decisions_post_once", "what_is_open_is_not_taken"},
    ),
    "nobody undid it": (
        "UPDATE break_decisions SET status = 'refused' WHERE action = 'undo'",
        {"decisions_post_once"},
    ),
    "its money is open": (
        (
            "UPDATE bank_transactions SET open_vnd = 20000 WHERE open_vnd = 0 AND id IN ("
            "SELECT credit_id FROM break_decisions WHERE status = 'approved')"
        ),
        {"what_is_open_is_not_taken"},
    ),
    "its bill is paid by nothing": (
        "UPDATE payments SET source_kind = 'toll' WHERE source_kind = 'write_off'",
        {"decisions_post_once", "balances_follow_from_explanations"},
    ),
    "its break says nothing of it": (
        "UPDATE breaks SET decision = NULL WHERE decision = 'written_off'",
        {"decisions_post_once"},
    ),
    "no word of who proposed it": (
        "DELETE FROM audit_log WHERE action = 'break.decision_proposed'",
        {"money_changes_are_audited"},
    ),
    "no word of who approved it": (
        "DELETE FROM audit_log WHERE action = 'break.decision_approved'",
        {"money_changes_are_audited"},
    ),
}


async def test_each_damage_is_seen(
    app_database: Database, owner_database: Database, stall: PayableStall
) -> None:
    """All in one database, each in a transaction that is taken back."""
    break_id = await a_paid_twice_break(app_database, stall)
    undone = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    await approve_it(app_database, stall, undone.id)
    await undo_it(app_database, stall, undone.id)
    again = await find_break(app_database, stall, "refund_due")
    of_credit = await a_decision(app_database, stall, again, amount_vnd=20_000)
    await approve_it(app_database, stall, of_credit.id)
    _, short_id = await a_short_bill(app_database, stall)
    of_bill = await a_decision(app_database, stall, short_id, amount_vnd=5_000)
    await approve_it(app_database, stall, of_bill.id)

    async with owner_database() as session:
        assert await list_seen(session) == set()
    for what, (statement, seen_by) in DAMAGES.items():
        async with owner_database() as session:
            done = await session.execute(text(statement))
            assert done.rowcount, what  # type: ignore[attr-defined]
            assert await list_seen(session) >= seen_by, what


async def list_seen(session: AsyncSession) -> set[str]:
    """Return the checks that find something."""
    found = set()
    for name in {seen for _, seen_by in DAMAGES.values() for seen in seen_by}:
        values = {"now": NOON} if ":now" in CHECKS[name] else {}
        rows = await session.execute(text(CHECKS[name]), values)
        if rows.first() is not None:
            found.add(name)
    return found
