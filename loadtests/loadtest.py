"""`./phopay loadtest NAME`: a journey under load, then whether the database holds all of it.

It measures on the way, and judges only what a busy machine cannot change: that nothing is lost,
nothing doubled, that the books agree, and that nobody got an answer that they should not get.
"""

import contextlib
import json
import socket
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError

import msgspec
import psycopg

from core.clock import read_clock
from loadtests import booths, figures
from loadtests.figures import Figure
from loadtests.installation import HOST, Installation, installed
from loadtests.journeys import JOURNEYS, Journey, Plan
from loadtests.memory import Memory, watching_memory
from loadtests.noted import WENT_WRONG, Noted, What, read_notes
from loadtests.offline import write_inside, write_returning
from loadtests.parking_integrity import ROWS_SHOWN_MAX, check_integrity, wait_until_quiet
from loadtests.vehicles import write_entries
from loadtests.wire import (
    Batch,
    Booth,
    GeneratorJob,
    RequestFigures,
    RequestLog,
    Vehicle,
    read,
    write,
)
from ops.console import say
from ops.errors import CannotStart
from ops.maintenance import maintain
from ops.processes import Child, describe_end
from ops.serving import wait_until_ready

HUB_PROCESSES: Final = 2
QUIET_WITHIN_S: Final = 300.0  # on a busy machine; what nobody handles stays
GENERATOR_GRACE_S: Final = 120.0  # to start, to end what it began, and to write its report
FAILED_SHARE_MAX: Final = 0.01
HUB_RSS_MIB: Final = 350.0
HUB_GROWTH_MAX: Final = 0.10
VEHICLES_EACH: Final = 200_000  # of a generator; the first half are there beforehand
_generators: Final = count()
_files: Final = count(1)


# Of generators that were killed.
NOTHING_COUNTED: Final = RequestLog(
    requests=[],
    total=RequestFigures(name="", requests=0, failures=0, p50_ms=0.0, p95_ms=0.0, p99_ms=0.0),
    exceptions=[],
)


@dataclass(kw_only=True)
class City:
    """What a load test runs against."""

    installation: Installation
    sandbox_url: str
    worker: Child
    lots: list[booths.StaffedLot]
    booths: list[Booth] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one journey."""

    notes: list[Noted]
    requests: RequestLog
    waiting: int  # that was stored, and not handled in time
    wrong: dict[str, list[str]]
    memory: Memory


def main(name: str, quick: bool, report: Path, json_path: Path | None) -> int:
    """Run one journey; 0 if nothing is lost, doubled or wrong, else 1. The summary goes to stdout.

    Raises:
        CannotStart: no such journey, another one is running, or PostgreSQL cannot be started.
    """
    if name not in JOURNEYS:
        raise CannotStart(f"There is no load test {name!r}. There is: {', '.join(JOURNEYS)}")
    journey = JOURNEYS[name]
    plan = journey.quick if quick else journey.full
    report.parent.mkdir(parents=True, exist_ok=True)
    with installed("loadtest") as installation, serving_city(installation, plan.lots) as city:
        say(f"{name}: {journey.about}; {plan.users} users, {plan.seconds:.0f} s")
        outcome = run_journey(city, journey, plan, report=report)
    judged = judge(outcome, plan)
    figures.print_table(judged)
    _say_what_is_wrong(outcome)
    holds = all(figure.holds for figure in judged)
    summary = {
        "journey": name,
        "is_quick": quick,
        "users": plan.users,
        "seconds": plan.seconds,
        "holds": holds,
        "figures": [asdict(figure) for figure in judged],
        "requests": msgspec.to_builtins(outcome.requests.requests),
        "wrong": {check: rows[:ROWS_SHOWN_MAX] for check, rows in outcome.wrong.items() if rows},
        "report": str(report),
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    print(text)
    if json_path is not None:
        json_path.write_text(text + "\n", encoding="utf-8")
    return 0 if holds else 1


@contextlib.contextmanager
def serving_city(installation: Installation, lots: int) -> Iterator[City]:
    """Found lots, and serve them with hubs, a worker and the sandbox."""
    now = read_clock()
    maintain(installation.owner_url, now=now)
    markets, made = booths.found_all(installation.app_url, installation.settings, lots, now=now)
    with psycopg.connect(installation.owner_url, autocommit=True) as owner:
        owner.execute("VACUUM (ANALYZE)")
    with installation.serving_hub(HUB_PROCESSES):
        worker = start_worker(installation)
        sandbox_url = _start_sandbox(installation)
        booths.set_up_sandbox(sandbox_url, f"http://{HOST}:{installation.port}", markets)
        yield City(installation=installation, sandbox_url=sandbox_url, worker=worker, lots=made)


def start_worker(installation: Installation) -> Child:
    """Start a worker beside the hubs."""
    command = [sys.executable, "-c", "import worker.app; worker.app.main()"]
    environment = {**installation.environment, "PHOPAY_LOG_FORMAT": "json"}
    return installation.running.start("worker", command, environment)


def run_journey(city: City, journey: Journey, plan: Plan, *, report: Path) -> Outcome:
    """Run a journey's load, wait until all of it is handled, and check the database."""
    job = prepare(city, journey, plan, report=report)
    with watching_memory(city.installation.hubs) as memory:
        requests = generate(city, job)
    return conclude(city, read_notes(Path(job.notes_path)), requests, memory)


