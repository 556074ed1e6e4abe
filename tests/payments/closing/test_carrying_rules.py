"""Carried items, whatever moved: always the sum of all that ever moved, item by item."""

from collections import defaultdict
from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from payments.closing.rules import Carried, OpenItem, carry

ACCOUNT, OTHER = UUID(int=1), UUID(int=2)
FIRST = date(2026, 11, 20)

moves = st.dictionaries(st.integers(1, 4).map(lambda n: UUID(int=n)), st.integers(-3, 3))


def go_on(open_items: list[OpenItem], day: date, moved: dict[UUID, int]) -> list[OpenItem]:
    """Close a day, and return what is carried after it."""
    done = carry(
        open_items, {(ACCOUNT, item): vnd for item, vnd in moved.items()},
        itemised=[ACCOUNT], day=day,
    )  # fmt: skip
    cleared = {(one.credit_id, one.first_day) for one in done.cleared}
    assert len(cleared) == len(done.cleared)
    kept = [one for one in open_items if (one.credit_id, one.first_day) not in cleared]
    kept += [OpenItem(one[0], day, one[1], one[2], one[3]) for one in done.added]
    assert done.left[ACCOUNT] == (len(kept), sum(one.amount_vnd for one in kept))
    return kept


@given(st.lists(moves, max_size=6))
def test_what_is_carried_is_the_sum_of_all_that_moved_item_by_item(
    days: list[dict[UUID, int]],
) -> None:
    carried: list[OpenItem] = []
    sums: dict[UUID, int] = defaultdict(int)
    for number, moved in enumerate(days):
        carried = go_on(carried, FIRST + timedelta(days=number), moved)
        for item, vnd in moved.items():
            sums[item] += vnd
        assert {one.credit_id: one.amount_vnd for one in carried} == {
            item: vnd for item, vnd in sums.items() if vnd
        }
        assert all(one.amount_vnd for one in carried)


def test_an_item_of_another_amount_keeps_its_age() -> None:
    carried = go_on([], FIRST, {UUID(int=9): 20_000})
    later = go_on(carried, FIRST + timedelta(days=3), {UUID(int=9): -5_000})

    assert later == [OpenItem(UUID(int=9), FIRST + timedelta(days=3), FIRST, ACCOUNT, 15_000)]


def test_what_did_not_move_is_not_written_again() -> None:
    before = [OpenItem(UUID(int=9), FIRST, FIRST, ACCOUNT, 5)]
    done = carry(before, {}, itemised=[ACCOUNT], day=FIRST + timedelta(days=1))

    assert (done.added, done.cleared, done.left) == ([], [], {ACCOUNT: (1, 5)})


def test_items_of_an_account_that_carries_a_sum_are_let_go() -> None:
    before = [OpenItem(UUID(int=9), FIRST, FIRST, OTHER, 5)]
    moved = {(OTHER, UUID(int=8)): 7, (ACCOUNT, UUID(int=7)): 1}
    done = carry(before, moved, itemised=[ACCOUNT], day=FIRST + timedelta(days=1))

    assert [one.credit_id for one in done.cleared] == [UUID(int=9)]
    assert done.added == [Carried(UUID(int=7), FIRST + timedelta(days=1), ACCOUNT, 1)]
    assert done.left == {ACCOUNT: (1, 1)}
