"""Going live: an opening balance by two people, what it posts, and what proves an account."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from core.audit import list_changes
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.closing import opening, queries_opening
from payments.closing.errors import (
    CreditNotUnderWay,
    DayNotOpen,
    OpeningBalanceDecided,
    OpeningBalanceKnown,
    OpeningBalanceNotFound,
    OpeningNeedsAnother,
    StatementProofNeedsOpening,
    StillCarried,
)
from payments.closing.models import OpeningBalance
from payments.closing.opening import NewOpening
from payments.closing.rules import Proof
from payments.ledger.errors import DayAhead, DayNotNext
from payments.ledger.rules import AccountKey, bank, bank_clearing, opening_balance
from tests.payments.closing.days import (
    FRIDAY,
    LATER,
    ONE_DAY,
    SATURDAY,
    SUNDAY,
    THURSDAY,
    Line,
    a_credit,
    at,
    carried_at,
    close,
    explain,
    go_live,
    own_and_explain,
    own_days,
    row_of,
)
from tests.payments.invariants import find_violations
from tests.payments.ledger.books import balance
from tests.world.constants import APPROVER, MANAGER
from tests.world.databases import FreshDatabase
from tests.world.stalls import PayableStall, another_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def propose(
    database: Database,
    stall: PayableStall,
    *,
    day: date = FRIDAY,
    amount_vnd: int = 500,
    under_way: Sequence[UUID] = (),
) -> OpeningBalance:
    async with open_org_transaction(database, stall.org.id) as session:
        asked = NewOpening(
            receiving_account_id=stall.account_id,
            day=day,
            amount_vnd=amount_vnd,
            under_way=under_way,
        )
        return await opening.propose_opening(session, stall.org.id, asked, actor=MANAGER, now=LATER)


async def confirm(
    database: Database, stall: PayableStall, proposed: OpeningBalance, *, actor: Any = APPROVER
) -> OpeningBalance:
    async with open_org_transaction(database, stall.org.id) as session:
        return await opening.confirm_opening(
            session, stall.org.id, stall.account_id, proposed.id, actor=actor, now=LATER
        )


async def end(database: Database, stall: PayableStall, found: OpeningBalance) -> OpeningBalance:
    async with open_org_transaction(database, stall.org.id) as session:
        return await opening.end_opening(
            session, stall.org.id, stall.account_id, found.id,
            reason="nhầm số", actor=MANAGER, now=LATER,
        )  # fmt: skip


async def proof_on(database: Database, stall: PayableStall, day: date) -> str | None:
    async with open_org_transaction(database, stall.org.id) as session:
        found = await queries_opening.find_proof(session, stall.org.id, stall.account_id, day)
        return None if found is None else found.proof


async def set_proof(database: Database, stall: PayableStall, proof: Proof, from_day: date) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await opening.set_proof(
            session, stall.org.id, stall.account_id,
            proof=proof, from_day=from_day, actor=MANAGER, now=LATER,
        )  # fmt: skip


def keys(stall: PayableStall) -> tuple[AccountKey, AccountKey, AccountKey]:
    return (
        bank(stall.account_id),
        opening_balance(stall.account_id),
        bank_clearing(stall.account_id),
    )


async def balances(database: Database, stall: PayableStall) -> list[int]:
    """Debits minus credits of bank, opening balance and clearing."""
    return [-await balance(database, stall, key) for key in keys(stall)]


async def test_all_clearing_until_then_goes_and_what_is_under_way_is_put_back(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    for vnd in (250_000, 70_000):
        await a_credit(app_database, stall, vnd, when=at(THURSDAY, 9))
    under_way = await a_credit(app_database, stall, 100_000, when=at(THURSDAY, 23))
    today = await a_credit(app_database, stall, 9_000, when=at(FRIDAY))
    await close(app_database, stall, THURSDAY)

    found = await go_live(app_database, stall, FRIDAY, 1_000_000, under_way=[under_way])

    assert (found.bank_vnd, found.clearing_vnd, found.under_way_vnd) == (
        1_000_000, 420_000, 100_000
    )  # fmt: skip
    # 1.000.000 at the bank, of which the books knew 320.000; 109.000 are still to come.
    assert await balances(app_database, stall) == [1_000_000, -680_000, 109_000]
    assert await proof_on(app_database, stall, THURSDAY) is None
    assert await proof_on(app_database, stall, FRIDAY) == "statement"
    assert find_violations(fresh_database.owner_url) == []
    line = Line(amount_vnd=100_000, credit=under_way)
    await own_and_explain(app_database, stall, [(FRIDAY, [line])], opening_vnd=1_000_000)
    await close(app_database, stall, FRIDAY)
    assert await carried_at(app_database, stall, FRIDAY) == {today: (9_000, FRIDAY)}


async def test_an_account_of_which_nothing_was_reported_opens_with_its_statement(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    await close(app_database, stall, THURSDAY)
    await go_live(app_database, stall, FRIDAY, -3_000)  # overdrawn

    assert await balances(app_database, stall) == [-3_000, 3_000, 0]
    assert find_violations(fresh_database.owner_url) == []
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=-3_000)
    await close(app_database, stall, FRIDAY)
    assert (await row_of(app_database, stall, FRIDAY)).bank_vnd == -3_000


async def test_lines_from_before_the_go_live_are_in_its_opening_balance(
    app_database: Database, stall: PayableStall
) -> None:
    """Open or not: they are no late lines."""
    await own_days(app_database, stall, [(THURSDAY, [Line(amount_vnd=700)])], opening_vnd=0)
    await close(app_database, stall, THURSDAY)
    await go_live(app_database, stall, FRIDAY, 700)
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=700)

    await close(app_database, stall, FRIDAY)

    row = await row_of(app_database, stall, FRIDAY)
    assert (row.closing_vnd, row.bank_vnd, row.late_lines_vnd) == (700, 700, 0)


async def test_lines_from_before_that_were_explained_are_in_the_opening_balance_once(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    """One was explained while Thursday was open, one posts in Friday, which opens with it."""
    reported = {
        vnd: await a_credit(app_database, stall, vnd, when=at(day))
        for vnd, day in ((250_000, THURSDAY), (70_000, THURSDAY), (20_000, FRIDAY))
    }
    lines = [Line(amount_vnd=vnd, credit=credit) for vnd, credit in reported.items()]
    made = await own_days(app_database, stall, [(THURSDAY, lines[:2])], opening_vnd=680_000)
    await explain(app_database, stall, made[THURSDAY, 0], lines[0])
    await close(app_database, stall, THURSDAY)
    await explain(app_database, stall, made[THURSDAY, 1], lines[1])

    found = await go_live(app_database, stall, FRIDAY, 1_000_000)

    assert (found.bank_vnd, found.clearing_vnd) == (750_000, 70_000)
    assert (await balances(app_database, stall))[0] == 1_000_000
    assert find_violations(fresh_database.owner_url) == []
    await own_and_explain(app_database, stall, [(FRIDAY, lines[2:])], opening_vnd=1_000_000)
    await close(app_database, stall, FRIDAY)
    row = await row_of(app_database, stall, FRIDAY)
    assert (row.proof, row.bank_vnd, row.late_lines_vnd) == ("statement", 1_020_000, 0)
    assert await carried_at(app_database, stall, FRIDAY) == {}
    assert find_violations(fresh_database.owner_url) == []


async def test_who_proposed_it_does_not_confirm_it(
    app_database: Database, stall: PayableStall
) -> None:
    await close(app_database, stall, THURSDAY)
    proposed = await propose(app_database, stall)

    with pytest.raises(OpeningNeedsAnother):
        await confirm(app_database, stall, proposed, actor=MANAGER)

    assert await balances(app_database, stall) == [0, 0, 0]


async def test_it_is_confirmed_once_the_day_before_is_closed_and_its_own_is_open(
    app_database: Database, stall: PayableStall
) -> None:
    proposed = await propose(app_database, stall)
    with pytest.raises(DayNotNext):
        await confirm(app_database, stall, proposed)  # clearing of Thursday may still grow
    for day in (THURSDAY, FRIDAY):
        await close(app_database, stall, day)
    with pytest.raises(DayNotOpen):
        await confirm(app_database, stall, proposed)


async def test_confirmed_again_it_posts_nothing_more(
    app_database: Database, stall: PayableStall
) -> None:
    await a_credit(app_database, stall, 20_000, when=at(THURSDAY))
    await close(app_database, stall, THURSDAY)
    proposed = await propose(app_database, stall)
    for _ in range(2):
        await confirm(app_database, stall, proposed)

    assert await balances(app_database, stall) == [500, 19_500, 0]


async def test_a_credit_of_another_account_or_of_the_day_itself_is_not_under_way(
    app_database: Database, stall: PayableStall
) -> None:
    other = await another_stall(app_database, stall)
    theirs = await a_credit(app_database, other, 20_000, when=at(THURSDAY))
    today = await a_credit(app_database, stall, 30_000, when=at(FRIDAY))
    await close(app_database, stall, THURSDAY)

    for unknown in (theirs, new_id()):
        with pytest.raises(CreditNotUnderWay):
            await propose(app_database, stall, under_way=[unknown])
    proposed = await propose(app_database, stall, under_way=[today])
    with pytest.raises(CreditNotUnderWay):
        await confirm(app_database, stall, proposed)


async def test_one_opening_balance_of_a_day_is_in_force(
    app_database: Database, stall: PayableStall
) -> None:
    first = await propose(app_database, stall)
    with pytest.raises(OpeningBalanceKnown):
        await propose(app_database, stall, amount_vnd=7)
    await end(app_database, stall, first)
    await close(app_database, stall, THURSDAY)

    with pytest.raises(OpeningBalanceDecided):
        await confirm(app_database, stall, first)
    with pytest.raises(OpeningBalanceNotFound):
        await confirm(app_database, await another_stall(app_database, stall), first)
    await confirm(app_database, stall, await propose(app_database, stall, amount_vnd=7))
    assert await balances(app_database, stall) == [7, -7, 0]


async def test_reversed_on_its_open_day_it_leaves_everything_as_it_was(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    credit = await a_credit(app_database, stall, 20_000, when=at(THURSDAY))
    await close(app_database, stall, THURSDAY)
    before = await balances(app_database, stall)
    wrong = await go_live(app_database, stall, FRIDAY, 1_000, under_way=[credit])

    for _ in range(2):  # the second time changes nothing
        await end(app_database, stall, wrong)

    assert await balances(app_database, stall) == before
    assert await proof_on(app_database, stall, FRIDAY) == "callbacks_only"
    assert find_violations(fresh_database.owner_url) == []
    await go_live(app_database, stall, FRIDAY, 2_000, under_way=[credit])
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=2_000)
    closed = await close(app_database, stall, FRIDAY)
    assert closed.hash_version == 2
    assert await carried_at(app_database, stall, FRIDAY) == {credit: (20_000, FRIDAY)}
    with pytest.raises(DayNotOpen):
        await end(app_database, stall, await propose_closed(app_database, stall))


async def propose_closed(database: Database, stall: PayableStall) -> OpeningBalance:
    async with open_org_transaction(database, stall.org.id) as session:
        found = await queries_opening.find_opening(session, stall.org.id, stall.account_id)
    assert found is not None
    return found


async def test_nobody_opens_a_day_that_is_closed_or_has_not_begun(
    app_database: Database, stall: PayableStall
) -> None:
    await close(app_database, stall, FRIDAY)

    with pytest.raises(DayNotOpen):
        await propose(app_database, stall, day=FRIDAY)
    with pytest.raises(DayAhead):
        await propose(app_database, stall, day=FRIDAY + 30 * ONE_DAY)


async def test_an_account_goes_over_to_statements_by_an_opening_balance_only(
    app_database: Database, stall: PayableStall
) -> None:
    with pytest.raises(StatementProofNeedsOpening):
        await set_proof(app_database, stall, Proof.STATEMENT, FRIDAY)
    await propose(app_database, stall)
    with pytest.raises(StatementProofNeedsOpening):  # by one person
        await set_proof(app_database, stall, Proof.STATEMENT, FRIDAY)


async def test_an_account_whose_statements_end_carries_one_sum_from_then_on_and_may_come_back(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    await close(app_database, stall, THURSDAY)
    await go_live(app_database, stall, FRIDAY, 0)
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=0)
    old = await a_credit(app_database, stall, 20_000, when=at(FRIDAY))
    await close(app_database, stall, FRIDAY)
    assert await carried_at(app_database, stall, FRIDAY) == {old: (20_000, FRIDAY)}

    await set_proof(app_database, stall, Proof.CALLBACKS_ONLY, SATURDAY)
    with pytest.raises(DayNotOpen):
        await set_proof(app_database, stall, Proof.CALLBACKS_ONLY, FRIDAY)
    await close(app_database, stall, SATURDAY)

    row = await row_of(app_database, stall, SATURDAY)
    assert (row.proof, row.carried_count, row.carried_vnd) == ("callbacks_only", None, 20_000)
    assert await carried_at(app_database, stall, SATURDAY) == {}
    found = await go_live(app_database, stall, SUNDAY, 25_000)
    assert (found.bank_vnd, found.clearing_vnd) == (25_000, 20_000)
    await own_and_explain(app_database, stall, [(SUNDAY, [])], opening_vnd=25_000)
    await close(app_database, stall, SUNDAY)
    row = await row_of(app_database, stall, SUNDAY)
    assert (row.proof, row.bank_vnd, row.carried_count) == ("statement", 25_000, 0)
    assert find_violations(fresh_database.owner_url) == []
    async with open_org_transaction(app_database, stall.org.id) as session:
        changes = await list_changes(
            session, stall.org.id,
            object_kind="receiving_account", object_id=stall.account_id, limit=5,
        )  # fmt: skip
    assert [one.action for one in changes] == ["account.proof_set"]


async def test_an_account_that_carries_credits_has_no_second_opening_balance(
    app_database: Database, stall: PayableStall
) -> None:
    """Its sum would be taken away, and its credits carried on: the day could not be closed."""
    await close(app_database, stall, THURSDAY)
    await go_live(app_database, stall, FRIDAY, 0)
    await own_and_explain(
        app_database, stall, [(FRIDAY, []), (SATURDAY, []), (SUNDAY, [])], opening_vnd=0
    )
    await a_credit(app_database, stall, 20_000, when=at(FRIDAY))
    await close(app_database, stall, FRIDAY)
    proposed = await propose(app_database, stall, day=SATURDAY, amount_vnd=0)

    with pytest.raises(StillCarried):
        await confirm(app_database, stall, proposed)

    await close(app_database, stall, SATURDAY)
    assert (await row_of(app_database, stall, SATURDAY)).carried_vnd == 20_000
