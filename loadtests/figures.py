"""Figures of a run: names and values, the bars they must hold, as a table and as JSON."""

import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number. `bar` is the limit it was held against, None where there is none."""

    name: str
    value: float
    unit: str
    bar: float | None
    holds: bool
    note: str = ""  # in words, where a number does not say it all


def measured(name: str, value: float, unit: str) -> Figure:
    """A figure without a bar."""
    return Figure(name=name, value=_round(value), unit=unit, bar=None, holds=True)


def at_least(name: str, value: float, unit: str, bar: float) -> Figure:
    """A figure that must not be below its bar."""
    return Figure(name=name, value=_round(value), unit=unit, bar=_round(bar), holds=value >= bar)


def at_most(name: str, value: float, unit: str, bar: float) -> Figure:
    """A figure that must not be above its bar."""
    return Figure(name=name, value=_round(value), unit=unit, bar=_round(bar), holds=value <= bar)


def below(name: str, value: float, unit: str, bar: float, *, note: str = "") -> Figure:
    """A figure that must stay under its bar."""
    holds = value < bar
    return Figure(
        name=name, value=_round(value), unit=unit, bar=_round(bar), holds=holds, note=note
    )


def write_json(figures: list[Figure], path: Path) -> None:
    """Write `{"figures": […]}`."""
    report = {"figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def print_table(figures: list[Figure]) -> None:
    """Print the figures for a person, on standard error."""
    for figure in figures:
        bar = "" if figure.bar is None else f"bar {figure.bar:,.10g}"
        verdict = "" if figure.bar is None else ("holds" if figure.holds else "DOES NOT HOLD")
        value = f"{figure.value:,.10g} {figure.unit}"
        print(f"  {figure.name:<40} {value:>20}  {bar:>14}  {verdict}", file=sys.stderr)
        if figure.note:
            print(f"    {figure.note}", file=sys.stderr)


def find_percentile(values: list[float], percent: float) -> float:
    """Return the value that this share of the values does not pass (nearest rank)."""
    assert values
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def _round(value: float) -> float:
    return round(value, 2 if abs(value) < 1_000 else 0)
