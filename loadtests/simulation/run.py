"""A run: steps drawn from a seed, each checked, day after day; what failed can be played again.

All decisions come from one `random.Random`. Ids, references and bank numbers differ from run to
run; what is done does not, and `Result.digest` says whether two runs did the same.
"""

import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final

from core.clock import HANOI, day_bounds, hanoi_day, read_clock
from core.settings import Settings
from loadtests.simulation import closing, money, parking, people, statements
from loadtests.simulation.checks import check_invariants, check_sums, check_totals, check_whole
from loadtests.simulation.stage import a_stage
from loadtests.simulation.town import Town, found_town

DAYS_MAX: Final = 21  # the ids that clients make may be 35 days old
WHOLE_EVERY: Final = 100  # steps
INVARIANTS_EVERY: Final = 25
LAST_STEPS: Final = 12
FORGOTTEN_SHARE: Final = 0.4  # of days on which nobody asks providers before the statements
OPENS: Final = timedelta(hours=6)  # of a day
CLOSES: Final = timedelta(hours=23)

Step = Callable[[Town], Awaitable[str | None]]
# What happens, and how often.
STEPS: Final[dict[Step, int]] = {
    money.open_bill: 28,
    money.pay_bill: 34,
    money.sell: 6,
    money.pay_several: 2,
    money.fall_silent: 1,
    money.call_back_late: 6,
    money.check_bill: 4,
    people.cancel_bill: 3,
    people.take_cash: 3,
    people.assign_break: 4,
    people.correct_sale: 3,
    people.close_break: 2,
    people.request_refund: 4,
    people.step_refund: 9,
    parking.enter: 8,
    parking.leave: 7,
    parking.change_shift: 1,
}
WORKER_EVERY: Final = 10  # steps
SIGNED_IN_FOR: Final = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be simulated."""

    seed: int
    days: int
    bills: int  # of all days together, those of stays not counted
    orgs: int = 2
    until: int | None = None  # stop after this step

    @property
    def command(self) -> str:
        """How to run it again."""
        said = f"--seed {self.seed} --days {self.days} --bills {self.bills} --orgs {self.orgs}"
        return f"./phopay simulate {said}"


@dataclass(kw_only=True)
class Result:
    """What a run did, and what disagreed."""

    plan: Plan
    steps: int = 0
    bills: int = 0
    credits: int = 0
    stays: int = 0
    refunds: int = 0
    statements: int = 0
    items: Counter[str] = field(default_factory=Counter)
    did: Counter[str] = field(default_factory=Counter)
    decisions: list[str] = field(default_factory=list)  # what was done, step by step
    problems: list[str] = field(default_factory=list)
    last_steps: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """A hash over all that was done: the same for the same plan, whenever it is played."""
        return sha256("\n".join(self.decisions).encode()).hexdigest()

    @property
    def is_good(self) -> bool:
        """Whether hub and model agreed to the end."""
        return not self.problems


async def simulate(
    settings: Settings,
    plan: Plan,
    *,
    say: Callable[[str], None] = lambda _: None,
    interfere: Callable[[Town, int], Awaitable[None]] | None = None,
) -> Result:
    """Simulate on a migrated, empty database.

    Args:
        say: called with each step, in words.
        interfere: called after every step with its number, before it is checked: for tests that
            plant a fault.
    """
    result = Result(plan=plan)
    first = first_day(plan.days, today=hanoi_day(read_clock()))
    start = day_bounds(first)[0]
    async with a_stage(settings, seed=plan.seed, now=start + OPENS) as stage:
        town = await found_town(stage, seed=plan.seed, orgs=plan.orgs)
        run = _Run(town=town, plan=plan, result=result, first=first, say=say, interfere=interfere)
        try:
            await run.play()
        except Exception as problem:
            result.problems.append(f"{type(problem).__name__}: {problem}")
            if type(problem).__module__.split(".")[0] != "loadtests":
                result.problems.append(traceback.format_exc(limit=-4))
        finally:
            run.count()
            for org in town.orgs:
                for client in org.people.values():
                    await client.aclose()
    return result


def first_day(days: int, *, today: date) -> date:
    """Return the Monday on which so many days begin that are over today.

    Always a Monday, since banks book otherwise at weekends; and in the past, since the database's
    clock, which nobody sets, is ahead of whatever happens then.
    """
    last_start = today - timedelta(days=days)
    return last_start - timedelta(days=last_start.weekday())


def describe(result: Result) -> list[str]:
    """Word a result for the person at the terminal."""
    plan = result.plan
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(result.items.items()))
    end = "agreed" if result.is_good else "DISAGREED"
    counts = (
        f"{result.bills} bills, {result.credits} credits, {result.stays} stays,"
        f" {result.refunds} refunds, {result.statements} statements"
    )
    lines = [
        f"seed {plan.seed}: {end} after {result.steps} steps of {plan.days} days",
        f"  {counts}; breaks: {kinds or 'none'}; decisions {result.digest[:12]}",
    ]
    if not result.is_good:
        lines += [f"  what disagreed: {problem}" for problem in result.problems]
        lines += [f"  {step}" for step in result.last_steps]
        lines.append(f"  again: {plan.command} --until {result.steps}")
    return lines


class Disagreement(Exception):
    """Model and hub say different things."""


@dataclass(kw_only=True)
class _Run:
    town: Town
    plan: Plan
    result: Result
    first: date
    say: Callable[[str], None]
    interfere: Callable[[Town, int], Awaitable[None]] | None
    signed_in_at: datetime | None = None
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_STEPS))

    async def play(self) -> None:
        for number in range(self.plan.days):
            day = self.first + timedelta(days=number)
            if number:
                await self._begin(day)
            await self._play_day(day, number)
            if self._is_over():
                return
            await self._end(day)

    def count(self) -> None:
        """Write what was done into the result."""
        model, result = self.town.model, self.result
        result.bills = sum(not bill.is_of_stay for bill in model.bills)
        result.credits, result.refunds = len(model.credits), len(model.refunds)
        result.stays = self.town.vehicles
        result.statements = result.did[import_statements.__name__]
        result.items = Counter(item.kind for item in model.items)
        result.last_steps = list(self.log)

    async def _begin(self, day: date) -> None:
        """Let a morning come, and everybody sign in."""
        self.town.stage.clock.now = max(self.town.stage.clock.now, day_bounds(day)[0] + OPENS)
        await self._sign_in()

    async def _sign_in(self) -> None:
        """Let everybody sign in before the hub forgets who did nothing for half a day."""
        now = self.town.stage.clock.now
        if self.signed_in_at is None or now - self.signed_in_at > SIGNED_IN_FOR:
            await self.town.sign_in()
            self.signed_in_at = now

    async def _play_day(self, day: date, number: int) -> None:
        """Do so many steps that the day has its share of the bills."""
        wanted = self.plan.bills * (number + 1) // self.plan.days
        opens, closes = day_bounds(day)[0] + OPENS, day_bounds(day)[0] + CLOSES
        share = max(1, wanted - self._count_bills())
        pace_s = (closes - opens).total_seconds() / (
            share * sum(STEPS.values()) / STEPS[money.open_bill]
        )
        while self._count_bills() < wanted and not self._is_over():
            pause_s = max(2, round(self.town.chance.expovariate(1 / pace_s)))
            now = self.town.stage.clock.now + timedelta(seconds=pause_s)
            self.town.stage.clock.now = min(now, closes + timedelta(seconds=self.result.steps))
            await self._sign_in()
            step: Step = money.pick(self.town, STEPS)
            try:
                said = await step(self.town)
            except Exception:
                self.result.steps += 1
                self.log.append(f"step {self.result.steps} {step.__name__}: failed")
                raise
            if said is not None:
                await self._note(step.__name__, said)

    async def _end(self, day: date) -> None:
        """End a day as an organisation does: what is unknown is asked for, statements are read."""
        for end in DAY_ENDS:
            for said in await end(self.town, day):
                await self._note(end.__name__, said)
            if self._is_over():
                return
        await self._work()
        days = [self.first + timedelta(days=n) for n in range((day - self.first).days + 1)]
        found = await check_whole(self.town) + await check_totals(self.town, days)
        await self._hold(found + await closing.check_books(self.town))

    async def _note(self, name: str, said: str) -> None:
        """Write a step down, let the worker work now and then, and check."""
        town, result = self.town, self.result
        result.steps += 1
        result.did[name] += 1
        at = town.stage.clock.now.astimezone(HANOI)
        line = f"step {result.steps} {at:%a %d.%m. %H:%M:%S} {name}: {said}"
        self.log.append(line)
        result.decisions.append(f"{at:%a %H:%M:%S} {name}: {said}")
        self.say(line)
        is_whole = self._is_over() or result.steps % WHOLE_EVERY == 0
        has_invariants = is_whole or result.steps % INVARIANTS_EVERY == 0
        if has_invariants or result.steps % WORKER_EVERY == 0:
            await self._work()
        if self.interfere is not None:
            await self.interfere(town, result.steps)
        if is_whole:
            await self._hold(await check_whole(town))
        elif has_invariants:
            await self._hold([*await check_sums(town), *await check_invariants(town)])
        else:
            await self._hold(await check_sums(town))

    async def _work(self) -> None:
        """Let the worker do what is due: before invariants, or what it has not done is overdue."""
        await self.town.stage.run_jobs()
        await self.town.stage.settle()
        await self.town.stage.wait_for_jobs()
        await statements.follow_matching(self.town)
        self.town.model.doubt_refunds(self.town.stage.clock.now)

    async def _hold(self, problems: list[str]) -> None:
        if problems:
            self.result.problems += problems[:-1]
            raise Disagreement(problems[-1])

    def _is_over(self) -> bool:
        return self.plan.until is not None and self.result.steps >= self.plan.until

    def _count_bills(self) -> int:
        return sum(not bill.is_of_stay for bill in self.town.model.bills)


async def poll_for_the_unreported(town: Town, day: date) -> list[str]:
    """Poll every provider for what no callback reported; on some days nobody does.

    Then its statement is there before its callbacks.
    """
    if town.chance.random() < FORGOTTEN_SHARE:
        return []
    return [f"{await money.receive_all(town)} credits were not known before the day's end"]


async def end_shifts(town: Town, day: date) -> list[str]:
    """Let attendants hand over what they took."""
    return [await parking.end_shift(town, org) for org in town.orgs if org.shift]


async def import_statements(town: Town, day: date) -> list[str]:
    """Import what the banks booked on the day; a Sunday is booked on Monday."""
    return await statements.import_day(town, day)


async def close_day(town: Town, day: date) -> list[str]:
    """Close the day of the books, after midnight."""
    return await closing.close_day(town, day)


# What happens at a day's end, in this order. Each waits for its jobs, and says what it did.
DAY_ENDS: Final[tuple[Callable[[Town, date], Awaitable[list[str]]], ...]] = (
    end_shifts,
    poll_for_the_unreported,
    import_statements,
    close_day,
)
