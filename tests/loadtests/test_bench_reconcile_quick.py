"""The bench of matching runs through and counts right; its speed is not judged."""

import pytest

from loadtests import reconcile

NAMES = {
    "reconcile_s",
    "floor_s",
    "peak_rss_mib",
    "precision_pct",
    "recall_pct",
    "lines_per_s_small",
    "lines_per_s_large",
}


@pytest.mark.drill
@pytest.mark.timeout(240)
def test_a_tiny_bench_matches_what_is_true_and_nothing_else() -> None:
    plan = reconcile.Plan(lines=4_000, small=1_000)
    figures = {one.name: one for one in reconcile.measure(True, plan, history=1_000)}

    assert figures.keys() >= NAMES
    assert figures["precision_pct"].value == 100
    assert figures["recall_pct"].value >= 99
    assert figures["wrong"].value == 0
    assert figures["violations"].value == 0
    assert figures["floor_s"].value > 0
    assert figures["match_s"].value > 0
    assert 30 < figures["peak_rss_mib"].value < 1_024
