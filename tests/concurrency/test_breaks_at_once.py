"""Two people who resolve one break at the same instant, in two processes: one wins (F14)."""

from typing import Any
from uuid import UUID

import pytest

from core.db import Database
from core.ids import new_id
from tests.concurrency.races import Races
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.breaks import (
    NO_SUCH_REFERENCE,
    a_decision,
    a_paid_twice_break,
    a_short_bill,
    approve_it,
    find_break,
    read_break,
    read_written_off,
)
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import count_rows, read_ledger
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_neighbour, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def stall(app_database: Database) -> PayableStall:
    return await a_payable_stall(app_database, code=next_code())


def approvals(decision_id: UUID, count: int) -> list[dict[str, Any]]:
    """Let so many people approve a decision."""
    return [
        {"what": "decide", "decision_id": decision_id, "actor": 20 + number}
        for number in range(count)
    ]


async def test_of_ten_who_approve_at_once_one_does_and_it_posts_once(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)

    answers = races.run(stall.org, approvals(decision.id, 10))

    assert sorted(answers) == ["DecisionTaken"] * 9 + ["approved"]
    assert await read_written_off(app_database, stall) == 20_000
    assert await count_rows(app_database, stall, "postings", "cause_kind = 'break_decision'") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_of_who_approves_and_who_refuses_at_once_one_wins(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    _, break_id = await a_short_bill(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=5_000)
    refusals = [one | {"words": "không"} for one in approvals(decision.id, 5)]

    answers = races.run(stall.org, [*approvals(decision.id, 5), *refusals])

    assert answers.count("DecisionTaken") in (8, 9)  # who did it twice over is told the same
    assert {*answers} - {"DecisionTaken"} in ({"approved"}, {"refused"})
    given_up = await read_written_off(app_database, stall)
    assert given_up == (-5_000 if "approved" in answers else 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_of_who_approves_and_who_gives_the_money_to_a_bill_one_wins(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    await a_neighbour(app_database, stall)
    for _ in range(3):
        bill = await a_bill(app_database, stall)
        await pay(app_database, stall, bill, memo=NO_SUCH_REFERENCE)
        break_id = await find_break(app_database, stall, "unassigned")
        decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
        gives = {"what": "give_break", "break_id": break_id, "bill_id": bill.id}
        before = await read_written_off(app_database, stall)

        answers = races.run(stall.org, [gives, *approvals(decision.id, 1)] * 3)

        is_given = "given" in answers
        assert set(answers) == (
            {"given", "BreakClosed"} if is_given else {"approved", "BreakClosed"}
        )
        after = await read_written_off(app_database, stall)
        assert after - before == (0 if is_given else 20_000)
    assert (await read_ledger(app_database, stall))["unapplied"] == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_of_ten_who_close_a_break_in_words_at_once_one_does(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    calls = [
        {"what": "close_break", "break_id": break_id, "words": f"cách {n}", "actor": 20 + n}
        for n in range(10)
    ]

    answers = races.run(stall.org, calls)

    assert sorted(answers) == ["BreakClosed"] * 9 + ["closed"]


async def test_of_who_proposes_and_who_closes_in_words_at_once_one_wins(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    proposals = [
        {
            "what": "propose_one",
            "id": str(new_id()),
            "break_id": break_id,
            "amount_vnd": 20_000,
        }
        for _ in range(5)
    ]
    closes = [{"what": "close_break", "break_id": break_id, "words": f"cách {n}"} for n in range(5)]

    answers = races.run(stall.org, [*proposals, *closes])

    if "closed" in answers:
        assert sorted(answers) == ["BreakClosed"] * 9 + ["closed"]
    else:
        assert sorted(answers) == ["BreakHeld"] * 5 + ["DecisionWaits"] * 4 + ["proposed"]


async def test_a_decision_is_undone_once_however_many_agree_at_once(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    await approve_it(app_database, stall, decision.id)
    undoings = [
        {"what": "propose_one", "id": str(new_id()), "undoes_id": decision.id} for _ in range(6)
    ]

    assert sorted(races.run(stall.org, undoings)) == ["DecisionWaits"] * 5 + ["proposed"]
    waiting = [one for one in undoings if await is_waiting(app_database, stall, one["id"])]
    answers = races.run(stall.org, approvals(UUID(waiting[0]["id"]), 6))

    assert sorted(answers) == ["DecisionTaken"] * 5 + ["approved"]
    assert await read_written_off(app_database, stall) == 0
    assert (await read_break(app_database, stall, break_id))["closed_at"] is None
    assert find_violations(fresh_database.owner_url) == []


async def is_waiting(database: Database, stall: PayableStall, decision_id: str) -> bool:
    where = f"id = '{decision_id}' AND status = 'proposed'"
    return await count_rows(database, stall, "break_decisions", where) == 1


async def test_one_id_that_comes_ten_times_at_once_is_one_note_and_one_file(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    break_ids = [await a_paid_twice_break(app_database, stall)]
    (bill, other_id) = await a_short_bill(app_database, stall)
    assert bill.id
    break_ids.append(other_id)
    for what, table in (("note_break", "break_notes"), ("attach", "break_files")):
        one = {"what": what, "id": str(new_id()), "words": "một"}

        answers = races.run(stall.org, [one | {"break_id": break_ids[n % 2]} for n in range(10)])

        taken = {"note_break": "BreakNoteIdTaken", "attach": "BreakFileIdTaken"}[what]
        done = {"note_break": "noted", "attach": "attached"}[what]
        assert sorted(answers) == sorted([taken] * 5 + [done] * 5)
        assert await count_rows(app_database, stall, table) == 1


async def test_a_break_takes_ten_files_however_many_come_at_once(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    calls = [
        {"what": "attach", "id": str(new_id()), "break_id": break_id, "words": str(n)}
        for n in range(14)
    ]

    answers = races.run(stall.org, calls)

    assert sorted(answers) == ["BreakFull"] * 4 + ["attached"] * 10


async def test_bulks_that_name_the_same_breaks_in_other_orders_do_not_wait_for_each_other(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    found = []
    for _ in range(6):
        _, break_id = await a_short_bill(app_database, stall)
        found.append(str(break_id))
    calls = [
        {"what": "close_breaks", "break_ids": found[:: 1 if n % 2 else -1], "words": f"cách {n}"}
        for n in range(8)
    ]

    answers = races.run(stall.org, calls)

    assert sorted(answers) == ["0"] * 7 + ["6"]
