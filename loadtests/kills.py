"""Kills in the middle of the peak: hubs, worker, PostgreSQL and the load generator itself.

SIGKILL at random moments, while vehicles come in; what dies is started again at once, as its
supervisor does in production. An entry without an answer is sent again as it was.
"""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadtests.journeys import JOURNEYS, Phase, Plan
from loadtests.loadtest import City, Outcome, conclude, prepare, start_generator, start_worker
from loadtests.noted import Noted, What, read_notes
from ops.console import say
from ops.processes import Child

VICTIMS: Final = ("a hub", "the worker", "PostgreSQL", "the load generator")
BETWEEN_KILLS_S: Final = (2.0, 7.0)
LANE_PACE_S: Final = 0.2
LASTS_S: Final = 3_600.0  # of a generator that is not killed
GIVE_UP_S: Final = 120.0  # without one acknowledgement


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill, and the errors that the load generator saw until the next."""

    victim: str
    at_s: float  # since the beginning, as all below
    first_error_at_s: float | None
    last_error_at_s: float | None
    errors: int


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What became of a drill."""

    outcome: Outcome
    kills: list[Kill]
    acknowledged: int  # distinct entries
    seconds: float


@dataclass(kw_only=True)
class Peak:
    """The load that goes on: one generator after the other."""

    city: City
    plan: Plan
    folder: Path
    notes_paths: list[Path] = field(default_factory=list)
    generator: Child | None = None
    _read_to: dict[Path, int] = field(default_factory=dict)
    _count: int = 0

    def start(self) -> None:
        """Start a load generator, with fresh tokens and vehicles that nobody else has."""
        journey, report = JOURNEYS["morning-peak"], self.folder / "kills.html"
        job = prepare(self.city, journey, self.plan, report=report)
        self.notes_paths.append(Path(job.notes_path))
        self.generator, _ = start_generator(self.city, job)

    def kill(self) -> None:
        """Kill the load generator."""
        assert self.generator is not None
        self.generator.process.kill()
        self.generator.process.wait()
        self.city.installation.running.children.remove(self.generator)

    def count(self) -> int:
        """Return how many entries were acknowledged so far."""
        for path in self.notes_paths:
            if path.exists():
                with path.open("rb") as log:
                    log.seek(self._read_to.get(path, 0))
                    new = log.read()
                self._count += new.count(b'"what":"entered"')
                # What was cut off in the middle of a line is counted at the end.
                self._read_to[path] = self._read_to.get(path, 0) + len(new)
        return self._count


def run_kills(city: City, *, entries: int, users: int, seed: int) -> Killed:
    """Kill until so many entries are acknowledged, every kind at least once; then check."""
    chance = random.Random(seed)
    plan = Plan(phases=(Phase(0, users), Phase(LASTS_S, users)), pace_s=LANE_PACE_S, lots=0)
    peak = Peak(city=city, plan=plan, folder=city.installation.folder)
    began_s = time.monotonic()
    killed: list[tuple[float, str]] = []
    left: list[str] = []
    peak.start()
    try:
        while peak.count() < entries or len(killed) < len(VICTIMS):
            _wait_for_load(peak, chance.uniform(*BETWEEN_KILLS_S))
            if not left:
                left = chance.sample(VICTIMS, len(VICTIMS))
            victim = left.pop()
            killed.append((time.monotonic(), victim))
            say(f"{peak.count():,} entries are acknowledged; killing {victim}")
            _kill(city, peak, victim, chance)
        _wait_for_load(peak, BETWEEN_KILLS_S[0])
    finally:
        peak.kill()
    seconds = time.monotonic() - began_s
    notes = [note for path in peak.notes_paths for note in read_notes(path)]
    outcome = conclude(city, notes)
    acknowledged = {(note.org_id, note.id) for note in notes if note.what is What.ENTERED}
    return Killed(
        outcome=outcome,
        kills=_tell_errors(killed, notes, began_s),
        acknowledged=len(acknowledged),
        seconds=seconds,
    )


def _wait_for_load(peak: Peak, seconds: float) -> None:
    """Wait until the load goes on, and for so long after: who kills what rests proves nothing."""
    before, began_s = peak.count(), time.monotonic()
    while peak.count() == before:
        if time.monotonic() - began_s > GIVE_UP_S:
            msg = f"nothing was acknowledged for {GIVE_UP_S:.0f} s"
            raise RuntimeError(msg)
        time.sleep(0.1)
    time.sleep(seconds)


def _kill(city: City, peak: Peak, victim: str, chance: random.Random) -> None:
    installation = city.installation
    if victim == "a hub":
        hub = chance.choice(installation.hubs)
        hub.process.kill()
        hub.process.wait()
        installation.replace_hub(hub)
    elif victim == "the worker":
        city.worker.process.kill()
        city.worker.process.wait()
        installation.running.children.remove(city.worker)
        city.worker = start_worker(installation)
    elif victim == "PostgreSQL":
        installation.cluster.crash()
        installation.cluster.start()
    else:
        peak.kill()
        peak.start()


def _tell_errors(killed: list[tuple[float, str]], notes: list[Noted], began_s: float) -> list[Kill]:
    """Say of each kill which errors came until the next."""
    failed = [note.at_s for note in notes if note.what is What.FAILED]
    ends = [at_s for at_s, _ in killed[1:]] + [float("inf")]
    told = []
    for (at_s, victim), end_s in zip(killed, ends, strict=True):
        errors = [one - began_s for one in failed if at_s <= one < end_s]
        told.append(
            Kill(
                victim=victim,
                at_s=at_s - began_s,
                first_error_at_s=min(errors, default=None),
                last_error_at_s=max(errors, default=None),
                errors=len(errors),
            )
        )
    return told


def print_kills(found: Killed) -> None:
    """Print what was killed when, and how long the errors lasted."""
    say(f"{found.acknowledged:,} entries acknowledged in {found.seconds:.0f} s")
    for kill in found.kills:
        errors = "no errors"
        if kill.first_error_at_s is not None and kill.last_error_at_s is not None:
            first_s, last_s = kill.first_error_at_s - kill.at_s, kill.last_error_at_s - kill.at_s
            errors = f"{kill.errors} errors, the first {first_s:.2f} s and the last {last_s:.2f} s"
            errors += " after it"
        say(f"{kill.at_s:8.1f} s  {kill.victim:<20} {errors}")
