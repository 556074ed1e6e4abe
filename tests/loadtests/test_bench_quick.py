"""The bench runs through and counts right; what it measures on a busy machine is not judged."""

import json
from pathlib import Path

import psycopg
import pytest

from loadtests import bench, payments
from loadtests.figures import at_least, at_most, below, find_percentile, measured, write_json
from loadtests.flood import Payment
from loadtests.integrity import count_payments
from ops.errors import CannotStart

# Just enough of everything for every part to run.
TINY = payments.Plan(
    floods=1,
    payments_a_flood=300,
    floor_transactions=64,
    bill_rounds=1,
    bills_a_round=50,
    screen_payments=60,
    owner_payments=40,
    counter_pages=20,
    list_rounds=1,
    screen_payments_per_s=40.0,
    warm_up_payments=20,
)
NAMES = {
    "bills_created_per_s",
    "plain_orm_bills_per_s",
    "callbacks_acknowledged_per_s",
    "callbacks_settled_per_s",
    "floor_settled_per_s",
    "drain_s",
    "callback_to_screen_p50_ms",
    "callback_to_screen_p99_ms",
    "floor_p99_ms",
    "callback_to_owner_p50_ms",
    "callback_to_owner_p99_ms",
    "callbacks_settled_with_history_per_s",
    "counter_page_without_history_p95_ms",
    "counter_page_p95_ms_at_20",
    "slowest_pages",
    "hub_rss_mib",
    "lost",
    "doubled",
}


@pytest.mark.drill
@pytest.mark.timeout(240)
def test_a_tiny_bench_measures_every_figure_and_loses_and_doubles_nothing() -> None:
    measured = payments.measure(quick=True, plan=TINY, history=2_000)
    figures = {figure.name: figure for figure in measured}

    assert figures.keys() >= NAMES
    assert figures["lost"].value == 0
    assert figures["doubled"].value == 0
    assert figures["callbacks_settled_per_s"].value > 0
    assert 0 < figures["callback_to_screen_p50_ms"].value < 60_000
    assert 0 < figures["callback_to_owner_p50_ms"].value < 60_000
    assert 0 < figures["floor_p99_ms"].value < 60_000
    assert 0 < figures["counter_page_p95_ms_at_20"].value < 60_000
    assert figures["slowest_pages"].note.count(" ms") == 3
    assert 30 < figures["hub_rss_mib"].value < 1_000


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_money_that_vanished_or_came_twice_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def tamper(url: str, sent: list[Payment], good: set[int]) -> object:
        before = count_payments(url, sent, good)
        assert (before.lost, before.doubled) == (0, 0)
        with psycopg.connect(url) as owner:
            # As the owner: nobody else may.
            for i, payment in enumerate(sent[:2]):
                key = [payment.org_id, payment.bill_id]
                if i == 0:
                    owner.execute(
                        "DELETE FROM postings t USING payments p WHERE p.org_id = t.org_id"
                        " AND p.id = t.cause_id AND p.org_id = %s AND p.bill_id = %s",
                        key,
                    )
                else:
                    owner.execute(
                        "UPDATE bills SET received_vnd = 2 * received_vnd"
                        " WHERE org_id = %s AND id = %s",
                        key,
                    )
        after = count_payments(url, sent, good)
        seen.append((after.lost, after.doubled))
        raise StopHere

    monkeypatch.setattr(payments.integrity, "count_payments", tamper)
    with pytest.raises(StopHere):
        payments.measure(quick=True, plan=TINY)

    assert seen == [(1, 1)]


class StopHere(Exception):
    """The rest of the run is not needed."""


def test_a_figure_holds_up_to_its_bar_and_no_further() -> None:
    assert at_least("x", 2, "", 2).holds
    assert not at_least("x", 1.9, "", 2).holds
    assert at_most("x", 0, "", 0).holds
    assert not at_most("x", 1, "", 0).holds
    assert not below("x", 250, "MiB", 250).holds
    assert measured("x", 1, "").holds


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]

    assert find_percentile(values, 50) == 50
    assert find_percentile(values, 99) == 99
    assert find_percentile([7.0], 99) == 7


def test_the_file_has_the_figures_under_their_names(tmp_path: Path) -> None:
    write_json([at_most("lost", 0, "", 0), measured("drain_s", 0.25, "s")], tmp_path / "f.json")

    assert json.loads((tmp_path / "f.json").read_text()) == {
        "figures": [
            {"name": "lost", "value": 0, "unit": "", "bar": 0, "holds": True, "note": ""},
            {"name": "drain_s", "value": 0.25, "unit": "s", "bar": None, "holds": True, "note": ""},
        ]
    }


def test_a_bar_that_does_not_hold_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(payments, "measure", lambda quick, history: [at_most("lost", 1, "", 0)])

    assert bench.main("payments", True, tmp_path / "f.json") == 1
    assert json.loads((tmp_path / "f.json").read_text())["figures"][0]["holds"] is False


def test_an_unknown_bench_says_which_there_are() -> None:
    with pytest.raises(CannotStart, match="payments"):
        bench.main("parking", True, None)
