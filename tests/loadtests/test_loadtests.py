"""Load tests: tiny runs of each journey, the check that follows seen to find what is wrong, kills.

What they measure on a busy machine is not judged.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from core.ids import new_id
from loadtests import kills, loadtest
from loadtests.installation import installed
from loadtests.journeys import JOURNEYS, Phase, Plan
from loadtests.loadtest import City, Outcome
from loadtests.memory import Memory
from loadtests.noted import Notebook, Noted, What, read_notes
from loadtests.parking_integrity import check_integrity
from loadtests.vehicles import write_plate
from ops.errors import CannotStart

pytestmark = pytest.mark.timeout(300)

TINY = Plan(
    phases=(Phase(0, 18), Phase(6, 18)),
    pace_s=0.5,
    lots=6,
    inside=36,
    devices=4,
    movements_each=40,
)
DRILL = [pytest.mark.drill, pytest.mark.timeout(5_400)]


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    """Lots, hubs, a worker and the sandbox."""
    with (
        installed("loadtest-tests") as installation,
        loadtest.serving_city(installation, TINY.lots) as serving,
    ):
        yield serving


@pytest.fixture(scope="module")
def day(city: City, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A tiny mixed day; its shifts are closed."""
    report = tmp_path_factory.mktemp("report") / "mixed-day.html"
    return loadtest.run_journey(city, JOURNEYS["mixed-day"], TINY, report=report)


def count(outcome: Outcome, what: What) -> int:
    return sum(note.what is what for note in outcome.notes)


def wrong_in(outcome: Outcome) -> list[str]:
    return [figure.name for figure in loadtest.judge(outcome, TINY) if not figure.holds]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "brings"),
    [
        ("morning-peak", [What.ENTERED]),
        ("evening-exits", [What.PAID, What.LEFT]),
        ("offline-return", [What.ENTERED, What.MOVED]),
    ],
)
def test_a_tiny_journey_loses_and_doubles_nothing(
    city: City, tmp_path: Path, name: str, brings: list[What]
) -> None:
    report = tmp_path / "report.html"

    outcome = loadtest.run_journey(city, JOURNEYS[name], TINY, report=report)

    assert wrong_in(outcome) == [], outcome
    for what in brings:
        assert count(outcome, what) > 0, what
    if name == "offline-return":
        sent = count(outcome, What.ENTERED) + count(outcome, What.MOVED)
        assert sent >= TINY.devices * TINY.movements_each
    assert "<html" in report.read_text()


@pytest.mark.faults
def test_a_tiny_mixed_day_takes_money_on_two_rails_and_closes_its_shifts(
    city: City, day: Outcome
) -> None:
    assert wrong_in(day) == [], day
    assert {note.what for note in day.notes} >= {What.ENTERED, What.PAID, What.CASH, What.LEFT}
    taken_vnd = sum(note.amount_vnd for note in day.notes if note.what is What.CASH)
    with psycopg.connect(city.installation.owner_url) as owner:
        posted = owner.execute(
            "SELECT sum(amount_vnd) FROM postings WHERE cause_kind = 'shift_close'"
        ).fetchone()
    assert posted == (taken_vnd,)


ENTERED = "(SELECT id FROM entered)"
STORE_TWICE = f"""
    CREATE TEMPORARY TABLE twice AS
        SELECT s.* FROM parking_sessions s JOIN entered USING (org_id, id);
    UPDATE twice SET id = '{new_id()}', status = 'left', left_at = now();
    INSERT INTO parking_sessions SELECT * FROM twice"""
DOUBLE_INSIDE = f"""
    ALTER TABLE inside DROP CONSTRAINT pk_inside;
    INSERT INTO inside SELECT * FROM inside WHERE session_id = {ENTERED}"""
COUNT_ONE_MORE = """
    UPDATE occupancy SET inside_count = inside_count + 1
    WHERE (lot_id, vehicle_class) = (SELECT lot_id, vehicle_class FROM entered)"""
