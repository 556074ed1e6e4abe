"""Faults of a bank's statement, seeded: the same request makes the same mistakes."""

from dataclasses import replace
from datetime import datetime, time
from random import Random
from typing import Annotated

import msgspec

from sandbox.ft_numbers import FT_DIGITS, VIETNAM
from sandbox.statements.statement import Statement, StatementDay, StatementLine

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class StatementFaults(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is wrong with one statement; the defaults are an honest bank.

    Balances and totals stay those of the true account, unless `wrong_total_vnd` changes them.
    """

    missing: Count = 0  # lines left out
    extra: Count = 0  # lines of money that never moved
    wrong_total_vnd: Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)] = 0  # closing, credits
    reordered: bool = False  # lines of a day shuffled, each with its own balance
    keep_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100  # the file ends there
    wrong_encoding: bool = False  # letters in another encoding than the file's own
    seed: int = 1


def spoil(statement: Statement, faults: StatementFaults) -> Statement:
    """Change a statement's lines and totals; what is done to the bytes is the writer's."""
    days = list(statement.days)
    if faults.missing:
        days = _leave_out(days, faults.missing, _rng(statement, faults, "missing"))
    if faults.extra:
        days = _make_up(days, faults.extra, _rng(statement, faults, "extra"))
    if faults.reordered:
        rng = _rng(statement, faults, "reordered")
        days = [replace(day, lines=_shuffled(day.lines, rng)) for day in days]
    last = days[-1]
    days[-1] = replace(
        last,
        closing_vnd=last.closing_vnd + faults.wrong_total_vnd,
        credit_vnd=last.credit_vnd + faults.wrong_total_vnd,
    )
    return replace(statement, days=tuple(days))


def cut(content: bytes, faults: StatementFaults) -> bytes:
    """End a file early, as a broken download does."""
    return content[: len(content) * faults.keep_percent // 100]


def _rng(statement: Statement, faults: StatementFaults, purpose: str) -> Random:
    days = f"{statement.from_on}:{statement.to_on}"
    return Random(f"statement:{faults.seed}:{purpose}:{statement.bin}:{statement.number}:{days}")


def _leave_out(days: list[StatementDay], count: int, rng: Random) -> list[StatementDay]:
    places = [(i, j) for i, day in enumerate(days) for j in range(len(day.lines))]
    gone = set(rng.sample(places, min(count, len(places))))
    return [
        replace(day, lines=tuple(ln for j, ln in enumerate(day.lines) if (i, j) not in gone))
        for i, day in enumerate(days)
    ]


def _make_up(days: list[StatementDay], count: int, rng: Random) -> list[StatementDay]:
    for _ in range(count):
        i = rng.randrange(len(days))
        day = days[i]
        at = rng.randint(0, len(day.lines))
        signed_vnd = rng.randint(1, 500) * 1_000
        before = day.lines[at - 1] if at else None
        digits = rng.randrange(10**FT_DIGITS)
        line = StatementLine(
            booked_on=day.booked_on,
            occurred_at=datetime.combine(day.booked_on, time(12), VIETNAM),
            reference=f"FT{day.booked_on:%y%j}{digits:0{FT_DIGITS}d}",
            signed_vnd=signed_vnd,
            balance_vnd=(before.balance_vnd if before else day.opening_vnd) + signed_vnd,
            memo="NGUYEN VAN A chuyen tien",
            counter_bin="970407",
            counter_number="19036000000888",
            counter_name="NGUYEN VAN A",
            virtual_number="",
        )
        days[i] = replace(day, lines=(*day.lines[:at], line, *day.lines[at:]))
    return days


def _shuffled(lines: tuple[StatementLine, ...], rng: Random) -> tuple[StatementLine, ...]:
    shuffled = rng.sample(lines, len(lines))
    # Chance may leave everything in its place, and then nothing would be wrong.
    return tuple(shuffled) if tuple(shuffled) != lines else tuple(reversed(shuffled))
