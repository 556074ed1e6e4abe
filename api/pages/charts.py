"""Charts as SVG drawn on the server: steps of a price, bars of a day. Figures stand beside them.

No library and no inline style: the content security policy allows neither. Colours are those of
the text and the theme, by the classes of api/frontend/charts.css.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from markupsafe import Markup

WIDTH: Final = 720
HEIGHT: Final = 260
LEFT, RIGHT, TOP, BOTTOM = 104, 12, 12, 34
_NICE: Final = (1, 2, 3, 5)


def render_steps(points: Sequence[tuple[int, int]], *, title: str, hours: str) -> Markup:
    """Draw a price by duration.

    Args:
        points: (minutes, amount_vnd) as parking.tariffs.pricing.price_points gives them: a stay of
            up to so many minutes costs the amount.
        title: what a screen reader says for the whole chart.
        hours: the unit below the axis, "giờ".
    """
    minutes_max = max(1, points[-1][0])
    top_vnd = nice_above(max(amount for _, amount in points))
    path = [f"M{_x(0, minutes_max)} {_y(points[0][1], top_vnd)}"]
    for minutes, amount_vnd in points:
        path.append(f"V{_y(amount_vnd, top_vnd)}H{_x(minutes, minutes_max)}")
    every = _nice_hours(minutes_max)
    ticks = [
        (_x(minutes, minutes_max), f"{minutes // 60}")
        for minutes in range(0, minutes_max + 1, every)
    ]
    body = _grid(top_vnd) + "".join(
        f'<text class="chart-tick" x="{x}" y="{HEIGHT - 14}" text-anchor="middle">{word}</text>'
        for x, word in ticks
    )
    unit = (
        f'<text class="chart-tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 1}"'
        f' text-anchor="end">{escape(hours)}</text>'
    )
    return _frame(title, f'{body}{unit}<path class="chart-line" d="{"".join(path)}"/>')


def render_pairs(
    pairs: Sequence[tuple[int, int]],
    *,
    title: str,
    first: str,
    second: str,
    labels: Sequence[str] = (),
) -> Markup:
    """Draw two bars for each hour of a day, such as vehicles in and out.

    Args:
        pairs: 24 of them, from midnight on; with labels of their own, up to 24.
        first, second: what the bars count, for the legend.
    """
    top = nice_above(max(max(pair) for pair in pairs))
    room = WIDTH - LEFT - RIGHT
    parts = [_grid(top, is_money=False)]
    for hour, pair in enumerate(pairs):
        at = LEFT + room * hour // len(pairs)
        width = min(room // len(pairs), 60)
        for n, (count, kind) in enumerate(zip(pair, ("first", "second"), strict=True)):
            if count:
                y = _y(count, top)
                x = at + 2 + n * (width - 4) // 2
                parts.append(
                    f'<rect class="chart-{kind}" x="{x}" y="{y}" width="{(width - 5) // 2}"'
                    f' height="{HEIGHT - BOTTOM - y}"/>'
                )
        if hour % 3 == 0:
            parts.append(
                f'<text class="chart-tick" x="{at + width // 2}" y="{HEIGHT - 16}"'
                f' text-anchor="middle">{escape(labels[hour]) if labels else f"{hour}h"}</text>'
            )
    for n, (word, kind) in enumerate(((first, "first"), (second, "second"))):
        x = LEFT + 150 * n
        parts.append(
            f'<rect class="chart-{kind}" x="{x}" y="{HEIGHT - 11}" width="10" height="10"/>'
            f'<text class="chart-tick" x="{x + 15}" y="{HEIGHT - 2}">{escape(word)}</text>'
        )
    return _frame(title, "".join(parts))


def nice_above(value: int) -> int:
    """Return the next round number that an axis can end at."""
    step = 1
    while True:
        for nice in _NICE:
            if nice * step * 4 >= value:
                return max(4, nice * step * 4)
        step *= 10


def _nice_hours(minutes: int) -> int:
    for hours in (1, 2, 3, 6, 12, 24, 48, 168):
        if minutes <= hours * 60 * 12:
            return hours * 60
    return 168 * 60 * 4


def _x(minutes: int, minutes_max: int) -> int:
    return LEFT + (WIDTH - LEFT - RIGHT) * minutes // minutes_max


def _y(value: int, top: int) -> int:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value // top


def _grid(top: int, *, is_money: bool = True) -> str:
    lines = []
    for n in range(5):
        value = top * n // 4
        word = f"{value:,}".replace(",", ".")
        y = _y(value, top)
        lines.append(
            f'<path class="chart-grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>'
            f'<text class="chart-tick" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{word}'
            f"{' ₫' if is_money and n == 4 else ''}</text>"
        )
    return "".join(lines)


def _frame(title: str, body: str) -> Markup:
    return Markup(  # noqa: S704 (all texts are escaped above)
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(title, quote=True)}">{body}</svg>'
    )
