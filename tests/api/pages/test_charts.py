"""Charts drawn on the server: their axes, their steps, and texts that stay text."""

import pytest

from api.pages.charts import nice_above, render_pairs, render_steps


@pytest.mark.parametrize(
    ("value", "top"), [(0, 4), (3, 4), (5, 8), (12, 12), (21, 40), (1_040_000, 1_200_000)]
)
def test_an_axis_ends_at_a_round_number_above_its_values(value: int, top: int) -> None:
    assert nice_above(value) == top


def test_a_price_rises_where_its_stay_is_over() -> None:
    svg = render_steps([(60, 25_000), (120, 50_000)], title="Giá", hours="giờ")

    assert svg.count("V") == 2
    assert 'class="chart-line"' in svg


def test_a_title_cannot_break_out_of_the_picture() -> None:
    svg = render_steps([(60, 0)], title='"><script>', hours="<b>")
    assert "<script>" not in svg
    assert "<b>" not in svg
    pairs = render_pairs([(0, 0)] * 24, title='"><script>', first="<i>", second="<u>")
    assert not {"<script>", "<i>", "<u>"} & {part + ">" for part in pairs.split(">")}


def test_an_empty_day_has_an_axis_and_no_bars() -> None:
    svg = render_pairs([(0, 0)] * 24, title="Ngày", first="Vào", second="Ra")
    assert svg.count("<rect") == 2  # the legend's