UNDO_EXIT = """
    UPDATE parking_sessions SET status = 'inside', left_at = NULL
    WHERE id = (SELECT id FROM gone)"""
BROKEN = {
    "a lost stay": (f"DELETE FROM parking_sessions WHERE id = {ENTERED}", "lost_entries"),
    "a lost sighting": (f"DELETE FROM observations WHERE session_id = {ENTERED}", "lost_entries"),
    "a vehicle that vanished": (f"DELETE FROM inside WHERE session_id = {ENTERED}", "lost_entries"),
    "a stay of another plate": (
        f"UPDATE parking_sessions SET plate = '29A99999' WHERE id = {ENTERED}",
        "lost_entries",
    ),
    "an entry stored twice": (STORE_TWICE, "doubled_entries"),
    "a doubled inside row": (DOUBLE_INSIDE, "credentials_twice_inside"),
    "an inside row of a stay that is over": (
        f"UPDATE parking_sessions SET status = 'left', left_at = now() WHERE id = {ENTERED}",
        "credentials_twice_inside",
    ),
    "a wrong occupancy": (COUNT_ONE_MORE, "wrong_occupancy"),
    "an exit that is undone": (UNDO_EXIT, "lost_exits"),
    "a transfer that is on no bill": (
        "UPDATE bills SET received_vnd = 0, paid_vnd = 0 WHERE id = (SELECT id FROM paid)",
        "lost_payments",
    ),
    "cash that was taken back": (
        "UPDATE collections SET reversed_at = now() WHERE id = (SELECT id FROM cash)",
        "lost_collections",
    ),
    "a movement that nobody handled": (
        "UPDATE movements SET handled_at = NULL WHERE id = (SELECT id FROM moved)",
        "lost_movements",
    ),
    "cash that the ledger does not have": (
        "DELETE FROM postings WHERE cause_kind = 'shift_close'",
        "shifts_agree_with_their_cash",
    ),
}


@pytest.mark.faults
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_database_does_not_pass(city: City, day: Outcome, what: str) -> None:
    """Each is broken in a transaction that is rolled back."""
    statement, check = BROKEN[what]
    kinds = {"gone": What.LEFT, "paid": What.PAID, "cash": What.CASH, "moved": What.MOVED}
    with psycopg.connect(city.installation.owner_url) as owner:
        before = check_integrity(owner, day.notes)
        assert {name: rows for name, rows in before.items() if rows} == {}
        inside = {str(row[0]) for row in owner.execute("SELECT session_id FROM inside")}
        some = {
            name: next(note for note in day.notes if note.what is kinds[name]) for name in kinds
        }
        some["entered"] = next(note for note in day.notes if note.id in inside)
        for name, note in some.items():
            facts = [note.org_id, note.lot_id, note.id, note.vehicle_class]
            owner.execute(
                f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS SELECT %s::uuid AS org_id,"
                " %s::uuid AS lot_id, %s::uuid AS id, %s::text AS vehicle_class",
                facts,
            )
        for one in statement.split(";"):
            assert owner.execute(one).rowcount != 0, one
        found = check_integrity(owner, day.notes)
        owner.rollback()

    assert found[check] != [], found


@pytest.mark.faults
@pytest.mark.parametrize(("entries", "users"), [(800, 20), pytest.param(100_000, 120, marks=DRILL)])
def test_kills_in_the_middle_of_the_peak_lose_and_double_no_acknowledged_entry(
    city: City, entries: int, users: int
) -> None:
    """Hubs, worker, PostgreSQL and the load generator, at random moments."""
    found = kills.run_kills(city, entries=entries, users=users, seed=entries)
    kills.print_kills(found)

    assert found.acknowledged >= entries
    assert {kill.victim for kill in found.kills} == {*kills.VICTIMS}
    assert any(kill.errors for kill in found.kills), "the kills hit nothing"
    assert [note for note in found.outcome.notes if note.what is What.REFUSED] == []
    assert found.outcome.waiting == 0
    assert {name: rows for name, rows in found.outcome.wrong.items() if rows} == {}