def prepare(city: City, journey: Journey, plan: Plan, *, report: Path) -> GeneratorJob:
    """Let in who is inside beforehand, sign what devices kept, and write the generator's job."""
    installation, number = city.installation, next(_generators)
    now = read_clock()
    city.booths = booths.make_booths(installation.settings, city.lots, now=now)
    notes_path = installation.folder / f"notes-{number}.jsonl"
    entries = write_entries(number * VEHICLES_EACH, seed=number)
    inside = _let_in(city, write_inside(city.lots, entries, plan.inside, now=now))
    returning = write_returning(
        city.lots, entries, devices=plan.devices, movements_each=plan.movements_each, now=now
    )
    return GeneratorJob(
        hub_url=f"http://{HOST}:{installation.port}",
        sandbox_url=city.sandbox_url,
        plan=plan,
        users=journey.users,
        booths=city.booths,
        inside=inside,
        returning=returning,
        notes_path=str(notes_path),
        report_path=str(report),
        first_vehicle=number * VEHICLES_EACH + VEHICLES_EACH // 2,
        seed=number,
    )


def start_generator(city: City, job: GeneratorJob) -> tuple[Child, Path]:
    """Start the load generator; it writes the second of these at its end."""
    installation, name = city.installation, f"generator-{next(_files)}"
    job_path, log_path = installation.folder / f"{name}.job", installation.folder / f"{name}.log"
    write(job_path, job)
    command = [sys.executable, "-m", "loadtests.generator", str(job_path), str(log_path)]
    return installation.running.start(name, command, {}), log_path


def generate(city: City, job: GeneratorJob) -> RequestLog:
    """Run the load generator to its end."""
    generator, log_path = start_generator(city, job)
    code = generator.process.wait(job.plan.seconds + GENERATOR_GRACE_S)
    city.installation.running.children.remove(generator)
    if code != 0:
        raise RuntimeError(describe_end(generator))
    return read(log_path, RequestLog)


def conclude(
    city: City,
    notes: list[Noted],
    requests: RequestLog | None = None,
    memory: Memory | None = None,
) -> Outcome:
    """Wait until all is handled, close the shifts, and hold the database against the log."""
    installation = city.installation
    waiting = wait_until_quiet(installation.owner_url, within_s=QUIET_WITHIN_S)
    _close_shifts(city, notes)
    with psycopg.connect(installation.owner_url) as owner:
        wrong = check_integrity(owner, notes)
        owner.rollback()
    return Outcome(
        notes=notes,
        requests=requests or NOTHING_COUNTED,
        waiting=waiting,
        wrong=wrong,
        memory=memory or Memory(),
    )