def make_outcome(*notes: Noted, waiting: int = 0, held_mib: Sequence[float] = ()) -> Outcome:
    return Outcome(
        notes=list(notes),
        requests=loadtest.NOTHING_COUNTED,
        waiting=waiting,
        wrong={"lost": []},
        memory=Memory(samples={1: list(held_mib)} if held_mib else {}),
    )


def test_a_run_holds_only_if_something_was_acknowledged_and_nobody_was_refused() -> None:
    entered = Noted(what=What.ENTERED, at_s=1.0)
    refused = Noted(what=What.REFUSED, at_s=2.0)
    failed = Noted(what=What.FAILED, at_s=3.0)

    assert wrong_in(make_outcome(entered)) == []
    assert wrong_in(make_outcome()) == ["acknowledged"]
    assert wrong_in(make_outcome(entered, refused)) == ["refused"]
    assert wrong_in(make_outcome(entered, failed)) == ["failed_share"]
    assert wrong_in(make_outcome(entered, waiting=1)) == ["not_handled"]


@pytest.mark.parametrize(
    ("held_mib", "wrong"),
    [
        ([100.0] * 20 + [190.0] * 80, []),  # caches fill at first
        ([180 + 0.5 * i for i in range(100)], ["hub_growth_share"]),
        ([200.0] * 60 + [360.0] + [200.0] * 60, ["hub_rss_mib"]),
        ([100.0, 300.0], []),  # too short to say so
    ],
)
def test_memory_that_grows_through_a_run_is_seen(held_mib: list[float], wrong: list[str]) -> None:
    entered = Noted(what=What.ENTERED, at_s=1.0)

    assert wrong_in(make_outcome(entered, held_mib=held_mib)) == wrong


def test_a_load_test_that_there_is_not_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="morning-peak"):
        loadtest.main("midnight", True, tmp_path / "r.html", None)


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_keeps_to_its_bounds(name: str) -> None:
    full, quick = JOURNEYS[name].full, JOURNEYS[name].quick

    assert full.users <= 200
    assert full.seconds <= 600
    assert quick.users <= 60
    assert quick.seconds <= 80  # what is before and after has the rest of two minutes
    assert full.devices <= full.lots


@pytest.mark.parametrize("plan", [JOURNEYS["morning-peak"].full, JOURNEYS["morning-peak"].quick])
def test_the_morning_peak_has_a_minute_of_three_times_as_many(plan: Plan) -> None:
    seconds = [plan.users_at(at) for at in range(int(plan.seconds))]
    burst = [users for users in seconds if users == plan.users]

    assert len(burst) == 60
    peak = max(users for users in seconds if users is not None and users != plan.users)
    assert plan.users / peak == pytest.approx(3, rel=0.02)


def test_users_grow_evenly_within_a_phase_and_are_none_after_the_last() -> None:
    plan = Plan(phases=(Phase(10, 20), Phase(0, 60), Phase(5, 60)), pace_s=1)

    assert [plan.users_at(at) for at in (0, 5, 9.9, 10, 14.9, 15)] == [1, 10, 20, 60, 60, None]


def test_no_two_vehicles_have_the_same_plate() -> None:
    far_apart = range(0, 30_000_000, 100_000)
    for is_motorbike in (True, False):
        plates = {write_plate(number, is_motorbike=is_motorbike) for number in far_apart}
        assert len(plates) == len(far_apart)


def test_a_last_line_that_a_killed_generator_cut_off_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    Notebook(path).note(What.ENTERED, id="a")
    with path.open("ab") as log:
        log.write(b'{"what":"entered","at_s":1')

    assert [note.id for note in read_notes(path)] == ["a"]


@pytest.mark.slow
def test_only_the_generators_own_process_is_patched() -> None:
    """Locust replaces the standard library's blocking calls wherever it is imported."""
    program = "import sys, loadtests.loadtest, loadtests.kills; print('gevent' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