def judge(outcome: Outcome, plan: Plan) -> list[Figure]:
    """Return the figures of a run; those with a bar decide."""
    good = [note for note in outcome.notes if note.what not in WENT_WRONG]
    # What is repeated is acknowledged again, and counts once.
    counted = Counter(what for what, _, _ in {(one.what, one.org_id, one.id) for one in good})
    counted.update(note.what for note in outcome.notes if note.what in WENT_WRONG)
    acknowledged = sum(counted[what] for what in What if what not in WENT_WRONG)
    total = outcome.requests.total
    failed_share = counted[What.FAILED] / max(1, total.requests)
    errors = [note.at_s for note in outcome.notes if note.what is What.FAILED]
    began_s = min((note.at_s for note in outcome.notes), default=0.0)
    found = [
        figures.at_least("acknowledged", acknowledged, "", 1),
        figures.measured("requests", total.requests, ""),
        figures.measured("requests_per_s", total.requests / max(1.0, plan.seconds), "1/s"),
        figures.measured("request_p50_ms", total.p50_ms, "ms"),
        figures.measured("request_p95_ms", total.p95_ms, "ms"),
        figures.measured("entries", counted[What.ENTERED], ""),
        figures.measured("busiest_10_s_entries_per_s", _find_busiest(outcome.notes), "1/s"),
        figures.measured("exits", counted[What.LEFT], ""),
        figures.measured("payments_by_qr", counted[What.PAID], ""),
        figures.measured("payments_in_cash", counted[What.CASH], ""),
        figures.measured("exits_of_offline_devices", counted[What.MOVED], ""),
        figures.at_most("failed_share", failed_share, "", FAILED_SHARE_MAX),
        figures.at_most("refused", counted[What.REFUSED], "", 0),
        figures.at_most("faults_of_the_generator", len(outcome.requests.exceptions), "", 0),
        figures.at_most("not_handled", outcome.waiting, "", 0),
        figures.at_most("hub_rss_mib", outcome.memory.most_mib, "MiB", HUB_RSS_MIB),
    ]
    if (growth := outcome.memory.growth) is not None:
        found.append(figures.at_most("hub_growth_share", growth, "", HUB_GROWTH_MAX))
    if errors:
        found.append(figures.measured("first_error_at_s", min(errors) - began_s, "s"))
        found.append(figures.measured("last_error_at_s", max(errors) - began_s, "s"))
    for name, rows in outcome.wrong.items():
        found.append(figures.at_most(name, len(rows), "", 0))
    return found


def _find_busiest(notes: Sequence[Noted]) -> float:
    """Return the entries a second of the ten seconds that had most."""
    tens = Counter(note.at_s // 10 for note in notes if note.what is What.ENTERED)
    return max(tens.values(), default=0) / 10


def _let_in(city: City, batches: Sequence[Batch]) -> list[Vehicle]:
    """Let in who is inside before the journey begins, as movements of the devices."""
    inside: list[Vehicle] = []
    for batch in batches:
        if not batch.entered:
            continue
        booth = city.booths[batch.booth]
        answer = _post(city, f"/v1/lots/{booth.lot_id}/movements", booth, batch.body)
        for vehicle, result in zip(batch.entered, answer["results"], strict=True):
            assert vehicle is not None
            assert result["verdict"] == "opened", result
            inside.append(vehicle)
    return inside


def _close_shifts(city: City, notes: Sequence[Noted]) -> None:
    """Close the shift of each lot where cash was taken, with what was noted as its count."""
    cash = Counter[str]()
    for note in notes:
        if note.what is What.CASH:
            cash[note.lot_id] += note.amount_vnd
    fresh = booths.make_booths(city.installation.settings, city.lots, now=read_clock())
    for booth in fresh:
        if counted_vnd := cash.pop(booth.lot_id, 0):
            body = json.dumps({"counted_vnd": counted_vnd}).encode()
            _post(city, f"/v1/shifts/{booth.shift_id}/close", booth, body)


def _post(city: City, path: str, booth: Booth, body: bytes) -> Any:
    """Ask the hub from this process; anything but a good answer is a fault of the run."""
    url = f"http://{HOST}:{city.installation.port}{path}"
    headers = {"Authorization": f"Bearer {booth.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except HTTPError as problem:
        said = problem.read().decode(errors="replace")[:500]
        msg = f"{path} answered {problem.code}: {said}"
        raise RuntimeError(msg) from problem


def _start_sandbox(installation: Installation) -> str:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "sandbox", "--port", str(port)]
    installation.running.start("sandbox", command, {})
    wait_until_ready(f"{url}/", installation.running)
    return url


def _say_what_is_wrong(outcome: Outcome) -> None:
    for name, rows in outcome.wrong.items():
        for row in rows[:ROWS_SHOWN_MAX]:
            say(f"{name}: {row}")
    refused = [note for note in outcome.notes if note.what is What.REFUSED]
    failed = [note for note in outcome.notes if note.what is What.FAILED]
    for note in (*refused[:ROWS_SHOWN_MAX], *failed[:ROWS_SHOWN_MAX]):
        say(f"{note.what}: {note.request} {note.status} {note.detail}")
    for text in outcome.requests.exceptions[:ROWS_SHOWN_MAX]:
        say(f"fault of the generator: {text}")
